import {
  assert,
  assertEquals,
  assertLessOrEqual,
  assertStringIncludes,
  assertThrows,
} from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { copyJson } from "../../../engine/json.ts";
import { makeIncarnation, NO_INCARNATION } from "../../../engine/incarnation.ts";
import { deltaBytes } from "../../../engine/sync/selection.ts";
import {
  entryBytes,
  ENVELOPE_BYTES,
  memberBytes,
  storedBytes,
  versionsBytes,
} from "../../../engine/state/size.ts";
import { type Delta, HEARTBEAT_KEY, type KnownVersion, type SentEntry } from "../../../engine/types.ts";
import {
  drawFrom,
  entry,
  eventsOf,
  exchange,
  greet,
  heartbeat,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  remove,
  set,
  type SETTINGS,
  tell,
  TestClock,
  valueOf,
} from "../harness.ts";

function idsOf(delta: Delta): string[] {
  return delta.members.map(({ id }) => id);
}

function bytesOf(delta: Delta): number {
  return delta.members.reduce((sum, each) => sum + deltaBytes(each), 0);
}

/** An engine `a` and its peer `b`, both with the state of this many more members. */
function pairAmong(others: number, clock: TestClock, settings: Partial<typeof SETTINGS> = {}) {
  const ids = ["a", "b", ...Array.from({ length: others }, (_, index) => `m${index}`)];
  const a = makeEngine("a", clock, { settings });
  const b = makeEngine("b", clock, { settings });
  for (const engine of [a, b]) engine.setTopology({ members: ids, blocked: [] }, clock.now);
  greet(a, b, clock);
  return { a, b, others: ids.slice(2) };
}

/** The owners of other members' state; each call sets new values. */
class Owners {
  readonly #numbers = new Map<string, number>();
  readonly #incarnation: string;
  readonly #clock: TestClock;
  readonly #entry: (number: number) => ReturnType<typeof entry>;

  constructor(clock: TestClock, makeEntry = (number: number) => entry("k", number, number)) {
    this.#clock = clock;
    this.#incarnation = makeIncarnation(clock.wallMs, 0.5);
    this.#entry = makeEntry;
  }

  /** Sets a value at every one of them, and delivers it to an engine from another than its peer. */
  change(engine: Engine, ids: readonly string[]): void {
    for (const id of ids) {
      const number = (this.#numbers.get(id) ?? 0) + 1;
      this.#numbers.set(id, number);
      const delta = memberDelta(id, this.#incarnation, [this.#entry(number)], { after: number - 1 });
      tell(engine, "teller", delta, this.#clock);
    }
  }
}

/** By member, the longest wait of a peer for a change of it, in rounds. */
function longestWaits(
  a: Engine,
  b: Engine,
  options: {
    readonly clock: TestClock;
    readonly rounds: number;
    readonly change: (round: number) => void;
    readonly lose?: (round: number) => boolean;
  },
): Map<string, number> {
  const { clock, rounds, change, lose = () => false } = options;
  const held = new Map<string, number>();
  const since = new Map<string, number>();
  const longest = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    change(round);
    exchange(a, b, { clock, ...(lose(round) && { lose: "reply" as const }) });
    clock.advance(300);
    for (const id of a.view.memberIds()) {
      const number = b.view.versionOf(id)?.number ?? 0;
      const isNew = number > (held.get(id) ?? 0);
      if (isNew) held.set(id, number);
      since.set(id, isNew ? 0 : (since.get(id) ?? 0) + 1);
      longest.set(id, Math.max(longest.get(id) ?? 0, since.get(id)!));
    }
  }
  return longest;
}

Deno.test("limits: a message has gossipMaxSend members exactly where more are pending, own state included (E7)", () => {
  for (const gossipMaxSend of [1, 2, 3, 7, 50]) {
    const clock = new TestClock();
    const { a, b, others } = pairAmong(80, clock, { gossipMaxSend });
    set(a, "own", 1, clock);
    new Owners(clock).change(a, others);
    const { delta } = a.disseminate("b");
    assertEquals([delta.members.length, delta.partial], [gossipMaxSend, true]);
    assertEquals(delta.members[0]?.id, "a");
    assertEquals(new Set(idsOf(delta)).size, gossipMaxSend);
    assertEquals(exchange(a, b, { clock }).request.members.length, gossipMaxSend);
  }
});

Deno.test("limits: a reply has the same limit (E7)", () => {
  const clock = new TestClock();
  const { a, b, others } = pairAmong(20, clock, { gossipMaxSend: 4 });
  set(b, "own", 1, clock);
  new Owners(clock).change(b, others);
  const { reply } = exchange(a, b, { clock });
  assertEquals([reply?.delta.members.length, reply?.delta.partial], [4, true]);
  assertEquals(reply?.delta.members[0]?.id, "b");
});

Deno.test("limits: a message with room for everything is not partial (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(9, clock, { gossipMaxSend: 10 });
  set(a, "own", 1, clock);
  new Owners(clock).change(a, others);
  const { delta } = a.disseminate("b");
  assertEquals([delta.members.length, delta.partial], [10, false]);
});

Deno.test("disseminate: sends the own state, then the latest changes, except a quarter by round-robin (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(40, clock, { gossipMaxSend: 8 });
  const [earlier, later] = [others.slice(0, 20), others.slice(20)];
  const owners = new Owners(clock);
  owners.change(a, earlier);
  owners.change(a, later);
  set(a, "own", 1, clock);
  const sent = idsOf(a.disseminate("b").delta);
  assertEquals(sent[0], "a");
  // The latest changes go first, because the fewest members have them.
  assertEquals(sent.filter((id) => later.includes(id)), later.slice(-5).reverse());
  assertEquals(sent.filter((id) => earlier.includes(id)), earlier.slice(0, 2));
});

