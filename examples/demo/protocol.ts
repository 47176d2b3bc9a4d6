/**
 * Messages between the demo and its members: one JSON text per line.
 *
 * @module
 */

import type { FlushResult, JsonValue, MemberView, PartialConfig } from "../../mod.ts";

/** Short times, so that the demo ends soon. */
export const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 800,
  gossipFanOut: 4,
  heartbeatExpiration: 2_000,
} as const satisfies PartialConfig;

/** The keys that every member publishes. */
export const KEYS = ["version", "load"] as const;
/** A published key. */
export type Key = typeof KEYS[number];

/** The value of `load`. */
export interface Load {
  /** The machine's load average over one minute. */
  readonly average: number;
  /** The machine's available memory, in MiB. */
  readonly availableMiB: number;
  /** The memory of this process, in MiB. */
  readonly residentMiB: number;
}

/** A member in the view of another. */
export interface Sight {
  readonly id: string;
  readonly status: MemberView["status"];
  /** The reason of its block; `null` if it is not blocked. */
  readonly reason: string | null;
}

/** A report of a member. */
export type MemberReport =
  /** It listens; `sinceMs` is the time of its call of `join`. */
  | { readonly type: "listening"; readonly address: string; readonly sinceMs: number }
  /** Its view of all members. */
  | { readonly type: "members"; readonly members: readonly Sight[] }
  /** It has received or set a value. */
  | { readonly type: "value"; readonly of: string; readonly key: Key; readonly value: JsonValue }
  /** All active members have this version in its view; `null` if they do not. */
  | { readonly type: "consensus"; readonly version: JsonValue }
  /** It has left; the result has the number of acknowledgements. */
  | { readonly type: "stopped"; readonly flush: FlushResult };

/** A report with its time, in milliseconds of the wall clock. */
export type Report = MemberReport & { readonly atMs: number };

/** A command to a member, on its standard input. */
export interface Command {
  /** The new version. */
  readonly version: string;
}

/** The wall clock in milliseconds with fractions; all processes of a machine share it. */
export function wallClockMs(): number {
  return performance.timeOrigin + performance.now();
}
