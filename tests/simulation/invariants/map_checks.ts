/**
 * Invariants of maps: each reading of a map is one that its owner had at one moment, the updates of a map lead to what it
 * reads.
 *
 * @module
 */

import { composedKey, SEPARATOR } from "../../../maps/composed_key.ts";
import { mapOf } from "../../../maps/mod.ts";
import type { Process } from "../process.ts";
import type { CheckContext } from "./check_context.ts";
import { isBrief } from "./expected_state.ts";

/** The maps of every member. The key of one begins with that of the other. */
export const MAPS = ["shelf", "shelf 2"] as const;

/** An entry as the checks know it: its composed key, and its value as JSON. */
interface Written {
  readonly composed: string;
  readonly json: string;
}

/** The changes of its owner between which an entry was there. */
interface Span {
  readonly from: number;
  to: number;
}

/** All entries that one process has set. No value is set twice, except to renew it. */
class OwnMaps {
  /** The present entries, by composed key; also those that may have expired. */
  readonly present = new Map<string, string>();
  readonly #spans = new Map<string, Span>();
  /** By composed key: the changes of its owner before the last set. */
  readonly #lastSets = new Map<string, number>();
  #changes = 0;

  set({ composed, json }: Written): void {
    if (this.present.get(composed) === json) return;
    this.delete(composed);
    this.present.set(composed, json);
    this.#spans.set(`${composed} ${json}`, { from: this.#changes, to: Infinity });
    this.#lastSets.set(composed, this.#changes);
  }

  delete(composed: string): void {
    this.#changes++;
    const span = this.#spans.get(`${composed} ${this.present.get(composed)}`);
    if (span) span.to = this.#changes;
    this.present.delete(composed);
  }

  /**
   * True if these entries were all there at one moment. An entry that was set again does not count: the first part of a
   * state lacks such an entry, and leaves a reader its former value (E7).
   */
  hasHad(entries: Iterable<readonly [composed: string, json: string]>): boolean {
    let [from, to] = [0, Infinity];
    for (const [composed, json] of entries) {
      const span = this.#spans.get(`${composed} ${json}`);
      if (!span) return false;
      from = Math.max(from, span.from);
      const isSetAgain = this.#lastSets.get(composed)! >= span.to;
      if (!isSetAgain) to = Math.min(to, span.to);
    }
    return from < to;
  }
}

/** The entries of a map at one process, by member id: composed keys and values as JSON. */
type Readings = Map<string, Map<string, string>>;

/** Checks maps. */
export class MapChecks {
  readonly #context: CheckContext;
  readonly #own = new Map<string, Map<Process, OwnMaps>>();
  readonly #followed = new Map<Process, Map<string, Readings>>();

  constructor(context: CheckContext) {
    this.#context = context;
  }

  /** Must be called with every process that starts. */
  follow(process: Process): void {
    const followed = new Map<string, Readings>();
    this.#followed.set(process, followed);
    for (const map of MAPS) {
      const readings: Readings = new Map();
      followed.set(map, readings);
      void foldUpdates(process, map, readings);
    }
  }

  /** Must be called after each set of an entry. */
  recordSet(process: Process, map: string, { mapKey, value }: {
    readonly mapKey: string;
    readonly value: unknown;
  }): void {
    const json = JSON.stringify(value);
    this.#ownOf(process).set({ composed: composedKey({ key: map, mapKey }), json });
    const read = JSON.stringify(mapOf(process.gossiper, map).get(mapKey));
    if (read === json) return;
    this.#context.fail(process, `it set ${mapKey} of ${map} to ${json}, and reads ${read}`);
  }

