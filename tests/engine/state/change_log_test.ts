import { assert, assertEquals, assertLessOrEqual } from "../../../deps/std_assert.ts";
import { ChangeLog } from "../../../engine/state/change_log.ts";
import { MemberState } from "../../../engine/state/member_state.ts";
import { INCARNATION } from "../incarnations.ts";

function change(order: ChangeLog, id: string): void {
  order.nextSerial();
  order.recordChange(order.get(id)!);
}

function orderOf(...ids: readonly string[]): ChangeLog {
  const order = new ChangeLog();
  for (const id of ids) {
    order.add(new MemberState(id, INCARNATION));
    change(order, id);
  }
  return order;
}

function idsAfter(order: ChangeLog, serial: number): string {
  return [...order.changes.newestFirst(serial)].map(({ id }) => id).reverse().join("");
}

Deno.test("ChangeLog: lists members changed after a serial in the order of change (E6)", () => {
  const order = orderOf("a", "b", "c");
  assertEquals(order.serial, 3);
  assertEquals([0, 1, 2, 3].map((serial) => idsAfter(order, serial)), ["abc", "bc", "c", ""]);
});

Deno.test("ChangeLog: after removals each slot has another member (E7)", () => {
  const order = orderOf("a", "b", "c", "d");
  const ids = () => Array.from({ length: order.size }, (_, turn) => order.atSlot(turn).id).join("");
  assertEquals(ids(), "abcd");
  order.remove("a");
  assertEquals(ids(), "dbc");
  order.remove("d");
  assertEquals(ids(), "cb");
  order.remove("c");
  assertEquals([ids(), order.atSlot(7).id], ["b", "b"]);
});

Deno.test("ChangeLog: a member that changes again moves to the end, from any position (E6)", () => {
  const order = orderOf("a", "b", "c");
  change(order, "b");
  assertEquals(idsAfter(order, 0), "acb");
  assertEquals(idsAfter(order, 3), "b");
  change(order, "a");
  assertEquals(idsAfter(order, 0), "cba");
  change(order, "a");
  assertEquals(idsAfter(order, 0), "cba");
  assertEquals(idsAfter(order, 5), "a");
  assertEquals(order.size, 3);
});

Deno.test("ChangeLog: a removed member is not listed, from any position (E6)", () => {
  for (const [dropped, left] of [["a", "bc"], ["b", "ac"], ["c", "ab"]] as const) {
    const order = orderOf("a", "b", "c");
    order.remove(dropped);
    assertEquals(idsAfter(order, 0), left);
    assertEquals(order.get(dropped), undefined);
    assertEquals(order.size, 2);
    change(order, left[0]!);
    assertEquals(idsAfter(order, 0), left[1]! + left[0]!);
  }
  const order = orderOf("a");
  order.remove("a");
  order.remove("a");
  assertEquals(idsAfter(order, 0), "");
});

Deno.test("ChangeLog: a later incarnation replaces an earlier incarnation (E1)", () => {
  const order = orderOf("a", "b");
  const renewed = new MemberState("a", "018bcfe56801-80000000");
  order.add(renewed);
  change(order, "a");
  assertEquals(idsAfter(order, 0), "ba");
  assert(order.get("a") === renewed);
  assertEquals([...order.members()].length, 2);
});

Deno.test("ChangeLog: reads only the members that changed, however many there are (E6)", () => {
  const order = orderOf(...Array.from({ length: 10_000 }, (_, index) => `m${index}`));
  change(order, "m17");
  change(order, "m4711");
  let looked = 0;
  for (const member of order.members()) {
    let now = member.older;
    Object.defineProperty(member, "older", {
      get: () => (looked++, now),
      set: (value) => void (now = value),
    });
  }
  assertEquals(idsAfter(order, 10_000), "m17m4711");
  assertLessOrEqual(looked, 2);
  looked = 0;
  assertEquals(idsAfter(order, order.serial), "");
  assertEquals(looked, 0);
});

Deno.test("ChangeLog: equals a plain list after many random changes (E6)", () => {
  const ids = [..."abcdefgh"];
  const order = orderOf(...ids);
  let list = ids.map((id, index) => ({ id, serial: index + 1 }));
  let seed = 7;
  for (let step = 0; step < 2_000; step++) {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    const id = ids[(seed >> 8) % ids.length]!;
    list = list.filter((each) => each.id !== id);
    if (order.get(id) && seed % 7 === 0) order.remove(id);
    else {
      const serial = order.nextSerial();
      if (!order.get(id)) order.add(new MemberState(id, INCARNATION));
      order.recordChange(order.get(id)!);
      list.push({ id, serial });
    }
    const from = order.serial - (seed % 12);
    assertEquals(
      idsAfter(order, from),
      list.filter(({ serial }) => serial > from).map((each) => each.id).join(""),
    );
  }
});

Deno.test("ChangeLog.takeRecent: returns each member that changed since the last call, once (S1)", () => {
  const order = orderOf("a", "b", "c");
  assertEquals([...order.takeRecent()], ["a", "b", "c"]);
  assertEquals([...order.takeRecent()], []);
  change(order, "b");
  change(order, "b");
  const recent = order.takeRecent();
  change(order, "c");
  // A set that was returned does not change any more.
  assertEquals([[...recent], [...order.takeRecent()]], [["b"], ["c"]]);
});

Deno.test("ChangeLog: every member has its turn, even if others come and go (E7)", () => {
  const order = orderOf("a", "b", "c", "d");
  const turns = (from: number, count: number) =>
    Array.from({ length: count }, (_, each) => order.atSlot(from + each).id).join("");
  assertEquals(turns(2, 6), "cdabcd");
  order.remove("b");
  assertEquals(turns(0, 3), "adc");
  order.remove("c");
  order.add(new MemberState("e", INCARNATION));
  assertEquals(turns(0, 4), "adea");
});
