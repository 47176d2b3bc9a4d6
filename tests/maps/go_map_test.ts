import { assertEquals } from "../../deps/std_assert.ts";
import type { JsonValue } from "../../engine/types.ts";
import { goItemsOf, goMapValue } from "../../maps/go_map.ts";

Deno.test("Go map: has the form of the proto3 JSON mapping, and a value of another form is no Go map", () => {
  const value = goMapValue({ tea: 3 });
  assertEquals(value, { "@type": "type.googleapis.com/cluster.GossipMap", items: { tea: 3 } });
  assertEquals(goItemsOf(value), { tea: 3 });
  const type = { "@type": "type.googleapis.com/cluster.GossipMap" };
  const others: (JsonValue | undefined)[] = [
    undefined,
    null,
    "x",
    [],
    { items: { tea: 3 } },
    { "@type": "type.googleapis.com/x", items: {} },
    type,
    { ...type, items: null },
    { ...type, items: "tea" },
    { ...type, items: [1] },
  ];
  for (const other of others) assertEquals(goItemsOf(other), undefined, JSON.stringify(other));
});