  /** Must be called after each deletion of an entry, with its result. */
  recordDelete(process: Process, map: string, { mapKey, wasSet }: {
    readonly mapKey: string;
    readonly wasSet: boolean;
  }): void {
    const composed = composedKey({ key: map, mapKey });
    const own = this.#ownOf(process);
    const isRight = isBrief(composed) || wasSet === own.present.has(composed);
    own.delete(composed);
    if (isRight && mapOf(process.gossiper, map).get(mapKey) === undefined) return;
    this.#context.fail(
      process,
      `it deleted ${mapKey} of ${map}: ${wasSet}, and still has it or never had it`,
    );
  }

  /** Checks all maps at these processes. */
  sweep(processes: readonly Process[]): void {
    for (const process of processes) {
      const followed = this.#followed.get(process);
      if (!followed || !process.isRunning || process.machine.isFrozen) continue;
      for (const map of MAPS) {
        const read = readAll(process, map);
        this.#checkRead(process, map, read);
        const different = differenceOf(read, followed.get(map)!);
        if (different !== undefined) this.#context.fail(process, `it reads ${different} as by its updates`);
      }
    }
  }

  /** The first process whose reading is not what the owners have set and not deleted; `undefined` if all are right. */
  findDifferent(survivors: readonly Process[]): string | undefined {
    for (const process of survivors) {
      for (const map of MAPS) {
        const read = readAll(process, map);
        for (const owner of survivors) {
          const own = [...this.#ownOf(owner).present].filter(([composed]) =>
            composed.startsWith(`${map}${SEPARATOR}`)
          );
          const expected: Readings = new Map([[owner.id, new Map(own)]]);
          const found: Readings = new Map([[owner.id, read.get(owner.id) ?? new Map()]]);
          const different = differenceOf(found, expected);
          if (different !== undefined) return `${process.id} reads ${different}`;
        }
      }
    }
    return undefined;
  }

  /** The number of lasting entries of a process in a map. */
  sizeOf(process: Process, map: string): number {
    return mapOf(process.gossiper, map).keys().length;
  }

  #ownOf(process: Process): OwnMaps {
    let processes = this.#own.get(process.id);
    if (!processes) this.#own.set(process.id, processes = new Map());
    let own = processes.get(process);
    if (!own) processes.set(process, own = new OwnMaps());
    return own;
  }

  #checkRead(process: Process, map: string, read: Readings): void {
    for (const [id, entries] of read) {
      const owners = id === process.id ? [this.#ownOf(process)] : [...this.#own.get(id)?.values() ?? []];
      if (owners.some((own) => own.hasHad(entries))) continue;
      const found = [...entries].map(([composed, json]) => `${composed}=${json}`).join(" ");
      this.#context.fail(process, `of ${id} it reads ${found}, which its owner had at no moment`);
    }
    const own = read.get(process.id);
    for (const [composed, json] of this.#ownOf(process).present) {
      if (isBrief(composed) || !composed.startsWith(`${map}${SEPARATOR}`)) continue;
      const found = own?.get(composed);
      if (found !== json) this.#context.fail(process, `it set ${composed} to ${json}, and reads ${found}`);
    }
  }
}

/** Applies all updates of a map at a process to these readings, until the process ends. */
async function foldUpdates(process: Process, map: string, readings: Readings): Promise<void> {
  for await (const { memberId, mapKey, value, deleted } of mapOf(process.gossiper, map).watch()) {
    const composed = composedKey({ key: map, mapKey });
    const entries = readings.get(memberId) ?? new Map<string, string>();
    if (deleted) entries.delete(composed);
    else entries.set(composed, JSON.stringify(value));
    if (entries.size === 0) readings.delete(memberId);
    else readings.set(memberId, entries);
  }
}

/** All entries of a map that a process reads. */
function readAll(process: Process, key: string): Readings {
  const readings: Readings = new Map();
  for (const [mapKey, values] of mapOf(process.gossiper, key).union()) {
    for (const [id, { value }] of values) {
      const entries = readings.get(id) ?? new Map<string, string>();
      entries.set(composedKey({ key, mapKey }), JSON.stringify(value));
      readings.set(id, entries);
    }
  }
  return readings;
}

/** The first entry that differs, with its value in both; `undefined` if they are equal. */
function differenceOf(one: Readings, other: Readings): string | undefined {
  for (const id of new Set([...one.keys(), ...other.keys()])) {
    const [entries, others] = [one.get(id), other.get(id)];
    for (const composed of new Set([...entries?.keys() ?? [], ...others?.keys() ?? []])) {
      const [json, otherJson] = [entries?.get(composed), others?.get(composed)];
      if (json !== otherJson) return `${composed} of ${id} = ${json}, and not ${otherJson}`;
    }
  }
  return undefined;
}