Deno.test("disseminate: treats statistics of heartbeats like any other change (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(40, clock, { gossipMaxSend: 8 });
  const [changing, counting] = [others.slice(0, 20), others.slice(20)];
  new Owners(clock).change(a, changing);
  new Owners(clock, heartbeat).change(a, counting);
  const sent = idsOf(a.disseminate("b").delta);
  assertEquals(sent.filter((id) => counting.includes(id)), counting.slice(-6).reverse());
});

Deno.test("disseminate: with gossipMaxSend 1 the own state and that of others alternate (E7)", () => {
  const clock = new TestClock();
  const { a, b, others } = pairAmong(4, clock, { gossipMaxSend: 1 });
  const owners = new Owners(clock);
  const sentIds: string[] = [];
  for (let round = 0; round < 8; round++) {
    set(a, "own", round, clock);
    owners.change(a, others);
    sentIds.push(...idsOf(exchange(a, b, { clock }).request));
  }
  assertEquals(sentIds, ["a", "m0", "a", "m1", "a", "m2", "a", "m3"]);
});

Deno.test("starvation: no member starves where everything changes all the time, with any gossipMaxSend (E7)", () => {
  // In rounds: by the quarter of the slots of 1 (every other round), 2, 3 and 5, and one to spare.
  for (const [gossipMaxSend, bound] of [[1, 80], [2, 41], [3, 41], [5, 21]] as const) {
    const clock = new TestClock();
    const { a, b, others } = pairAmong(40, clock, { gossipMaxSend });
    const owners = new Owners(clock);
    const longest = longestWaits(a, b, {
      clock,
      rounds: 4 * bound,
      change: (round) => {
        set(a, "own", round, clock);
        owners.change(a, others);
      },
    });
    assertEquals(longest.size, 41);
    for (const [id, wait] of longest) {
      assertLessOrEqual(wait, id === "a" ? 2 : bound, `${id}, ${gossipMaxSend}`);
    }
  }
});

Deno.test("starvation: neither statistics nor other changes starve beside each other (E7)", () => {
  for (const [gossipMaxSend, bound] of [[1, 80], [3, 40], [8, 20]] as const) {
    const clock = new TestClock();
    const { a, b, others } = pairAmong(40, clock, { gossipMaxSend });
    const [beats, changes] = [new Owners(clock, heartbeat), new Owners(clock)];
    const longest = longestWaits(a, b, {
      clock,
      rounds: 4 * bound,
      change: (round) => {
        set(a, "own", round, clock);
        changes.change(a, others.slice(0, 20));
        beats.change(a, others.slice(20));
      },
    });
    for (const [id, wait] of longest) assertLessOrEqual(wait, bound, `${id}, ${gossipMaxSend}`);
  }
});

