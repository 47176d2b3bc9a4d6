/**
 * How fast clients are refused.
 *
 * @module
 */

import { Rate } from "../gossiper/rate.ts";
import type { Runtime } from "../gossiper/runtime.ts";

/**
 * How many refusals are answered at once in a second. 100: clients that were set up wrongly hear why without waiting. More:
 * an outsider gets more work for its bytes. Fewer: where many start with a wrong key, some wait before they hear of it.
 */
export const PROMPT_REFUSALS_PER_SECOND = 100;
/**
 * How long, in milliseconds, every other refusal waits. Deno answers the requests of one connection one after another and
 * ends no connection for what its response says, so that only waiting keeps a client from pipelining tokens as fast as it
 * can write. 1 s: less than a dial may take, so that a member still hears why it was refused. Shorter: more work for each
 * connection of an outsider. Longer: dials end before.
 */
export const REFUSAL_PAUSE_MS = 1_000;
/** How many refusals wait at once; over that the one that waits for longest is answered. */
export const MAX_PAUSED_REFUSALS = 4_096;

/**
 * Lets refusals wait when there are many. Nobody is kept out by that: whether a client is refused is decided before, by
 * what it is and says, and whoever is let in does not wait.
 */
export class RefusalPace {
  readonly #runtime: Runtime;
  readonly #rate: Rate;
  /** What answers each refusal that waits, the oldest first. */
  readonly #paused = new Set<() => void>();
  #isOver = false;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#rate = new Rate(PROMPT_REFUSALS_PER_SECOND, runtime);
  }

  /** The number of refusals that wait. */
  get paused(): number {
    return this.#paused.size;
  }

  /** The same response, now or later. */
  pass(response: Response): Response | Promise<Response> {
    if (this.#isOver || this.#rate.take(1)) return response;
    if (this.#paused.size >= MAX_PAUSED_REFUSALS) this.#paused.values().next().value!();
    return new Promise((resolve) => {
      const answer = () => {
        cancel();
        this.#paused.delete(answer);
        resolve(response);
      };
      const cancel = this.#runtime.setTimer(REFUSAL_PAUSE_MS, answer);
      this.#paused.add(answer);
    });
  }

  /** Answers all that wait; from here on none does. */
  end(): void {
    this.#isOver = true;
    for (const answer of this.#paused) answer();
  }
}
