import { assert, assertEquals, assertInstanceOf, assertRejects } from "../../../deps/std_assert.ts";
import { ConnectionRefused, HearsayError } from "../../../common/errors.ts";
import { dialError } from "../../../transport/web_socket/dial_failure.ts";
import { WebSocketTransport } from "../../../transport/web_socket/web_socket.ts";
import { freePort } from "../../process/ports.ts";
import { Authority } from "../../security/certificates.ts";

const OPTIONS = { path: "gossip", maxMessageBytes: 2 ** 16 };
const AUTHORITY = await Authority.make();

/** The failure of a dial of a server without a member: its code, and its text without the address. */
async function failureAt(
  { scheme, serve, hasToken = false, caCerts }: {
    readonly scheme: "ws" | "wss";
    readonly serve: Partial<Deno.TlsCertifiedKeyPem> & { readonly status?: number };
    readonly hasToken?: boolean;
    readonly caCerts?: readonly string[];
  },
): Promise<readonly [code: string, text: string]> {
  const { status = 404, ...tls } = serve;
  const listen = { hostname: "127.0.0.1", port: 0, onListen() {}, ...tls };
  await using server = Deno.serve(listen as Deno.ServeTcpOptions, () => new Response(null, { status }));
  const guard = { incoming: (message: never) => message, outgoing: (message: never) => message };
  const authentication = {
    credentials: () =>
      Promise.resolve({ token: "t", guard: { ...guard, signal: new AbortController().signal } }),
    admit: () => ({ refused: "No.", status: 401 } as const),
    setKeys() {},
  };
  const client = new WebSocketTransport({
    ...OPTIONS,
    ...(hasToken && { authentication }),
    ...(caCerts && { caCerts }),
  });
  const address = `${scheme}://127.0.0.1:${server.addr.port}`;
  const error = await assertRejects(() => client.dial(address, new AbortController()), HearsayError);
  await client.close();
  assert(error.message.startsWith(`${address}/gossip `), error.message);
  return [error.code, error.message.slice(`${address}/gossip `.length)];
}

const SEE_PEER = " The peer's ClientRefused has the reason.";
const NO_MEMBER =
  "Check that `node.handler` is mounted there, and that `gossipActorName` is the same on both sides.";

for (
  const [status, hasToken, code, text] of [
    [
      401,
      true,
      "unauthorized",
      "refused this member (401). Check that both have a common key (`authentication.keys`) and the same `cluster`, " +
      "that the peer knows this address as its own (`advertise`, `authentication.aliases`), and that the clocks agree." +
      SEE_PEER,
    ],
    [
      401,
      false,
      "unauthorized",
      "refused this member (401). The peer asks for a key, and this member has none (`authentication`)." +
      SEE_PEER,
    ],
    [
      403,
      true,
      "refused",
      "refused this member (403). The peer may have no keys (`authentication`), and this one has; both need a common key." +
      SEE_PEER,
    ],
    [
      403,
      false,
      "refused",
      "refused this member (403). Without keys (`authentication`) a member accepts only processes of its own machine, " +
      "unless `insecure` is set there." + SEE_PEER,
    ],
    [200, false, "connection", `is an HTTP server without a member at this path (200). ${NO_MEMBER}`],
    [404, false, "connection", `is an HTTP server without a member at this path (404). ${NO_MEMBER}`],
    [
      426,
      false,
      "connection",
      'does not accept this protocol (426): its version is another, or a proxy drops the header "Upgrade".',
    ],
    [502, false, "connection", "is a proxy that reaches no member (502)."],
    [
      503,
      false,
      "connection",
      "accepts no connection now (503): the member there is at a limit, or has stopped.",
    ],
    [500, false, "connection", "answered with the status 500 in place of a WebSocket."],
  ] as const
) {
  Deno.test(`dial: explains the status ${status}, ${hasToken ? "with" : "without"} a token (P1)`, async () => {
    assertEquals(await failureAt({ scheme: "ws", serve: { status }, hasToken }), [code, text]);
  });
}

Deno.test("dial: an error says that the other side probably speaks wss, or ws", async () => {
  const { cert, key } = await AUTHORITY.sign();
  const caCerts = [AUTHORITY.cert];
  assertEquals(await failureAt({ scheme: "ws", serve: { cert, key } }), [
    "connection",
    "was dialed without TLS, and the other side does not answer in HTTP: it probably speaks wss.",
  ]);
  assertEquals(await failureAt({ scheme: "wss", serve: {}, caCerts }), [
    "connection",
    "was dialed with TLS, and the other side does not answer in TLS: it probably speaks ws.",
  ]);
});

Deno.test("dial: an error names the option for a certificate of an unknown authority", async () => {
  const { cert, key } = await AUTHORITY.sign();
  assertEquals(await failureAt({ scheme: "wss", serve: { cert, key } }), [
    "connection",
    "could not be reached: invalid peer certificate: UnknownIssuer. `tls.caCerts` must have its authority.",
  ]);
});

Deno.test("dial: an error says that the connection is refused if no process listens", async () => {
  const address = `ws://127.0.0.1:${freePort()}`;
  const client = new WebSocketTransport(OPTIONS);
  const error = await assertRejects(() => client.dial(address, new AbortController()));
  await client.close();
  assertInstanceOf(error, ConnectionRefused);
  assertEquals(
    error.message,
    `${address}/gossip could not be reached: connection refused; no process listens there.`,
  );
});

Deno.test("dial: keeps the text of an unknown failure, and says if a failure has no text", () => {
  const url = new URL("ws://orders.example/gossip");
  const textOf = (text: string) => dialError({ url, text, isRefused: false, hasToken: false }).message;
  const begin = "ws://orders.example/gossip could not be reached:";
  assertEquals(textOf("NetworkError: failed to connect to WebSocket: what now"), `${begin} what now.`);
  assertEquals(textOf(""), `${begin} no reason given.`);
  assertEquals(
    textOf("NetworkError: failed to connect to WebSocket: dns error"),
    `${begin} the name orders.example has no address (dns error).`,
  );
});
