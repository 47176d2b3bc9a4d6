import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { talking } from "./cluster.ts";

Deno.test("subscribe: streams a topic until the signal, a cancel or the member's end, and drops the newest messages of a slow reader (M4)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const controller = new AbortController();
  const read = of("a").subscribe<number>("t", { signal: controller.signal });
  const until = of("a").subscribe("t");
  const canceled = of("a").subscribe("t");
  await canceled.cancel();
  for (let n = 0; n < 1_100; n++) {
    await cluster.finish(of("a").broadcast("t", n, { includeSelf: true, timeout: 1 }));
  }
  controller.abort();
  const all = await Array.fromAsync(read);
  assertEquals(all.map(({ payload }) => payload), Array.from({ length: 1_024 }, (_, n) => n));
  assertEquals(of("a").dropped, 2 * 76);
  await cluster.stop("a");
  assertEquals((await Array.fromAsync(until)).length, 1_024);
});

Deno.test("onMessage: an error of the callback emits an event, and the handle's disposal ends the calls", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  let calls = 0;
  const handle = of("b").onMessage("t", () => {
    calls++;
    throw new Error("not today");
  });
  await cluster.finish(of("a").broadcast("t", 1));
  await cluster.advance(50);
  handle[Symbol.dispose]();
  await cluster.finish(of("a").broadcast("t", 2));
  await cluster.advance(50);
  assertEquals(calls, 1);
  const failed = cluster.of("b").emitted("CallbackFailed");
  assertEquals(failed.map(({ where, error }) => [where, (error as Error).message]), [[
    'a message of "t"',
    "not today",
  ]]);
});

Deno.test("subscribe: about 4 MiB may be unread, and a member has at most 1,024 subscriptions (M4)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const a = of("a");
  const read = a.subscribe("t");
  // Two bytes for each character of a text, and 32 for itself.
  const payload = "x".repeat(32_768 - 16);
  for (let n = 0; n < 70; n++) {
    await cluster.finish(a.broadcast("t", payload, { includeSelf: true, timeout: 1 }));
  }
  assertEquals(a.dropped, 70 - 64);
  await read.cancel();
  const handles = Array.from({ length: 1_024 }, () => a.onMessage("t", () => {}));
  assertThrows(() => a.subscribe("t"), HearsayError, "1024 subscriptions");
  handles[0]![Symbol.dispose]();
  handles[0]![Symbol.dispose]();
  await a.subscribe("t").cancel();
});
