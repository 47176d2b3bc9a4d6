import { assertEquals } from "../../../deps/std_assert.ts";
import { signedStateOf } from "../../../engine/sync/signed_state.ts";
import { makeIncarnation, NO_INCARNATION } from "../../../engine/incarnation.ts";
import { MemberState } from "../../../engine/state/member_state.ts";
import type { MemberDelta, SentEntry } from "../../../engine/types.ts";
import { entry, memberDelta, tombstone, WALL_START_MS } from "../harness.ts";

const [EARLIER, LIFE, LATER] = [1, 2, 3].map((ms) => makeIncarnation(WALL_START_MS + ms, 0.5)) as [
  string,
  string,
  string,
];
const HELD = [entry("x", 1, 1), entry("y", 2, 1), entry("z", 3, 1)];

function held(): MemberState {
  const member = new MemberState("m", LIFE);
  for (const each of HELD) member.put({ ...each, timestampMs: 0 }, each.number);
  return member;
}

/** The signed state of a delta of the stored incarnation, as pairs of key and number. */
function signed(entries: readonly SentEntry[], more: Partial<MemberDelta> = {}): string | undefined {
  const delta = { ...memberDelta("m", LIFE, entries), ...more };
  const state = signedStateOf(delta, held());
  if (state) assertEquals([state.id, state.incarnation], ["m", delta.incarnation]);
  return state && `${state.number}: ${state.entries.map(({ key, number }) => `${key}${number}`).join(" ")}`;
}

Deno.test("signedStateOf: is the state after the merge without deletions, in the order of each key's last entry (E4)", () => {
  assertEquals(signed([entry("x", 4, 2)], { after: 3 }), "4: y2 z3 x4");
  assertEquals(signed([tombstone("y", 4)], { after: 3 }), "4: x1 z3");
  assertEquals(signed([entry("y", 4, 2), entry("w", 5, 1)], { after: 2 }), "5: x1 z3 y4 w5");
});

Deno.test("signedStateOf: ignores entries that are not newer, whatever their values (E3)", () => {
  assertEquals(signed([entry("gone", 2, "a lie"), entry("x", 3, "a lie"), entry("y", 4, 2)]), "4: x1 z3 y4");
});

Deno.test("signedStateOf: is empty for a delta without entries, without newer entries, or after a gap (E4)", () => {
  assertEquals(signed([], { after: 3 }), undefined);
  assertEquals(signed([entry("z", 3, 2)]), undefined);
  assertEquals(signed([entry("w", 5, 1)], { after: 4 }), undefined);
  assertEquals(signed([entry("w", 5, 1)], { after: 1, incarnation: LATER }), undefined);
});

Deno.test("signedStateOf: is empty for an earlier incarnation, and is the delta alone for a later incarnation (E1)", () => {
  assertEquals(signed([entry("w", 9, 1)], { incarnation: EARLIER }), undefined);
  assertEquals(signed([entry("w", 1, 1)], { incarnation: LATER }), "1: w1");
  assertEquals(signed([entry("w", 1, 1)], { incarnation: LATER, reset: true }), "1: w1");
});

Deno.test("signedStateOf: is the delta for an unknown member, and empty for an unversioned member", () => {
  const delta = memberDelta("m", LIFE, [entry("w", 1, 1), entry("v", 2, 1)]);
  assertEquals(signedStateOf(delta, undefined)?.entries.map(({ key }) => key), ["w", "v"]);
  assertEquals(signedStateOf({ ...delta, reset: true }, undefined)?.number, 2);
  assertEquals(signedStateOf({ ...delta, after: 1 }, undefined), undefined);
  assertEquals(signedStateOf({ ...delta, incarnation: NO_INCARNATION }, undefined), undefined);
});

Deno.test("signedStateOf: is the whole reset alone, and empty for a part or an older state (E8)", () => {
  assertEquals(signed([entry("y", 2, 1), entry("z", 3, 1)], { reset: true }), "3: y2 z3");
  assertEquals(signed([entry("y", 2, 1), entry("w", 5, 1)], { reset: true }), "5: y2 w5");
  assertEquals(signed([entry("y", 2, 1)], { reset: true }), undefined);
  assertEquals(signed([entry("z", 3, 1), entry("w", 4, 1)], { reset: true, after: 1 }), undefined);
});