Deno.test("starvation: state without room is sent in later messages, though nothing changes any more (E7)", () => {
  for (const makeEntry of [heartbeat, (number: number) => entry("k", number, 1)]) {
    const clock = new TestClock();
    const { a, b, others } = pairAmong(20, clock, { gossipMaxSend: 4 });
    new Owners(clock, makeEntry).change(a, others);
    const counts: number[] = [];
    for (let round = 0; round < 7; round++) counts.push(exchange(a, b, { clock }).request.members.length);
    assertEquals([counts, others.filter((id) => b.view.versionOf(id)?.number !== 1)], [
      [4, 4, 4, 4, 4, 0, 0],
      [],
    ]);
  }
});

Deno.test("starvation: no member starves where every other reply is lost (E7)", () => {
  const clock = new TestClock();
  const { a, b, others } = pairAmong(40, clock, { gossipMaxSend: 3 });
  const owners = new Owners(clock);
  const longest = longestWaits(a, b, {
    clock,
    rounds: 200,
    lose: (round) => round % 2 === 0,
    change: (round) => {
      set(a, "own", round, clock);
      owners.change(a, others);
    },
  });
  for (const [id, wait] of longest) assertLessOrEqual(wait, 82, id);
});

Deno.test("starvation: no member starves where each takes nearly half of a message, and no message is too large (E7)", () => {
  const clock = new TestClock();
  const maxMessageBytes = 32_768;
  const { a, b, others } = pairAmong(40, clock, { maxMessageBytes });
  const half = maxMessageBytes / 2 - ENVELOPE_BYTES;
  const text = "x".repeat(half - entryBytes(entry("k", 1, "")) - memberBytes("m10"));
  const owners = new Owners(clock, (number) => entry("k", number, text));
  const room = maxMessageBytes - ENVELOPE_BYTES;
  const longest = longestWaits(a, b, {
    clock,
    rounds: 90,
    change: () => {
      set(a, "k", text, clock);
      owners.change(a, others);
      const { delta } = a.disseminate("b");
      assertLessOrEqual(bytesOf(delta), room);
      assertEquals(delta.members.length, 2);
    },
  });
  for (const [id, wait] of longest) assertLessOrEqual(wait, id === "a" ? 1 : 42, id);
});

Deno.test("starvation: a member too large to go beside own state goes alone, and does not starve (E7)", () => {
  const clock = new TestClock();
  // Tombstones that its owner has forgotten can make the state larger than half at another member.
  const { a, b, others } = pairAmong(5, clock, { maxMessageBytes: 32_768 });
  const large = new Owners(clock, (number) => entry("k", number, "x".repeat(20_000)));
  const small = new Owners(clock, (number) => entry("k", number, "x".repeat(9_000)));
  const longest = longestWaits(a, b, {
    clock,
    rounds: 60,
    change: () => {
      set(a, "k", "x".repeat(9_000), clock);
      small.change(a, others.slice(1));
      large.change(a, ["m0"]);
    },
  });
  assertEquals(longest.size, 6);
  for (const [id, wait] of longest) assertLessOrEqual(wait, id === "a" ? 2 : 8, id);
});

Deno.test("limits: small members fit beside large ones (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(10, clock, { maxMessageBytes: 32_768 });
  const large = new Owners(clock, (number) => entry("k", number, "x".repeat(11_000)));
  const small = new Owners(clock);
  large.change(a, others.slice(0, 5));
  small.change(a, others.slice(5));
  const { delta } = a.disseminate("b");
  assertEquals(idsOf(delta).sort(), ["m3", "m4", ...others.slice(5)]);
  assert(delta.partial);
});

