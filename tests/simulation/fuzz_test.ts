import { assert, assertEquals, assertLessOrEqual } from "../../deps/std_assert.ts";
import { fuzz } from "./fuzz.ts";

Deno.test("P2 P6 P7 twenty thousand messages to which something was done harm nobody, and leave nothing behind", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`fuzz: deno task fuzz --messages 20000 --seed ${seed}`);
  const { messages, unreadable, mostMembers, before, after } = await fuzz({ seed, messages: 20_000 });
  // Both kinds were tried: what cannot be read, and what can though it makes no sense.
  assert(unreadable > messages / 10 && unreadable < messages * 0.9, `${unreadable} of ${messages}`);
  assert(mostMembers > 3);
  assertEquals({ ...after, timers: 0 }, { ...before, timers: 0 });
  // Each of the two members waits for its next round, and to greet its seed again.
  assertLessOrEqual(after.timers, 4);
});
