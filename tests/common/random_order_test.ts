import { assert, assertEquals } from "../../deps/std_assert.ts";
import { Random } from "../../engine/random.ts";
import { inRandomOrder } from "../../common/random_order.ts";

Deno.test("random order: every order is equally likely, and no member is drawn twice", () => {
  const random = new Random(0.5);
  const counts = new Map<string, number>();
  for (let run = 0; run < 24_000; run++) {
    const order = [...inRandomOrder(["a", "b", "c", "d"], () => random.next())].join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assertEquals(counts.size, 24);
  for (const [order, count] of counts) {
    assertEquals([...order].sort().join(""), "abcd");
    // A thousand are expected, with a deviation of 31.
    assert(count > 850 && count < 1_150, `${order} was drawn ${count} times`);
  }
});

Deno.test("random order: a draw of three of 100,000 items reads at most six items (E6)", () => {
  let reads = 0;
  const items = new Proxy(Array.from({ length: 100_000 }, (_, index) => index), {
    get(target, name, receiver) {
      if (name !== "length") reads++;
      return Reflect.get(target, name, receiver);
    },
  });
  const random = new Random(0.25);
  const drawn: number[] = [];
  for (const item of inRandomOrder(items, () => random.next())) if (drawn.push(item) === 3) break;
  assertEquals(new Set(drawn).size, 3);
  assert(reads <= 2 * drawn.length, `${reads} reads`);
});