Deno.test("limits: a delta larger than the room left is cut after an entry (E7)", () => {
  const clock = new TestClock();
  const { a, b } = pairAmong(2, clock, { maxMessageBytes: 32_768 });
  for (let key = 0; key < 10; key++) set(a, `k${key}`, "x".repeat(900), clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const entries = Array.from({ length: 10 }, (_, index) => entry(`k${index}`, index + 1, "x".repeat(900)));
  tell(
    a,
    "teller",
    [memberDelta("m0", incarnation, entries), memberDelta("m1", incarnation, entries)],
    clock,
  );
  const counts = () => a.disseminate("b").delta.members.map(({ id, entries }) => `${id} ${entries.length}`);
  assertEquals(counts(), ["a 10", "m1 10", "m0 5"]);
  exchange(a, b, { clock });
  // The rest is sent after the acknowledgement.
  exchange(a, b, { clock });
  assertEquals([counts(), b.view.entriesOf("m0").length, b.view.entriesOf("m1").length], [[], 10, 10]);
});

Deno.test("limits: reported versions in an answer reduce the room for members (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(60, clock, { maxMessageBytes: 16_384 });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  new Owners(clock, (number) => entry("k", number, "x".repeat(200))).change(a, others);
  const holds = new Map(Array.from({ length: 50 }, (_, index) => [`n${index}`, { incarnation, number: 1 }]));
  const without = a.disseminate("b").delta;
  const beside = a.disseminate("b", { holds }).delta;
  const room = 16_384 - ENVELOPE_BYTES;
  assertLessOrEqual(bytesOf(without), room);
  assertLessOrEqual(bytesOf(beside) + versionsBytes(holds), room);
  assert(beside.members.length < without.members.length);
  assert(bytesOf(beside) + versionsBytes(holds) > room - 1_000);
});

Deno.test("ask: names members without state here, by round-robin, where not all have room (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(9, clock, { gossipMaxSend: 8 });
  const owners = new Owners(clock);
  owners.change(a, ["m2", "m0", "m1"]);
  const asked = () =>
    [...note(a, a.prepareGossip("b")).holds].map(([id, hold]) => [id, hold.incarnation, hold.number]);
  const nothing = (...ids: string[]) => ids.map((id) => [id, NO_INCARNATION, 0]);
  // The peer itself is never among them, though it uses its turn.
  assertEquals(asked(), nothing("m3", "m4", "m5"));
  assertEquals(asked(), nothing("m6", "m7", "m8"));
  assertEquals(asked(), nothing("m3", "m4", "m5", "m6"));
  owners.change(a, others.slice(4));
  assertEquals(asked(), nothing("m3"));
  owners.change(a, ["m3"]);
  assertEquals(asked(), []);
});

Deno.test("ask: names no member where all have room, nor the peer, nor a blocked member (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(9, clock, { gossipMaxSend: 8 });
  new Owners(clock).change(a, others.slice(4));
  set(a, "k", 1, clock);
  const asked = () => [...note(a, a.prepareGossip("b")).holds.keys()].sort();
  assertEquals([...asked(), ...asked()].sort(), ["m0", "m0", "m1", "m1", "m2", "m3"]);
  note(a, a.setTopology({ members: ["a", "b", ...others], blocked: ["m0", "m3"] }, clock.now));
  assertEquals(asked(), ["m1", "m2"]);
  note(a, a.setTopology({ members: ["a", "b", ...others.slice(0, 6)], blocked: [] }, clock.now));
  assertEquals(asked(), []);
});

Deno.test("ask: takes at most an eighth of a message (E7)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock, { settings: { maxMessageBytes: 16_384 } });
  const ids = Array.from({ length: 60 }, (_, index) => `${index}`.padStart(200, "x"));
  note(a, a.setTopology({ members: ["a", ...ids], blocked: [] }, clock.now));
  const { holds } = note(a, a.prepareGossip("b"));
  assertLessOrEqual(versionsBytes(holds), 16_384 / 8);
  assertEquals(holds.size, 6);
});

Deno.test("ask: a member that the peer asks for is sent from the peer's version, before other changed members (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(20, clock, { gossipMaxSend: 4 });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const owners = new Owners(clock);
  for (let change = 0; change < 2; change++) owners.change(a, others);
  const sentFor = (asked: ReadonlyMap<string, KnownVersion>) =>
    note(a, a.disseminate("b", { asked })).delta.members.map(({ id, after }) => `${id} after ${after}`);
  assertEquals(sentFor(new Map()).slice(1), ["m19 after 0", "m18 after 0", "m17 after 0"]);
  const asked = new Map([["m7", { incarnation, number: 1 }], ["m3", {
    incarnation: NO_INCARNATION,
    number: 0,
  }]]);
  assertEquals(sentFor(asked).slice(1), ["m19 after 0", "m7 after 1", "m3 after 0"]);
  // An ask for more than half of the slots is ignored beyond them.
  const all = new Map(others.map((id) => [id, { incarnation, number: 1 }]));
  assertEquals(sentFor(all).slice(1), ["m19 after 0", "m0 after 1", "m1 after 1"]);
  // State that the peer has already, and an unknown member, cause no delta.
  const idle = new Map([["m7", { incarnation, number: 2 }], ["who", { incarnation, number: 0 }], ["a", {
    incarnation,
    number: 0,
  }]]);
  assertEquals(sentFor(idle).slice(1), ["m19 after 0", "m18 after 0", "m17 after 0"]);
});

