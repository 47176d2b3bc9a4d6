/**
 * The times in which members held a role, and the rules that these must keep.
 *
 * @module
 */

import type { LeaderAnswer } from "../../../roles/mod.ts";

/** One time in which one member held one role. */
export interface Term {
  readonly key: string;
  readonly id: string;
  /** The epoch at its beginning. */
  readonly epoch: number;
  readonly fromMs: number;
  toMs: number;
}

/** A time in which two members held one role. */
export interface Overlap {
  readonly key: string;
  readonly ids: readonly [string, string];
  readonly ms: number;
}

/** Records terms and answers, and finds broken rules. */
export class Terms {
  /** All terms, in the order of their beginnings. */
  readonly all: Term[] = [];
  readonly #nowMs: () => number;
  readonly #open = new Map<string, Term>();
  /** The last epoch and leader that each member saw. */
  readonly #seen = new Map<string, { readonly epoch: number; readonly leader: string }>();
  /** The leader of each epoch, at any member. */
  readonly #leaders = new Map<number, string>();
  /** Broken rules at one member. */
  readonly faults: string[] = [];
  /** The epochs with two leaders, at different members. */
  readonly repeated: string[] = [];

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  begin(key: string, id: string, epoch: number): void {
    if (this.#open.has(`${key} ${id}`)) return;
    const term = { key, id, epoch, fromMs: this.#nowMs(), toMs: Infinity };
    this.all.push(term);
    this.#open.set(`${key} ${id}`, term);
  }

  end(key: string, id: string): void {
    const term = this.#open.get(`${key} ${id}`);
    if (term) term.toMs = this.#nowMs();
    this.#open.delete(`${key} ${id}`);
  }

  endAll(id: string): void {
    for (const term of [...this.#open.values()]) if (term.id === id) this.end(term.key, id);
  }

  /** Checks an answer of a member: epochs rise with each change of the leader. */
  note(id: string, now: LeaderAnswer): void {
    if (now.state === "unknown") return;
    const { epoch, leader } = now;
    const before = this.#seen.get(id);
    const isRising = before === undefined || epoch > before.epoch ||
      (epoch === before.epoch && leader === before.leader);
    if (!isRising) this.faults.push(`${id}: ${JSON.stringify(before)}, then ${JSON.stringify(now)}`);
    this.#seen.set(id, { epoch, leader });
    const other = this.#leaders.get(epoch);
    if (other !== undefined && other !== leader) this.repeated.push(`epoch ${epoch}: ${other} and ${leader}`);
    this.#leaders.set(epoch, leader);
  }

  /** The times in which two members held one role. */
  get overlaps(): readonly Overlap[] {
    const overlaps: Overlap[] = [];
    for (const [index, one] of this.all.entries()) {
      for (const other of this.all.slice(index + 1)) {
        if (one.key !== other.key || one.id === other.id) continue;
        const ms = Math.min(one.toMs, other.toMs, this.#nowMs()) - Math.max(one.fromMs, other.fromMs);
        if (ms > 0) overlaps.push({ key: one.key, ids: [one.id, other.id], ms });
      }
    }
    return overlaps;
  }

  /** The terms whose epoch is not above that of an earlier term of another member: a store could not fence those off. */
  get unfenced(): readonly string[] {
    return this.all.flatMap((term, index) =>
      this.all.slice(0, index)
        .filter(({ key, id, epoch }) => key === term.key && id !== term.id && epoch >= term.epoch)
        .map(({ id, epoch }) => `${term.key}: ${id} at ${epoch}, then ${term.id} at ${term.epoch}`)
    );
  }
}
