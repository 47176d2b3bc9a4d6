import { assert, assertEquals } from "../../../deps/std_assert.ts";
import { SetHash } from "../../../engine/state/digest.ts";
import { entryHeapBytes } from "../../../engine/state/heap_estimate.ts";
import { type KnownChanges, MemberState } from "../../../engine/state/member_state.ts";
import { NO_INCARNATION } from "../../../engine/incarnation.ts";
import { ChangeRanges } from "../../../engine/sync/change_ranges.ts";
import { entryBytes, memberBytes, storedBytes } from "../../../engine/state/size.ts";
import { HEARTBEAT_KEY, type SentEntry, TYPE } from "../../../engine/types.ts";
import { entry, heartbeat, tombstone } from "../harness.ts";
import { INCARNATION } from "../incarnations.ts";

/** A state with these entries, each put under its own serial, from 1 up. */
function stateOf(...entries: readonly SentEntry[]): MemberState {
  const state = new MemberState("m", INCARNATION);
  entries.forEach((each, index) => state.put({ ...each, timestampMs: 0 }, index + 1));
  return state;
}

/** A peer with all changes up to a serial. */
function knownTo(serial: number): KnownChanges {
  const known = { changes: new ChangeRanges() };
  known.changes.add(0, serial);
  return known;
}

function numbersOf(state: MemberState, after: number): number[] | undefined {
  return state.deltaAfter(after)?.entries.map(({ number }) => number);
}

Deno.test("delta: lists every live entry above a number, in rising order (E4)", () => {
  const state = stateOf(entry("a", 1, 1), entry("b", 2, 1), entry("c", 3, 1), entry("a", 4, 2));
  const { entries, ...rest } = state.deltaAfter(2)!;
  assertEquals(rest, { id: "m", incarnation: INCARNATION, after: 2, reset: false });
  assertEquals(
    entries.map(({ key, number, type, value, json }) => ({ key, number, type, value, json })),
    [entry("c", 3, 1), entry("a", 4, 2)],
  );
  assertEquals(numbersOf(state, 0), [2, 3, 4]);
  assertEquals(state.deltaAfter(4), undefined);
  assertEquals(state.deltaAfter(9), undefined);
});

Deno.test("delta: lists tombstones like any entry (E8)", () => {
  const state = stateOf(entry("a", 1, 1), tombstone("a", 2));
  assertEquals(numbersOf(state, 0), [2]);
  assertEquals(state.live("a"), undefined);
  assertEquals(state.get("a")?.number, 2);
});

Deno.test("MemberState: the version is the number of the last entry put (E4)", () => {
  assertEquals(new MemberState("m", INCARNATION).put({ ...entry("a", 3, 1), timestampMs: 0 }, 7).position, 3);
  assertEquals(stateOf().version, 0);
  assertEquals(stateOf(entry("a", 3, 1), entry("b", 8, 1)).version, 8);
});

Deno.test("MemberState: a known version is the number of the nearest live entry whose change the peer has (E4)", () => {
  const state = stateOf(entry("a", 10, 1), entry("b", 20, 1), entry("c", 30, 1), entry("b", 40, 2));
  // Serial 2 belongs to the entry b with the number 20, which the entry with the number 40 has replaced.
  assertEquals([0, 1, 2, 3, 4, 9].map((serial) => state.ackedVersion(knownTo(serial))), [
    0,
    10,
    10,
    30,
    40,
    40,
  ]);
  const known = knownTo(0);
  known.changes.add(2, 3);
  assertEquals(state.ackedVersion(known), 30);
});

Deno.test("MemberState: a known version is not below a floor that the peer has, so that a forgotten tombstone costs no reset (E8)", () => {
  const state = stateOf(entry("a", 1, 1), entry("b", 2, 1), tombstone("b", 3), entry(HEARTBEAT_KEY, 4, {}));
  state.dropTombstone(state.get("b")!);
  state.put({ ...entry(HEARTBEAT_KEY, 5, {}), timestampMs: 0 }, 5);
  assertEquals(state.floor, 3);
  assertEquals([2, 3, 4].map((serial) => state.ackedVersion(knownTo(serial))), [1, 3, 3]);
  assertEquals(numbersOf(state, state.ackedVersion(knownTo(4))), [5]);
  assertEquals(state.deltaAfter(3)?.reset, false);
  assertEquals(state.deltaAfter(state.ackedVersion(knownTo(2)))?.reset, true);
});

