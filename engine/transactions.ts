/**
 * Runs each call of the engine, and collects its events and changes of state.
 *
 * @module
 */

import type { EngineEvent } from "./events.ts";
import type { Heartbeats } from "./liveness/heartbeats.ts";
import type { Progress } from "./progress.ts";
import type { Store } from "./state/store.ts";
import type { Instant } from "./types.ts";

/**
 * The most members with changes to push. 1,024: more changes than a burst brings in the few milliseconds of collecting.
 * The rounds send the rest.
 */
const MAX_CHANGES = 1_024;

/** The result of a call, and its events in order. */
export type WithEvents<T = unknown> = T & { readonly events: readonly EngineEvent[] };

/** The members with changes to send before the next round. */
export interface Changes {
  /** True if this member's own state changed. */
  readonly own: boolean;
  /** Other members with changes to pass on. */
  readonly others: ReadonlySet<string>;
}

/** The calls of one engine. */
export class Transactions {
  readonly #selfId: string;
  readonly #store: Store;
  readonly #heartbeats: Heartbeats;
  readonly #progress: Progress;
  readonly #events: EngineEvent[];
  #nowMs: number;
  #changes = { own: false, others: new Set<string>() };

  /** The other parts of the engine push their events to `events`. */
  constructor(context: {
    readonly selfId: string;
    readonly store: Store;
    readonly heartbeats: Heartbeats;
    readonly progress: Progress;
    readonly events: EngineEvent[];
    readonly now: Instant;
  }) {
    this.#selfId = context.selfId;
    this.#store = context.store;
    this.#heartbeats = context.heartbeats;
    this.#progress = context.progress;
    this.#events = context.events;
    this.#nowMs = context.now.monotonicMs;
  }

  /** The monotonic clock at the last call that had a time. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** True if {@linkcode Transactions.takeChanges} would return a change. */
  get hasChanges(): boolean {
    return this.#changes.own || this.#changes.others.size > 0;
  }

  /** The changes since the last call. */
  takeChanges(): Changes {
    const changes = this.#changes;
    if (this.hasChanges) this.#changes = { own: false, others: new Set() };
    return changes;
  }

  /**
   * Runs an action, evaluates consensus and phase, and returns all events. With `passOn: false` the changes cause no
   * push. They go with the next round, or with a later push of the same member.
   */
  run<T>(
    now: Instant | undefined,
    action: () => T,
    { passOn = true }: { readonly passOn?: boolean } = {},
  ): WithEvents<T> {
    if (now) {
      this.#nowMs = now.monotonicMs;
      this.#heartbeats.noteTime(now);
    }
    const result = action();
    const changed = this.#store.log.takeRecent();
    if (passOn) this.#recordChanges(changed);
    this.#progress.evaluate();
    return { ...result, events: this.#events.splice(0) };
  }

  #recordChanges(changed: ReadonlySet<string>): void {
    for (const id of changed) {
      if (id === this.#selfId) this.#changes.own = true;
      else if (this.#changes.others.size < MAX_CHANGES) this.#changes.others.add(id);
    }
  }
}
