import { assertEquals } from "../../deps/std_assert.ts";
import { type Level, notLevel } from "./levels.ts";

const LEVEL: Level = { rssMiB: 100, sockets: 19, timers: 25 };

/** Nine samples; each field in `by` rises by this amount per sample, from sample `from` on. */
function rising(by: Partial<Level>, from = 0): Level[] {
  return Array.from({ length: 9 }, (_, index) => {
    const steps = Math.max(0, index - from);
    return {
      rssMiB: LEVEL.rssMiB + steps * (by.rssMiB ?? 0),
      sockets: LEVEL.sockets + steps * (by.sockets ?? 0),
      timers: LEVEL.timers + steps * (by.timers ?? 0),
    };
  });
}

Deno.test("notLevel: accepts constant levels, and a rise in the first third", () => {
  assertEquals(notLevel(rising({}), { maxSockets: 40 }), []);
  const warming = rising({}).map((level, index) => index < 3 ? { ...level, rssMiB: 40 } : level);
  assertEquals(notLevel(warming, { maxSockets: 40 }), []);
});

Deno.test("notLevel: reports rising memory, sockets and timers separately", () => {
  assertEquals(notLevel(rising({ rssMiB: 20 }), { maxSockets: 400 }), ["rssMiB rose from 180.0 to 240.0"]);
  assertEquals(notLevel(rising({ sockets: 8 }), { maxSockets: 400 }), ["sockets rose from 51.0 to 75.0"]);
  assertEquals(notLevel(rising({ timers: 8 }), { maxSockets: 400 }), ["timers rose from 57.0 to 81.0"]);
});

Deno.test("notLevel: reports too many sockets at the end, and too few samples", () => {
  assertEquals(notLevel(rising({}), { maxSockets: 18 }), ["19 sockets are open at the end"]);
  assertEquals(notLevel([LEVEL, LEVEL], { maxSockets: 40 }), ["2 samples are too few"]);
});
