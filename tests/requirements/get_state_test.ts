import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { TestCluster } from "./harness.ts";

Deno.test("getState: returns the value of the key for every member that has the key (R4.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c", "d"]);
  cluster.of("a").gossiper.setState("load", { cpu: 0.5 });
  cluster.of("b").gossiper.setState("load", { cpu: 0.25 });
  cluster.of("c").gossiper.setState("other", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const member of cluster.members) {
    const state = member.gossiper.getState<{ cpu: number }>("load");
    const cpus = [...state].map(([id, { value }]) => [id, value.cpu]);
    assertEquals(new Map(cpus as [string, number][]), new Map([["a", 0.5], ["b", 0.25]]));
    assertEquals(member.gossiper.getState("nothing"), new Map());
  }
  // A deleted key has no value, and its member is not in the answer.
  cluster.of("a").gossiper.deleteState("load");
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const member of cluster.members) assertEquals(member.values("load"), { b: { cpu: 0.25 } });
});

Deno.test("getState: every value has its sequence number and its local merge time (R4.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const [a, b] = [cluster.of("a"), cluster.of("b")];
  b.runtime.stepWall(86_400_000);
  await cluster.advance(250);
  a.gossiper.setState("k", "v");
  const setMs = a.runtime.wallMs();
  const mine = a.gossiper.getState("k").get("a")!;
  const { sequenceNumber } = mine;
  assert(Number.isInteger(sequenceNumber) && sequenceNumber > 0);
  assertEquals(mine, { value: "v", sequenceNumber, localTimestampUnixMilliseconds: setMs });
  await cluster.runUntil(() => b.value("a", "k") === "v");
  const mergedMs = b.runtime.wallMs();
  await cluster.advance(1_000);
  const theirs = b.gossiper.getState("k").get("a")!;
  assertEquals(theirs, { value: "v", sequenceNumber, localTimestampUnixMilliseconds: mergedMs });
});

Deno.test("getState: a snapshot is not changed by later gossip, later sets or its readers (R4.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const [a, b] = [cluster.of("a").gossiper, cluster.of("b").gossiper];
  a.setState("k", { deep: [1, { deeper: "first" }] });
  b.setState("k", "of b");
  await cluster.runUntil(() => cluster.isConfirmed());
  const before = b.getState("k");
  const text = JSON.stringify([...before]);
  a.setState("k", { deep: [2] });
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(cluster.of("b").value("a", "k"), { deep: [2] });
  a.deleteState("k");
  b.setState("k", "of b, later");
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(JSON.stringify([...before]), text);
  assertEquals(cluster.of("b").values("k"), { b: "of b, later" });
  // The map belongs to the caller; its values cannot be changed.
  before.clear();
  assertEquals(cluster.of("b").values("k"), { b: "of b, later" });
});

Deno.test("getState: every value is frozen at every depth, here and at the peers (R4.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  cluster.of("a").gossiper.setState("k", { deep: [1, { deeper: ["x"] }] });
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const { gossiper } of cluster.members) {
    type Value = { deep: [number, { deeper: string[] }] };
    const held = gossiper.getState<Value>("k").get("a")!;
    const { value } = held;
    assertThrows(() => Object.assign(held, { value: 1 }), TypeError);
    assertThrows(() => Object.assign(value, { more: 1 }), TypeError);
    assertThrows(() => value.deep.push(value.deep[1] as never), TypeError);
    assertThrows(() => value.deep[1].deeper[0] = "y", TypeError);
    const [event] = cluster.of("b").emitted("GossipUpdate").filter(({ key }) => key === "k");
    assertThrows(() => Object.assign(event!.value as object, { more: 1 }), TypeError);
  }
});

Deno.test("getState: includes blocked members, and ignores inherited properties of objects (R4.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  cluster.of("b").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.stop("b");
  assertEquals(cluster.of("a").blocked, { b: "left" });
  assertEquals(cluster.of("a").values("k"), { b: 1 });
  for (const key of ["__proto__", "constructor", "toString"]) {
    assertEquals(cluster.of("a").gossiper.getState(key).size, 0);
  }
});
