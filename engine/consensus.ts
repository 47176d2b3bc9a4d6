/**
 * Consensus checks: all active members have the same value. Kept as running counts (rules E6, E13).
 *
 * @module
 */

import type { JsonValue } from "./types.ts";

/** Returns the canonical JSON text to compare, or `undefined` for no value. Must not throw. */
export type ConsensusReader = (value: JsonValue, memberId: string) => string | undefined;

/** One check of one key. */
export class ConsensusCheck {
  readonly id: string;
  readonly key: string;
  readonly #read: ConsensusReader;
  readonly #values = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  #agreed: string | undefined;

  constructor(id: string, key: string, read: ConsensusReader) {
    this.id = id;
    this.key = key;
    this.#read = read;
  }

  /** Counts the value of an active member in place of its former one; `undefined` for none. */
  recordValue(memberId: string, value: JsonValue | undefined): void {
    const before = this.#values.get(memberId);
    const text = value === undefined ? undefined : this.#read(value, memberId);
    if (before === text) return;
    if (before !== undefined) {
      const left = this.#counts.get(before)! - 1;
      if (left === 0) this.#counts.delete(before);
      else this.#counts.set(before, left);
      this.#values.delete(memberId);
    }
    if (text !== undefined) {
      this.#values.set(memberId, text);
      this.#counts.set(text, (this.#counts.get(text) ?? 0) + 1);
    }
  }

  /** The common text at the last {@linkcode ConsensusCheck.update}; `undefined` if there was none. */
  get agreed(): string | undefined {
    return this.#agreed;
  }

  /**
   * Evaluates the check; returns true if {@linkcode ConsensusCheck.agreed} changed. With `activeMembers` undefined, no
   * consensus is possible.
   */
  update(activeMembers: number | undefined): boolean {
    const agreed = activeMembers === undefined ? undefined : this.evaluate(activeMembers);
    if (agreed === this.#agreed) return false;
    this.#agreed = agreed;
    return true;
  }

  /** The text that all active members have in common; `activeMembers` is their number. */
  evaluate(activeMembers: number): string | undefined {
    if (this.#counts.size !== 1 || this.#values.size !== activeMembers) return undefined;
    return this.#counts.keys().next().value;
  }

  /** The members without a value, or with another value than the most common value. */
  dissenters(activeIds: Iterable<string>): string[] {
    let most: string | undefined;
    for (const [text, count] of this.#counts) {
      const best = most === undefined ? 0 : this.#counts.get(most)!;
      if (count > best || (count === best && text < most!)) most = text;
    }
    return [...activeIds].filter((id) => most === undefined || this.#values.get(id) !== most).sort();
  }
}
