import { assert, assertEquals } from "../../../deps/std_assert.ts";
import { DIGITS } from "../../../engine/liveness/base64_digits.ts";
import { MAX_NUMBER } from "../../../engine/types.ts";
import type { EngineEvent } from "../../../engine/events.ts";
import { Heartbeats } from "../../../engine/liveness/heartbeats.ts";
import { Suspicions } from "../../../engine/liveness/suspicions.ts";
import type { MemberState } from "../../../engine/state/member_state.ts";
import type { Membership } from "../../../engine/membership/membership.ts";
import { Store } from "../../../engine/state/store.ts";

const LIFE = "018bcfe56800-1f3a9c02";
/** A stride of 2 intervals: 24 of them are an expiration, and four strides a third of it. */
const STRIDE = 2;
const SETTINGS = { gossipInterval: 100, heartbeatExpiration: 2_400, maxMessageBytes: 16_384 };
const ROOM = 1_000;

/** The heartbeats of a member `self` of a cluster, and the members that they proved alive. */
class Setup {
  readonly events: EngineEvent[] = [];
  readonly alive: string[] = [];
  readonly suspicions: Suspicions;
  readonly store: Store;
  readonly heartbeats: Heartbeats;
  nowMs = 0;

  constructor(ids: readonly string[], { trustsVectors = true } = {}) {
    const emit = (event: EngineEvent) => void this.events.push(event);
    this.store = new Store("self", emit);
    this.suspicions = new Suspicions(this.store.active, emit);
    for (const id of ["self", ...ids]) {
      this.store.activate(id);
      this.store.addMember(id, LIFE);
    }
    this.heartbeats = new Heartbeats(SETTINGS, {
      selfId: "self",
      store: this.store,
      membership: { heartbeat: (id: string) => void this.alive.push(id) } as unknown as Membership,
      emit,
      suspicions: this.suspicions,
      trustsVectors,
    });
    this.heartbeats.count(this.of("self"), this.now);
  }

  get now() {
    return { monotonicMs: this.nowMs, wallMs: 1_700_000_000_000 + this.nowMs };
  }

  of(id: string): MemberState {
    return this.store.log.get(id)!;
  }

  countOf(id: string): number {
    return this.of(id).heartbeatCount;
  }

  /** The liveness for a peer that knows the same members, or others. */
  send(
    { peerIncarnations = this.store.incarnationsHash, room = ROOM }: {
      peerIncarnations?: string;
      room?: number;
    } = {},
  ) {
    return this.heartbeats.takeLiveness(this.of("self"), { peerIncarnations, room, nowMs: this.nowMs });
  }

  apply(counts: string, { active = this.store.incarnationsHash }: { active?: string } = {}): void {
    this.heartbeats.apply({ incarnationsHash: active, stride: STRIDE, counts }, this.now);
  }
}

Deno.test("Heartbeats.applyOwnCount: a newer count proves that its owner is alive; a repeated or older count does not (E9)", () => {
  const setup = new Setup(["b"]);
  for (const count of [5, 5, 3]) setup.heartbeats.applyOwnCount("b", count, setup.now);
  assertEquals([setup.countOf("b"), setup.alive], [5, ["b"]]);
});

Deno.test("Heartbeats.applyOwnCount: lowers a count that is more than a third of an expiration above the owner's (L1)", () => {
  const setup = new Setup(["b"]);
  setup.heartbeats.applyCount(setup.of("b"), 20, setup.now);
  setup.heartbeats.applyOwnCount("b", 12, setup.now);
  assertEquals(setup.countOf("b"), 20);
  setup.heartbeats.applyOwnCount("b", 11, setup.now);
  assertEquals(setup.countOf("b"), 11);
});

Deno.test("Heartbeats.applyOwnCount: a member without a count or without stored state is alive too (L1)", () => {
  const setup = new Setup(["b"]);
  setup.heartbeats.applyOwnCount("b", 0, setup.now);
  setup.heartbeats.applyOwnCount("unknown", 7, setup.now);
  setup.heartbeats.applyOwnCount("self", 9, setup.now);
  assertEquals([setup.alive, setup.countOf("self")], [["b", "unknown"], 1]);
});

Deno.test("Heartbeats.applyCount: takes a higher count of another member, and no count of this member (L1)", () => {
  const setup = new Setup(["b"]);
  setup.heartbeats.applyCount(setup.of("b"), 4, setup.now);
  setup.heartbeats.applyCount(setup.of("b"), 4, setup.now);
  setup.heartbeats.applyCount(setup.of("b"), 3, setup.now);
  setup.heartbeats.applyCount(setup.of("self"), 50, setup.now);
  assertEquals([setup.countOf("b"), setup.countOf("self"), setup.alive], [4, 1, ["b"]]);
});