Deno.test("MemberState.ackedVersion: a floor counts only for a peer with the change that raised it (E8)", () => {
  const state = stateOf(entry("a", 1, 1), entry("b", 4, 1));
  state.raiseFloor({ number: 4, serial: 7 });
  assertEquals(state.ackedVersion(knownTo(0)), 0);
  const known = knownTo(1);
  assertEquals(state.ackedVersion(known), 1);
  known.changes.add(6, 7);
  assertEquals(state.ackedVersion(known), 4);
  // An equal floor is not another change.
  state.raiseFloor({ number: 4, serial: 9 });
  assertEquals(state.ackedVersion(known), 4);
});

Deno.test("MemberState: begins without entries, heartbeats and acknowledgements", () => {
  const state = stateOf();
  const { version, highestNumber, heartbeatCount, heartbeatWallMs, heartbeatMonotonicMs, size } = state;
  assertEquals([version, highestNumber, state.ackedByAll, state.slot, state.floor], [0, 0, 0, 0, 0]);
  assertEquals([heartbeatCount, heartbeatWallMs, heartbeatMonotonicMs], [0, 0, -Infinity]);
  assertEquals(size, { keys: 0, bytes: 0, sentBytes: 0, heapBytes: 0 });
});

Deno.test("MemberState.isCoveredBy: compares stored entries above a position with received entries", () => {
  const state = stateOf(entry("a", 1, 1), entry("b", 2, 1), entry("c", 5, 1));
  const entries = (...numbers: readonly [key: string, number: number][]) =>
    numbers.map(([key, number]) => entry(key, number, 1));
  assertEquals(state.isCoveredBy(entries(["a", 1], ["b", 2], ["c", 5]), 0), true);
  assertEquals(state.isCoveredBy(entries(["b", 3], ["c", 5]), 1), true);
  assertEquals(state.isCoveredBy(entries(["b", 2], ["c", 5]), 0), false);
  assertEquals(state.isCoveredBy(entries(["b", 1], ["c", 5]), 1), false);
  assertEquals(state.isCoveredBy(entries(["b", 2]), 2), false);
  assertEquals(state.isCoveredBy([], 5), true);
});

Deno.test("MemberState: positions of an unversioned member are serials, and its highest number counts (E4)", () => {
  const state = new MemberState("m", NO_INCARNATION);
  state.put({ ...entry("a", 9, 1), timestampMs: 0 }, 1);
  state.put({ ...entry("b", 3, 1), timestampMs: 0 }, 2);
  state.put({ ...heartbeat(50), timestampMs: 0 }, 3);
  assertEquals([state.isUnversioned, state.version, state.highestNumber], [true, 3, 9]);
  // In rising order of number, whole, and never as a reset with an end.
  const { after, reset, end, entries } = state.deltaAfter(1, { maxBytes: 1 })!;
  assertEquals([after, reset, end, entries.map(({ number }) => number)], [0, false, undefined, [3, 50]]);
  assertEquals(numbersOf(state, 0), [3, 9, 50]);
  const known = knownTo(1);
  assertEquals([state.ackedVersion(known), state.isAckedBy(known)], [1, false]);
  known.changes.add(2, 3);
  assertEquals([state.ackedVersion(known), state.isAckedBy(known)], [1, false]);
  state.recordAck(known, 2);
  assertEquals(state.isAckedBy(known), false);
  state.recordAck(known, 3);
  assertEquals([state.ackedVersion(known), state.isAckedBy(known)], [3, true]);
});

