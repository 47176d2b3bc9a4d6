/**
 * What every life of every member ever set: the truth that what others hold is measured against.
 *
 * @module
 */

import type { Life } from "../../engine/types.ts";

/** One set or delete. */
export interface Change {
  readonly number: number;
  /** The value as JSON; `undefined` where the key was deleted. */
  readonly json: string | undefined;
}

/** Changes by key, in rising order of number. */
type LifeLog = Map<string, Change[]>;

/** Written by owners alone. */
export class Ledger {
  readonly #lives = new Map<string, Map<Life, LifeLog>>();

  /** An owner changed a key; returns what is wrong with that, if anything. */
  record(id: string, life: Life, key: string, change: Change): string | undefined {
    const lives = getOrMake(this.#lives, id, () => new Map<Life, LifeLog>());
    const log = getOrMake(lives, life, () => new Map<string, Change[]>());
    const changes = getOrMake(log, key, () => []);
    const last = changes.at(-1)?.number ?? 0;
    changes.push(change);
    return last < change.number ? undefined : `${id} gave ${key} the number ${change.number} after ${last}`;
  }

  /** Whether any life of the owner changed the key to that under that number. */
  has(id: string, key: string, { number, json }: Change): boolean {
    for (const log of this.#lives.get(id)?.values() ?? []) {
      if (find(log.get(key) ?? [], number)?.json === json) return true;
    }
    return false;
  }

  /** Everything that one life changed, by key. */
  changesOf(id: string, life: Life): ReadonlyMap<string, readonly Change[]> {
    return this.#lives.get(id)?.get(life) ?? new Map();
  }

  /** How many lives of an id have set anything. */
  livesOf(id: string): number {
    return this.#lives.get(id)?.size ?? 0;
  }
}

/** The change with exactly this number. */
export function find(changes: readonly Change[], number: number): Change | undefined {
  const change = changes[lastUpTo(changes, number)];
  return change?.number === number ? change : undefined;
}

/** The index of the last change up to a number; -1 where there is none. */
export function lastUpTo(changes: readonly Change[], number: number): number {
  let low = 0;
  let high = changes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (changes[middle]!.number <= number) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, value = make());
  return value;
}
