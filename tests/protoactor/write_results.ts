/**
 * Writes protoactor-go's results into the committed files.
 *
 * @module
 */

import { layOutCases } from "../../tools/case_lines.ts";
import { build, run } from "./go.ts";
import { HISTORIES_FILE, type Lived, type Outcome, randomHistory } from "./histories.ts";
import { VECTORS_FILE } from "./vectors.ts";

const BOUND_MS = 60_000;
/** The number of committed histories, and the steps of each before the final rounds. */
const HISTORIES = 10;
const STEPS = 25;

/** Writes the vectors, and histories with their results. */
export async function writeResults(): Promise<void> {
  const into = await Deno.makeTempDir({ prefix: "hearsay_go_" });
  try {
    const program = await build({ program: "vectors", into, report: console.log });
    const vectors = await run(program, ["write"], { boundMs: BOUND_MS });
    await Deno.writeTextFile(VECTORS_FILE, layOutCases(vectors));
    const histories = Array.from({ length: HISTORIES }, (_, seed) => randomHistory(seed, { steps: STEPS }));
    const input = JSON.stringify(histories);
    const outcomes: Outcome[] = JSON.parse(await run(program, ["replay"], { input, boundMs: BOUND_MS }));
    const lived: Lived[] = histories.map((history, index) => ({ history, outcome: outcomes[index]! }));
    await Deno.writeTextFile(HISTORIES_FILE, layOutCases(JSON.stringify(lived)));
  } finally {
    await Deno.remove(into, { recursive: true });
  }
}
