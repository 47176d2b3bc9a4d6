import { assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { countFalseBlocks } from "./restarts.ts";

Deno.test("C3 processes and proxies that restart within a second are suspected and never blocked, at 30 % loss", async () => {
  const counts = await countFalseBlocks({ restarts: 200, loss: 0.3, seed: 11 });
  assertEquals([counts.restarts, counts.crashes, counts.falseBlocks], [200, 0, 0]);
  assertGreater(counts.suspicions, 200);
});

Deno.test("C3 proxies that refuse for longer than the wait cannot be told from crashes", async () => {
  const counts = await countFalseBlocks({ restarts: 60, loss: 0.3, seed: 11, longestMs: 4_000 });
  assertGreater(counts.falseBlocks, 0);
  assertGreater(counts.crashes, 0);
});