Deno.test("Heartbeats.applyCount: takes no count above the greatest number of a message, and no digit that would exceed it (L1)", () => {
  const setup = new Setup(["b", "c"]);
  setup.heartbeats.applyCount(setup.of("b"), MAX_NUMBER + 1, setup.now);
  assertEquals(setup.countOf("b"), 0);
  // The highest digit below the greatest count, and then the digit after it.
  const highest = MAX_NUMBER - MAX_NUMBER % STRIDE;
  setup.heartbeats.applyCount(setup.of("b"), highest, setup.now);
  for (let step = 0; step < 64; step++) setup.apply(`${DIGITS[step]}..`);
  assert(setup.countOf("b") <= MAX_NUMBER, `${setup.countOf("b")}`);
});

Deno.test("Heartbeats.applyCount: a newer count restarts the wait of a suspicion; an equal count does not (C4)", () => {
  const setup = new Setup(["b"]);
  setup.heartbeats.applyCount(setup.of("b"), 4, setup.now);
  setup.suspicions.add("b", 0);
  setup.nowMs = 600;
  setup.heartbeats.applyCount(setup.of("b"), 4, setup.now);
  const isDue = () => setup.suspicions.dueInMs("b", { nowMs: 1_100, waitMs: 1_100 }) <= 0;
  assertEquals(isDue(), true);
  setup.heartbeats.applyCount(setup.of("b"), 5, setup.now);
  assertEquals(isDue(), false);
});

Deno.test("Heartbeats.observe: counts are emitted only if they are observed (R6.1)", () => {
  const setup = new Setup(["b"]);
  setup.heartbeats.applyCount(setup.of("b"), 4, setup.now);
  assertEquals(setup.events, []);
  setup.heartbeats.observe(true);
  setup.heartbeats.applyCount(setup.of("b"), 5, setup.now);
  assertEquals(setup.events.map((event) => event.type === "GossipUpdate" && event.sequenceNumber), [5]);
});

Deno.test("Heartbeats.takeLiveness: sends no vector in a cluster of two members, and at most 70 vectors in an expiration (L2)", () => {
  assertEquals(new Setup(["b"]).send(), { count: 1 });
  const setup = new Setup(["b", "c"]);
  let vectors = 0;
  for (; setup.nowMs < SETTINGS.heartbeatExpiration; setup.nowMs++) if (setup.send().vector) vectors++;
  assertEquals(vectors, 69);
});

Deno.test("Heartbeats.takeLiveness: sends digits without names to a peer with the same incarnations, and with tags to another peer (L2)", () => {
  const setup = new Setup(["b", "c"]);
  setup.heartbeats.applyCount(setup.of("b"), 9, setup.now);
  assertEquals(setup.send().vector, {
    incarnationsHash: setup.store.incarnationsHash,
    stride: STRIDE,
    counts: "E.A",
  });
  setup.nowMs = 100;
  const tagged = `${setup.of("b").tag}E${setup.of("self").tag}A`;
  assertEquals(setup.send({ peerIncarnations: "other" }).vector, { stride: STRIDE, counts: tagged });
});

Deno.test("Heartbeats.takeLiveness: a vector without room for all members continues where the last vector ended (L2)", () => {
  const setup = new Setup(["b", "c", "d"]);
  for (const id of ["b", "c", "d"]) setup.heartbeats.applyCount(setup.of(id), 2, setup.now);
  const named: string[] = [];
  for (let times = 0; times < 4; times++) {
    setup.nowMs += 100;
    // Room for one tagged count.
    const { counts } = setup.send({ peerIncarnations: "other", room: 9 }).vector!;
    named.push(["b", "c", "d", "self"].find((id) => counts.startsWith(setup.of(id).tag))!);
    assertEquals(counts.length, 5);
  }
  assertEquals(named, ["b", "c", "d", "self"]);
});

Deno.test("Heartbeats.takeLiveness: sends no count from before a suspension, except the member's own count (L3)", () => {
  const setup = new Setup(["b", "c"]);
  setup.heartbeats.applyCount(setup.of("b"), 2, setup.now);
  setup.heartbeats.tick(setup.now);
  setup.nowMs = 2_400;
  setup.heartbeats.applyCount(setup.of("b"), 3, setup.now);
  setup.heartbeats.tick(setup.now);
  // Exactly an expiration: received counts may be passed on.
  assertEquals(setup.send().vector!.counts, "B.A");
  setup.nowMs += 2_401;
  setup.heartbeats.tick(setup.now);
  assertEquals(setup.send().vector!.counts, "..A");
  setup.nowMs += 100;
  setup.heartbeats.applyCount(setup.of("b"), 4, setup.now);
  assertEquals(setup.send().vector!.counts, "C.A");
});

Deno.test("Heartbeats.takeLiveness: sends a count for half an expiration after its arrival: a digit of an older count would seem new (L1, L2)", () => {
  const setup = new Setup(["b", "c"]);
  setup.nowMs = 100;
  setup.heartbeats.applyCount(setup.of("b"), 2, setup.now);
  setup.nowMs = 1_299;
  assertEquals(setup.send().vector!.counts, "B.A");
  setup.nowMs = 1_334;
  assertEquals(setup.send().vector!.counts, "..A");
});