Deno.test("MemberState.isAckedBy: is true for a peer that knows the latest change, and for an empty state (E5)", () => {
  const empty = stateOf();
  empty.changedSerial = 5;
  assertEquals(empty.isAckedBy(knownTo(0)), true);
  const state = stateOf(entry("a", 1, 1), entry("b", 2, 1));
  state.changedSerial = 2;
  assertEquals([1, 2].map((serial) => state.isAckedBy(knownTo(serial))), [false, true]);
  const known = knownTo(0);
  state.recordAck(known, 1);
  assertEquals(state.isAckedBy(known), false);
  state.recordAck(known, 2);
  assertEquals([1, 2, 3].map((serial) => known.changes.has(serial)), [false, true, false]);
  assertEquals(state.isAckedBy(known), true);
});

Deno.test("MemberState.attachSignature: a delta ends at the entry up to which the state is signed, and has the signature (E4)", () => {
  const state = stateOf(entry("a", 1, 1), tombstone("b", 2));
  assertEquals([state.signedUpTo, state.signature], [0, undefined]);
  const draft = state.unsignedSnapshot();
  const { state: claim } = draft;
  assertEquals([claim.id, claim.incarnation, claim.number], ["m", INCARNATION, 2]);
  assertEquals(claim.entries.map(({ key }) => key), ["a"]);
  assertEquals(draft.entries.map(({ number }) => number), [1, 2]);
  state.attachSignature(draft, "signature");
  state.put({ ...entry("c", 3, 1), timestampMs: 0 }, 3);
  assertEquals([state.signedUpTo, state.signature], [2, "signature"]);
  assertEquals(state.signedBytes, entryBytes(entry("a", 1, 1)) + entryBytes(tombstone("b", 2)));
  const whole = state.deltaAfter(0)!;
  assertEquals([whole.signature, whole.entries.map(({ number }) => number)], ["signature", [1, 2]]);
  assertEquals(state.deltaAfter(1)!.entries.map(({ number }) => number), [2]);
  assertEquals(state.deltaAfter(2), undefined);
  const { after, reset, end } = state.deltaAfter(1, { reset: true })!;
  assertEquals([after, reset, end], [0, true, 2]);
});

Deno.test("MemberState: a forgotten tombstone raises the floor, and a peer below it gets the whole state as a reset (E8)", () => {
  const state = stateOf(entry("a", 1, 1), entry("b", 2, 1), tombstone("b", 3), entry("c", 4, 1));
  assertEquals(state.floor, 0);
  state.dropTombstone(state.get("b")!);
  assertEquals(state.floor, 3);
  assertEquals(state.get("b"), undefined);
  const { reset, after, entries } = state.deltaAfter(2)!;
  assertEquals([reset, after, entries.map(({ number }) => number)], [true, 0, [1, 4]]);
  assertEquals(state.deltaAfter(3)?.reset, false);
  assertEquals(numbersOf(state, 3), [4]);
});

Deno.test("MemberState.deletions: are the kept tombstones, in the order of deletion (E8)", () => {
  const state = stateOf(entry("a", 1, 1), tombstone("a", 2), tombstone("b", 3), tombstone("c", 4));
  const keys = () => [...state.deletions].map((each) => each.key);
  assertEquals([keys(), [...stateOf(entry("a", 1, 1)).deletions]], [["a", "b", "c"], []]);
  state.dropTombstone(state.get("b")!);
  assertEquals(keys(), ["a", "c"]);
  state.put({ ...entry("a", 5, 2), timestampMs: 0 }, 5);
  assertEquals(keys(), ["c"]);
});

Deno.test("MemberState: the floor is the highest forgotten number, in any order of forgetting (E8)", () => {
  const state = stateOf(tombstone("a", 1), tombstone("b", 2), entry("c", 3, 1));
  state.dropTombstone(state.get("b")!);
  state.dropTombstone(state.get("a")!);
  assertEquals(state.floor, 2);
});

