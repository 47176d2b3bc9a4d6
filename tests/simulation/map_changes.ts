/**
 * The changes of maps during the fault phase, and one change of a large map after the recovery.
 *
 * @module
 */

import { composedKey } from "../../maps/composed_key.ts";
import { mapOf } from "../../maps/mod.ts";
import type { InvariantChecker } from "./invariants/invariant_checker.ts";
import { MAPS } from "./invariants/map_checks.ts";
import type { Process } from "./process.ts";
import type { Recovery } from "./recovery.ts";
import type { Run } from "./run.ts";
import { unlessTooLarge } from "./workload.ts";

/** Keys within a map, few, so that changes of one entry meet. Any text is allowed, also the separator. */
const MAP_KEYS = ["a", "b", "c", "", "␟", "a␟b", "__proto__", "κλειδί"];
/** Keys of entries that expire, or that did so before their last set. */
const BRIEF_MAP_KEYS = ["brief 0", "brief 1", "brief 2"];
/** The largest number of entries that are set at once. */
const MAX_FILLED = 30;
/** The fewest entries of a map for the check of one change: in a smaller map all entries would be small too. */
const LEAST_ENTRIES = 8;

/** Draws changes of maps. Its draws are its own, so that a seed without maps keeps its run. */
export class MapChanges {
  readonly #run: Run;
  readonly #checker: InvariantChecker;
  #values = 0;

  constructor(run: Run, checker: InvariantChecker) {
    this.#run = run;
    this.#checker = checker;
    this.#changeRepeatedly();
  }

  /** True if the members of this run have maps. */
  get #isOn(): boolean {
    return Number.isFinite(this.#run.scenario.mapChangeEveryMs);
  }

  /** Follows the maps at a process that has started. */
  join(process: Process): void {
    if (this.#isOn) this.#checker.maps.follow(process);
  }

  /** Deletes the entries that would expire. */
  endBrief(process: Process): void {
    if (!this.#isOn) return;
    for (const map of MAPS) for (const mapKey of BRIEF_MAP_KEYS) this.#delete(process, map, mapKey);
  }

  /** Without faults all members read equal maps, also after a change of one entry of a large map. */
  async checkRecovered(recovery: Recovery): Promise<void> {
    const { processes, record, random: { maps: random } } = this.#run;
    const { maps: checks } = this.#checker;
    if (!this.#isOn) return;
    const different = checks.findDifferent(processes.alive);
    if (different !== undefined) record.fail(undefined, `after the recovery ${different}`);
    const owner = processes.draw(random, (process) => checks.sizeOf(process, MAPS[0]) >= LEAST_ENTRIES);
    if (!owner) return;
    const [map, isToDelete] = [MAPS[0], random.chance(0.3)];
    const mapKey = random.pick(mapOf(owner.gossiper, map).keys());
    const value = isToDelete ? undefined : this.#value();
    record.count("change of one entry");
    record.log(owner.id, `changes one of ${checks.sizeOf(owner, map)} entries`);
    if (isToDelete) this.#delete(owner, map, mapKey);
    else this.#set(owner, map, { mapKey, value });
    await recovery.untilRecovered("change of an entry");
  }

  #changeRepeatedly(): void {
    const { scenario, timeline, random: { maps: random } } = this.#run;
    if (!this.#isOn) return;
    timeline.repeatInFaultPhase(() => random.wait(scenario.mapChangeEveryMs), () => this.#change());
  }

  #change(): void {
    const { processes, record, random: { maps: random } } = this.#run;
    const process = processes.draw(random, ({ isRunning, machine }) => isRunning && !machine.isFrozen);
    if (!process) return;
    const how = random.weighted(
      [[6, "set"], [3, "delete"], [4, "brief"], [0.5, "fill"], [0.5, "clear"]] as const,
    );
    const map = random.pick(MAPS);
    record.count(`map ${how}`);
    if (how === "set") this.#set(process, map, { mapKey: random.pick(MAP_KEYS), value: this.#value() });
    else if (how === "delete") this.#delete(process, map, random.pick([...MAP_KEYS, ...BRIEF_MAP_KEYS]));
    else if (how === "brief") this.#setBrief(process, map);
    else if (how === "fill") this.#fill(process, map);
    else for (const mapKey of mapOf(process.gossiper, map).keys()) this.#delete(process, map, mapKey);
  }

  #fill(process: Process, map: string): void {
    const count = this.#run.random.maps.whole(MAX_FILLED / 3, MAX_FILLED);
    for (let at = 0; at < count; at++) this.#set(process, map, { mapKey: `n ${at}`, value: this.#value() });
  }

  /** Sets an entry that expires, renews the present one, or lets it last. */
  #setBrief(process: Process, map: string): void {
    const { record, random: { maps: random } } = this.#run;
    const mapKey = random.pick(BRIEF_MAP_KEYS);
    const present = mapOf(process.gossiper, map).get(mapKey);
    const value = present !== undefined && random.chance(0.6) ? present : this.#value();
    const lifetimeMs = random.chance(0.2) ? Infinity : random.whole(300, 8_000);
    if (value === present) record.count("map renewal");
    this.#checker.lifetimes.recordSet(process, { key: composedKey({ key: map, mapKey }), value, lifetimeMs });
    this.#set(process, map, { mapKey, value, ...(lifetimeMs < Infinity && { expiresAfter: lifetimeMs }) });
  }

  #set(process: Process, map: string, { mapKey, value, ...lifetime }: {
    readonly mapKey: string;
    readonly value: unknown;
    readonly expiresAfter?: number;
  }): void {
    const isSet = unlessTooLarge(() => mapOf<unknown>(process.gossiper, map).set(mapKey, value, lifetime));
    if (isSet) this.#checker.maps.recordSet(process, map, { mapKey, value });
  }

  #delete(process: Process, map: string, mapKey: string): void {
    const wasSet = mapOf(process.gossiper, map).delete(mapKey);
    this.#checker.maps.recordDelete(process, map, { mapKey, wasSet });
  }

  /** A value that no member has set before. */
  #value(): unknown {
    const number = ++this.#values;
    return this.#run.random.maps.pick<unknown>([number, `${number}`, [number, null], { "": number }]);
  }
}
