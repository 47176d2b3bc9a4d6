import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "../../deps/std_assert.ts";
import type { Discovery } from "../../contracts/cluster.ts";
import { fixedMembers } from "../../discovery/fixed.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { HEARSAY_KIND, joinProtoactor } from "../../protoactor/join.ts";

const discovery = fixedMembers([]);

Deno.test("joinProtoactor: a member has a new id for every incarnation, and the actor kind that protoactor members expect", async () => {
  await using one = await joinProtoactor({ cluster: "orders", discovery, kinds: ["cart"] });
  await using two = await joinProtoactor({ cluster: "orders", discovery });
  assertEquals(one.member.id === two.member.id, false);
  assertEquals([one.member.host, one.member.kinds], ["127.0.0.1", ["cart", HEARSAY_KIND]]);
});

Deno.test("joinProtoactor: a member advertises its address, and must name an address if it listens at all addresses", async () => {
  const advertise = { host: "127.0.0.1", port: 7_999 };
  await using node = await joinProtoactor({ cluster: "orders", discovery, advertise });
  assertEquals([node.member.host, node.member.port], ["127.0.0.1", 7_999]);
  const everywhere = { cluster: "orders", discovery, listen: { hostname: "0.0.0.0" } };
  await assertRejects(() => joinProtoactor(everywhere), ConfigurationError, "`advertise` must be given");
});

Deno.test("joinProtoactor: one error names every invalid option (R12.3)", async () => {
  const options = {
    cluster: "",
    discovry: discovery,
    kinds: "x",
    listen: { port: -1 },
    advertise: { host: "a" },
    decoders: { "a.B": 5 },
    signal: 5,
    config: { gossipFanOut: 0 },
  };
  const { problems } = await assertRejects(() => joinProtoactor(options as never), ConfigurationError);
  assertEquals(problems.map(({ field }) => field), [
    "discovry",
    "cluster",
    "discovery",
    "kinds",
    "decoders.a.B",
    "signal",
    "listen.port",
    "advertise.port",
    "insecure",
    "gossipFanOut",
  ]);
  const none = await assertRejects(() => joinProtoactor(undefined as never), ConfigurationError);
  assertEquals(none.problems[0]?.field, "options");
});

Deno.test("joinProtoactor: a signal that is aborted before the join rejects with its reason, and no port is opened (R1.2)", async () => {
  const reason = new Error("enough");
  const error = await assertRejects(() =>
    joinProtoactor({ cluster: "orders", discovery, signal: AbortSignal.abort(reason) })
  );
  assertEquals(error, reason);
});

Deno.test("joinProtoactor: listening for other machines is refused without `insecure`", async () => {
  const listen = { hostname: "0.0.0.0" };
  const open = { cluster: "orders", discovery, listen, advertise: { host: "10.0.0.5", port: 7_999 } };
  const { problems } = await assertRejects(() => joinProtoactor(open), ConfigurationError);
  assertEquals(problems.map(({ field, given }) => [field, given]), [["insecure", '"0.0.0.0"']]);
  const warned: string[] = [];
  const { warn } = console;
  console.warn = (text: string) => void warned.push(text);
  try {
    // Advertised elsewhere, and listening on loopback alone: nothing is opened to other machines here.
    const advertised = { ...open, listen: {}, insecure: true };
    await using _node = await joinProtoactor(advertised);
  } finally {
    console.warn = warn;
  }
  assertEquals(warned.length, 1);
  assertStringIncludes(warned[0]!, "accepts every client that can reach it, because `insecure` is set");
});

Deno.test("joinProtoactor: web pages, proxies and foreign names are refused by the remoting port, with events", async () => {
  for (const insecure of [false, true]) {
    await using node = await joinProtoactor({ cluster: "orders", discovery, insecure });
    const reasons: string[] = [];
    const events = node.events.subscribe("ClientRefused");
    void (async () => {
      for await (const event of events) if (event.type === "ClientRefused") reasons.push(event.reason);
    })();
    const url = `http://127.0.0.1:${node.member.port}/remote.Remoting/Receive`;
    const statuses: number[] = [];
    for (
      const headers of [
        { origin: "https://evil.example" },
        { "x-forwarded-for": "10.0.0.9" },
        { host: "evil.example" },
        {},
      ] as readonly Record<string, string>[]
    ) {
      using client = Deno.createHttpClient({ http1: false, http2: true, allowHost: true });
      const ending = new AbortController();
      const response = await fetch(url, {
        method: "POST",
        client,
        signal: ending.signal,
        headers: { "content-type": "application/grpc", ...headers },
        body: new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(5)) }),
      });
      statuses.push(response.status);
      ending.abort();
      await response.body?.cancel().catch(() => {});
    }
    assertEquals(statuses, insecure ? [403, 200, 200, 200] : [403, 403, 403, 200]);
    assertEquals(reasons.length, insecure ? 1 : 3);
  }
});

Deno.test("joinProtoactor: a discovery that fails is logged once, unless `log` is false", async () => {
  const { warn } = console;
  try {
    for (const log of [undefined, false]) {
      const lines: string[] = [];
      console.warn = (line: string) => void lines.push(line);
      const failing: Discovery = { openMembership: false, run: () => Promise.reject(new Error("no list")) };
      const options = { cluster: "orders", discovery: failing, ...(log !== undefined && { log }) };
      {
        await using _node = await joinProtoactor(options);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assertEquals(lines.length, log === false ? 0 : 1);
      if (log !== false) assertMatch(lines[0]!, /discovery.*no list/);
    }
  } finally {
    console.warn = warn;
  }
});
