/**
 * Runs simulations in a thread of its own, one after another.
 *
 * @module
 */

import { type Outcome, Simulation } from "./simulation.ts";
import type { Wishes } from "./scenario.ts";

/** How many lines of a story are kept where something went wrong. */
const KEPT_LINES = 80;

/** What a worker is asked to run. */
export interface Order {
  readonly seed: number;
  readonly wishes: Wishes;
}

/** What became of it. */
export interface Result {
  readonly outcome: Outcome;
  /** What the seed decided, and the end of the story, where something went wrong. */
  readonly story: readonly string[];
}

const worker = globalThis as unknown as {
  onmessage: (event: MessageEvent<Order>) => void;
  postMessage: (result: Result) => void;
};

worker.onmessage = async ({ data: { seed, wishes } }) => {
  const simulation = new Simulation(seed, wishes);
  const outcome = await simulation.run();
  const isWrong = outcome.violation !== undefined;
  const story = isWrong ? [...simulation.describe(), "", ...simulation.trace.lines(KEPT_LINES)] : [];
  worker.postMessage({ outcome, story });
};
