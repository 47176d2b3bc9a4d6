/**
 * State of departed members (rule E11). For half of the retention the state is still passed on, then only stored, and
 * finally dropped. The last version is remembered, so that old deltas do not bring the state back.
 *
 * @module
 */

import type { KnownVersion } from "../types.ts";

/** Departed members (blocked, or outside the topology), and the last versions of forgotten members. */
export class Departures {
  readonly #retentionMs: number;
  readonly #maxRemembered: number;
  /** The time of the departure, by id; the oldest first. */
  readonly #goneSince = new Map<string, number>();
  readonly #remembered = new Map<string, KnownVersion>();

  constructor(retentionMs: number, maxRemembered: number) {
    this.#retentionMs = retentionMs;
    this.#maxRemembered = maxRemembered;
  }

  /** Starts the retention of a member, unless it runs already. */
  depart(id: string, nowMs: number): void {
    if (!this.#goneSince.has(id)) this.#goneSince.set(id, nowMs);
  }

  /** Ends the retention: the member is back. */
  return(id: string): void {
    this.#goneSince.delete(id);
  }

  /** True if the state of a member is passed on. */
  passesOn(id: string, nowMs: number): boolean {
    const since = this.#goneSince.get(id);
    return since === undefined || nowMs - since < this.#retentionMs / 2;
  }

  /** Removes and returns the ids with a retention that has ended. */
  takeExpired(nowMs: number): string[] {
    const expired: string[] = [];
    for (const [id, since] of this.#goneSince) {
      if (nowMs - since < this.#retentionMs) break;
      expired.push(id);
      this.#goneSince.delete(id);
    }
    return expired;
  }

  /** Remembers the version of a member with dropped state. If there is no room, the oldest version is dropped. */
  remember(id: string, version: KnownVersion): void {
    this.#remembered.delete(id);
    this.#remembered.set(id, version);
    if (this.#remembered.size > this.#maxRemembered) {
      this.#remembered.delete(this.#remembered.keys().next().value!);
    }
  }

  /** The remembered version of a member. */
  rememberedVersion(id: string): KnownVersion | undefined {
    return this.#remembered.get(id);
  }

  /** True if a version of a forgotten member is not newer than the remembered one. */
  refuses(id: string, version: KnownVersion): boolean {
    const memory = this.#remembered.get(id);
    if (!memory) return false;
    return version.incarnation < memory.incarnation ||
      (version.incarnation === memory.incarnation && version.number <= memory.number);
  }

  /** Drops the remembered version of a member whose state is known again. */
  forget(id: string): void {
    this.#remembered.delete(id);
  }

  /** The number of members in retention. */
  get gone(): number {
    return this.#goneSince.size;
  }

  /** The ids that departed at a time or before it, the oldest first. */
  *goneUntil(untilMs: number = Infinity): Iterable<string> {
    for (const [id, since] of this.#goneSince) {
      if (since > untilMs) return;
      yield id;
    }
  }

  /** The number of remembered members. */
  get remembered(): number {
    return this.#remembered.size;
  }
}