Deno.test("Heartbeats.recordHelloCount: gives digits a meaning again after a long absence, and is no heartbeat (L1)", () => {
  const setup = new Setup(["b", "c"]);
  setup.heartbeats.applyCount(setup.of("b"), 2 * STRIDE, setup.now);
  setup.nowMs = 9_000;
  const away = 50 * STRIDE;
  setup.apply(`${DIGITS[51]}..`);
  assertEquals(setup.countOf("b"), 2 * STRIDE);
  setup.heartbeats.recordHelloCount("b", away);
  setup.heartbeats.recordHelloCount("b", away - 1);
  assertEquals([setup.countOf("b"), setup.of("b").heartbeatMonotonicMs, setup.alive], [2 * STRIDE, 0, ["b"]]);
  setup.apply(`${DIGITS[51]}..`);
  assertEquals([setup.countOf("b"), setup.alive], [51 * STRIDE, ["b", "b"]]);
});

Deno.test("Heartbeats.recordHelloCount: the count of a handshake is not passed on, because the member may not hear this one (L1)", () => {
  const setup = new Setup(["b", "c"]);
  setup.heartbeats.applyCount(setup.of("b"), 2 * STRIDE, setup.now);
  setup.nowMs = 500;
  setup.heartbeats.recordHelloCount("b", 5 * STRIDE);
  assertEquals(setup.send().vector!.counts, `${DIGITS[2]}.A`);
  // A count that was heard before the handshake is newer than the last one heard.
  setup.heartbeats.applyCount(setup.of("b"), 3 * STRIDE, setup.now);
  assertEquals([setup.countOf("b"), setup.alive], [3 * STRIDE, ["b", "b"]]);
});

Deno.test("Heartbeats.tick: notices by the wall clock that the machine slept (L3)", () => {
  const setup = new Setup(["b", "c"]);
  setup.heartbeats.applyCount(setup.of("b"), 2, setup.now);
  setup.heartbeats.tick(setup.now);
  setup.heartbeats.tick({ monotonicMs: setup.nowMs, wallMs: setup.now.wallMs + 2_401 });
  assertEquals(setup.send().vector!.counts, "..A");
});

Deno.test("Heartbeats.apply: takes a digit up to 31 strides ahead as a newer count, across the wrap (L2)", () => {
  for (const [ahead, expected] of [[31, 60 + 31], [32, 60], [63, 60], [0, 60]] as const) {
    const setup = new Setup(["b", "c"]);
    setup.heartbeats.applyCount(setup.of("b"), 60 * STRIDE + 1, setup.now);
    setup.apply(`${DIGITS[(60 + ahead) % 64]}..`);
    assertEquals(Math.floor(setup.countOf("b") / STRIDE), expected, `${ahead}`);
  }
});

Deno.test("Heartbeats.apply: ignores a digit of a member without a known count, and invalid digits (L2)", () => {
  const setup = new Setup(["b", "c"]);
  setup.heartbeats.applyCount(setup.of("b"), 2, setup.now);
  setup.apply(".EE");
  setup.apply("!EE");
  assertEquals([setup.countOf("b"), setup.countOf("c"), setup.countOf("self")], [2, 0, 1]);
  // An invalid digit must not be read as the value below 0.
  setup.heartbeats.applyCount(setup.of("b"), 62 * STRIDE, setup.now);
  setup.apply("...");
  assertEquals(setup.countOf("b"), 62 * STRIDE);
});

Deno.test("Heartbeats.apply: ignores a vector of other incarnations, or of another number of members (L2)", () => {
  const setup = new Setup(["b", "c"]);
  setup.heartbeats.applyCount(setup.of("b"), 2, setup.now);
  setup.apply("E..", { active: "f".repeat(16) });
  setup.apply("E...");
  assertEquals(setup.countOf("b"), 2);
  setup.apply("E..");
  assertEquals(setup.countOf("b"), 8);
});

Deno.test("Heartbeats.apply: finds members by their tags, and ignores a truncated count (L2)", () => {
  const setup = new Setup(["b", "c"]);
  for (const id of ["b", "c"]) setup.heartbeats.applyCount(setup.of(id), 2, setup.now);
  const counts = `${setup.of("c").tag}D????E${setup.of("b").tag}`;
  setup.heartbeats.apply({ stride: STRIDE, counts }, setup.now);
  assertEquals([setup.countOf("b"), setup.countOf("c")], [2, 6]);
});

Deno.test("Heartbeats: neither sends nor takes vectors where members sign (L4)", () => {
  const setup = new Setup(["b", "c"], { trustsVectors: false });
  setup.heartbeats.applyOwnCount("b", 2, setup.now);
  setup.apply("E..");
  assertEquals([setup.countOf("b"), setup.send()], [2, { count: 1 }]);
});

Deno.test("Store.replace: a reset keeps the count of a member, and a later incarnation begins at 0 (L1)", () => {
  const setup = new Setup(["b"]);
  setup.heartbeats.applyCount(setup.of("b"), 4, setup.now);
  setup.store.replace(setup.of("b"), [], { incarnation: LIFE, floor: 0, now: setup.now });
  assertEquals(setup.countOf("b"), 4);
  setup.store.replace(setup.of("b"), [], { incarnation: `1${LIFE.slice(1)}`, floor: 0, now: setup.now });
  assertEquals(setup.countOf("b"), 0);
});
