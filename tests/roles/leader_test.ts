import { assert, assertEquals, assertMatch, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { leader } from "../../roles/mod.ts";
import { ownersOf } from "../../roles/rendezvous.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";
import { agreedLeader, follow, type Followed, SETTLE, startMember, textsOf, withLeader } from "./harness.ts";

/** A cluster without members. */
function emptyCluster(): TestCluster {
  return new TestCluster([], { fixed: false });
}

/** The leader among ids of equal weight. */
function firstOf(ids: readonly string[]): string {
  return ownersOf("leader", ids.map((id) => ({ id, weight: 1, zone: undefined })), { replicas: 1 })[0]!;
}

/** An id that leads among these, or one that does not. */
function newcomer(among: readonly string[], { leads }: { readonly leads: boolean }): string {
  for (let number = 0;; number++) {
    if ((firstOf([...among, `n${number}`]) === `n${number}`) === leads) return `n${number}`;
  }
}

Deno.test("leader: all members know the same leader under the same epoch, and no leader before the candidates settled", async () => {
  await using cluster = emptyCluster();
  const roles = await withLeader(cluster, ["a", "b", "c"]);
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
  const expected = firstOf(["a", "b", "c"]);
  for (const [id, followed] of roles) {
    const { current } = followed.role;
    assertEquals(current, { state: "known", leader: expected, epoch: 1, isSelf: id === expected });
    assertEquals(textsOf(followed), ["few", "unsettled", `${expected} 1`]);
    assert(followed.answers.at(-1)!.atMs >= SETTLE);
  }
});

Deno.test("leader: the leader is unknown with fewer candidates than `atLeast`, and known once there are enough", async () => {
  await using cluster = emptyCluster();
  const roles = await withLeader(cluster, ["a", "b"], { atLeast: 3 });
  await cluster.advance(10_000);
  for (const { role } of roles.values()) assertEquals(role.current, { state: "unknown", reason: "few" });
  roles.set("c", follow(cluster, await startMember(cluster, "c"), { atLeast: 3 }));
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
});

Deno.test("leader: a member without the role is no candidate", async () => {
  await using cluster = emptyCluster();
  const roles = await withLeader(cluster, ["a", "b"], { atLeast: 3 });
  await startMember(cluster, "c");
  await cluster.advance(10_000);
  for (const { role } of roles.values()) assertEquals(role.current, { state: "unknown", reason: "few" });
});

Deno.test("leader: after a crash the leader is unknown, then there is another leader with a higher epoch", async () => {
  await using cluster = emptyCluster();
  const ids = ["a", "b", "c", "d"];
  const roles = await withLeader(cluster, ids);
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
  const former = agreedLeader(roles.values())!;
  cluster.crash(former);
  roles.delete(former);
  const next = firstOf(ids.filter((id) => id !== former));
  await cluster.runUntil(() => agreedLeader(roles.values()) === next);
  for (const followed of roles.values()) {
    const texts = textsOf(followed);
    assertEquals(texts.slice(-4), [`${former} 1`, "suspected", "unsettled", `${next} 2`]);
  }
});

Deno.test("leader: the end of a suspicion restores the leader under its epoch", async () => {
  await using cluster = emptyCluster();
  const roles = await withLeader(cluster, ["a", "b", "c", "d"]);
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
  const former = agreedLeader(roles.values())!;
  cluster.network.stopProxy(memoryAddress(former, 1));
  cluster.breakConnections(former);
  const [id, other] = [...roles].find(([id]) => id !== former)!;
  await cluster.runUntil(() => cluster.of(id).emitted("MemberSuspected").length > 0);
  assertEquals(other.role.current, { state: "unknown", reason: "suspected" });
  cluster.network.restoreProxy(memoryAddress(former, 1));
  await cluster.runUntil(() => agreedLeader(roles.values()) === former);
  assertEquals(textsOf(other).slice(-3), [`${former} 1`, "suspected", `${former} 1`]);
});

Deno.test("leader: a leader that stops gives up at once, and its stream ends with that answer", async () => {
  await using cluster = emptyCluster();
  const roles = await withLeader(cluster, ["a", "b", "c"]);
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
  const former = agreedLeader(roles.values())!;
  const { role } = roles.get(former)!;
  const answers = Array.fromAsync(role.watch());
  const stopping = cluster.of(former).gossiper.stop();
  assertEquals(role.current, { state: "unknown", reason: "ended" });
  await cluster.finish(stopping);
  assertEquals((await answers).at(-1), { state: "unknown", reason: "ended" });
  roles.delete(former);
  const startMs = cluster.runtime.monotonicMs();
  await cluster.runUntil(() => (agreedLeader(roles.values()) ?? former) !== former);
  assert(cluster.runtime.monotonicMs() - startMs < SETTLE + 500);
});

Deno.test("leader: the leader stays known when a member that ranks below it joins; the epoch rises", async () => {
  await using cluster = emptyCluster();
  const ids = ["a", "b", "c"];
  const roles = await withLeader(cluster, ids);
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
  const present = agreedLeader(roles.values())!;
  const id = newcomer(ids, { leads: false });
  roles.set(id, follow(cluster, await startMember(cluster, id)));
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
  for (const each of ids) assertEquals(textsOf(roles.get(each)!).slice(-2), [`${present} 1`, `${present} 2`]);
});

Deno.test("leader: a member that joins with the highest rank leads only after the former leader gave up", async () => {
  await using cluster = emptyCluster();
  const ids = ["a", "b", "c"];
  const roles = await withLeader(cluster, ids);
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
  const former = agreedLeader(roles.values())!;
  const id = newcomer(ids, { leads: true });
  roles.set(id, follow(cluster, await startMember(cluster, id)));
  await cluster.runUntil(() => agreedLeader(roles.values()) === id);
  const gaveUp = roles.get(former)!.answers.at(-2)!;
  assertEquals(gaveUp.now, { state: "unknown", reason: "unsettled" });
  const took = roles.get(id)!.answers.at(-1)!;
  assert(took.now.state === "known" && took.now.isSelf && took.atMs >= gaveUp.atMs + SETTLE);
});

Deno.test("leader: a newcomer leads only after a former leader that still sees the old candidates has reported", async () => {
  await using cluster = emptyCluster();
  const ids = ["a", "b", "c"];
  const roles = await withLeader(cluster, ids);
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
  const former = agreedLeader(roles.values())!;
  const id = newcomer(ids, { leads: true });
  // The former leader is heard, and hears nothing: it does not learn of the newcomer.
  cluster.network.pause(memoryAddress(former, 1));
  roles.set(id, follow(cluster, await startMember(cluster, id)));
  await cluster.advance(2 * SETTLE);
  assertEquals(roles.get(former)!.role.current.state, "known");
  assertEquals(roles.get(id)!.role.current.state, "unknown");
  cluster.network.resume(memoryAddress(former, 1));
  await cluster.runUntil(() => agreedLeader(roles.values()) === id);
});

Deno.test("leader: a process that stalled does not lead when it reads the answer again", async () => {
  await using cluster = emptyCluster();
  const roles = await withLeader(cluster, ["a", "b", "c"]);
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
  const id = agreedLeader(roles.values())!;
  const { role } = roles.get(id)!;
  cluster.of(id).runtime.freeze();
  // The last look at the clock may be a quarter of a second old.
  await cluster.advance(SETTLE - 300);
  assertEquals(role.current.state, "known");
  await cluster.advance(400);
  assertEquals(role.current, { state: "unknown", reason: "stalled" });
  cluster.of(id).runtime.thaw();
  await cluster.runUntil(() => agreedLeader(roles.values()) === id);
  const { current } = role;
  // The others kept it for the leader: only a new epoch shows that it is still one.
  assert(current.state === "known" && current.epoch === 2);
});

Deno.test("leader: a leader that hears no other member gives up before the others have the next leader", async () => {
  await using cluster = emptyCluster();
  const roles = await withLeader(cluster, ["a", "b", "c"]);
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
  const former = agreedLeader(roles.values())!;
  const address = memoryAddress(former, 1);
  cluster.network.setFaults({ hang: true }, { from: address });
  cluster.network.setFaults({ hang: true }, { to: address });
  const left = [...roles.entries()].filter(([id]) => id !== former).map(([, each]) => each);
  const next = () => (agreedLeader(left) ?? former) !== former;
  await cluster.runUntil(() => roles.get(former)!.role.current.state === "unknown");
  assertEquals([roles.get(former)!.role.current, next()], [{ state: "unknown", reason: "unheard" }, false]);
  await cluster.advance(10_000);
  assertEquals([roles.get(former)!.role.current, next()], [{ state: "unknown", reason: "isolated" }, false]);
  await cluster.runUntil(next);
  cluster.network.setFaults({}, { from: address });
  cluster.network.setFaults({}, { to: address });
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined, { withinMs: 120_000 });
  // The partition ended: the first of all leads again, under a higher epoch than both before.
  assertEquals(agreedLeader(roles.values()), former);
  assertMatch(textsOf(left[0]!).at(-1)!, / [3-9]$/);
});