Deno.test("ask: neither raises nor lowers a known version of the peer (E7)", () => {
  const clock = new TestClock();
  const { a, b, others } = pairAmong(6, clock, { gossipMaxSend: 4 });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  new Owners(clock).change(a, others);
  const claims = new Map(others.map((id) => [id, { incarnation, number: 99 }]));
  note(a, a.disseminate("b", { asked: claims }));
  for (let round = 0; round < 4; round++) exchange(a, b, { clock });
  assertEquals(others.map((id) => b.view.versionOf(id)?.number), [1, 1, 1, 1, 1, 1]);
  const forgotten = new Map(others.map((id) => [id, { incarnation: NO_INCARNATION, number: 0 }]));
  assertEquals(note(a, a.disseminate("b", { asked: forgotten })).delta.members, []);
});

Deno.test("disseminate: does not remember the versions in a peer's ask (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(20, clock, { gossipMaxSend: 4, departedRetention: 10_000 });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const owners = new Owners(clock);
  // Neither next by round-robin nor among the latest.
  owners.change(a, others.slice(0, 5));
  tell(a, "teller", memberDelta("m5", incarnation, [entry("k", 1, 1), entry("l", 2, 1)]), clock);
  owners.change(a, others.slice(6));
  const afterOf = (asked: ReadonlyMap<string, KnownVersion>) =>
    note(a, a.disseminate("b", { asked })).delta.members.find(({ id }) => id === "m5")?.after;
  const claim = new Map([["m5", { incarnation, number: 1 }]]);
  assertEquals(afterOf(claim), 1);
  // State of a member that has been gone for half the retention is not sent, and the claim is not kept either
  // (E11).
  const withoutM5 = ["a", "b", ...others.filter((id) => id !== "m5")];
  note(a, a.setTopology({ members: withoutM5, blocked: [] }, clock.now));
  clock.advance(5_000);
  note(a, a.tick(clock.now));
  assertEquals(afterOf(claim), undefined);
  note(a, a.setTopology({ members: ["a", "b", ...others], blocked: [] }, clock.now));
  assertEquals(afterOf(new Map([["m5", { incarnation, number: 0 }]])), 0);
});

Deno.test("limits: where a message has room for a tenth of the cluster, all receive all within some twenty rounds (E7)", () => {
  const clock = new TestClock();
  const ids = Array.from({ length: 60 }, (_, index) => `m${index}`);
  const engines = makeCluster(ids, clock, { settings: { gossipMaxSend: 6 } });
  const draw = drawFrom(7);
  for (const one of engines) set(one, "k", 1, clock);
  const missing = () => engines.reduce((sum, one) => sum + ids.length - [...one.view.memberIds()].length, 0);
  let rounds = 0;
  for (; missing() > 0 && rounds < 100; rounds++) {
    for (const one of engines) {
      const other = engines[draw(engines.length)]!;
      if (other === one) continue;
      greet(one, other, clock);
      exchange(one, other, { clock });
    }
  }
  assertLessOrEqual(rounds, 22);
});

Deno.test("limits: a value over half of maxMessageBytes is refused with the sizes, and nothing is changed (E7)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { maxMessageBytes: 32_768 } });
  set(a, "k", "before", clock);
  set(a, "other", 1, clock);
  const { digest } = a.view;
  eventsOf(a).clear();
  const limit = 32_768 / 2 - ENVELOPE_BYTES - memberBytes("a");
  const copy = copyJson("x".repeat(13_000));
  const bytes = entryBytes({ ...entry("k", 3, ""), json: copy.json });
  const error = assertThrows(() => a.set("k", copy, clock.now), RangeError, "half of maxMessageBytes");
  for (const part of [`${limit} bytes`, `${bytes}`, '"k"', "Nothing was changed"]) {
    assertStringIncludes(error.message, part);
  }
  assertEquals([valueOf(a, "a", "k"), a.view.digest, a.view.versionOf("a")?.number], ["before", digest, 2]);
  assertEquals(exchange(a, b, { clock }).request.members[0]?.entries.length, 2);
  assertEquals([set(a, "k", "after", clock), eventsOf(a).of("GossipUpdate").length], [3, 1]);
});

