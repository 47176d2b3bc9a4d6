import { assertEquals, assertRejects } from "../../deps/std_assert.ts";
import { ConsensusWaits } from "../../consensus/agreement.ts";

/** A value whose text is its JSON. */
function agreed(value: number) {
  return { value, text: JSON.stringify(value) };
}

Deno.test("ConsensusWaits: are ended if the member is already leaving, and each wait rejects with the reason", async () => {
  const agreement = new ConsensusWaits<number>(AbortSignal.abort(new RangeError("left")), {});
  assertEquals(agreement.isOver, true);
  await assertRejects(() => agreement.reached(agreed(1)), RangeError, "left");
});

Deno.test("ConsensusWaits: the first end counts, and nothing is called after it", async () => {
  const calls: unknown[] = [];
  const leaving = new AbortController();
  const agreement = new ConsensusWaits<number>(leaving.signal, {
    onReached: (value) => calls.push(value),
    onLost: () => calls.push("lost"),
  });
  agreement.update(agreed(1));
  agreement.update(agreed(1));
  agreement.end(new RangeError("first"));
  agreement.end(new TypeError("second"));
  leaving.abort(new TypeError("third"));
  agreement.update(undefined);
  assertEquals([calls, agreement.isOver], [[1], true]);
  await assertRejects(() => agreement.reached(undefined), RangeError, "first");
});

Deno.test("ConsensusWaits: a wait ends with the first value, an abort of its signal, or the end", async () => {
  const leaving = new AbortController();
  const agreement = new ConsensusWaits<number>(leaving.signal, {});
  assertEquals(await agreement.reached(agreed(7)), 7);
  const [waiting, ending] = [agreement.reached(undefined), new AbortController()];
  const aborted = assertRejects(() => agreement.reached(undefined, ending), RangeError, "enough");
  ending.abort(new RangeError("enough"));
  await aborted;
  agreement.update(agreed(8));
  assertEquals(await waiting, 8);
  const left = assertRejects(() => agreement.reached(undefined), RangeError, "left");
  leaving.abort(new RangeError("left"));
  await left;
});

Deno.test("ConsensusWaits: a wait that began without consensus ends with the former value, and nothing is called", async () => {
  const calls: unknown[] = [];
  const callbacks = { onReached: (value: number) => calls.push(value), onLost: () => calls.push("lost") };
  const agreement = new ConsensusWaits<number>(new AbortController().signal, callbacks);
  agreement.update(agreed(1));
  const waiting = agreement.reached(undefined, { signal: AbortSignal.timeout(1_000) });
  agreement.update(agreed(1));
  assertEquals([await waiting, calls], [1, [1]]);
});