Deno.test("leader: only members with the kind, the zone and a weight are candidates; other members may ask", async () => {
  await using cluster = emptyCluster();
  const kinds = new Map([
    ["a", ["worker", "zone:east"]],
    ["b", ["worker", "zone:east", "weight:0"]],
    ["c", ["worker", "zone:west"]],
    ["d", ["zone:east"]],
    ["e", ["worker", "zone:east", "weight:0.5"]],
  ]);
  const options = { kind: "worker", zone: "east", atLeast: 2 };
  const roles: Followed[] = [];
  for (const [id, each] of kinds) {
    roles.push(follow(cluster, await startMember(cluster, id, each), options));
  }
  await cluster.runUntil(() => agreedLeader(roles) !== undefined);
  assert(["a", "e"].includes(agreedLeader(roles)!));
  assertEquals(roles[0]!.role.name, "leader/worker/zone:east");
  const { gossiper } = cluster.of("d");
  assertEquals([...gossiper.getState("roles.leader/worker/zone:east").keys()].sort(), ["a", "e"]);
});

Deno.test("leader: a role of a kind and a role of a zone of the same word have two names", async () => {
  await using cluster = emptyCluster();
  const { gossiper, runtime } = await startMember(cluster, "a", ["eu", "zone:eu"]);
  using kind = leader(gossiper, { kind: "eu", atLeast: 1, runtime });
  using zone = leader(gossiper, { zone: "eu", atLeast: 1, runtime });
  assertEquals([kind.name, zone.name], ["leader/eu", "leader/zone:eu"]);
});

