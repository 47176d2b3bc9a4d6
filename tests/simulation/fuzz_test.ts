import { assert, assertEquals, assertLessOrEqual } from "../../deps/std_assert.ts";
import { fuzz } from "./fuzz.ts";

Deno.test("fuzz: a member survives 20,000 mutated messages and stores no part of them (P2, P6, P7)", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`fuzz: deno task fuzz --messages 20000 --seed ${seed}`);
  const { messages, unreadable, mostMembers, before, after } = await fuzz({ seed, messages: 20_000 });
  // The run must have both kinds: unreadable messages, and readable messages without sense.
  assert(unreadable > messages / 10 && unreadable < messages * 0.9, `${unreadable} of ${messages}`);
  assert(mostMembers > 3);
  assertEquals({ ...after, timers: 0 }, { ...before, timers: 0 });
  // Each of the two members has a timer for its next round and one for its next dial of the seed.
  assertLessOrEqual(after.timers, 4);
});
