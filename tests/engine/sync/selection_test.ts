import { assertEquals } from "../../../deps/std_assert.ts";
import {
  type Candidate,
  type Candidates,
  deltaBytes,
  maxPulled,
  type MessageRoom,
  roundRobinSlots,
  select,
  selectInOrder,
} from "../../../engine/sync/selection.ts";
import { entry, memberDelta } from "../harness.ts";
import { INCARNATION } from "../incarnations.ts";

/** Candidates by their names; `size` bytes of value each. */
function candidates(names: string, options: { readonly size?: number } = {}): Candidate[] {
  return [...names].map((id) => ({
    id,
    delta: () => memberDelta(id, INCARNATION, [entry("k", 1, "x".repeat(options.size ?? 1))]),
  }));
}

/** The selected members of those given: round-robin, asked and others; S is the own state. */
function chosen(inTurn: string, asked: string, names: string, room: Partial<MessageRoom> = {}): string {
  const given = candidatesOf(inTurn, asked, names);
  const deltas = select(given, { members: 8, bytes: 1_000_000, roundRobinFirst: false, ...room });
  return deltas.map(({ id }) => id).join("");
}

function candidatesOf(inTurn: string, asked: string, names: string): Candidates {
  const all = candidates(names);
  return {
    own: all.find(({ id }) => id === "S"),
    roundRobin: candidates(inTurn),
    pulled: candidates(asked),
    changed: all.filter(({ id }) => id !== "S"),
  };
}

Deno.test("select: takes the own state, a round-robin member, then two pulled, one changed and one round-robin member in turns (E7)", () => {
  assertEquals(chosen("ab", "cd", "EFGHIJS"), "SacdEbFG");
  assertEquals(chosen("abc", "defg", "HIJKS", { members: 50 }), "SadeHbfgIcJK");
});

Deno.test("select: half of the members come from the round-robin, even if bytes are the limit (E7)", () => {
  const small = deltaBytes(candidates("a")[0]!.delta(Infinity));
  assertEquals(chosen("abcdefgh", "", "IJKLMNOPS", { members: 50, bytes: 8 * small }), "SaIbJcKd");
});

Deno.test("select: takes changed members in the order in which they are given (E7)", () => {
  assertEquals(chosen("", "", "gbScfade"), "Sgbcfade");
  assertEquals(chosen("", "", "gbScfade", { members: 4 }), "Sgbc");
});

Deno.test("select: slots that round-robin and pull do not need go to changed members (E7)", () => {
  assertEquals(chosen("", "", "ABCDEFGHIS"), "SABCDEFG");
  assertEquals(chosen("A", "", "ABCDEFGHIS"), "SABCDEFG");
  assertEquals(chosen("A", "AB", "ABCDEFGHIS"), "SABCDEFG");
});

Deno.test("select: sends no member twice, even if two lists have it (E7)", () => {
  assertEquals(chosen("aB", "aB", "aBS"), "SaB");
});

Deno.test("select: with one slot takes own state, unless the round-robin member was left out before (E7)", () => {
  assertEquals(chosen("a", "", "aBS", { members: 1 }), "S");
  assertEquals(chosen("a", "", "aBS", { members: 1, roundRobinFirst: true }), "a");
  assertEquals(chosen("a", "", "aB", { members: 1 }), "a");
  assertEquals(chosen("", "", "", { members: 1, roundRobinFirst: true }), "");
});

Deno.test("select: rounds up the half for round-robin, and the half for pulled members (E7)", () => {
  assertEquals([1, 4, 5, 50].map(roundRobinSlots), [1, 2, 3, 25]);
  assertEquals([1, 4, 5, 50].map(maxPulled), [1, 2, 3, 25]);
});

Deno.test("select: takes a whole member or no part of it, and smaller members use the room that is left (E7)", () => {
  const [big] = candidates("B", { size: 10_000 });
  const small = deltaBytes(candidates("a")[0]!.delta(Infinity));
  const given = { ...candidatesOf("", "", "acS"), changed: [big!, ...candidates("ac")] };
  const deltas = select(given, { members: 50, bytes: 3 * small, roundRobinFirst: false });
  assertEquals(deltas.map(({ id }) => id), ["S", "a", "c"]);
  assertEquals(deltas.map(({ entries }) => entries.length), [1, 1, 1]);
});

Deno.test("select: fills a message to the last byte and not beyond (E7)", () => {
  const small = deltaBytes(candidates("a")[0]!.delta(Infinity));
  assertEquals(chosen("", "", "abcdefgh", { bytes: 5 * small }).length, 5);
  assertEquals(chosen("", "", "abcdefgh", { bytes: 5 * small - 1 }).length, 4);
  assertEquals(chosen("", "", "abcdefgh", { bytes: -1 }).length, 0);
});

Deno.test("select: plans deltas for no more members than there are slots (E6)", () => {
  let workedOut = 0;
  const changed = candidates("abcdefghijklmnopqrstuvwxyz").map((each) => ({
    ...each,
    delta: () => (workedOut++, each.delta(Infinity)),
  }));
  select({ ...candidatesOf("", "", ""), changed }, { members: 3, bytes: 1_000_000, roundRobinFirst: false });
  assertEquals(workedOut, 3);
});

Deno.test("selectInOrder: takes the members that fit in the given order, each once (E7)", () => {
  const small = deltaBytes(candidates("a")[0]!.delta(Infinity));
  const [big] = candidates("B", { size: 10_000 });
  const taken = (names: string, room: { members: number; bytes: number }) =>
    selectInOrder([...candidates(names), big!], room).map(({ id }) => id).join("");
  assertEquals(taken("cab", { members: 2, bytes: 1_000_000 }), "ca");
  assertEquals(taken("caca", { members: 50, bytes: 1_000_000 }), "caB");
  assertEquals(taken("cab", { members: 50, bytes: 3 * small }), "cab");
});
