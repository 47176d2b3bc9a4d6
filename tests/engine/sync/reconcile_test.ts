import { assert, assertEquals } from "../../../deps/std_assert.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { murmur32Pair, topologyHash } from "../../../engine/state/murmur3.ts";
import { HEARTBEAT_KEY, type JsonValue, TOPOLOGY_KEY } from "../../../engine/types.ts";
import {
  count,
  deliver,
  entry,
  eventsOf,
  exchange,
  handshake,
  heartbeat,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  reconcile,
  remove,
  set,
  settle,
  TestClock,
  traveled,
  valueOf,
} from "../harness.ts";
import { EARLIER } from "../incarnations.ts";

/** A digest by its definition, of the fields of each summand. */
function digestOf(summands: readonly (readonly string[])[]): string {
  const sums = [0, 0];
  for (const fields of summands) {
    const hashes = murmur32Pair(fields.join("\0"), 0, 1);
    sums.forEach((sum, index) => sums[index] = (sum + hashes[index]!) >>> 0);
  }
  return sums.map((sum) => sum.toString(16).padStart(8, "0")).join("");
}

/**
 * A hash of active members by its definition: half a sum over the ids, half one over ids and incarnations.
 */
function activeOf(ids: readonly string[]): string {
  return digestOf(ids.map((id) => [id]));
}

Deno.test("EngineView.digest: is the sum over the live entries and the last set or delete of active members (E12)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  const { incarnation } = a.view;
  set(a, "k", 1, clock);
  set(a, "gone", 1, clock);
  remove(a, "gone", clock);
  deliver(a, "b", memberDelta("b", EARLIER, [entry("j", 4, "é"), heartbeat(5)]), clock);
  deliver(a, "b", memberDelta("stranger", EARLIER, [entry("j", 1, 1)]), clock);
  const summands = [
    ["a", incarnation, "k", "1"],
    ["a", incarnation, "3"],
    ["b", EARLIER, "j", "4"],
    ["b", EARLIER, HEARTBEAT_KEY, "5"],
    ["b", EARLIER, "5"],
  ];
  assertEquals(a.view.digest, digestOf(summands));
  note(a, a.setTopology({ members: ["a"], blocked: [] }, clock.now));
  assertEquals(a.view.digest, digestOf(summands.slice(0, 2)));
});

Deno.test("EngineView.activeHash: is a sum over the ids of active members, without their incarnations (E12)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  assertEquals(a.view.activeHash, activeOf(["a", "b"]));
  deliver(a, "b", memberDelta("b", EARLIER, [entry("j", 1, 1)]), clock);
  assertEquals(a.view.activeHash, activeOf(["a", "b"]));
  deliver(a, "b", memberDelta("b", EARLIER, [entry("j", 2, 1)], { reset: true }), clock);
  assertEquals(a.view.activeHash, activeOf(["a", "b"]));
  const later = "018bcfe56800-00000002";
  deliver(a, "b", memberDelta("b", later, [entry("j", 1, 1)]), clock);
  assertEquals(a.view.activeHash, activeOf(["a", "b"]));
  note(a, a.setTopology({ members: ["a", "b"], blocked: ["b"] }, clock.now));
  assertEquals(a.view.activeHash, activeOf(["a"]));
  note(a, a.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  assertEquals(a.view.activeHash, activeOf(["a", "b"]));
});

Deno.test("countHeartbeat: changes neither the digest nor the phase (E12, L1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  for (const engine of [a, b]) count(engine, 1, clock);
  settle([a, b], { clock });
  const { digest, activeHash: active, phase } = a.view;
  assertEquals(phase, "confirmed");
  eventsOf(a).clear();
  for (let interval = 0; interval < 20; interval++) count(a, 1, clock);
  assertEquals([a.view.digest, a.view.activeHash, a.view.phase, eventsOf(a).all], [
    digest,
    active,
    phase,
    [],
  ]);
  assertEquals(a.disseminate("b").delta.members, []);
});

Deno.test("phase: becomes confirmed by acknowledgement or an equal digest, and a change ends it (E12, R3.5)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "k", 1, clock);
  assertEquals(a.view.phase, "diffusing");
  settle([a, b], { clock });
  assertEquals([a.view.phase, b.view.phase], ["confirmed", "confirmed"]);
  set(a, "k", 2, clock);
  assertEquals(a.view.phase, "diffusing");
});

Deno.test("phase: the bitmap of another member shows that a third member has the state (E12)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  handshake(b!, c!, clock);
  set(a, "k", 1, clock);
  // a and c have no connection with each other.
  for (let rounds = 0; rounds < 6; rounds++) {
    for (const engine of [a, b!, c!]) count(engine, 1, clock);
    exchange(a, b!, { clock });
    exchange(c!, b!, { clock });
  }
  assertEquals(valueOf(c!, "a", "k"), 1);
  assertEquals([a.view.phase, c!.view.phase], ["confirmed", "confirmed"]);
});

