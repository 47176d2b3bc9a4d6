import { assertEquals } from "../../deps/std_assert.ts";
import { flatMapped } from "../../common/flat_mapped.ts";

Deno.test("flatMapped: has the items of each item in order, and reads an item of the source only when it is needed", async () => {
  let pulled = 0;
  let canceled: unknown;
  const source = new ReadableStream<number>({
    pull: (controller) => controller.enqueue(pulled++),
    cancel: (reason) => void (canceled = reason),
  }, { highWaterMark: 0 });
  const reader = flatMapped(source, (count) => Array.from({ length: count }, (_, at) => `${count}.${at}`))
    .getReader();
  assertEquals(pulled, 0);
  // The first item of the source has none of its own.
  assertEquals([(await reader.read()).value, pulled], ["1.0", 2]);
  assertEquals([(await reader.read()).value, (await reader.read()).value, pulled], ["2.0", "2.1", 3]);
  await reader.cancel("enough");
  assertEquals(canceled, "enough");
});

Deno.test("flatMapped: ends with the source", async () => {
  const source = ReadableStream.from([2, 0]);
  assertEquals(await Array.fromAsync(flatMapped(source, (count) => new Array(count).fill("x"))), ["x", "x"]);
});
