import { assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { countFalseBlocks } from "./restarts.ts";

Deno.test("crash detection: a process or proxy that restarts within 1 s is suspected and never blocked, at 30 % loss (C3)", async () => {
  const counts = await countFalseBlocks({ restarts: 200, loss: 0.3, seed: 11 });
  assertEquals([counts.restarts, counts.crashes, counts.falseBlocks], [200, 0, 0]);
  assertGreater(counts.suspicions, 200);
});

Deno.test("crash detection: a member whose proxy refuses connections for longer than the wait is blocked (C3)", async () => {
  const counts = await countFalseBlocks({ restarts: 60, loss: 0.3, seed: 11, longestMs: 4_000 });
  assertGreater(counts.falseBlocks, 0);
  assertGreater(counts.crashes, 0);
});