Deno.test("limits: an error counts the deleted keys that take room, and the room is free when they are forgotten (E7, E8)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock, { settings: { maxStateBytes: 16_384, tombstoneRetention: 1_000 } });
  for (let index = 0; index < 20; index++) {
    set(a, `deleted${index}`, 1, clock);
    remove(a, `deleted${index}`, clock);
  }
  const copy = copyJson("x".repeat(15_900));
  assertThrows(() => a.set("k", copy, clock.now), RangeError, "20 deleted keys count until");
  note(a, a.tick(clock.advance(2_000)));
  assertEquals(set(a, "k", "x".repeat(15_900), clock), 41);
});

Deno.test("limits: half of a message is usable to the last byte, where é takes two (E7)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock, { settings: { maxMessageBytes: 32_768 } });
  const limit = 32_768 / 2 - ENVELOPE_BYTES;
  const most = limit - memberBytes("a") - entryBytes(entry("k", 1, ""));
  set(a, "k", "x".repeat(most), clock);
  set(a, "l", "y".repeat(most), clock);
  assertThrows(() => set(a, "k", "z".repeat(most + 1), clock), RangeError);
  assertThrows(() => set(a, "k", "é".repeat(most / 2 + 1), clock), RangeError);
});

Deno.test("limits: maxStateBytes is usable to the last byte, and a replaced or deleted value frees its bytes (E7)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock, { settings: { maxStateBytes: 16_384 } });
  const most = 16_384 - storedBytes(entry("k", 1, ""));
  set(a, "k", "x".repeat(most), clock);
  set(a, "k", "y".repeat(most), clock);
  assertThrows(() => set(a, "k", "z".repeat(most + 1), clock), RangeError);
  assertThrows(() => set(a, "l", 1, clock), RangeError);
  remove(a, "k", clock);
  set(a, "l", 1, clock);
});

Deno.test("limits: a member publishes its own entries also where its user has filled maxStateBytes (E7)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { maxStateBytes: 16_384 } });
  const most = 16_384 - storedBytes(entry("k", 1, ""));
  set(a, "k", "x".repeat(most), clock);
  note(a, a.countHeartbeat({ worker: 7 }, clock.now));
  note(a, a.leave(clock.now));
  const { request } = exchange(a, b, { clock });
  assertEquals(request.members[0]?.entries.length, 4);
  assertEquals(b.view.get("a", HEARTBEAT_KEY)?.value, { actorStatistics: { actorCount: { worker: 7 } } });
});

Deno.test("limits: the state of a member that exceeds the limit is merged as far as it fits, and an event is emitted (E7)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock, { settings: { maxStateBytes: 16_384 } });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  tell(a, "c", memberDelta("b", incarnation, [entry("k", 1, "held")]), clock);
  const large = entry("x", 2, "x".repeat(1.5 * 16_384));
  tell(a, "c", memberDelta("b", incarnation, [large], { after: 1 }), clock);
  assertEquals([valueOf(a, "b", "k"), valueOf(a, "b", "x"), a.view.versionOf("b")?.number], [
    "held",
    undefined,
    1,
  ]);
  assertEquals(eventsOf(a).of("ConflictDetected"), [
    { type: "ConflictDetected", memberId: "b", reason: "limit", peerId: "c" },
  ]);
  tell(a, "c", memberDelta("b", incarnation, [entry("k", 1, "held"), large], { reset: true }), clock);
  tell(a, "c", memberDelta("c", incarnation, [entry("k", 1, 1), large]), clock);
  assertEquals([valueOf(a, "b", "x"), valueOf(a, "c", "x"), valueOf(a, "c", "k")], [undefined, undefined, 1]);
});