Deno.test("digest: is not compared if a message is partial, or if other members are active (E12)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  const delta = { members: [], digest: "f".repeat(16), active: a.view.activeHash, partial: false };
  for (let times = 0; times < 5; times++) {
    note(a, a.applyIncoming("b", { ...delta, partial: true }, clock.now));
    note(
      a,
      a.applyIncoming("b", { ...delta, active: "e".repeat(8) + a.view.activeHash.slice(8) }, clock.now),
    );
  }
  assertEquals(a.requestReconcile("b").parts, []);
  note(a, a.applyIncoming("b", delta, clock.now));
  assertEquals(a.requestReconcile("b").parts, []);
  note(a, a.applyIncoming("b", delta, clock.now));
  assertEquals(note(a, a.requestReconcile("b")).parts.length, 1);
  assertEquals(a.view.phase, "reconciling");
});

Deno.test("digest: is compared even if the peer has another incarnation of an active member, or no state of it (E12)", () => {
  for (const held of ["nothing", "an earlier incarnation"] as const) {
    const clock = new TestClock();
    const [a, b] = makeCluster(["a", "b", "c"], clock);
    handshake(a, b!, clock);
    for (const engine of [a, b!]) set(engine, "own", 1, clock);
    deliver(a, "c", memberDelta("c", EARLIER, [entry("k", 1, "later")]), clock);
    // b acknowledges it without storing it: as if it had forgotten c since, or the message to a was very old.
    note(a, a.handleAck(a.disseminate("b").sent, new Map(), clock.now));
    if (held !== "nothing") {
      deliver(b!, "a", memberDelta("c", "018bcfe56800-00000000", [entry("k", 7, "earlier")]), clock);
      note(b!, b!.handleAck(b!.disseminate("a").sent, new Map(), clock.now));
    }
    for (let round = 0; round < 4; round++) {
      exchange(a, b!, { clock });
      reconcile(a, b!);
    }
    settle([a, b!], { clock });
    assertEquals([valueOf(b!, "c", "k"), b!.view.digest, b!.view.activeHash], [
      "later",
      a.view.digest,
      a.view.activeHash,
    ], held);
  }
});

Deno.test("digest: a late message of an ended incarnation confirms nothing about the next incarnation (E12)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  for (const engine of [a, b]) set(engine, "own", 1, clock);
  settle([a, b], { clock });
  assertEquals(a.view.phase, "confirmed");
  deliver(a, "c", memberDelta("b", makeIncarnation(clock.wallMs + 5, 0.5), [entry("own", 1, 2)]), clock);
  assertEquals(a.view.phase, "diffusing");
  // Its last message was under way for long.
  note(a, a.applyIncoming("b", traveled(b.disseminate("a").delta), clock.now));
  assertEquals([a.view.phase, a.view.acknowledgedBy(1)], ["diffusing", 0]);
});

Deno.test("reconcile: if neither peer is the owner, only the peer with the smaller id sends a reset (E12)", () => {
  const clock = new TestClock();
  for (const [self, other, resets] of [["a", "b", true], ["b", "a", false]] as const) {
    const [engine] = makeCluster([self, other, "x"], clock);
    deliver(engine, other, memberDelta("x", EARLIER, [entry("k", 3, "mine")]), clock);
    const summary = { incarnation: EARLIER, number: 3, sum: "0".repeat(16) };
    const part = { from: "x", until: undefined, members: new Map([["x", summary]]) };
    note(engine, engine.answerReconcile(other, part));
    const sent = engine.disseminate(other).delta.members.find(({ id }) => id === "x");
    assertEquals([sent?.reset ?? false, sent?.entries.length ?? 0], resets ? [true, 1] : [false, 0]);
  }
});

/** A member that holds something of each of so many others, and a part that asks for all of them. */
function crowd(members: number) {
  const clock = new TestClock();
  const ids = Array.from({ length: members }, (_, index) => `m${index}`);
  const [a] = makeCluster(["a", "b", ...ids], clock);
  for (const id of ids) deliver(a, id, memberDelta(id, EARLIER, [entry("k", 1, id)]), clock);
  return { a, clock, ids };
}

const ALL = { from: "", until: undefined };

