/**
 * Limits how fast clients are refused.
 *
 * @module
 */

import { BoundedMap } from "../../common/bounded_map.ts";
import { TokenBucket } from "../../common/token_bucket.ts";
import type { Runtime } from "../../common/runtime.ts";
import type { ClientAddress } from "../strangers.ts";

/**
 * Refusals per second that are answered without a delay. 100: wrongly configured clients get the reason at once.
 * Higher: an outsider causes more work for each byte that it sends. Lower: if many members start with a wrong key, some
 * get the reason later.
 */
export const PROMPT_REFUSALS_PER_SECOND = 100;
/**
 * The delay of refusals above {@linkcode PROMPT_REFUSALS_PER_SECOND}, in milliseconds. Deno answers the requests of a
 * connection one after another, and a response cannot end the connection. Without a delay a client could try tokens on
 * a single connection as fast as it can write. 1 s: less than a dial may take, so a refused member still gets the
 * reason. Shorter: more work for each connection of an outsider. Longer: dials end before the answer.
 */
export const REFUSAL_PAUSE_MS = 1_000;
/** The most refused connections that are remembered; the oldest is evicted. */
export const MAX_REFUSED_CONNECTIONS = 4_096;
/** The most delayed refusals. Above the limit the oldest is answered at once. */
export const MAX_PAUSED_REFUSALS = 4_096;
/** Clients per second that are handled without a delay: as many as may dial when a cluster starts. */
export const PROMPT_CLIENTS_PER_SECOND = 100;
/**
 * The delay of clients above {@linkcode PROMPT_CLIENTS_PER_SECOND}, in milliseconds. 200 ms: a small part of the
 * longest dial. A client that is gone after the delay costs no upgrade. Shorter: clients that disconnect at once are
 * upgraded. Longer: if many clients dial together, some are admitted later.
 */
export const CLIENT_PAUSE_MS = 200;

/**
 * Delays refusals when there are many. It refuses no client itself: the decision comes before, and the answer to an
 * admitted client is not delayed.
 */
export class RefusalPace {
  readonly #runtime: Runtime;
  readonly #rate: TokenBucket;
  readonly #clients: TokenBucket;
  /** A function for each delayed refusal that answers it, the oldest first. */
  readonly #paused = new Set<() => void>();
  /** Refused connections, by the client's address, the oldest first. */
  readonly #refused = new BoundedMap<string, true>(MAX_REFUSED_CONNECTIONS);
  #isOver = false;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#rate = new TokenBucket(PROMPT_REFUSALS_PER_SECOND, runtime);
    this.#clients = new TokenBucket(PROMPT_CLIENTS_PER_SECOND, runtime);
  }

  /** The delay before a client is handled; `undefined` if few clients come. */
  arrival(): Promise<void> | undefined {
    return this.#isOver || this.#clients.take(1) ? undefined : this.#pause(CLIENT_PAUSE_MS);
  }

  /** The number of delayed refusals. */
  get paused(): number {
    return this.#paused.size;
  }

  /**
   * Returns the response, at once or delayed. Only the first refusal of a connection is not delayed: requests that
   * queue behind it cost Deno's server 30 times as much as a single request.
   */
  pass(response: Response, remote: ClientAddress | undefined): Response | Promise<Response> {
    const isFirst = this.#isFirst(remote);
    if (this.#isOver || (isFirst && this.#rate.take(1))) return response;
    return this.#pause(REFUSAL_PAUSE_MS).then(() => response);
  }

  /** Answers all delayed refusals, and delays no refusal from now on. */
  end(): void {
    this.#isOver = true;
    for (const answer of this.#paused) answer();
  }

  #isFirst(remote: ClientAddress | undefined): boolean {
    if (remote?.transport !== "tcp") return true;
    const connection = `${remote.hostname} ${remote.port}`;
    if (this.#refused.has(connection)) return false;
    this.#refused.set(connection, true);
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
