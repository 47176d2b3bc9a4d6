/**
 * Tests that need protoactor-go's own code. Without Go they are ignored, and the reason is printed.
 *
 * @module
 */

import { assert, assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { build, run, whyNoGo } from "./go.ts";
import { type History, isInOrder, type Outcome, randomHistory, replay } from "./histories.ts";
import { readVectors } from "./vectors.ts";
import { clusterMessages, randomMessages, rewritten } from "./written.ts";

const why = await whyNoGo();
if (why !== undefined) console.warn(`The tests with protoactor-go's code are ignored: ${why}.`);

const directory = why === undefined ? await Deno.makeTempDir({ prefix: "hearsay_go_" }) : "";
globalThis.addEventListener(
  "unload",
  () => why === undefined && Deno.removeSync(directory, { recursive: true }),
);

/** The time limit of a run, far above what any needs. */
const BOUND_MS = 60_000;
/** Random histories per run. */
const HISTORIES = 300;

let program: Promise<string> | undefined;

/** The output of the Go program for an input. */
async function ask<T>(command: "write" | "check" | "replay", input: unknown): Promise<T> {
  program ??= build({ program: "vectors", into: directory, report: console.warn });
  const text = await run(await program, [command], { input: JSON.stringify(input), boundMs: BOUND_MS });
  return JSON.parse(text);
}

function testWithGo(name: string, action: () => Promise<void>) {
  Deno.test({ name, ignore: why !== undefined, fn: action });
}

testWithGo("vectors: the committed file equals the output of protoactor-go", async () => {
  assertEquals(await ask("write", null), readVectors());
});

testWithGo(
  "codec: protojson reads its output strictly, and every field has the intended value (P3)",
  async () => {
    const written = [
      ...rewritten(readVectors().messages),
      ...randomMessages(300),
      ...await clusterMessages(),
    ];
    const checked = await ask<{ messages: number; entries: number; earlier: number; wrong: string[] }>(
      "check",
      written,
    );
    assertEquals(checked.wrong, []);
    assertEquals(checked.messages, written.length);
    assertGreater(checked.entries, 1_000);
    // hearsay.v2 writes `memberId`, the name of the field before the pinned version of protoactor-go.
    assertEquals(checked.earlier, written.filter(({ type }) => type === "cluster.GossipRequest").length);
  },
);

testWithGo(
  "merge: random histories lead to the state of protoactor-go: members, keys, numbers and values (R5)",
  async () => {
    const from = crypto.getRandomValues(new Uint32Array(1))[0]!;
    const histories = Array.from(
      { length: HISTORIES },
      (_, index) => randomHistory(from + index, { steps: 30 }),
    );
    const outcomes = await ask<Outcome[]>("replay", histories);
    assertEquals(outcomes.length, HISTORIES);
    for (const [index, history] of histories.entries()) {
      compare(history, outcomes[index]!);
    }
    assert(histories.some(isInOrder) && !histories.every(isInOrder));
  },
);

function compare(history: History, theirs: Outcome) {
  const ours = replay(history);
  assertEquals(ours.states, theirs.states, history.name);
  if (isInOrder(history)) assertEquals(ours.updates, theirs.updates, history.name);
}