Deno.test("answerReconcile: names only the members that the request names, so that the answer is no larger (E12)", () => {
  const { a, clock, ids } = crowd(200);
  const listed = ids.slice(0, 3).concat("unknown");
  const summary = { incarnation: EARLIER, number: 1, sum: "0".repeat(16) };
  const part = { ...ALL, members: new Map(listed.map((id) => [id, summary])) };
  const answer = note(a, a.answerReconcile("b", part)).part!;
  assertEquals([...answer.members.keys()], ids.slice(0, 3));
  // The others are sent all the same.
  const sentIds = new Set<string>();
  for (let message = a.disseminate("b"); message.delta.members.length > 0; message = a.disseminate("b")) {
    for (const { id } of message.delta.members) sentIds.add(id);
    note(a, a.handleAck(message.sent, new Map(), clock.now));
  }
  assertEquals(ids.filter((id) => !sentIds.has(id)), []);
});

Deno.test("answerReconcile: in an interval, compares at most all members twice and one more part for a peer (E12)", () => {
  const { a, clock, ids } = crowd(200);
  const ask = () => note(a, a.answerReconcile("b", { ...ALL, members: new Map() })).part !== undefined;
  assertEquals(Array.from({ length: 10 }, ask), [true, true, true, ...Array(7).fill(false)]);
  // A part with few members is compared more often.
  const few = { from: ids[0]!, until: `${ids[0]!}!`, members: new Map() };
  note(a, a.tick(clock.advance(1_000)));
  for (let times = 0; times < 50; times++) assert(note(a, a.answerReconcile("b", few)).part);
  assertEquals(Array.from({ length: 4 }, ask), [true, true, false, false]);
});

Deno.test("consensus: with discovery by handshakes, a member alone reaches no consensus before a first contact (E13)", () => {
  const clock = new TestClock();
  const alone = makeEngine("a", clock, { openMembership: true });
  set(alone, "k", 1, clock);
  note(alone, alone.addCheck("check", "k", (value) => JSON.stringify(value)));
  assertEquals([alone.view.consensus("check").reached, alone.view.phase], [false, "diffusing"]);

  const [settled] = makeCluster(["a"], clock);
  set(settled, "k", 1, clock);
  note(settled, settled.addCheck("check", "k", (value) => JSON.stringify(value)));
  assertEquals([settled.view.consensus("check"), settled.view.phase], [
    { reached: true, value: 1 },
    "confirmed",
  ]);
});

Deno.test("consensus: is evaluated after every change of the key or of the active members (E13)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  note(a, a.addCheck("check", "k", (value) => JSON.stringify(value)));
  const reached = () => a.view.consensus("check").value;
  set(a, "k", "A", clock);
  assertEquals(reached(), undefined);
  deliver(a, "b", memberDelta("b", EARLIER, [entry("k", 1, "A")]), clock);
  assertEquals(reached(), "A");
  note(a, a.setTopology({ members: ["a", "b", "c"], blocked: [] }, clock.now));
  assertEquals([reached(), a.view.dissenters("check")], [undefined, ["c"]]);
  note(a, a.setTopology({ members: ["a", "b", "c"], blocked: ["c"] }, clock.now));
  assertEquals(reached(), "A");
  set(a, "k", "B", clock);
  assertEquals(reached(), undefined);
  const emitted = eventsOf(a).all.filter(({ type }) => type.startsWith("Consensus")).map(({ type }) => type);
  assertEquals(emitted, ["ConsensusReached", "ConsensusLost", "ConsensusReached", "ConsensusLost"]);
  assert(a.removeCheck("check"));
  assertEquals(a.removeCheck("check"), false);
});

Deno.test("topology entry: has the hash of protoactor-go and the blocked ids, but no list of members, and is set when they change (E14)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  count(a, 1, clock);
  const first = a.view.get("a", TOPOLOGY_KEY)!;
  assertEquals(first.value as JsonValue, { topologyHash: topologyHash(["a", "b", "c"]) });
  count(a, 1, clock);
  assertEquals(a.view.get("a", TOPOLOGY_KEY), first);
  note(a, a.setTopology({ members: ["a", "b", "c"], blocked: ["c"] }, clock.now));
  count(a, 1, clock);
  assertEquals(valueOf(a, "a", TOPOLOGY_KEY), { topologyHash: topologyHash(["a", "b"]), blocked: ["c"] });
});

Deno.test("self-description: does not grow with the cluster (E14)", () => {
  const clock = new TestClock();
  const ids = Array.from({ length: 500 }, (_, index) => `member-${index}`);
  const [a] = makeCluster(["a"], clock);
  note(a, a.setTopology({ members: ["a", ...ids], blocked: ids }, clock.now));
  count(a, 1, clock);
  const { blocked } = valueOf(a, "a", TOPOLOGY_KEY) as { blocked: string[] };
  assertEquals(blocked.length, 50);
  assertEquals(
    a.view.entriesOf("a").map(({ key }) => key).sort(),
    [HEARTBEAT_KEY, TOPOLOGY_KEY].sort(),
  );
});
