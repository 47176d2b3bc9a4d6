import { assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { eventsOf, exchange, handshake, makeEngine, note, set, TestClock } from "../harness.ts";
import { hearsay, idsOf, meet, stranger } from "./strangers.ts";

/** A member of an open cluster that counts its first interval. */
function member(id: string, clock: TestClock): Engine {
  const engine = makeEngine(id, clock, { openMembership: true });
  note(engine, engine.countHeartbeat({}, clock.now));
  set(engine, "k", id, clock);
  return engine;
}

/** The members with these ids are in the topology from now on. */
function follow(engine: Engine, ids: readonly string[], clock: TestClock): void {
  note(engine, engine.setTopology({ members: ids, blocked: [] }, clock.now));
}

/** a and b with c, which has expired at a if `expired`; then the newcomer n meets a alone. */
function newcomer(
  { expired, unreachable = new Set() }: {
    readonly expired: boolean;
    /** The members without a way from or to the newcomer. */
    readonly unreachable?: ReadonlySet<string>;
  },
): { n: Engine; c: Engine; clock: TestClock } {
  const clock = new TestClock();
  const [a, c, n] = [member("a", clock), member("c", clock), member("n", clock)];
  handshake(a, c, clock);
  follow(a, ["a", "c"], clock);
  exchange(a, c, { clock });
  exchange(c, a, { clock });
  // Step by step: a longer step would be a suspension of the process.
  for (let elapsedMs = 0; expired && elapsedMs < 21_000; elapsedMs += 300) {
    clock.advance(300);
    note(a, a.countHeartbeat({}, clock.now));
    note(a, a.tick(clock.now));
  }
  assertEquals(a.view.blockedMember("c")?.reason, expired ? "expired" : undefined);
  handshake(n, a, clock);
  follow(a, ["a", "c", "n"], clock);
  follow(n, ["a", "n"], clock);
  exchange(n, a, { clock });
  note(n, n.setTopology({ members: ["a", "c", "n"], blocked: [], unreachable }, clock.now));
  return { n, c, clock };
}

Deno.test("membership: a newcomer blocks a member that its peer has blocked, so that no wait includes a dead member (E10)", () => {
  const { n, c, clock } = newcomer({ expired: true });
  assertEquals(n.view.blockedMember("c")?.reason, "expired");
  assertEquals([...n.view.activeIds()].sort(), ["a", "n"]);
  assertEquals(eventsOf(n).of("MemberJoined").map(({ memberId }) => memberId), ["a"]);
  assertEquals(eventsOf(n).of("MemberFailed"), []);
  // It is probed at once, and a handshake frees it: only the way from a to c may be broken.
  assertEquals([n.takeDueProbes(clock.now), n.takeDueProbes(clock.now)], [["c"], []]);
  handshake(n, c, clock);
  assertEquals([...n.view.activeIds()].sort(), ["a", "c", "n"]);
});

Deno.test("membership: a newcomer does not block by hearsay a member that it could not free by a handshake (E10)", () => {
  const { n } = newcomer({ expired: true, unreachable: new Set(["c"]) });
  assertEquals(n.view.blockedMember("c"), undefined);
  assertEquals([...n.view.activeIds()].sort(), ["a", "c", "n"]);
});

Deno.test("membership: a newcomer treats a member as active if its peer does (E10)", () => {
  const { n } = newcomer({ expired: false });
  assertEquals([...n.view.activeIds()].sort(), ["a", "c", "n"]);
  assertEquals(eventsOf(n).of("MemberBlocked"), []);
});

Deno.test("membership: a relay passes on the count of a member that its discovery has not named yet (E10)", () => {
  const clock = new TestClock();
  const [a, c, n] = [member("a", clock), member("c", clock), member("n", clock)];
  for (const other of [c, n]) {
    handshake(a, other, clock);
    follow(a, ["a", other.view.id], clock);
    follow(other, ["a", other.view.id], clock);
  }
  // a has the state of c, and its topology names only n.
  exchange(c, a, { clock });
  exchange(a, n, { clock });
  exchange(a, n, { clock });
  follow(n, ["a", "c", "n"], clock);
  assertEquals([...n.view.activeIds()].sort(), ["a", "c", "n"]);
});

Deno.test("membership: a member that is removed to make room does not expire later, and is forgotten once (E11, E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxMembers: 4 });
  hearsay(a, "active", 1, clock);
  follow(a, ["a", "active"], clock);
  hearsay(a, "departed", 1, clock);
  for (const id of ["b", "c"]) meet(a, id, 1, clock);
  assertEquals(note(a, a.makePlaceInTopology(clock.now)).id, "active");
  assertEquals(idsOf(a), ["b", "c"]);
  // Step by step: a longer step would be a suspension of the process.
  for (let steps = 0; steps < 1_000; steps++) note(a, a.tick(clock.advance(800)));
  const forgotten = eventsOf(a).of("MemberForgotten").map(({ memberId }) => memberId);
  assertEquals(forgotten, ["departed", "active", "b", "c"]);
  assertEquals(eventsOf(a).of("MemberBlocked"), []);
});

Deno.test("membership: a failed member of a fixed topology that makes room for another member stays blocked (E10, E15)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock, { settings: { maxMembers: 3 } });
  follow(a, ["a", "b", "c"], clock);
  for (const id of ["b", "c"]) hearsay(a, id, 1, clock);
  for (let steps = 0; steps < 30; steps++) {
    clock.advance(800);
    note(a, a.applyCount("c", steps + 2, clock.now));
    note(a, a.tick(clock.now));
  }
  follow(a, ["a", "b", "c", "d"], clock);
  hearsay(a, "d", 1, clock);
  assertEquals([idsOf(a), a.view.isMember("b"), a.view.blockedMember("b")?.reason], [
    ["c", "d"],
    true,
    "expired",
  ]);
});
