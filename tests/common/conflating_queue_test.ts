import { assertEquals, assertLess } from "../../deps/std_assert.ts";
import { ConflatingQueue, KEPT_BYTES, KEPT_ITEMS } from "../../common/conflating_queue.ts";

interface Item {
  readonly key: string;
  readonly value: number;
}

function makeStream(options: { readonly signal?: AbortSignal } = {}) {
  let ends = 0;
  const stream = new ConflatingQueue<Item>({ keyOf: ({ key }) => key, onEnd: () => void ends++, ...options });
  return { stream, ends: () => ends };
}

Deno.test("ConflatingQueue: a reader that keeps up, or is not too far behind, gets every item in order", async () => {
  const { stream } = makeStream();
  const values = Array.from({ length: KEPT_ITEMS - 1 }, (_, value) => value);
  for (const value of values) stream.push({ key: "k", value });
  stream.finish();
  assertEquals((await Array.fromAsync(stream.readable)).map(({ value }) => value), values);
});

Deno.test("ConflatingQueue: a slow reader skips superseded items, but gets the latest of every key", async () => {
  const { stream } = makeStream();
  stream.push({ key: "rare", value: -1 });
  const last = 10 * KEPT_ITEMS;
  for (let value = 0; value <= last; value++) stream.push({ key: `often ${value % 3}`, value });
  stream.finish();
  const got = await Array.fromAsync(stream.readable);
  const latest = new Map(got.map(({ key, value }) => [key, value]));
  assertEquals(Object.fromEntries(latest), {
    "rare": -1,
    [`often ${last % 3}`]: last,
    [`often ${(last - 1) % 3}`]: last - 1,
    [`often ${(last - 2) % 3}`]: last - 2,
  });
  assertEquals(got.length <= KEPT_ITEMS, true, `${got.length} items were kept`);
});

Deno.test("ConflatingQueue: the items for a reader that fell behind are in order of arrival", async () => {
  const { stream } = makeStream();
  stream.push({ key: "first and last", value: 0 });
  for (let value = 1; value < KEPT_ITEMS - 1; value++) stream.push({ key: "between", value });
  stream.push({ key: "first and last", value: KEPT_ITEMS });
  stream.finish();
  assertEquals((await Array.fromAsync(stream.readable)).map(({ key }) => key), ["between", "first and last"]);
});

Deno.test("ConflatingQueue: with more keys than are kept whole, only superseded items are missed", async () => {
  const { stream } = makeStream();
  const keys = 3 * KEPT_ITEMS;
  for (const value of [1, 2]) for (let key = 0; key < keys; key++) stream.push({ key: `${key}`, value });
  stream.finish();
  const latest = new Map((await Array.fromAsync(stream.readable)).map(({ key, value }) => [key, value]));
  assertEquals([latest.size, new Set(latest.values())], [keys, new Set([2])]);
});

Deno.test("ConflatingQueue: a reader that reads each item as it comes misses no item, even beyond the number of kept items", async () => {
  const { stream } = makeStream();
  const reader = stream.readable.getReader();
  for (let value = 0; value < 2 * KEPT_ITEMS + 10; value++) {
    stream.push({ key: "k", value });
    assertEquals((await reader.read()).value, { key: "k", value });
  }
  await reader.cancel();
});

Deno.test("ConflatingQueue: ends once: by its signal, its reader, or after the last item", async () => {
  const aborted = makeStream({ signal: AbortSignal.abort() });
  assertEquals(await Array.fromAsync(aborted.stream.readable), []);

  const controller = new AbortController();
  const later = makeStream({ signal: controller.signal });
  later.stream.push({ key: "k", value: 1 });
  controller.abort();
  later.stream.push({ key: "k", value: 2 });
  later.stream.finish();
  assertEquals(await Array.fromAsync(later.stream.readable), []);

  const canceled = makeStream();
  await canceled.stream.readable.cancel();
  canceled.stream.push({ key: "k", value: 1 });
  canceled.stream.finish();

  const finished = makeStream();
  finished.stream.push({ key: "k", value: 1 });
  finished.stream.finish();
  finished.stream.push({ key: "k", value: 2 });
  assertEquals(await Array.fromAsync(finished.stream.readable), [{ key: "k", value: 1 }]);
  assertEquals([aborted, later, canceled, finished].map(({ ends }) => ends()), [1, 1, 1, 1]);
});

Deno.test("ConflatingQueue: a reader that falls behind keeps few large items beside the latest of every key", async () => {
  const stream = new ConflatingQueue<{ key: string; value: string }>({ keyOf: ({ key }) => key });
  const large = "x".repeat(1_048_576);
  stream.push({ key: "rare", value: "" });
  for (let n = 0; n < 100; n++) stream.push({ key: "often", value: large });
  stream.finish();
  const got = await Array.fromAsync(stream.readable);
  assertEquals(got.some(({ key }) => key === "rare"), true);
  assertEquals(got.at(-1)!.key, "often");
  assertLess(got.length * large.length, 2 * KEPT_BYTES);
});

Deno.test("ConflatingQueue: a reader that keeps up gets every large item", async () => {
  const stream = new ConflatingQueue<{ key: string; value: string }>({ keyOf: ({ key }) => key });
  const reader = stream.readable.getReader();
  const values = Array.from({ length: 20 }, (_, n) => `${n}`.padEnd(1_048_576 / 2));
  stream.push({ key: "k", value: "first" });
  for (const value of values) {
    stream.push({ key: "k", value });
    await reader.read();
  }
  assertEquals((await reader.read()).value!.value, values.at(-1)!);
  await reader.cancel();
});

Deno.test("ConflatingQueue: a slow reader gets the deletion of a key that it has read, and no item of a key that came and went unread", async () => {
  const stream = new ConflatingQueue<Item & { readonly deleted: boolean }>({
    keyOf: ({ key }) => key,
    isDeletion: ({ deleted }) => deleted,
  });
  const reader = stream.readable.getReader();
  stream.push({ key: "read", value: 0, deleted: false });
  stream.push({ key: "read twice", value: 0, deleted: false });
  stream.push({ key: "read twice", value: 0, deleted: true });
  for (let n = 0; n < 3; n++) await reader.read();
  const passing = 5 * KEPT_ITEMS;
  for (let value = 0; value < passing; value++) {
    stream.push({ key: `passing ${value}`, value, deleted: false });
    if (value === 1) stream.push({ key: "read", value, deleted: true });
    if (value === 2) stream.push({ key: "read twice", value, deleted: false });
    if (value === 3) stream.push({ key: "read twice", value, deleted: true });
    stream.push({ key: `passing ${value}`, value, deleted: true });
  }
  stream.push({ key: "stays", value: 1, deleted: false });
  stream.finish();
  const rest: string[] = [];
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    if (!read.value.key.startsWith("passing")) rest.push(`${read.value.key} ${read.value.deleted}`);
    else rest.push("passing");
  }
  assertEquals(rest.filter((text) => text !== "passing"), ["read true", "stays false"]);
  assertLess(rest.length, KEPT_ITEMS);
});
