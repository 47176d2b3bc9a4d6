import { assertEquals } from "../../deps/std_assert.ts";
import { BoundedMap } from "../../common/bounded_map.ts";

Deno.test("BoundedMap: drops the oldest key beyond its limit, and a key that is set again is the newest", () => {
  const map = new BoundedMap<string, number>(2);
  map.set("a", 1).set("b", 2).set("a", 3);
  assertEquals([...map], [["b", 2], ["a", 3]]);
  map.set("c", 4);
  assertEquals([...map], [["a", 3], ["c", 4]]);
});

Deno.test("BoundedMap: drops a falsy oldest key too, and drops no key without a limit", () => {
  assertEquals([...new BoundedMap<number, string>(1).set(0, "zero").set(1, "one").keys()], [1]);
  const all = new BoundedMap<number, number>(Infinity);
  for (let key = 0; key < 100; key++) all.set(key, key);
  assertEquals(all.size, 100);
});