Deno.test("leader: disposal makes room for another leader and frees the name, and epochs go on rising", async () => {
  await using cluster = emptyCluster();
  const roles = await withLeader(cluster, ["a", "b", "c"]);
  await cluster.runUntil(() => agreedLeader(roles.values()) !== undefined);
  const former = agreedLeader(roles.values())!;
  const { gossiper } = cluster.of(former);
  const taken = assertThrows(() => leader(gossiper, { atLeast: 2 }), HearsayError);
  assertMatch(taken.message, /The role "leader" is in use at this member; give another `name`\. Nothing was/);
  roles.get(former)!.role[Symbol.dispose]();
  roles.get(former)!.role[Symbol.dispose]();
  assertEquals(gossiper.getState("roles.leader").has(former), false);
  const left = [...roles].filter(([id]) => id !== former).map(([, each]) => each);
  await cluster.runUntil(() => (agreedLeader(left) ?? former) !== former);
  roles.set(former, follow(cluster, cluster.of(former)));
  await cluster.runUntil(() => agreedLeader(roles.values()) === former);
  const { current } = roles.get(former)!.role;
  assertEquals(current.state === "known" && current.epoch, 3);
});

Deno.test("leader: an aborted signal ends the role, and no role begins with that signal or after the member's end", async () => {
  await using cluster = emptyCluster();
  const member = await startMember(cluster, "a");
  const ending = new AbortController();
  const { role } = follow(cluster, member, { signal: ending.signal, atLeast: 1 });
  ending.abort();
  assertEquals(role.current, { state: "unknown", reason: "ended" });
  assertEquals((await Array.fromAsync(role.watch())).length, 1);
  const { gossiper } = member;
  const begin = (options = {}) => leader(gossiper, { atLeast: 1, ...options });
  assertThrows(() => begin({ signal: ending.signal }), HearsayError, "Nothing was changed.");
  await cluster.stop("a");
  assertEquals(assertThrows(() => begin(), HearsayError).code, "stopped");
});

Deno.test("leader: a watch ends when its signal is aborted, and the role goes on", async () => {
  await using cluster = emptyCluster();
  const { role } = follow(cluster, await startMember(cluster, "a"), { atLeast: 1 });
  const ending = new AbortController();
  const answers = Array.fromAsync(role.watch({ signal: ending.signal }));
  await cluster.runUntil(() => role.current.state === "known");
  ending.abort();
  assertEquals((await answers).at(-1), { state: "known", leader: "a", epoch: 1, isSelf: true });
  assertEquals(role.current.state, "known");
  assertEquals((await Array.fromAsync(role.watch({ signal: ending.signal }))).length, 0);
  assertThrows(() => role.watch(ending.signal as never), ConfigurationError, "{ signal }");
});

Deno.test("leader: refuses options with the rule and the value", async () => {
  await using cluster = emptyCluster();
  const { gossiper } = await startMember(cluster, "a");
  const wrong = { atLeast: 0, kind: "", settle: -1, heardWithin: 499, name: "x".repeat(101), quorum: 2 };
  const { message } = assertThrows(() => leader(gossiper, wrong as never), ConfigurationError);
  const faults = [
    /`leader.quorum` is not an option/,
    /`leader.atLeast` must be an integer from 1 to 10,000 candidates, such as more than half of them; got 0/,
    /`leader.kind` must be a text of 1 to 100 characters; got ""/,
    /`leader.settle` must be an integer from 0 to 3,600,000 milliseconds; got -1/,
    /`leader.heardWithin` must be an integer from 500 to 3,600,000 milliseconds; got 499/,
    /`leader.name` must be a text of 1 to 100 characters/,
  ];
  for (const fault of faults) assertMatch(message, fault);
  assertThrows(() => leader(gossiper, {} as never), ConfigurationError, "leader.atLeast");
  assertEquals([...gossiper.getState("roles.leader").keys()], []);
});
