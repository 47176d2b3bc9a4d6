import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { checkedCounts } from "../../gossiper/actor_counts.ts";

Deno.test("actor counts: take at most a sixteenth of a message, to the last byte", () => {
  const counts = { chat: 7, "größe": 12 };
  // Each kind as JSON in UTF-8, its digits, and four bytes.
  const bytes = 6 + 1 + 4 + 9 + 2 + 4;
  assertEquals(checkedCounts(counts, { maxMessageBytes: 16 * bytes }), counts);
  const { message } = assertThrows(
    () => checkedCounts(counts, { maxMessageBytes: 16 * (bytes - 1) }),
    TypeError,
  );
  assertEquals(message, `The actor counts must take at most ${bytes - 1} bytes; got ${bytes}.`);
});
