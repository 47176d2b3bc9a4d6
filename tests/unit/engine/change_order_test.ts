import { assert, assertEquals, assertLessOrEqual } from "../../../deps/std_assert.ts";
import { ChangeOrder } from "../../../engine/change_order.ts";
import { MemberState } from "../../../engine/member_state.ts";

const LIFE = "018bcfe56800-80000000";

function change(order: ChangeOrder, id: string): void {
  order.next();
  order.changed(order.get(id)!);
}

function orderOf(...ids: readonly string[]): ChangeOrder {
  const order = new ChangeOrder();
  for (const id of ids) {
    order.hold(new MemberState(id, LIFE, order.next()));
    order.changed(order.get(id)!);
  }
  return order;
}

function idsAfter(order: ChangeOrder, serial: number): string {
  return order.changedAfter(serial).map(({ id }) => id).join("");
}

Deno.test("E6 what changed after a serial is told in the order of change", () => {
  const order = orderOf("a", "b", "c");
  assertEquals(order.serial, 3);
  assertEquals([0, 1, 2, 3].map((serial) => idsAfter(order, serial)), ["abc", "bc", "c", ""]);
});

Deno.test("E6 a member that changes again moves to the end, from wherever it was", () => {
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

Deno.test("E6 a member that is dropped is told of no more, from wherever it was", () => {
  for (const [dropped, left] of [["a", "bc"], ["b", "ac"], ["c", "ab"]] as const) {
    const order = orderOf("a", "b", "c");
    order.drop(dropped);
    assertEquals(idsAfter(order, 0), left);
    assertEquals(order.get(dropped), undefined);
    assertEquals(order.size, 2);
    change(order, left[0]!);
    assertEquals(idsAfter(order, 0), left[1]! + left[0]!);
  }
  const order = orderOf("a");
  order.drop("a");
  order.drop("a");
  assertEquals(idsAfter(order, 0), "");
});

Deno.test("E1 a later life takes the place of an earlier one", () => {
  const order = orderOf("a", "b");
  const renewed = new MemberState("a", "018bcfe56801-80000000", order.next());
  order.hold(renewed);
  order.changed(renewed);
  assertEquals(idsAfter(order, 0), "ba");
  assert(order.get("a") === renewed);
  assertEquals([...order.members()].length, 2);
});

Deno.test("E6 finding what changed looks at no more members than changed, whatever is held", () => {
  const order = orderOf(...Array.from({ length: 10_000 }, (_, index) => `m${index}`));
  change(order, "m17");
  change(order, "m4711");
  let looked = 0;
  for (const member of order.members()) {
    const { older } = member;
    let now = older;
    Object.defineProperty(member, "older", {
      get: () => (looked++, now),
      set: (value) => void (now = value),
    });
  }
  assertEquals(order.changedAfter(10_000).map(({ id }) => id), ["m17", "m4711"]);
  assertLessOrEqual(looked, 2);
  looked = 0;
  assertEquals(order.changedAfter(order.serial), []);
  assertEquals(looked, 0);
});

Deno.test("E6 the order stands after many random changes as a plain list would", () => {
  const ids = [..."abcdefgh"];
  const order = orderOf(...ids);
  let list = ids.map((id, index) => ({ id, serial: index + 1 }));
  let seed = 7;
  for (let step = 0; step < 2_000; step++) {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    const id = ids[(seed >> 8) % ids.length]!;
    list = list.filter((each) => each.id !== id);
    if (order.get(id) && seed % 7 === 0) order.drop(id);
    else {
      const serial = order.next();
      if (!order.get(id)) order.hold(new MemberState(id, LIFE, serial));
      order.changed(order.get(id)!);
      list.push({ id, serial });
    }
    const from = order.serial - (seed % 12);
    assertEquals(
      idsAfter(order, from),
      list.filter(({ serial }) => serial > from).map((each) => each.id).join(""),
    );
  }
});
