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
import { entriesWith, hasPrefix, type Watched } from "./user_keys.ts";

/** The watched keys of one gossiper. */
export class Watches {
  readonly #engineHost: EngineHost;
  readonly #byKey = new Map<string, Set<ConflatingQueue<GossipUpdate>>>();
  readonly #prefixes = new Map<ConflatingQueue<GossipUpdate>, string>();
  readonly #untilLeaving = new Set<ConflatingQueue<GossipUpdate>>();
  #isOver = false;

  /** Makes an empty set of watches that listens to the engine until the end. */
  constructor(engineHost: EngineHost) {
    this.#engineHost = engineHost;
    engineHost.onEvent((event) => {
      if (event.type !== "GossipUpdate") return;
      for (const stream of this.#byKey.get(event.key) ?? []) stream.push(event);
      for (const [stream, prefix] of this.#prefixes) if (hasPrefix(event, prefix)) stream.push(event);
    });
  }

  /**
   * Emits the present values, then changes and deletions, of a key or of all keys of users with a prefix. Between two
   * engine calls state and events agree, so nothing is missed or emitted twice.
   */
  watch({ key, byPrefix = false, signal, untilLeaving = false }: Watched): ReadableStream<GossipUpdate> {
    this.#engineHost.assertOutside();
    let endHeartbeats = () => {};
    const stream = new ConflatingQueue<GossipUpdate>({
      keyOf: (update) => `${update.key.length} ${update.key}${update.memberId}`,
      isDeletion: ({ deleted }) => deleted,
      onEnd: (ended) => {
        this.#prefixes.delete(ended);
        this.#remove(key, ended);
        this.#untilLeaving.delete(ended);
        endHeartbeats();
      },
      signal,
    });
    const { view } = this.#engineHost;
    const present = byPrefix ? entriesWith(key, view) : view.state(key);
    for (const [memberId, entry] of present) {
      const sequenceNumber = entry.number;
      stream.push({
        type: "GossipUpdate",
        memberId,
        key: entry.key,
        value: deepFreeze(entry.value),
        sequenceNumber,
        deleted: false,
      });
    }
    if (this.#isOver) stream.finish();
    else if (!signal?.aborted) {
      if (byPrefix) this.#prefixes.set(stream, key);
      else this.#add(key, stream);
      if (untilLeaving) this.#untilLeaving.add(stream);
      if (key === HEARTBEAT_KEY && !byPrefix) endHeartbeats = this.#engineHost.watchHeartbeats();
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
    const streams = [...this.#byKey.values(), this.#prefixes.keys()].flatMap((each) => [...each]);
    for (const stream of streams) stream.finish();
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
