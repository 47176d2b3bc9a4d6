/**
 * What can only be said with protoactor-go's own code at hand. Needs Go; without it these tests are ignored, and
 * it is said why.
 *
 * @module
 */

import { assert, assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { build, run, whyNoGo } from "./go.ts";
import { type History, isInOrder, type Outcome, randomHistory, replay } from "./histories.ts";
import { readVectors } from "./vectors.ts";
import { clusterMessages, randomMessages, rewritten } from "./written.ts";

const why = await whyNoGo();
if (why !== undefined) console.warn(`The tests with protoactor-go's own code are ignored: ${why}.`);

const directory = why === undefined ? await Deno.makeTempDir({ prefix: "hearsay_go_" }) : "";
globalThis.addEventListener(
  "unload",
  () => why === undefined && Deno.removeSync(directory, { recursive: true }),
);

/** How long the program may take for one thing: far longer than it does. */
const BOUND_MS = 60_000;
/** How many histories are lived through anew. */
const HISTORIES = 300;

let program: Promise<string> | undefined;

/** What the Go program says to an input. */
async function ask<T>(command: "write" | "check" | "replay", input: unknown): Promise<T> {
  program ??= build({ program: "vectors", into: directory, tell: console.warn });
  const text = await run(await program, [command], { input: JSON.stringify(input), boundMs: BOUND_MS });
  return JSON.parse(text);
}

function testWithGo(name: string, action: () => Promise<void>) {
  Deno.test({ name, ignore: why !== undefined, fn: action });
}

testWithGo("the committed vectors are what protoactor-go writes", async () => {
  assertEquals(await ask("write", null), readVectors());
});

testWithGo(
  "P3 what the codec writes is read strictly by protojson, and every field is as it was meant",
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
    // hearsay.v2 has `memberId`, which is what GossipRequest had before the version that is pinned here.
    assertEquals(checked.earlier, written.filter(({ type }) => type === "cluster.GossipRequest").length);
  },
);

testWithGo(
  "R5 histories end here as they end in protoactor-go: members, keys, numbers and values",
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
