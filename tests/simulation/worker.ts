/**
 * Runs simulations one after another in a worker thread.
 *
 * @module
 */

import { type Outcome, Simulation } from "./simulation.ts";
import type { Overrides } from "./scenario.ts";

/** Lines of the event log that a failed run returns. */
const KEPT_LINES = 80;

/** A message to the worker. */
export interface Order {
  readonly seed: number;
  readonly overrides: Overrides;
}

/** The answer of the worker. */
export interface Result {
  readonly outcome: Outcome;
  /** The scenario and the end of the event log of a failed run; empty for others. */
  readonly log: readonly string[];
}

const worker = globalThis as unknown as {
  onmessage: (event: MessageEvent<Order>) => void;
  postMessage: (result: Result) => void;
};

worker.onmessage = async ({ data: { seed, overrides } }) => {
  const simulation = new Simulation(seed, overrides);
  const outcome = await simulation.run();
  const isWrong = outcome.violation !== undefined;
  const log = isWrong ? [...simulation.describe(), "", ...simulation.trace.lines(KEPT_LINES)] : [];
  worker.postMessage({ outcome, log });
};
