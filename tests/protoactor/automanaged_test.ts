import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { autoManaged, TOLERATED_MISSES } from "../../protoactor/discovery.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { memberOf, TestContext } from "../discovery/context.ts";
import { freePort } from "../process/ports.ts";

/** A member with its own host among some. */
function member(
  id: string,
  hosts: readonly number[],
  at: number,
  options: { readonly cluster?: string; readonly toleratedMisses?: number } = {},
) {
  const { toleratedMisses, ...context } = options;
  const discovery = autoManaged({
    hosts: hosts.map((port) => `127.0.0.1:${port}`),
    port: hosts[at]!,
    refreshInterval: 20,
    requestTimeout: 500,
    ...(toleratedMisses && { toleratedMisses }),
  });
  return new TestContext(discovery, { self: memberOf(id, 7001 + at), ...context });
}

/** The answer of a protoactor-go member at `/_health`: the names and types of its `NodeModel`. */
function goHealth(id: string, options: { readonly cluster?: string; readonly kinds?: string[] | null } = {}) {
  const { cluster = "test", kinds = ["grain"] } = options;
  return {
    id,
    address: "127.0.0.1",
    auto_manage_port: 6330,
    port: 8090,
    kinds,
    cluster_name: cluster,
  };
}

/** A server at `/_health` with scripted answers. */
function host(answer: (path: string) => Response) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => answer(new URL(request.url).pathname),
  );
  return { port: server.addr.port, [Symbol.asyncDispose]: () => server.shutdown() };
}

Deno.test("protoactor automanaged: a member publishes itself at /_health, under the names that protoactor-go reads", async () => {
  const port = freePort();
  await using a = member("a", [port], 0);
  await a.untilIds("a");
  const response = await fetch(`http://127.0.0.1:${port}/_health`);
  assertEquals(response.status, 200);
  assert(response.headers.get("content-type")?.startsWith("application/json"));
  assertEquals(await response.json(), {
    id: "a",
    address: "127.0.0.1",
    auto_manage_port: port,
    port: 7001,
    kinds: ["worker"],
    cluster_name: "test",
  });
  const other = await fetch(`http://127.0.0.1:${port}/else`);
  await other.body?.cancel();
  assertEquals(other.status, 404);
});

Deno.test("protoactor automanaged: members list each other, and read an answer of a protoactor-go member without kinds", async () => {
  await using go = host(() => Response.json(goHealth("go", { kinds: null })));
  const hosts = [freePort(), freePort(), go.port];
  await using a = member("a", hosts, 0);
  await using b = member("b", hosts, 1);
  await a.untilIds("a", "b", "go");
  await b.untilIds("a", "b", "go");
  assertEquals(a.members, [
    memberOf("a", 7001),
    memberOf("b", 7002),
    { id: "go", host: "127.0.0.1", port: 8090, kinds: [] },
  ]);
});

Deno.test("protoactor automanaged: an answer with the name of another cluster adds no member", async () => {
  await using other = host(() => Response.json(goHealth("x", { cluster: "other" })));
  await using go = host(() => Response.json(goHealth("go")));
  await using a = member("a", [freePort(), other.port, go.port], 0);
  await a.untilIds("a", "go");
});

Deno.test("protoactor automanaged: publishes no members before another member answers, so that a lone member reports no consensus", async () => {
  const hosts = [freePort(), freePort()];
  await using a = member("a", hosts, 0);
  await a.until(() => a.failures.some((source) => source.includes(String(hosts[1]))));
  // The time of several polls.
  await new Promise((resolve) => setTimeout(resolve, 200));
  assertEquals(a.members, []);
  await using b = member("b", hosts, 1);
  await b.untilIds("a", "b");
  await a.untilIds("a", "b");
});

Deno.test("protoactor automanaged: a host that misses one poll keeps its member, and a host that misses three polls loses it", async () => {
  let misses = 0;
  const shaky = goHealth("shaky");
  await using other = host(() => Response.json(goHealth("steady")));
  await using go = host(() => misses-- > 0 ? new Response("no", { status: 503 }) : Response.json(shaky));
  await using a = member("a", [freePort(), go.port, other.port], 0);
  await a.untilIds("a", "shaky", "steady");
  const topologies = () => a.events.filter(({ type }) => type === "ClusterTopology").length;
  const before = topologies();
  misses = TOLERATED_MISSES - 1;
  await a.until(() => a.failures.length > 0 && misses < 0);
  assertEquals(topologies(), before);
  misses = Infinity;
  await a.untilIds("a", "steady");
});