Deno.test("MemberState: a reset has the whole state for any version (E8)", () => {
  const state = stateOf(entry("a", 1, 1), entry("b", 2, 1));
  const { reset, after, end, entries } = state.deltaAfter(0, { reset: true })!;
  assertEquals([reset, after, end, entries.length], [true, 0, 2, 2]);
});

Deno.test("MemberState: a reset that is cut continues after its last part, and has the end of the state (E8)", () => {
  const state = stateOf(entry("a", 1, 1), entry("b", 2, 1), tombstone("c", 3), entry("d", 4, 1));
  state.dropTombstone(state.get("c")!);
  const room = (entries: number) => memberBytes("x") + entries * entryBytes(entry("a", 1, 1));
  const first = state.deltaAfter(1, { maxBytes: room(2) })!;
  assertEquals([first.reset, first.after, first.end], [true, 0, 4]);
  assertEquals(first.entries.map(({ number }) => number), [1, 2]);
  const second = state.deltaAfter(2, { reset: true, maxBytes: room(2) })!;
  assertEquals([second.reset, second.after, second.end], [true, 2, 4]);
  assertEquals(second.entries.map(({ number }) => number), [4]);
});

Deno.test("MemberState.repairedBy: lists all entries after a part of a reset that shows a stored entry to be wrong (E8)", () => {
  const state = stateOf(entry("a", 1, 1), entry("b", 2, 1), entry("c", 5, 1), entry("d", 8, 1));
  const part = (after: number, ...entries: SentEntry[]) => {
    const delta = { id: "x", incarnation: INCARNATION, after, reset: true, entries };
    return state.isWrongBy(delta)
      ? state.repairedBy(delta).map(({ key, number }) => [key, number])
      : undefined;
  };
  // The stored entries equal the sent ones, as far as the part goes.
  assertEquals(part(0, entry("a", 1, 1), entry("b", 2, 1)), undefined);
  assertEquals(part(8, entry("e", 9, 1)), undefined);
  assertEquals(part(2), undefined);
  // As far as the last entry of the part, whatever the first is.
  assertEquals(part(0, entry("a", 1, 1), entry("c", 5, 1)), [["a", 1], ["c", 5], ["d", 8]]);
  // An omitted deletion contradicts nothing.
  assertEquals(part(2, tombstone("z", 4), entry("c", 5, 1)), undefined);
  // A stored entry that is not sent is removed; entries before the part and after it stay.
  assertEquals(part(1, entry("c", 5, 1)), [["a", 1], ["c", 5], ["d", 8]]);
  // Another value under the same number.
  assertEquals(part(1, entry("b", 2, 7)), [["a", 1], ["b", 2], ["c", 5], ["d", 8]]);
  // A key that is stored under an earlier number is sent under a later one.
  assertEquals(part(2, entry("a", 4, 1), entry("c", 5, 1)), [["b", 2], ["a", 4], ["c", 5], ["d", 8]]);
  // A key that is stored under a number after the part was set later.
  assertEquals(part(4, entry("c", 5, 1), entry("d", 6, 1)), undefined);
  assertEquals(part(5, entry("d", 6, 1), entry("a", 7, 2)), [["b", 2], ["c", 5], ["a", 7], ["d", 8]]);
  // A key under the number of a deletion that was forgotten, which was the last of all.
  state.put({ ...tombstone("z", 9), timestampMs: 0 }, 5);
  state.dropTombstone(state.get("z")!);
  assertEquals(part(8, entry("y", 9, 1)), [["a", 1], ["b", 2], ["c", 5], ["d", 8], ["y", 9]]);
});

