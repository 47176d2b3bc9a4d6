import { topologyHash } from "../../engine/state/murmur3.ts";
import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { anyOf, type Discovery, fixedMembers, seeds } from "../../mod.ts";
import type { ClusterTopology, DiscoveryContext } from "../../contracts/mod.ts";
import { TestCluster } from "../requirements/harness.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { memberOf, TestContext } from "./context.ts";

/** A source with topologies published by the test. */
class Source implements Discovery {
  readonly openMembership = false;
  context!: DiscoveryContext;
  isStopped = false;

  async run(context: DiscoveryContext, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.context = context;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    this.isStopped = true;
  }

  names(...ids: readonly string[]): void {
    const members = ids.map((id) => memberOf(id));
    this.context.eventStream.publish({ type: "ClusterTopology", members, blocked: [] });
  }
}

function topologiesOf(context: TestContext): ClusterTopology[] {
  return context.events.filter((event) => event.type === "ClusterTopology");
}

Deno.test("anyOf: publishes the members of all sources, with each source's latest list", async () => {
  const [one, two] = [new Source(), new Source()];
  await using context = new TestContext(anyOf(one, two), { self: memberOf("a") });
  one.names("a", "b");
  await context.untilIds("a", "b");
  two.names("a", "c");
  await context.untilIds("a", "b", "c");
  one.names("a");
  await context.untilIds("a", "c");
  two.names("a", "b");
  await context.untilIds("a", "b");
  const { length } = topologiesOf(context);
  one.names("a", "b");
  one.names("a", "b");
  two.names("a");
  await context.untilIds("a", "b");
  two.names("d");
  await context.untilIds("a", "b", "d");
  assertEquals(topologiesOf(context).length, length + 1);
});

Deno.test("anyOf: if two sources name one id, the record of the first source counts, whichever published last", async () => {
  const [one, two] = [new Source(), new Source()];
  await using context = new TestContext(anyOf(one, two), { self: memberOf("a") });
  const publish = (source: Source, port: number, ...blocked: readonly string[]) =>
    source.context.eventStream.publish({ type: "ClusterTopology", members: [memberOf("b", port)], blocked });
  publish(one, 1, "x");
  publish(two, 2, "y", "x");
  await context.until(() => topologiesOf(context).length === 2);
  assertEquals(topologiesOf(context)[1], {
    type: "ClusterTopology",
    members: [memberOf("b", 1)],
    blocked: ["x", "y"],
    joined: [],
    left: [],
    topologyHash: topologyHash(["b"]),
  });
});

Deno.test("anyOf: a source that throws emits an event, and the others continue", async () => {
  const source = new Source();
  const broken: Discovery = { openMembership: false, run: () => Promise.reject(new Error("no")) };
  await using context = new TestContext(anyOf(broken, source), { self: memberOf("a") });
  await context.until(() => context.failures.length === 1);
  source.names("a", "b");
  await context.untilIds("a", "b");
  await context.stop();
  assertEquals(source.isStopped, true);
  assertEquals(context.failures, ["anyOf source 1, not retried"]);
  const failed = context.events.find((event) => event.type === "DiscoveryFailed");
  assertEquals(failed?.type === "DiscoveryFailed" && failed.isFinal, true);
});

Deno.test("anyOf: has the members of its lists before the start, and needs handshakes if a source does", () => {
  const list = fixedMembers([memberOf("a"), memberOf("b")]);
  const both = anyOf(list, seeds(["ws://127.0.0.1:1"]), fixedMembers([memberOf("b", 9), memberOf("c")]));
  assertEquals(both.members, [memberOf("a"), memberOf("b"), memberOf("c")]);
  assertEquals([both.openMembership, anyOf(list).openMembership], [true, false]);
  assertEquals(anyOf(seeds([])).members, undefined);
  assertThrows(() => anyOf(), ConfigurationError, "at least one");
  assertThrows(() => anyOf([list] as never), ConfigurationError, "`anyOf[0]` must be a source of members");
});

Deno.test("anyOf: passes every handshake to every source", async () => {
  const met: string[][] = [[], []];
  const sources = met.map((ids): Discovery => ({
    openMembership: true,
    async run({ metPeers: greeted }) {
      for await (const { id } of greeted) ids.push(id);
    },
  }));
  await using context = new TestContext(anyOf(...sources), { self: memberOf("a") });
  context.meet(memberOf("b"));
  context.meet(memberOf("c"));
  await context.until(() => met.every((ids) => ids.join() === "b,c"));
});

Deno.test("anyOf: removes a member that left from every source that needs handshakes", async () => {
  const ids = ["a", "b", "c"];
  await using cluster = new TestCluster(ids, { fixed: false, config: { gossipInterval: 100 } });
  const at = (id: string) => seeds([memoryAddress(id, 1)]);
  cluster.make("a", { cluster: { discovery: anyOf(seeds([]), at("b"), seeds([])) } });
  cluster.make("b", { cluster: { discovery: seeds([]) } });
  cluster.make("c", { cluster: { discovery: anyOf(at("a"), at("b")) } });
  for (const id of ids) await cluster.of(id).gossiper.start();
  const namedAt = (id: string) =>
    cluster.of(id).emitted("ClusterTopology").at(-1)?.members.map(({ id }) => id).join();
  await cluster.runUntil(() => ids.every((id) => namedAt(id) === "a,b,c"), { withinMs: 5_000 });
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.stop("b");
  await cluster.runUntil(() => namedAt("a") === "a,c" && namedAt("c") === "a,c");
});

Deno.test("anyOf: only sources with open membership receive handshakes, because the other sources do not read them", async () => {
  const closed = new Source();
  const open = Object.assign(new Source(), { openMembership: true });
  await using context = new TestContext(anyOf(closed, open), { self: memberOf("a") });
  context.meet(memberOf("b"));
  const readers = [open, closed].map(({ context }) => context.metPeers.getReader());
  const [met, unmet] = readers.map((reader) => reader.read());
  assertEquals((await met!).value?.id, "b");
  // The closed source comes first in the list, so its handshake would be there by now.
  const turn = new Promise((resolve) => setTimeout(() => resolve("none"), 0));
  const first = await Promise.race([unmet!.then(() => "a handshake"), turn]);
  assertEquals(first, "none");
});
