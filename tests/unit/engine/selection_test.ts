import { assert, assertEquals } from "../../../deps/std_assert.ts";
import { type Candidate, deltaBytes, select } from "../../../engine/selection.ts";
import { entry, memberDelta } from "./harness.ts";

const LIFE = "018bcfe56800-80000000";

/** Candidates by their names: a capital has lasting changes; `size` bytes of value each. */
function candidates(names: string, options: { readonly size?: number } = {}): Candidate[] {
  return [...names].map((id) => ({
    id,
    lasting: id !== id.toLowerCase(),
    delta: () => memberDelta(id, LIFE, [entry("k", 1, "x".repeat(options.size ?? 1))]),
  }));
}

function chosen(names: string, members: number, longestFirst = false): string {
  const room = { selfId: "S", members, bytes: 1_000_000, longestFirst };
  return select(candidates(names), room).deltas.map(({ id }) => id).join("");
}

Deno.test("E7 own state goes first, then what waits longest, then lasting changes, the latest first, then the rest of a quarter", () => {
  // A quarter of 8 is 2: a and b. Lasting ones fill the places that are left but for b's.
  assertEquals(chosen("abcdEFGHIJKLS", 8), "SaLKJIHb");
});

Deno.test("E7 lasting changes go before heartbeats where there is room for both, of either the latest first", () => {
  assertEquals(chosen("abEcdFGS", 8), "SaGFEbdc");
});

Deno.test("E7 what waits longest keeps a quarter of the places however many lasting changes there are", () => {
  const lasting = Array.from({ length: 26 }, (_, index) => String.fromCharCode(65 + index)).join("");
  for (const [members, quarter] of [[4, 1], [8, 2], [9, 3], [20, 5]] as const) {
    const longest = "abcdefghij".slice(0, quarter);
    const told = chosen("abcdefghij" + lasting.replace("S", "") + "S", members);
    assertEquals(told.length, members);
    for (const id of longest) assert(told.includes(id), `${members}: ${told}`);
    assertEquals([...told].filter((id) => id !== id.toUpperCase()).length, quarter, told);
  }
});

Deno.test("E7 places of the quarter that nobody needs go to lasting changes", () => {
  assertEquals(chosen("ABCDEFGHIJKLS", 8), "SALKJIHB");
});

Deno.test("E7 with one place own state goes, unless the one that waits longest was left out before", () => {
  assertEquals(chosen("aBS", 1), "S");
  assertEquals(chosen("aBS", 1, true), "a");
  assertEquals(chosen("aB", 1), "a");
});

Deno.test("E7, E12 it is said when the one that waits longest was left out, and when something that lasts was", () => {
  const room = { selfId: "S", members: 1, bytes: 1_000_000, longestFirst: false };
  const { partial, longestLeftOut } = select(candidates("AS"), room);
  assertEquals([partial, longestLeftOut], [true, true]);
  const heartbeat = select(candidates("aS"), room);
  assertEquals([heartbeat.partial, heartbeat.longestLeftOut], [false, true]);
  const turn = select(candidates("aS"), { ...room, longestFirst: true });
  assertEquals([turn.partial, turn.longestLeftOut], [true, false]);
  const behind = select(candidates("abcCS"), { ...room, members: 2 });
  assertEquals([behind.partial, behind.longestLeftOut], [true, false]);
  const other = select(candidates("aBS"), { ...room, members: 2 });
  assertEquals([other.partial, other.longestLeftOut], [true, false]);
  const all = select(candidates("abS"), { ...room, members: 3 });
  assertEquals([all.partial, all.longestLeftOut], [false, false]);
  assertEquals(select([], room), { deltas: [], partial: false, longestLeftOut: false });
});

Deno.test("E7 a member goes in whole or not at all, and smaller ones take the room that it leaves", () => {
  const [big] = candidates("B", { size: 10_000 });
  const rest = candidates("acS");
  const small = deltaBytes(rest[0]!.delta());
  const room = { selfId: "S", members: 50, bytes: 3 * small, longestFirst: false };
  const { deltas, partial, longestLeftOut } = select([rest[0]!, big!, rest[1]!, rest[2]!], room);
  assertEquals(deltas.map(({ id }) => id), ["S", "a", "c"]);
  assertEquals(deltas.map(({ entries }) => entries.length), [1, 1, 1]);
  assertEquals([partial, longestLeftOut], [true, false]);
});

Deno.test("E7 a message is filled to the last byte and not beyond", () => {
  const names = "abcdefgh";
  const small = deltaBytes(candidates("a")[0]!.delta());
  const room = { selfId: "S", members: 50, longestFirst: false };
  assertEquals(select(candidates(names), { ...room, bytes: 5 * small }).deltas.length, 5);
  assertEquals(select(candidates(names), { ...room, bytes: 5 * small - 1 }).deltas.length, 4);
  assertEquals(select(candidates(names), { ...room, bytes: -1 }).deltas.length, 0);
});

Deno.test("E7 the one that waits longest comes first in the next message where bytes left it out", () => {
  const [own, big] = candidates("Sb", { size: 600 });
  const room = { selfId: "S", members: 50, bytes: 1_200, longestFirst: false };
  const first = select([big!, own!], room);
  assertEquals([first.deltas.map(({ id }) => id), first.longestLeftOut], [["S"], true]);
  const second = select([big!, own!], { ...room, longestFirst: first.longestLeftOut });
  assertEquals([second.deltas.map(({ id }) => id), second.longestLeftOut], [["b"], false]);
});

Deno.test("E6 what would be told is worked out for no more members than there are places", () => {
  let workedOut = 0;
  const many = candidates("abcdefghijklmnopqrstuvwxyz").map((each) => ({
    ...each,
    delta: () => (workedOut++, each.delta()),
  }));
  select(many, { selfId: "S", members: 3, bytes: 1_000_000, longestFirst: false });
  assertEquals(workedOut, 3);
});
