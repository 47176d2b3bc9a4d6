import { assert, assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { NO_INCARNATION } from "../../../engine/incarnation.ts";
import type { Delta, KnownVersions } from "../../../engine/types.ts";
import {
  deliver,
  entry,
  exchange,
  handshake,
  incarnationAt,
  makeCluster,
  makeEngine,
  memberDelta,
  note,
  set,
  settle,
  TestClock,
} from "../harness.ts";
import { EARLIER } from "../incarnations.ts";

/** A line of members; each has handshakes with its neighbors alone. */
function makeLine(ids: readonly string[], clock: TestClock, signs = false): Engine[] {
  const engines = makeCluster(ids, clock, { signs });
  for (const [index, engine] of engines.entries()) {
    const next = engines[index + 1];
    if (next) handshake(engine, next, clock);
    if (!signs) set(engine, "k", index, clock);
  }
  return engines;
}

/** One exchange along a line, there and back; returns all messages. */
function passAlong(engines: readonly Engine[], clock: TestClock): Delta[] {
  const messages: Delta[] = [];
  const pass = (line: readonly Engine[]) => {
    for (const [index, engine] of line.entries()) {
      const next = line[index + 1];
      if (!next) return;
      const { request, reply } = exchange(engine, next, { clock });
      messages.push(request, reply!.delta);
    }
  };
  pass(engines);
  pass(engines.toReversed());
  return messages;
}

/** The set of all members of three. */
const AGREEING_ALL = "4";

/** A message of a peer with the same state, and with these agreeing members. */
function agreeingOf(engine: Engine, agreeing: string): Delta {
  return {
    members: [],
    digest: engine.view.digest,
    active: engine.view.activeHash,
    partial: false,
    agreeing,
  };
}

Deno.test("agreeing: every member is confirmed through third parties without a contact of its own (E12, R3.5)", () => {
  const clock = new TestClock();
  const engines = makeLine(["a", "b", "c", "d", "e", "f", "g", "h"], clock);
  for (let round = 0; round < 4; round++) passAlong(engines, clock);
  assertEquals(engines.map(({ view }) => view.phase), engines.map(() => "confirmed"));
  assertEquals(engines[0]!.view.isAcknowledgedBy("h", 1), true);
  set(engines[3]!, "k", "new", clock);
  assertEquals(engines[3]!.view.phase, "diffusing");
  for (let round = 0; round < 4; round++) passAlong(engines, clock);
  assertEquals(engines.map(({ view }) => view.phase), engines.map(() => "confirmed"));
});

Deno.test("agreeing: no member is confirmed before all have the state, in any order of messages (E12)", () => {
  const clock = new TestClock();
  const engines = makeLine(["a", "b", "c", "d", "e"], clock);
  for (let round = 0; round < 3; round++) {
    for (const [index, engine] of engines.entries()) {
      const next = engines[index + 1];
      if (next) exchange(next, engine, { clock });
      const isSpread = engines.every(({ view }) => view.digest === engine.view.digest);
      for (const { view: { id, phase } } of engines) {
        assert(isSpread || phase !== "confirmed", `${id} in round ${round}`);
      }
    }
  }
});

Deno.test("agreeing: the set is sent to a peer that last sent the same state, if there is a third member (E12)", () => {
  const clock = new TestClock();
  const [a, b] = makeLine(["a", "b"], clock);
  assertEquals(passAlong([a!, b!], clock).some(({ agreeing }) => agreeing !== undefined), false);
  const [d, e, f] = makeLine(["d", "e", "f"], clock);
  assertEquals(d!.disseminate("e").delta.agreeing, undefined);
  settle([d!, e!], { clock });
  // Bits of d and e, and none of f, which has another state.
  note(d!, d!.applyIncoming("e", { ...agreeingOf(d!, ""), members: [] }, clock.now));
  assertEquals(d!.disseminate("e").delta.agreeing, "w");
  assertEquals(f!.disseminate("e").delta.agreeing, undefined);
  set(d!, "k", "new", clock);
  assertEquals(d!.disseminate("e").delta.agreeing, undefined);
});

/** A member and four others with state, none of them known to agree. */
function makeUnconfirmed(clock: TestClock, signs = false): Engine {
  const [a, b] = makeCluster(["a", "b", "c", "d", "e"], clock, { signs });
  handshake(a, b!, clock);
  if (!signs) set(a, "k", 1, clock);
  const others = ["b", "c", "d", "e"].map((id) =>
    memberDelta(id, id === "b" ? b!.view.incarnation : EARLIER, [entry("k", 1, 1)])
  );
  deliver(a, "b", others, clock);
  assertEquals(a.view.phase, "diffusing");
  return a;
}

Deno.test("agreeing: counts each member whose bit is set, and no other (E12)", () => {
  const clock = new TestClock();
  const a = makeUnconfirmed(clock);
  // The members are a, b, c, d, e: the bits from the most significant on.
  note(a, a.applyIncoming("b", agreeingOf(a, "0"), clock.now));
  const agreed = () => ["b", "c", "d", "e"].map((id) => a.view.isAcknowledgedBy(id, 1));
  assertEquals([agreed(), a.view.phase], [[true, false, true, false], "diffusing"]);
  note(a, a.applyIncoming("b", agreeingOf(a, "K"), clock.now));
  assertEquals([agreed(), a.view.phase], [[true, true, true, true], "confirmed"]);
});

Deno.test("agreeing: a gap ends once another member reports that the peer has the same state (E12, R3.5)", () => {
  const clock = new TestClock();
  const a = makeUnconfirmed(clock);
  const acknowledge = (versions: KnownVersions) =>
    note(a, a.handleAck(a.disseminate("c").sent, versions, clock.now));
  acknowledge(new Map());
  acknowledge(new Map([["d", { incarnation: EARLIER, number: 0 }]]));
  assertEquals(a.view.phase, "reconciling");
  // First the bits of d and e, then those of c and e.
  note(a, a.applyIncoming("b", agreeingOf(a, "G"), clock.now));
  assertEquals(a.view.phase, "reconciling");
  note(a, a.applyIncoming("b", agreeingOf(a, "K"), clock.now));
  assertEquals(a.view.phase, "confirmed");
});

Deno.test("agreeing: ignores a set about another state (E12)", () => {
  for (const other of [{ digest: "f".repeat(16) }, { active: "f".repeat(16) }]) {
    const clock = new TestClock();
    const a = makeUnconfirmed(clock);
    note(a, a.applyIncoming("b", { ...agreeingOf(a, "_"), ...other }, clock.now));
    assertEquals([a.view.phase, a.view.acknowledgedBy(1)], ["diffusing", 0]);
  }
});

Deno.test("agreeing: ignores a set of another length or with an invalid digit (E12)", () => {
  for (const set of ["", "__", "!", "é"]) {
    const clock = new TestClock();
    const a = makeUnconfirmed(clock);
    note(a, a.applyIncoming("b", agreeingOf(a, set), clock.now));
    // The sender's own state is known by its digest.
    assertEquals([a.view.phase, a.view.acknowledgedBy(1)], ["diffusing", 1], set);
  }
});

Deno.test("agreeing: a report about one state does not count for the next (E12)", () => {
  const clock = new TestClock();
  const a = makeUnconfirmed(clock);
  note(a, a.applyIncoming("b", agreeingOf(a, "_"), clock.now));
  assertEquals(a.view.phase, "confirmed");
  set(a, "k", 2, clock);
  assertEquals([a.view.phase, a.view.acknowledgedBy(2)], ["diffusing", 0]);
});

Deno.test("agreeing: a report about a member does not count for its later incarnation (E1, E12)", () => {
  const clock = new TestClock();
  const a = makeUnconfirmed(clock);
  note(a, a.applyIncoming("b", agreeingOf(a, "_"), clock.now));
  deliver(a, "b", memberDelta("c", "018bcfe56800-00000002", [entry("k", 1, 1)]), clock);
  assertEquals([a.view.phase, a.view.isAcknowledgedBy("c", 1)], ["diffusing", false]);
});

Deno.test("agreeing: where members sign, sets are neither sent nor believed (L4)", () => {
  const clock = new TestClock();
  const a = makeUnconfirmed(clock, true);
  note(a, a.applyIncoming("b", agreeingOf(a, "_"), clock.now));
  assertEquals([a.view.phase, ["c", "d", "e"].map((id) => a.view.isAcknowledgedBy(id, 1))], ["diffusing", [
    false,
    false,
    false,
  ]]);
  assertEquals(a.disseminate("b").delta.agreeing, undefined);
});

Deno.test("agreeing: an unversioned member counts by its own acknowledgement, and peers learn that from a set (R3.5, E12)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "g"], clock);
  handshake(a, b!, clock);
  for (const engine of [a, b!]) set(engine, "k", 1, clock);
  const hello = { id: "g", incarnation: NO_INCARNATION, digest: "0".repeat(16), active: "0".repeat(16) };
  note(a, a.applyHello(hello, clock.now));
  settle([a, b!], { clock });
  assertEquals([a.view.phase, b!.view.phase], ["diffusing", "diffusing"]);
  note(a, a.handleAck(a.disseminate("g").sent, new Map(), clock.now));
  exchange(a, b!, { clock });
  assertEquals([a.view.phase, b!.view.phase], ["confirmed", "confirmed"]);
});

Deno.test("agreeing: nothing that was known of an ended process counts for the next one, whose state is still empty (E1, E12, R3.5)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock) as [Engine, Engine, Engine];
  const deliverAgreeing = (peerId: string) =>
    note(a, a.applyIncoming(peerId, agreeingOf(a, AGREEING_ALL), clock.now));
  set(a, "k", 1, clock);
  for (const peer of [b, c]) {
    handshake(peer, a, clock);
    exchange(peer, a, { clock });
    deliverAgreeing(peer.view.id);
  }
  assertEquals(a.view.phase, "confirmed");
  const next = makeEngine("b", clock, { incarnation: incarnationAt(clock, 50) });
  note(next, next.setTopology({ members: ["a", "b", "c"], blocked: [] }, clock.now));
  handshake(next, a, clock);
  assertEquals(a.view.phase, "diffusing");
  // The sender has met the ended process alone.
  deliverAgreeing("c");
  assertEquals(a.view.phase, "diffusing");
  exchange(next, a, { clock });
  assertEquals(a.view.phase, "confirmed");
});
