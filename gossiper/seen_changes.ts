/**
 * Emits `SeenChanged` as members acknowledge this member's values (rule E5). Costs nothing unless a subscription
 * names the event.
 *
 * @module
 */

import type { EventStream } from "../contracts/event_stream.ts";
import type { EngineHost } from "./engine_host.ts";
import { isReservedKey } from "./validation.ts";

/** Follows the acknowledgements while the event has a subscriber. */
export class SeenChanges {
  readonly #engineHost: EngineHost;
  readonly #eventStream: EventStream;
  /** The number up to which each active peer has this member's own state; `undefined` while no subscription names the event. */
  #acknowledged: Map<string, number> | undefined;

  /** Follows from now on. */
  constructor(engineHost: EngineHost, eventStream: EventStream) {
    this.#engineHost = engineHost;
    this.#eventStream = eventStream;
    engineHost.onAfterCall(() => this.#update());
  }

  #update(): void {
    if (!this.#eventStream.isNamed("SeenChanged")) {
      this.#acknowledged = undefined;
      return;
    }
    const before = this.#acknowledged;
    const now = this.#read();
    this.#acknowledged = now;
    if (!before) return;
    // A departed peer changes only the counts: `MemberLeft` and `MemberFailed` report it.
    let least = Infinity;
    for (const [id, number] of now) {
      const former = before.get(id) ?? 0;
      if (number > former) least = Math.min(least, former);
    }
    if (least < Infinity) this.#emit(least, { before, now });
  }

  #read(): Map<string, number> {
    const { view } = this.#engineHost;
    const all = view.versionOf(view.id)?.number ?? 0;
    return new Map(view.activePeers().map((id) => [id, Math.min(all, view.ackedOwnNumber(id))]));
  }

  /** Emits an event for each own entry, above a number, that more peers have than before. */
  #emit(
    least: number,
    { before, now }: {
      readonly before: ReadonlyMap<string, number>;
      readonly now: ReadonlyMap<string, number>;
    },
  ): void {
    const { view } = this.#engineHost;
    for (const { key, number } of view.ownEntriesAbove(least)) {
      if (isReservedKey(key)) continue;
      const ids = [...now].filter(([, acknowledged]) => acknowledged >= number).map(([id]) => id);
      if (!ids.some((id) => (before.get(id) ?? 0) < number)) continue;
      // The owner has it too.
      const [seenBy, of] = [ids.length + 1, now.size + 1];
      this.#engineHost.publish({ type: "SeenChanged", key, sequenceNumber: number, seenBy, of });
    }
  }
}
