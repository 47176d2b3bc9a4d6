import { assertEquals } from "../../deps/std_assert.ts";
import { composedKey, mapKeysOf } from "../../maps/composed_key.ts";

Deno.test("composed key: has the key, the separator and the key in the map, and is split at the first separator", () => {
  assertEquals(composedKey({ key: "stock", mapKey: "tea" }), "stock␟tea");
  for (const keys of [{ key: "a", mapKey: "" }, { key: "a", mapKey: "␟b␟" }, { key: "a/b", mapKey: "c" }]) {
    assertEquals(mapKeysOf(composedKey(keys)), keys);
  }
});

Deno.test("composed key: a key without a separator, without a map's key, or with a reserved key belongs to no map", () => {
  for (const key of ["stock", "␟tea", "topology␟x", "heathbeat␟x", "hearsay.x␟y", ""]) {
    assertEquals(mapKeysOf(key), undefined, key);
  }
});
