/**
 * The last failed requests, for the line about an isolated member.
 *
 * @module
 */

import { BoundedMap } from "../common/bounded_map.ts";
import { messageOf } from "../common/error_text.ts";
import type { RequestFailed } from "../contracts/events.ts";
import type { Runtime } from "../common/runtime.ts";

/** The most peers: a line with more is hard to read. */
const MAX_PEERS = 8;

/** The last failure of each of the peers that failed last. */
export class LastFailures {
  readonly #keptMs: number;
  readonly #runtime: Pick<Runtime, "monotonicMs">;
  readonly #byPeer = new BoundedMap<string, { readonly reason: string; readonly atMs: number }>(MAX_PEERS);

  /** A failure counts for `keptMs`: an older one may be over, because a success has no event. */
  constructor({ keptMs, runtime }: {
    readonly keptMs: number;
    readonly runtime: Pick<Runtime, "monotonicMs">;
  }) {
    this.#keptMs = keptMs;
    this.#runtime = runtime;
  }

  /** Records a failure. */
  record({ peerId, error }: Pick<RequestFailed, "peerId" | "error">): void {
    this.#byPeer.set(peerId, { reason: messageOf(error), atMs: this.#runtime.monotonicMs() });
  }

  /** The ids of the peers and the reasons, the oldest failure first. */
  get recent(): readonly (readonly [string, string])[] {
    const sinceMs = this.#runtime.monotonicMs() - this.#keptMs;
    return [...this.#byPeer].filter(([, { atMs }]) => atMs >= sinceMs)
      .map(([peerId, { reason }]) => [peerId, reason]);
  }
}
