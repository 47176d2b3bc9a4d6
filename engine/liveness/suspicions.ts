/**
 * Members that seem to have crashed (rules C1 to C4 in `docs/ALGORITHM.md`): their connections broke, and their address
 * refuses new ones. A suspicion is confirmed if nothing newer is heard for a while.
 *
 * @module
 */

interface Suspicion {
  /** When the wait began: with the suspicion, or with the last heartbeat that was newer. */
  sinceMs: number;
}

/** The members that are suspected, by id. */
export class Suspicions {
  readonly #byId = new Map<string, Suspicion>();

  /** Suspects a member; returns whether it was not suspected before. */
  add(id: string, nowMs: number): boolean {
    if (this.#byId.has(id)) return false;
    this.#byId.set(id, { sinceMs: nowMs });
    return true;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** A newer heartbeat of a member was heard: the wait begins again. */
  restart(id: string, nowMs: number): void {
    const suspicion = this.#byId.get(id);
    if (suspicion) suspicion.sinceMs = nowMs;
  }

  /** The member spoke itself, or is no longer active; returns whether it was suspected. */
  remove(id: string): boolean {
    return this.#byId.delete(id);
  }

  /**
   * After how many milliseconds a member will have been suspected for `waitMs` without a newer heartbeat: 0 or less if it
   * has been; `Infinity` if it is not suspected.
   */
  dueInMs(id: string, { nowMs, waitMs }: { readonly nowMs: number; readonly waitMs: number }): number {
    const suspicion = this.#byId.get(id);
    return suspicion === undefined ? Infinity : suspicion.sinceMs + waitMs - nowMs;
  }
}
