/**
 * The options of roles, and their rules.
 *
 * @module
 */

import type { Runtime } from "../common/runtime.ts";
import { assertNone, integer, optionsOf, rule, type Rules, RUNTIME, SIGNAL } from "../options/rules.ts";

/** Options of {@linkcode leader} and {@linkcode owners}. All members of a role must give the same options. */
export interface RoleOptions {
  /**
   * The fewest candidates that must be alive, from 1 to 10,000. With fewer, the answer is unknown. The number
   * should be more than half of the candidates. Then only one side of a partition has a leader, and no epoch repeats while
   * any candidate runs.
   * Lower: both sides may have a leader. Higher: fewer candidates may fail before there is no leader.
   */
  readonly atLeast: number;
  /**
   * The kind of the candidates: members with this word in the option `kinds` of `join`; by default all members are
   * candidates. A member of another kind may ask for the answer, but is never the answer itself.
   */
  readonly kind?: string;
  /** The zone of the candidates: members with the kind `zone:<zone>`; by default members of all zones. */
  readonly zone?: string;
  /**
   * The candidates agree after this time without a change of the candidates. In milliseconds, from 0 to 3,600,000;
   * 2,000 by default. Lower: a role has its next owner sooner. Higher: two sides of a partition have more time to
   * notice the partition.
   */
  readonly settle?: number;
  /**
   * A candidate gives up if it did not hear heartbeats of `atLeast` candidates within this time, because the others may
   * take it for dead. In milliseconds, from 500 to 3,600,000; 2,500 by default. Lower: a shorter time with two leaders.
   * Higher: candidates of a large cluster, where heartbeats take longer, do not give up in vain.
   */
  readonly heardWithin?: number;
  /**
   * The name of the role, of at most 100 characters; by default `leader` or `owners` with the kind and the zone, such as
   * `leader/worker/zone:eu-1`.
   */
  readonly name?: string;
  /** Ends the role at this member when aborted, like its disposal. */
  readonly signal?: AbortSignal;
  /** Clock and timers; the real ones by default. */
  readonly runtime?: Runtime;
}

/** Options of {@linkcode owners}. */
export interface OwnersOptions extends RoleOptions {
  /** The number of owners of each key, from 1 to 16; 1 by default. Fewer candidates mean fewer owners. */
  readonly replicas?: number;
}

/** The default of `settle`. 2 s: within this time all members know of most crashes. */
export const SETTLE_MS = 2_000;
/** The default of `heardWithin`. 2.5 s: a crash is confirmed after 1 s, and `settle` passes before the next leader. */
export const HEARD_WITHIN_MS = 2_500;
/** The longest `settle` and `heardWithin`: an hour without a leader is a mistake in the unit. */
const MAX_MS = 3_600_000;

const WORD = rule((given) => typeof given === "string" && /^.{1,100}$/s.test(given), {
  allowed: "a text of 1 to 100 characters",
});

const ROLE: Rules<RoleOptions> = {
  atLeast: integer({ least: 1, most: 10_000, unit: "candidates, such as more than half of them" }),
  kind: WORD,
  zone: WORD,
  settle: integer({ least: 0, most: MAX_MS, unit: "milliseconds" }),
  heardWithin: integer({ least: 500, most: MAX_MS, unit: "milliseconds" }),
  name: WORD,
  signal: SIGNAL,
  runtime: RUNTIME,
};
const OWNERS: Rules<OwnersOptions> = { ...ROLE, replicas: integer({ least: 1, most: 16 }) };

const LEADER_OPTIONS = optionsOf<RoleOptions>(ROLE, ["atLeast"]);
const OWNERS_OPTIONS = optionsOf<OwnersOptions>(OWNERS, ["atLeast"]);

/** Throws if the options of `leader` are invalid. */
export function assertLeaderOptions(given: RoleOptions): void {
  assertNone(LEADER_OPTIONS("leader", given));
}

/** Throws if the options of `owners` are invalid. */
export function assertOwnersOptions(given: OwnersOptions): void {
  assertNone(OWNERS_OPTIONS("owners", given));
}