Deno.test("MemberState: the bytes are those of the present entries (E7)", () => {
  const [a, b, c] = [entry("a", 1, "xx"), entry("b", 2, "y"), entry("a", 3, "z".repeat(50))];
  const state = stateOf(a!, b!);
  const sizeOf = (...entries: SentEntry[]) => ({
    keys: entries.length,
    bytes: entries.reduce((sum, each) => sum + storedBytes(each), 0),
    sentBytes: entries.reduce((sum, each) => sum + entryBytes(each), 0),
    heapBytes: entries.reduce((sum, each) => sum + entryHeapBytes(each), 0),
  });
  assertEquals(state.size, sizeOf(a!, b!));
  assertEquals(state.sizeWith(c!), sizeOf(b!, c!));
  assertEquals(state.sizeWith(entry("d", 3, 1)), sizeOf(a!, b!, entry("d", 3, 1)));
  assertEquals(state.size, sizeOf(a!, b!));
  state.put({ ...c!, timestampMs: 0 }, 3);
  assertEquals(state.size, sizeOf(b!, c!));
  state.put({ ...tombstone("b", 4), timestampMs: 0 }, 4);
  assertEquals(state.size, sizeOf(c!, tombstone("b", 4)));
  state.dropTombstone(state.get("b")!);
  assertEquals(state.size, sizeOf(c!));
});

Deno.test("MemberState.sum: depends on the stored state, not on its history (E12)", () => {
  const long = stateOf(
    entry("a", 1, 1),
    entry(HEARTBEAT_KEY, 2, {}),
    entry("b", 3, 1),
    tombstone("a", 4),
    entry("b", 5, 2),
  );
  const short = stateOf(entry(HEARTBEAT_KEY, 2, {}), tombstone("a", 4), entry("b", 5, 2));
  assertEquals(`${long.sum}`, `${short.sum}`);
  const setAnew = stateOf(entry("a", 1, 1), tombstone("a", 2), entry("a", 3, 1));
  assertEquals(`${setAnew.sum}`, `${stateOf(entry("a", 3, 1)).sum}`);
});

Deno.test("MemberState.sum: adds up the live entries and the last set or delete, of every key (E12)", () => {
  // By github.com/twmb/murmur3: of "m\0<life>\0a\x001" and of "m\0<life>\x001".
  assertEquals(`${stateOf(entry("a", 1, "whatever")).sum}`, "07f33272f2c1daac");
  // Likewise of "m\0<life>\x002" alone: a tombstone is no live entry.
  assertEquals(`${stateOf(tombstone("a", 2)).sum}`, "89e4185e38a9a221");
  // Statistics of heartbeats are state like any other; the count is not.
  const statistics = stateOf(entry(HEARTBEAT_KEY, 2, {}));
  const before = `${statistics.sum}`;
  const expected = new SetHash();
  expected.add("m", INCARNATION, HEARTBEAT_KEY, "2");
  expected.add("m", INCARNATION, "2");
  assertEquals(before, `${expected}`);
  statistics.heartbeatCount = 17;
  assertEquals(`${statistics.sum}`, before);
});

Deno.test("MemberState.sum: follows every put, even without a read between two puts (E12)", () => {
  const [asked, unasked] = [stateOf(), stateOf()];
  for (let number = 1; number <= 20; number++) {
    const each = { ...(number % 5 === 0 ? tombstone("k0", number) : entry(`k${number % 3}`, number, 1)) };
    for (const state of [asked, unasked]) state.put({ ...each, timestampMs: 0 }, number);
    assertEquals(`${asked.sum}`.length, 16);
  }
  assertEquals(`${asked.sum}`, `${unasked.sum}`);
});

Deno.test("MemberState.get: returns the value of the JSON text, or the decoded value of packed bytes", () => {
  const packed = { typeUrl: "x/y.Z", bytes: "AA==" };
  const put = {
    ...{ key: "p", number: 2, type: TYPE.packed, timestampMs: 0 },
    ...{ value: { decoded: [1] }, json: JSON.stringify(packed) },
  };
  const state = stateOf(entry("a", 1, { deep: ["x", null] }), tombstone("t", 3));
  state.put(put, 4);
  assertEquals(["a", "p", "t"].map((key) => state.get(key)?.value), [
    { deep: ["x", null] },
    { decoded: [1] },
    undefined,
  ]);
  assertEquals([state.get("p")?.json, state.live("t")], [put.json, undefined]);
});

