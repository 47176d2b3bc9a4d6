import { assertEquals, assertRejects } from "../../deps/std_assert.ts";
import { Observer } from "../../observer/client.ts";
import { HearsayError, join } from "../../mod.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { eventually } from "../security/waits.ts";

/** A server that speaks the protocol of observers with its own answers; `answer` gets each request and its socket. */
function scripted(
  answer: (socket: WebSocket, request: { readonly id: number; readonly ask: string }) => void,
) {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const protocol = request.headers.get("sec-websocket-protocol")!.split(",")[0]!.trim();
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol });
    socket.onmessage = ({ data }) => answer(socket, JSON.parse(data));
    return response;
  });
}

/** The welcome of a real member, for a server that goes on in another way. */
async function welcomeOfMember(): Promise<unknown> {
  await using node = await join({ cluster: "orders", listen: { port: 0 }, log: false });
  await using observer = await Observer.connect(node.address);
  return observer.welcome;
}

async function refusal(server: { readonly addr: Deno.NetAddr }): Promise<string> {
  const connecting = Observer.connect(`ws://127.0.0.1:${server.addr.port}`);
  return (await assertRejects(() => connecting, HearsayError)).code;
}

Deno.test("Observer.connect: refuses a first answer that is no welcome, and one that is no JSON", async () => {
  for (const text of ['{"id":1,"answer":{"name":"hearsay"}}', "no JSON"]) {
    await using server = scripted((socket) => socket.send(text));
    assertEquals(await refusal(server), "incompatible", text);
  }
});

Deno.test("Observer.connect: with keys the name of the cluster must be given", async () => {
  const keys = [await newClusterKey()];
  const error = await assertRejects(() => Observer.connect("ws://127.0.0.1:1", { keys }), HearsayError);
  assertEquals(error.code, "invalid_configuration");
});

Deno.test("Observer.follow: a stream ends with the member, and fails if it is read too slowly", async () => {
  const welcome = await welcomeOfMember();
  await using server = scripted((socket, { id, ask }) => {
    if (ask === "hello") return socket.send(JSON.stringify({ id, answer: welcome }));
    if (ask !== "subscribe") return;
    socket.send(JSON.stringify({ id, answer: {} }));
    const many = id === 2 ? 1 : 66_000;
    for (let each = 0; each < many; each++) {
      socket.send(JSON.stringify({ id, event: { type: "Confirmed" }, atMs: each }));
    }
    if (id === 2) socket.send(JSON.stringify({ id, end: true }));
  });
  await using observer = await Observer.connect(`ws://127.0.0.1:${server.addr.port}`);
  const first = await Array.fromAsync(await observer.follow({ types: ["Confirmed"] }));
  assertEquals(first.map(({ atMs }) => atMs), [0]);
  const slow = await observer.follow({ types: ["Confirmed"] });
  await eventually(() => observer.signal.aborted);
  const error = await assertRejects(() => Array.fromAsync(slow), HearsayError);
  assertEquals(error.code, "busy");
});
