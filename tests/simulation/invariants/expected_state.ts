/**
 * Every change of every incarnation of every member. The invariants compare the state of members with it.
 *
 * @module
 */

import { HEARTBEAT_KEY, type Incarnation } from "../../../engine/types.ts";
import { SEPARATOR } from "../../../maps/composed_key.ts";

/** One set or one delete. */
export interface Change {
  readonly number: number;
  /** The value as JSON; `undefined` for a delete. */
  readonly json: string | undefined;
}

/** A change of a key. */
export interface KeyChange extends Change {
  readonly key: string;
}

/** Changes by key, in ascending order of number. */
type IncarnationLog = Map<string, Change[]>;

/** The expected state. Only changes by owners are recorded. */
export class ExpectedState {
  readonly #incarnations = new Map<string, Map<Incarnation, IncarnationLog>>();

  /** Records a change by an owner. Returns an error text if its number is not above the last one. */
  record(
    id: string,
    { incarnation, key, number, json }: KeyChange & { readonly incarnation: Incarnation },
  ): string | undefined {
    const incarnations = getOrMake(this.#incarnations, id, () => new Map<Incarnation, IncarnationLog>());
    const log = getOrMake(incarnations, incarnation, () => new Map<string, Change[]>());
    const changes = getOrMake(log, key, () => []);
    const last = changes.at(-1)?.number ?? 0;
    changes.push({ number, json });
    return last < number ? undefined : `${id} gave ${key} the number ${number} after ${last}`;
  }

  /** True if an incarnation of the owner made exactly this change. */
  has(id: string, { key, number, json }: KeyChange): boolean {
    for (const log of this.#incarnations.get(id)?.values() ?? []) {
      if (find(log.get(key) ?? [], number)?.json === json) return true;
    }
    return false;
  }

  /** All changes of one incarnation, by key. */
  changesOf(id: string, incarnation: Incarnation): ReadonlyMap<string, readonly Change[]> {
    return this.#incarnations.get(id)?.get(incarnation) ?? new Map();
  }

  /** All values that the owner gave a key, as JSON. */
  valuesOf(id: string, key: string): readonly string[] {
    const logs = [...this.#incarnations.get(id)?.values() ?? []];
    return logs.flatMap((log) => log.get(key) ?? []).map(({ json }) => json).filter((json) =>
      json !== undefined
    );
  }

  /** The number of incarnations of an id that changed a key. */
  incarnationsOf(id: string): number {
    return this.#incarnations.get(id)?.size ?? 0;
  }
}

/** The keys of values that expire. A member shows such a value until its end, whatever its state is. */
export const BRIEF_KEYS = ["brief 0", "brief 1", "brief 2"] as const;

/** True for a key whose values expire, also in a map. */
export function isBrief(key: string): boolean {
  return key.startsWith("brief ") || key.includes(`${SEPARATOR}brief `);
}

/** False for the heartbeat, whose count is not part of a member's state, and for values that expire. */
export function isState(key: string): boolean {
  return key !== HEARTBEAT_KEY && !isBrief(key);
}

/** The change with exactly this number. */
export function find(changes: readonly Change[], number: number): Change | undefined {
  const change = changes[lastUpTo(changes, number)];
  return change?.number === number ? change : undefined;
}

/** The index of the last change with at most this number; -1 if there is none. */
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