Deno.test("MemberState.tag: is four base64url digits of the id and the incarnation alone (L2)", () => {
  const tags = new Set<string>();
  for (
    const [id, incarnation] of [["m", INCARNATION], ["n", INCARNATION], [
      "m",
      "018bcfe56800-80000001",
    ]] as const
  ) {
    const state = new MemberState(id, incarnation);
    const before = state.tag;
    state.put({ ...entry("a", 1, 1), timestampMs: 0 }, 1);
    assertEquals([state.tag, new MemberState(id, incarnation).tag], [before, before]);
    assert(/^[A-Za-z0-9_-]{4}$/.test(before), before);
    tags.add(before);
  }
  assertEquals(tags.size, 3);
  // By another implementation of murmur3: the lower 24 of 32 bits over "m\0<life>" with seed 0.
  assertEquals(stateOf().tag, "MLSG");
});

Deno.test("MemberState: keys that are set 1,000 times take one entry each (E6)", () => {
  const state = stateOf(entry("a", 1, 1), entry("b", 2, 1));
  for (let number = 3; number < 2_000; number++) {
    state.put({ ...entry(number % 2 === 0 ? "c" : "d", number, number), timestampMs: 0 }, number);
  }
  assertEquals([...state.entries()].map(({ number }) => number), [1, 2, 1_998, 1_999]);
  assertEquals(state.ackedVersion(knownTo(1_997)), 2);
});

Deno.test("MemberState: a key that is set repeatedly takes one entry (E6)", () => {
  const state = stateOf(entry("a", 1, 1));
  for (let number = 2; number < 1_000; number++) {
    state.put({ ...entry(HEARTBEAT_KEY, number, {}), timestampMs: 0 }, number);
  }
  assertEquals(numbersOf(state, 0), [1, 999]);
});

Deno.test("MemberState: finds and counts few keys and many (E6)", () => {
  const state = stateOf();
  for (let number = 1; number <= 60; number++) {
    const key = `k${number % 20}`;
    state.put({ ...entry(key, number, number), timestampMs: 0 }, number);
    assertEquals(state.get(key)?.number, number);
    assertEquals(state.get(`k${(number + 1) % 20}`)?.number, number < 20 ? undefined : number - 19);
    assertEquals(state.size.keys, Math.min(number, 20));
    assertEquals(state.sizeWith(entry("k0", 100, 1)).keys, Math.min(number, 20) + (number < 20 ? 1 : 0));
  }
  for (let key = 0; key < 20; key++) state.dropTombstone(state.get(`k${key}`)!);
  assertEquals([[...state.entries()], state.get("k7"), state.size.keys], [[], undefined, 0]);
});

Deno.test("MemberState.deltaAfter: is cut after an entry, and has at least one entry (E7)", () => {
  const state = stateOf(entry("a", 1, "x"), entry("b", 2, "x"), entry("c", 3, "x"));
  const each = entryBytes(entry("a", 1, "x"));
  const counts = [0, 1, 2, 3].map((fit) => {
    const room = memberBytes("m") + fit * each;
    const sent = (maxBytes: number) => state.deltaAfter(0, { maxBytes })!.entries.length;
    return [sent(room), sent(room + each - 1)];
  });
  assertEquals(counts, [[1, 1], [1, 1], [2, 2], [3, 3]]);
});

Deno.test("MemberState.deltaAfter: cuts no signed state (E7)", () => {
  const state = stateOf(entry("a", 1, "x"), entry("b", 2, "x"));
  state.receivedSignature = "signature";
  assertEquals([state.signedUpTo, state.signature, state.signedBytes], [
    2,
    "signature",
    state.size.sentBytes,
  ]);
  const { entries, signature: proof } = state.deltaAfter(0, { maxBytes: 1 })!;
  assertEquals([entries.length, proof], [2, "signature"]);
  // It is over the whole state, so that one without its end has none.
  state.put({ ...tombstone("c", 3), timestampMs: 0 }, 3);
  state.dropTombstone(state.get("c")!);
  assertEquals(state.deltaAfter(0)!.signature, undefined);
});
