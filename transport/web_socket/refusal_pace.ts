/**
 * How fast clients are refused.
 *
 * @module
 */

import { TokenBucket } from "../../common/token_bucket.ts";
import type { Runtime } from "../../common/runtime.ts";

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
/** Of how many connections it is remembered that they were refused; of more, the ones refused last. */
export const MAX_REFUSED_CONNECTIONS = 4_096;
/** How many refusals wait at once; over that the one that waits for longest is answered. */
export const MAX_PAUSED_REFUSALS = 4_096;
/** How many clients in a second are looked at as soon as they come: as many as may be dialling when a cluster starts. */
export const PROMPT_CLIENTS_PER_SECOND = 100;
/**
 * How long, in milliseconds, every other client waits before it is looked at. 200 ms: a small part of what a dial may take.
 * Whoever is gone by then costs no upgrade. Shorter: clients that come and go at once are upgraded. Longer: where many
 * come together, some come in later.
 */
export const CLIENT_PAUSE_MS = 200;

/**
 * Lets refusals wait when there are many. Nobody is kept out by that: whether a client is refused is decided before, by
 * what it is and says, and whoever is let in does not wait.
 */
export class RefusalPace {
  readonly #runtime: Runtime;
  readonly #rate: TokenBucket;
  readonly #clients: TokenBucket;
  /** What answers each refusal that waits, the oldest first. */
  readonly #paused = new Set<() => void>();
  /** Connections that were refused, by where the client is, the oldest first. */
  readonly #refused = new Set<string>();
  #isOver = false;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#rate = new TokenBucket(PROMPT_REFUSALS_PER_SECOND, runtime);
    this.#clients = new TokenBucket(PROMPT_CLIENTS_PER_SECOND, runtime);
  }

  /** What a client has to wait for before it is looked at; nothing where few come. */
  arrival(): Promise<void> | undefined {
    return this.#isOver || this.#clients.take(1) ? undefined : this.#pause(CLIENT_PAUSE_MS);
  }

  /** The number of refusals that wait. */
  get paused(): number {
    return this.#paused.size;
  }

  /**
   * The same response, now or later. Now only the first time for a connection: requests that wait behind it cost Deno's
   * server 30 times as much as one that came alone.
   */
  pass(response: Response, remote: Deno.Addr | undefined): Response | Promise<Response> {
    const isFirst = this.#isFirst(remote);
    if (this.#isOver || (isFirst && this.#rate.take(1))) return response;
    return this.#pause(REFUSAL_PAUSE_MS).then(() => response);
  }

  /** Answers all that wait; from here on none does. */
  end(): void {
    this.#isOver = true;
    for (const answer of this.#paused) answer();
  }

  #isFirst(remote: Deno.Addr | undefined): boolean {
    if (remote?.transport !== "tcp") return true;
    const connection = `${remote.hostname} ${remote.port}`;
    if (this.#refused.has(connection)) return false;
    this.#refused.add(connection);
    if (this.#refused.size > MAX_REFUSED_CONNECTIONS) {
      this.#refused.delete(this.#refused.values().next().value!);
    }
    return true;
  }

  #pause(delayMs: number): Promise<void> {
    if (this.#paused.size >= MAX_PAUSED_REFUSALS) this.#paused.values().next().value!();
    return new Promise((resolve) => {
      const answer = () => {
        cancel();
        this.#paused.delete(answer);
        resolve();
      };
      const cancel = this.#runtime.setTimer(delayMs, answer);
      this.#paused.add(answer);
    });
  }
}