Deno.test("protoactor automanaged: if every miss is tolerated, a member is removed only when another member answers at its host", async () => {
  let answers: "shaky" | "anew" | undefined = "shaky";
  let misses = 0;
  await using other = host(() => Response.json(goHealth("steady")));
  await using go = host(() => {
    if (answers) return Response.json(goHealth(answers));
    misses++;
    return new Response("no", { status: 503 });
  });
  await using a = member("a", [freePort(), go.port, other.port], 0, { toleratedMisses: Infinity });
  await a.untilIds("a", "shaky", "steady");
  answers = undefined;
  await a.until(() => misses > 3 * TOLERATED_MISSES);
  assertEquals(a.ids, ["a", "shaky", "steady"]);
  answers = "anew";
  await a.untilIds("a", "anew", "steady");
});

Deno.test("protoactor automanaged: another member at a host replaces the earlier member at once", async () => {
  let id = "before";
  await using go = host(() => Response.json(goHealth(id)));
  await using a = member("a", [freePort(), go.port], 0);
  await a.untilIds("a", "before");
  id = "life2";
  await a.untilIds("a", "life2");
});

Deno.test("protoactor automanaged: if no other host answers, the last known members stay", async () => {
  const hosts = [freePort(), freePort()];
  await using a = member("a", hosts, 0);
  {
    await using _b = member("b", hosts, 1);
    await a.untilIds("a", "b");
  }
  await a.until(() => a.failures.length > 1);
  await new Promise((resolve) => setTimeout(resolve, 20 * (TOLERATED_MISSES + 3)));
  assertEquals(a.ids, ["a", "b"]);
  await using _c = member("c", hosts, 1);
  await a.untilIds("a", "c");
});

Deno.test("protoactor automanaged: an invalid answer emits an event, once for each reason", async () => {
  const answers = ["[", "null", "[]", '{"id":""}', JSON.stringify(goHealth("x")).padEnd(100_000)];
  let at = 0;
  await using go = host(() => Response.json(goHealth("go")));
  await using bad = host(() => new Response(answers[at++ % answers.length]));
  await using a = member("a", [freePort(), bad.port, go.port], 0);
  await a.until(() => at > 2 * answers.length);
  assertEquals(a.ids, ["a", "go"]);
  const codes = a.events.flatMap((event) =>
    event.type === "DiscoveryFailed" ? [(event.error as { code?: string }).code] : []
  );
  const counts = ["incompatible", "too_large"].map((code) => codes.filter((each) => each === code).length);
  assertEquals(counts, [1, 1]);
});

Deno.test("protoactor automanaged: a port in use emits an event, and is served once it is free", async () => {
  const port = freePort();
  const taken = Deno.listen({ hostname: "127.0.0.1", port });
  await using a = member("a", [port], 0);
  const failed = () => a.events.filter((event) => event.type === "ListenFailed");
  await a.until(() => failed().length > 0);
  // A source of members did not fail: nothing is asked at a listener.
  assertEquals(a.failures.filter((source) => source.includes("server")), []);
  taken.close();
  await a.untilIds("a");
  const addresses = failed().map((event) => event.type === "ListenFailed" && event.address);
  assertEquals(addresses, [`127.0.0.1:${port}`]);
});

Deno.test("protoactor automanaged: refuses invalid hosts", () => {
  for (const host of ["127.0.0.1", "http://127.0.0.1:1", ":1", "a:b", "", 7]) {
    assertThrows(() => autoManaged({ hosts: [host as string] }), ConfigurationError, "127.0.0.1:6330");
  }
});

Deno.test("protoactor automanaged: refuses an invalid number of misses", () => {
  for (const toleratedMisses of [0, -1, 1.5, NaN]) {
    assertThrows(() => autoManaged({ hosts: [], toleratedMisses }), ConfigurationError, "toleratedMisses");
  }
});
