/**
 * Members that may have crashed (rules C1 to C4): their connections broke, and their addresses refuse new connections.
 * A suspicion is confirmed if no newer heartbeat arrives for {@linkcode CONFIRM_AFTER_MS}.
 *
 * @module
 */

import type { EngineEvent } from "../events.ts";

/**
 * The time without a newer heartbeat before a suspect counts as crashed, in milliseconds. 1,050: a proxy that restarts
 * within a second refuses connections for a shorter time. Lower: a restarting proxy blocks live members. Higher: slower
 * detection.
 */
export const CONFIRM_AFTER_MS = 1_050;

interface Suspicion {
  /** Start of the wait: the suspicion, or the last newer heartbeat. */
  sinceMs: number;
}

/** The suspected members, by id. */
export class Suspicions {
  readonly #active: ReadonlySet<string>;
  readonly #emit: (event: EngineEvent) => void;
  readonly #byId = new Map<string, Suspicion>();

  constructor(active: ReadonlySet<string>, emit: (event: EngineEvent) => void) {
    this.#active = active;
    this.#emit = emit;
  }

  /** Suspects a member if it is active. A second suspicion does not restart the wait. */
  add(memberId: string, nowMs: number): void {
    if (!this.#active.has(memberId) || this.#byId.has(memberId)) return;
    this.#byId.set(memberId, { sinceMs: nowMs });
    this.#emit({ type: "MemberSuspected", memberId });
  }

  /** True if a member is active and suspected. */
  has(id: string): boolean {
    return this.#byId.has(id) && this.#active.has(id);
  }

  /** Restarts the wait: a newer heartbeat of the member arrived. */
  restart(id: string, nowMs: number): void {
    const suspicion = this.#byId.get(id);
    if (suspicion) suspicion.sinceMs = nowMs;
  }

  /**
   * Ends a suspicion. No event is emitted for a blocked member, because the end of the suspicion is no proof of life.
   */
  remove(memberId: string): void {
    if (!this.#byId.delete(memberId) || !this.#active.has(memberId)) return;
    this.#emit({ type: "SuspicionEnded", memberId });
  }

  /**
   * The milliseconds until a member has been suspected for `waitMs` without a newer heartbeat: 0 or less if that time has
   * passed; `Infinity` if the member is not suspected.
   */
  dueInMs(id: string, { nowMs, waitMs }: { readonly nowMs: number; readonly waitMs: number }): number {
    const suspicion = this.#byId.get(id);
    return suspicion === undefined ? Infinity : suspicion.sinceMs + waitMs - nowMs;
  }
}
