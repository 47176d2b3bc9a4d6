/**
 * Pairs of engines that have the state of many other members.
 *
 * @module
 */

import type { Engine } from "../../engine/engine.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import { deltaBytes } from "../../engine/sync/selection.ts";
import type { Delta } from "../../engine/types.ts";
import {
  deliver,
  entry,
  handshake,
  makeEngine,
  memberDelta,
  type SETTINGS,
  type TestClock,
} from "./harness.ts";

export function idsOf(delta: Delta): string[] {
  return delta.members.map(({ id }) => id);
}

/** The counted bytes of a delta in a message. */
export function bytesOf(delta: Delta): number {
  return delta.members.reduce((sum, each) => sum + deltaBytes(each), 0);
}

/** An engine `a` and its peer `b`, both with the state of this many more members. */
export function pairAmong(others: number, clock: TestClock, settings: Partial<typeof SETTINGS> = {}) {
  const ids = ["a", "b", ...Array.from({ length: others }, (_, index) => `m${index}`)];
  const a = makeEngine("a", clock, { settings });
  const b = makeEngine("b", clock, { settings });
  for (const engine of [a, b]) engine.setTopology({ members: ids, blocked: [] }, clock.now);
  handshake(a, b, clock);
  return { a, b, others: ids.slice(2) };
}

/** The owners of other members' state; each call sets new values. */
export class Owners {
  readonly #numbers = new Map<string, number>();
  readonly #incarnation: string;
  readonly #clock: TestClock;
  readonly #entry: (number: number) => ReturnType<typeof entry>;

  constructor(clock: TestClock, makeEntry = (number: number) => entry("k", number, number)) {
    this.#clock = clock;
    this.#incarnation = makeIncarnation(clock.wallMs, 0.5);
    this.#entry = makeEntry;
  }

  /** Sets a value at every one of them, and delivers it to an engine from another than its peer. */
  change(engine: Engine, ids: readonly string[]): void {
    for (const id of ids) {
      const number = (this.#numbers.get(id) ?? 0) + 1;
      this.#numbers.set(id, number);
      const delta = memberDelta(id, this.#incarnation, [this.#entry(number)], { after: number - 1 });
      deliver(engine, "relay", delta, this.#clock);
    }
  }
}
