/**
 * What happens to state about members that are gone (rule E11): for half the retention it is still passed
 * on, for the other half it is only kept, and then it is dropped, and what is remembered refuses its return.
 *
 * @module
 */

import type { KnownVersion } from "../types.ts";

/** Members that are blocked or outside the topology, and those of which only a memory is left. */
export class Departures {
  readonly #retentionMs: number;
  readonly #maxRemembered: number;
  /** By id, since when; the first to go first. */
  readonly #goneSince = new Map<string, number>();
  readonly #remembered = new Map<string, KnownVersion>();

  constructor(retentionMs: number, maxRemembered: number) {
    this.#retentionMs = retentionMs;
    this.#maxRemembered = maxRemembered;
  }

  /** Notes that a member is gone, unless that is known. */
  depart(id: string, nowMs: number): void {
    if (!this.#goneSince.has(id)) this.#goneSince.set(id, nowMs);
  }

  /** Notes that a member is back. */
  return(id: string): void {
    this.#goneSince.delete(id);
  }

  /** Whether state about a member is still passed on. */
  passesOn(id: string, nowMs: number): boolean {
    const since = this.#goneSince.get(id);
    return since === undefined || nowMs - since < this.#retentionMs / 2;
  }

  /** Takes out the ids whose whole retention has passed. */
  takeExpired(nowMs: number): string[] {
    const expired: string[] = [];
    for (const [id, since] of this.#goneSince) {
      if (nowMs - since < this.#retentionMs) break;
      expired.push(id);
      this.#goneSince.delete(id);
    }
    return expired;
  }

  /** Remembers up to where a member was held when its state was dropped; the oldest memory makes room. */
  remember(id: string, version: KnownVersion): void {
    this.#remembered.delete(id);
    this.#remembered.set(id, version);
    if (this.#remembered.size > this.#maxRemembered) {
      this.#remembered.delete(this.#remembered.keys().next().value!);
    }
  }

  /** Up to where a member was held when its state was dropped, if that is remembered. */
  memory(id: string): KnownVersion | undefined {
    return this.#remembered.get(id);
  }

  /** Whether news that ends there is no news of a member that was forgotten. */
  refuses(id: string, news: KnownVersion): boolean {
    const memory = this.#remembered.get(id);
    if (!memory) return false;
    return news.incarnation < memory.incarnation ||
      (news.incarnation === memory.incarnation && news.number <= memory.number);
  }

  /** Something of a member is held again, which is more than a memory. */
  forget(id: string): void {
    this.#remembered.delete(id);
  }

  /** The number of ids whose retention is running. */
  get gone(): number {
    return this.#goneSince.size;
  }

  /** The ids whose retention is running since a moment or before it, the first to go first. */
  *goneUntil(untilMs: number = Infinity): Iterable<string> {
    for (const [id, since] of this.#goneSince) {
      if (since > untilMs) return;
      yield id;
    }
  }

  /** The number of ids of which only a memory is left. */
  get remembered(): number {
    return this.#remembered.size;
  }
}