Deno.test("limits: at most maxMembers members are stored, and an event is emitted (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(9, clock, { maxMembers: 5 });
  const owners = new Owners(clock);
  owners.change(a, others);
  assertEquals([...a.view.memberIds()].length, 5);
  assertEquals(eventsOf(a).of("ConflictDetected").map(({ memberId, reason }) => `${memberId} ${reason}`), [
    "m4 limit",
    "m5 limit",
    "m6 limit",
    "m7 limit",
    "m8 limit",
  ]);
  // Changes of known members are still merged.
  owners.change(a, ["m0"]);
  assertEquals(valueOf(a, "m0", "k"), 2);
});

Deno.test("merge: of a new member, takes as many keys and bytes as fit, to the last (E7)", () => {
  const incarnation = makeIncarnation(new TestClock().wallMs, 0.5);
  const heldOf = (settings: Partial<typeof SETTINGS>, entries: readonly SentEntry[]) => {
    const clock = new TestClock();
    const [a] = makeCluster(["a", "b", "c"], clock, { settings });
    tell(a, "c", memberDelta("b", incarnation, entries), clock);
    return a.view.versionOf("b")?.number;
  };
  const keys = [1, 2, 3, 4].map((number) => entry(`k${number}`, number, 1));
  assertEquals(heldOf({ maxKeysPerMember: 2 }, keys), 3);
  const most = 1.5 * 16_384 - 2 * storedBytes(entry("k1", 1, "")) - 3;
  const large = (length: number) => [entry("k1", 1, "x".repeat(length)), entry("k2", 2, "xxx")];
  assertEquals(heldOf({ maxStateBytes: 16_384 }, large(most)), 2);
  assertEquals(heldOf({ maxStateBytes: 16_384 }, large(most + 1)), 1);
  // Not even the first entry fits.
  assertEquals(heldOf({ maxStateBytes: 16_384 }, large(2 * most)), undefined);
});

Deno.test("merge: measures a repair by reset by the state after it, and refuses it whole if that is too large (E7)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock, { settings: { maxKeysPerMember: 2 } });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const keys = (...numbers: number[]) => numbers.map((number) => entry(`k${number}`, number, 1));
  tell(a, "c", memberDelta("b", incarnation, keys(1, 2, 3)), clock);
  // In place of k1 and k2, and then in place of one of them alone.
  assertEquals(tell(a, "c", memberDelta("b", incarnation, keys(3, 4, 5), { reset: true }), clock), new Map());
  assertEquals(a.view.entriesOf("b").map(({ key }) => key), ["k3", "k4", "k5"]);
  const tooMany = memberDelta("b", incarnation, keys(4, 5, 6, 7), { reset: true });
  assertEquals(tell(a, "c", tooMany, clock), new Map([["b", { incarnation, number: 5 }]]));
  assertEquals(a.view.entriesOf("b").map(({ key }) => key), ["k3", "k4", "k5"]);
});

Deno.test("merge: old entries of a delta take no room from the newer ones (E7)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock, { settings: { maxKeysPerMember: 2 } });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const keys = [entry("k2", 2, 1), entry("k3", 3, 1), entry("k4", 4, 1)];
  tell(a, "c", memberDelta("b", incarnation, keys), clock);
  tell(a, "c", memberDelta("b", incarnation, [entry("k1", 1, 1), entry("k4", 5, 2)]), clock);
  assertEquals([valueOf(a, "b", "k4"), eventsOf(a).of("ConflictDetected")], [2, []]);
});

Deno.test("merge: cuts a delta that begins below the version where it exceeds a limit (E7)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock, { settings: { maxKeysPerMember: 2 } });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  tell(a, "c", memberDelta("b", incarnation, [entry("k1", 1, 1), entry("k2", 2, 1)]), clock);
  const more = [entry("k2", 2, 1), entry("k1", 3, 2), entry("k3", 4, 1), entry("k4", 5, 1)];
  tell(a, "c", memberDelta("b", incarnation, more), clock);
  assertEquals([a.view.versionOf("b")?.number, valueOf(a, "b", "k1"), valueOf(a, "b", "k4")], [
    4,
    2,
    undefined,
  ]);
});

Deno.test("disseminate: own state goes first again after a message in which all had room (E7)", () => {
  const clock = new TestClock();
  const { a, b, others } = pairAmong(4, clock, { gossipMaxSend: 1 });
  set(a, "own", 1, clock);
  exchange(a, b, { clock });
  set(a, "own", 2, clock);
  new Owners(clock).change(a, others);
  assertEquals(idsOf(a.disseminate("b").delta), ["a"]);
});
