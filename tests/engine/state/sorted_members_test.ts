import { assertEquals } from "../../../deps/std_assert.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { Store } from "../../../engine/state/store.ts";

/** A store with state of these active members. */
function storeOf(ids: readonly string[]): Store {
  const store = new Store("self", () => {});
  for (const id of ids) {
    store.activate(id);
    store.addMember(id, makeIncarnation(1_700_000_000_000, 0.5));
  }
  return store;
}

const IDS = Array.from({ length: 13 }, (_, index) => `m${String(index).padStart(2, "0")}`);

Deno.test("SortedMembers: has the ids in the order of their UTF-8 bytes, with the state of each (L2)", () => {
  const { sorted } = storeOf(["\u{1f600}", "\uffff", "b", "a"]);
  assertEquals(sorted.ids, ["a", "b", "\uffff", "\u{1f600}"]);
  assertEquals(sorted.states.map((state) => state?.id), [...sorted.ids]);
  assertEquals([sorted.indexOf("b"), sorted.indexOf("none")], [1, undefined]);
});

Deno.test("Store.sorted: is rebuilt when a member comes, goes, or has another incarnation (L2)", () => {
  const store = storeOf(["a", "b"]);
  const before = store.sorted;
  assertEquals(store.sorted === before, true);
  store.activate("c");
  assertEquals(store.sorted.ids, ["a", "b", "c"]);
  const state = store.addMember("c", makeIncarnation(1_700_000_000_000, 0.25));
  assertEquals(store.sorted.states[2], state);
  const { incarnationsHash } = store;
  store.removeMember("c");
  assertEquals(store.sorted.states[2], undefined);
  store.addMember("c", state.incarnation);
  assertEquals([store.sorted.states[2]?.id, store.incarnationsHash], ["c", incarnationsHash]);
  store.deactivate("b");
  assertEquals(store.sorted.ids, ["a", "c"]);
});

Deno.test("Store.sorted: finds an inactive member by its tag as long as it is stored (E10, L2)", () => {
  const store = storeOf(["a"]);
  assertEquals(store.sorted.withTag("none"), undefined);
  const state = store.addMember("gone", makeIncarnation(1_700_000_000_000, 0.5));
  assertEquals(store.sorted.withTag(state.tag), state);
  store.removeMember("gone");
  assertEquals(store.sorted.withTag(state.tag), undefined);
});

Deno.test("SortedMembers.withTag: finds inactive members too, and no member if two share a tag (E10, L2)", () => {
  const store = storeOf(["a", "b"]);
  store.deactivate("b");
  const a = store.log.get("a")!;
  const b = store.log.get("b")!;
  assertEquals([store.sorted.withTag(a.tag), store.sorted.withTag(b.tag)], [a, b]);
  const shared = storeOf(["a", "b", "c"]);
  for (const id of ["a", "b"]) {
    Object.defineProperty(shared.log.get(id)!, "tag", { value: "same" });
  }
  assertEquals(shared.sorted.withTag("same"), undefined);
  // A third does not make it one again.
  Object.defineProperty(shared.log.get("c")!, "tag", { value: "same" });
  shared.activate("d");
  assertEquals(shared.sorted.withTag("same"), undefined);
});

Deno.test("SortedMembers.encode: writes one bit for each member, and decode reads it (E12)", () => {
  const { sorted } = storeOf(IDS);
  for (const chosen of [[], ["m00"], ["m05", "m06"], ["m12"], IDS]) {
    const set = sorted.encode((id) => chosen.includes(id));
    assertEquals([set.length, [...sorted.decode(set)]], [3, [...chosen]]);
  }
  assertEquals(sorted.encode((id) => id === "m00" || id === "m07"), "gQA");
});

Deno.test("SortedMembers.encodeAnew: changes the bit of a member, and no bit for an unknown id (E12)", () => {
  const { sorted } = storeOf(IDS);
  const chosen = new Set(["m00", "m07"]);
  const isIn = (id: string) => chosen.has(id);
  let set = sorted.encode(isIn);
  for (const id of [...IDS, "none", "m00", "m12", ""]) {
    if (!chosen.delete(id)) chosen.add(id);
    set = sorted.encodeAnew(set, id, isIn);
    assertEquals(set, sorted.encode(isIn), id);
  }
});

Deno.test("SortedMembers.decode: leaves out members that were read before (E12)", () => {
  const { sorted } = storeOf(IDS);
  const before: number[] = [];
  const read = (...ids: string[]) => [...sorted.decode(sorted.encode((id) => ids.includes(id)), before)];
  assertEquals(read("m01", "m12"), ["m01", "m12"]);
  assertEquals(read("m01", "m02", "m12"), ["m02"]);
  assertEquals(read("m02"), []);
  assertEquals([...sorted.decode("!!!", before)], []);
});

Deno.test("SortedMembers.decode: takes nothing from a set of another length or with an invalid digit (E12)", () => {
  const { sorted } = storeOf(IDS);
  for (const set of ["", "__", "____", "!!!"]) assertEquals([...sorted.decode(set)], [], set);
});
