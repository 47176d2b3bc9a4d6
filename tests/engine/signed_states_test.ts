/**
 * Where members sign: the engine's merge of verified deltas, its own refusals where no signature covers, and
 * its own sent state.
 */

import { assertEquals } from "../../deps/std_assert.ts";
import type { Engine } from "../../engine/engine.ts";
import { makeIncarnation, NO_INCARNATION } from "../../engine/incarnation.ts";
import { entryBytes, ENVELOPE_BYTES, memberBytes, signatureBytes } from "../../engine/state/size.ts";
import type { MemberDelta, SentEntry } from "../../engine/types.ts";
import {
  deliver,
  entry,
  eventsOf,
  handshake,
  makeCluster,
  makePair,
  memberDelta,
  note,
  remove,
  set,
  TestClock,
  tombstone,
  valueOf,
} from "./harness.ts";

/** Members that sign: `n` has a handshake with `b` and `c`; `x` is a member without state. */
function makeSigned(clock: TestClock, settings = {}) {
  const ids = ["n", "b", "c", "x"];
  const [n, b, c] = makeCluster(ids, clock, { signs: true, settings }) as [Engine, Engine, Engine, Engine];
  handshake(n, b, clock);
  handshake(n, c, clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const say = (entries: readonly SentEntry[], more: Partial<MemberDelta> = {}, peerId = "b") => {
    const delta = {
      ...memberDelta("x", incarnation, entries),
      signature: `over ${entries.at(-1)?.number}`,
      ...more,
    };
    return [...deliver(n, peerId, delta, clock)].map(([, { number }]) => number);
  };
  /** The next delta of x from n to c. */
  const passedOn = () => n.disseminate("c").delta.members.find(({ id }) => id === "x");
  return { n, incarnation, say, passedOn };
}

Deno.test("merge: where members sign, ignores the state of an unversioned member, which signs nothing (L4)", () => {
  const clock = new TestClock();
  const { n, say } = makeSigned(clock);
  assertEquals(say([entry("k", 1, 1)], { incarnation: NO_INCARNATION }), [0]);
  assertEquals([n.view.incarnationOf("x"), n.view.versionOf("x")], [undefined, undefined]);
});

Deno.test("merge: where members sign, merges no part of a reset, and answers with the version (E8)", () => {
  const clock = new TestClock();
  const { n, say } = makeSigned(clock);
  say([entry("k", 1, 1), entry("l", 2, 1)]);
  assertEquals(say([entry("l", 2, "a lie"), entry("m", 3, 1)], { reset: true, after: 1, end: 3 }), [2]);
  assertEquals([valueOf(n, "x", "l"), valueOf(n, "x", "m")], [1, undefined]);
});

Deno.test("merge: takes the version of a signed reset from its last entry, whatever end it names (E8)", () => {
  const clock = new TestClock();
  const { n, say } = makeSigned(clock);
  say([entry("k", 1, 1), entry("l", 2, 1)]);
  assertEquals(say([entry("k", 1, 1)], { reset: true, end: 9 }), [2]);
  assertEquals(valueOf(n, "x", "l"), 1);
  assertEquals(say([entry("k", 3, 1)], { reset: true, end: 1 }), []);
  assertEquals([valueOf(n, "x", "k"), valueOf(n, "x", "l")], [1, undefined]);
});

Deno.test("merge: forgets no deletion on a peer's settled report where members sign (L4, E8)", () => {
  const clock = new TestClock();
  const { n, say } = makeSigned(clock);
  say([entry("k", 1, 1), entry("l", 2, 1)]);
  say([tombstone("k", 3), entry("l", 4, 1)], { after: 2 });
  say([], { after: 4, ackedByAll: 4 });
  say([entry("l", 5, 1)], { after: 4, ackedByAll: 5, count: 9 });
  assertEquals(n.view.footprint.tombstones, 1);
});

Deno.test("merge: where members sign, keeps deletions of stored keys, and of unknown keys only the last deletion (E8)", () => {
  const clock = new TestClock();
  const { n, say, passedOn } = makeSigned(clock);
  say([entry("k", 1, 1), entry("l", 2, 1)]);
  say([tombstone("one", 3), tombstone("l", 4), tombstone("two", 5), entry("m", 6, 1)], { after: 2 });
  assertEquals([valueOf(n, "x", "l"), n.view.footprint.tombstones, n.view.footprint.keys], [undefined, 1, 3]);
  // No delta can contain a deletion that was forgotten at once.
  assertEquals(passedOn()?.reset, true);
  say([tombstone("three", 7), tombstone("four", 8)], { after: 6 });
  assertEquals([n.view.versionOf("x")?.number, n.view.footprint.tombstones], [8, 2]);
});

Deno.test("merge: raises no floor by merged deletions, where members sign (E8)", () => {
  const clock = new TestClock();
  const { say, passedOn } = makeSigned(clock);
  say([entry("k", 1, 1), entry("l", 2, 1)]);
  say([tombstone("l", 3), entry("m", 4, 1)], { after: 2 });
  assertEquals([passedOn()?.reset, passedOn()?.entries.length], [false, 3]);
});

Deno.test("merge: raises no floor by entries that are not newer, because they were not verified (E8)", () => {
  const clock = new TestClock();
  const { say, passedOn } = makeSigned(clock);
  say([entry("k", 1, 1), entry("m", 3, 1)]);
  say([tombstone("gone", 2), entry("m", 3, 1)], { signature: "a lie" });
  assertEquals([passedOn()?.reset, passedOn()?.entries.length], [false, 2]);
});

Deno.test("merge: keeps no deletion of a signed reset except its last entry, even of stored keys (E8)", () => {
  const clock = new TestClock();
  const { n, say } = makeSigned(clock);
  say([entry("k", 1, 1), entry("l", 2, 1)]);
  say([entry("k", 1, 1), tombstone("l", 3), entry("m", 4, 1)], { reset: true });
  assertEquals([valueOf(n, "x", "l"), n.view.footprint.tombstones], [undefined, 0]);
  say([entry("k", 1, 1), tombstone("m", 5)], { reset: true });
  assertEquals([valueOf(n, "x", "m"), n.view.footprint.tombstones, n.view.versionOf("x")?.number], [
    undefined,
    1,
    5,
  ]);
});

Deno.test("merge: another value under an equal number is a conflict in a signed state, and is ignored in a delta (E3)", () => {
  const clock = new TestClock();
  const { n, say } = makeSigned(clock);
  const reasons = () => eventsOf(n).of("ConflictDetected").map(({ reason }) => reason);
  say([entry("k", 1, 1), entry("l", 2, 1)]);
  say([entry("k", 1, "other"), entry("m", 3, 1)]);
  assertEquals(reasons(), []);
  say([entry("k", 1, "other"), entry("m", 4, 1)], { reset: true });
  assertEquals(reasons(), ["value"]);
});

Deno.test("merge: passes a state on with the signature that came with its latest entry (E4)", () => {
  const clock = new TestClock();
  const { say, passedOn } = makeSigned(clock);
  say([entry("k", 1, 1)]);
  assertEquals(passedOn()?.signature, "over 1");
  say([entry("k", 2, 2)], { after: 1 });
  assertEquals(passedOn()?.signature, "over 2");
  // Entries that are not newer are not verified.
  say([entry("k", 1, 1), entry("k", 2, 2)], { signature: "a lie" });
  say([entry("k", 1, 1)], { signature: "a lie" });
  assertEquals(passedOn()?.signature, "over 2");
  say([entry("l", 3, 3)], { reset: true });
  assertEquals([passedOn()?.signature, passedOn()?.entries.length], ["over 3", 1]);
});

Deno.test("merge: merges a whole signed state if it fits a message, and refuses a larger signed state (E7)", () => {
  const maxMessageBytes = 16_384;
  const room = maxMessageBytes - 2 * ENVELOPE_BYTES - memberBytes("x");
  const most = room - entryBytes(entry("k", 1, "")) - entryBytes(entry("l", 2, 1));
  for (const [length, isTaken] of [[most, true], [most + 1, false]] as const) {
    const clock = new TestClock();
    const { n, say } = makeSigned(clock, { maxMessageBytes });
    const entries = [entry("k", 1, "x".repeat(length)), entry("l", 2, 1)];
    assertEquals([say(entries), n.view.versionOf("x")?.number], isTaken ? [[], 2] : [[0], undefined]);
    assertEquals(eventsOf(n).of("ConflictDetected").length, isTaken ? 0 : 1);
  }
});

Deno.test("merge: refuses all of a signed state with too many keys, not only the excess (E7)", () => {
  const clock = new TestClock();
  const { n, say } = makeSigned(clock, { maxKeysPerMember: 2 });
  const entries = [1, 2, 3, 4].map((number) => entry(`k${number}`, number, 1));
  assertEquals([say(entries), n.view.versionOf("x")], [[0], undefined]);
  assertEquals([say(entries.slice(0, 3)), n.view.versionOf("x")?.number], [[], 3]);
  assertEquals([say(entries.slice(3), { after: 3 }), n.view.versionOf("x")?.number], [[3], 3]);
});

Deno.test("merge: a signed state blocks a member only if it was forgotten, is inactive, and another member sent the state (E11)", () => {
  const blocked = (isKnown: boolean, isActive: boolean, peerId: string) => {
    const clock = new TestClock();
    const { n, say } = makeSigned(clock);
    const topology = (...members: string[]) => note(n, n.setTopology({ members, blocked: [] }, clock.now));
    if (isKnown) say([entry("k", 1, 1)]);
    topology("n", "b", "c");
    note(n, n.tick(clock.advance(600_001)));
    assertEquals(n.view.versionOf("x"), undefined);
    if (isActive) topology("n", "b", "c", "x");
    say([entry("k", 2, 2)], { reset: true }, peerId);
    assertEquals(n.view.versionOf("x")?.number, 2);
    return n.view.blockedMember("x")?.reason;
  };
  assertEquals(blocked(true, false, "b"), "expired");
  assertEquals(blocked(false, false, "b"), undefined);
  assertEquals(blocked(true, true, "b"), undefined);
  assertEquals(blocked(true, false, "x"), undefined);
});

/** Two members that sign; b's messages do not matter here. */
function makeSigningPair(clock: TestClock, settings = {}) {
  const [a, b] = makePair(clock, { signs: true, settings });
  const sign = (proof: string) => note(a, a.attachSignature(a.view.unsignedSnapshot()!, proof));
  const sent = () => {
    const { delta: { members, partial }, sent } = note(a, a.disseminate("b"));
    const deltas = members.map(({ after, reset, entries, signature: proof }) =>
      `${proof}: ${reset ? "reset" : `after ${after}`} ${entries.map(({ number }) => number)}`
    );
    return { deltas, partial, acknowledge: () => note(a, a.handleAck(sent, new Map(), clock.now)) };
  };
  return { a, b, sign, sent };
}

Deno.test("disseminate: sends the signed part of its own state, and the rest once it is signed (E4)", () => {
  const clock = new TestClock();
  const { a, sign, sent } = makeSigningPair(clock);
  set(a, "k", 1, clock);
  assertEquals([sent().deltas, sent().partial], [[], true]);
  sign("one");
  set(a, "l", 1, clock);
  assertEquals([sent().deltas, sent().partial], [["one: after 0 1"], true]);
  sent().acknowledge();
  assertEquals([sent().deltas, sent().partial, a.view.phase], [[], true, "diffusing"]);
  assertEquals([a.view.acknowledgedBy(1), a.view.acknowledgedBy(2)], [1, 0]);
  sign("two");
  assertEquals([sent().deltas, sent().partial], [["two: after 1 2"], false]);
  sent().acknowledge();
  assertEquals([sent().deltas, sent().partial], [[], false]);
});

Deno.test("disseminate: sends signed state again if the peer reports that it lacks the state (E4, E5)", () => {
  const clock = new TestClock();
  const { a, b, sign, sent } = makeSigningPair(clock);
  set(a, "k", 1, clock);
  sign("one");
  sent().acknowledge();
  set(a, "l", 1, clock);
  const { sent: message } = note(a, a.disseminate("b"));
  note(a, a.handleAck(message, new Map([["a", { incarnation: a.view.incarnation, number: 0 }]]), clock.now));
  assertEquals(sent().deltas, ["one: after 0 1"]);
  assertEquals(b.view.versionOf("a")?.number ?? 0, 0);
});

Deno.test("disseminate: sends the whole signed state after a tombstone was dropped (E8)", () => {
  const clock = new TestClock();
  const { a, sign, sent } = makeSigningPair(clock, { tombstoneRetention: 1_000 });
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  set(a, "l", 1, clock);
  note(a, a.tick(clock.advance(2_000)));
  set(a, "m", 1, clock);
  sign("four");
  set(a, "n", 1, clock);
  assertEquals(sent().deltas, ["four: reset 3,4"]);
});

Deno.test("disseminate: reports no settled version if members sign, or if no version is settled (E8, L4)", () => {
  const clock = new TestClock();
  const { a, sign, sent } = makeSigningPair(clock);
  const [plain] = makePair(clock);
  set(plain, "k", 1, clock);
  assertEquals("ackedByAll" in plain.disseminate("b").delta.members[0]!, false);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  set(a, "l", 1, clock);
  sign("one");
  sent().acknowledge();
  note(a, a.tick(clock.advance(300)));
  assertEquals(a.view.footprint.tombstones, 0);
  set(a, "l", 2, clock);
  sign("two");
  assertEquals(a.disseminate("b").delta.members.map((member) => "ackedByAll" in member), [false]);
});

Deno.test("EngineView.isOutlived: an incarnation whose proof fits the largest message to the last byte can be proved (E1, E7)", () => {
  const proof = "proof";
  const added = entry("k", 1, "value");
  const fits = ENVELOPE_BYTES + memberBytes("b") + signatureBytes("b", proof) + entryBytes(added);
  for (const [maxMessageBytes, isOutlived] of [[fits, true], [fits - 1, false]] as const) {
    const clock = new TestClock();
    const [a] = makeCluster(["a", "b", "c"], clock, { signs: true });
    for (const id of ["b", "c"]) {
      const hello = {
        id,
        incarnation: makeIncarnation(clock.wallMs, 0.5),
        digest: "",
        active: "",
        maxMessageBytes,
      };
      note(a, a.applyHello(hello, clock.now));
    }
    deliver(a, "c", {
      ...memberDelta("b", makeIncarnation(clock.wallMs + 1_000, 0.5), [added]),
      signature: proof,
    }, clock);
    assertEquals(a.view.isOutlived("b"), isOutlived);
  }
});

Deno.test("EngineView.isOutlived: is true for a stored later incarnation; where members sign, only if it can be proved (E1)", () => {
  const cases = [[false, undefined, true], [true, "proof", true], [true, undefined, false]] as const;
  for (const [signs, proof, isOutlived] of cases) {
    const clock = new TestClock();
    const [a] = makeCluster(["a", "b", "c"], clock, { signs }) as [Engine, Engine, Engine];
    const of = (id: string) => ({
      id,
      incarnation: makeIncarnation(clock.wallMs, 0.5),
      digest: "",
      active: "",
    });
    note(a, a.applyHello(of("b"), clock.now));
    note(a, a.applyHello(of("c"), clock.now));
    assertEquals(a.view.isOutlived("b"), false);
    const later = memberDelta("b", makeIncarnation(clock.wallMs + 1_000, 0.5), [entry("k", 1, 1)]);
    deliver(a, "c", { ...later, ...(proof !== undefined && { signature: proof }) }, clock);
    assertEquals([a.view.isOutlived("b"), a.view.isOutlived("c")], [isOutlived, false], `signs: ${signs}`);
  }
});
