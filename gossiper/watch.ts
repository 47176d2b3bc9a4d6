/**
 * Watches of keys: the present value of every member, then every change.
 *
 * @module
 */

import type { GossipUpdate } from "../engine/events.ts";
import { deepFreeze } from "../engine/json.ts";
import { HEARTBEAT_KEY } from "../engine/types.ts";
import type { EngineHost } from "./engine_host.ts";
import { ConflatingQueue } from "../common/conflating_queue.ts";

/** The watched keys of one gossiper. */
export class Watches {
  readonly #engineHost: EngineHost;
  readonly #byKey = new Map<string, Set<ConflatingQueue<GossipUpdate>>>();
  readonly #untilLeaving = new Set<ConflatingQueue<GossipUpdate>>();
  #isOver = false;

  /** Makes an empty set of watches that listens to the engine until the end. */
  constructor(engineHost: EngineHost) {
    this.#engineHost = engineHost;
    engineHost.onEvent((event) => {
      if (event.type !== "GossipUpdate") return;
      for (const stream of this.#byKey.get(event.key) ?? []) stream.push(event);
    });
  }

  /**
   * Emits the present values, then changes and deletions. Between two engine calls state and events agree, so nothing
   * is missed or emitted twice.
   */
  watch(
    key: string,
    { signal, untilLeaving = false }: {
      readonly signal?: AbortSignal | undefined;
      readonly untilLeaving?: boolean;
    } = {},
  ): ReadableStream<GossipUpdate> {
    this.#engineHost.assertOutside();
    let endHeartbeats = () => {};
    const stream = new ConflatingQueue<GossipUpdate>({
      keyOf: ({ memberId }) => memberId,
      onEnd: (ended) => {
        this.#remove(key, ended);
        this.#untilLeaving.delete(ended);
        endHeartbeats();
      },
      signal,
    });
    for (const [memberId, { value, number }] of this.#engineHost.view.state(key)) {
      const sequenceNumber = number;
      stream.push({
        type: "GossipUpdate",
        memberId,
        key,
        value: deepFreeze(value),
        sequenceNumber,
        deleted: false,
      });
    }
    if (this.#isOver) stream.finish();
    else if (!signal?.aborted) {
      this.#add(key, stream);
      if (untilLeaving) this.#untilLeaving.add(stream);
      if (key === HEARTBEAT_KEY) endHeartbeats = this.#engineHost.watchHeartbeats();
    }
    return stream.readable;
  }

  /** Ends the streams opened with `untilLeaving` at once. */
  leave(): void {
    for (const stream of [...this.#untilLeaving]) stream.end();
  }

  /** Ends every stream after its unread updates. */
  end(): void {
    this.#isOver = true;
    for (const streams of [...this.#byKey.values()]) for (const stream of [...streams]) stream.finish();
    this.#byKey.clear();
  }

  #add(key: string, stream: ConflatingQueue<GossipUpdate>): void {
    const streams = this.#byKey.get(key);
    if (streams) streams.add(stream);
    else this.#byKey.set(key, new Set([stream]));
  }

  #remove(key: string, stream: ConflatingQueue<GossipUpdate>): void {
    const streams = this.#byKey.get(key);
    streams?.delete(stream);
    if (streams?.size === 0) this.#byKey.delete(key);
  }
}
