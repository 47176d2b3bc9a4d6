/**
 * What the demo and its members say to each other, a JSON text a line.
 *
 * @module
 */

import type { FlushResult, JsonValue, MemberView, PartialConfig } from "../../mod.ts";

/** Short times, so that the demo is over soon. */
export const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 800,
  gossipFanOut: 4,
  heartbeatExpiration: 2_000,
} as const satisfies PartialConfig;

/** What every member publishes about itself. */
export const KEYS = ["version", "load"] as const;
/** One of the keys. */
export type Key = typeof KEYS[number];

/** The value of `load`. */
export interface Load {
  /** The load of the machine, averaged over a minute. */
  readonly average: number;
  /** The memory that the machine has to spare, in MiB. */
  readonly availableMiB: number;
  /** The memory that this process takes, in MiB. */
  readonly residentMiB: number;
}

/** How a member sees another. */
export interface Sight {
  readonly id: string;
  readonly status: MemberView["status"];
  /** Why it is blocked, if it is. */
  readonly reason: string | null;
}

/** What a member tells on its standard output. */
export type News =
  /** It can be reached, and looks for the others since it called `join`. */
  | { readonly type: "listening"; readonly address: string; readonly sinceMs: number }
  /** It sees the members so. */
  | { readonly type: "members"; readonly members: readonly Sight[] }
  /** It has heard (or has set) a value. */
  | { readonly type: "value"; readonly of: string; readonly key: Key; readonly value: JsonValue }
  /** As it sees it, all active members have this version; `null` while they do not. */
  | { readonly type: "consensus"; readonly version: JsonValue }
  /** It has left, and so many others have acknowledged that. */
  | { readonly type: "stopped"; readonly flush: FlushResult };

/** News, and the wall clock's milliseconds when it came true. */
export type Report = News & { readonly atMs: number };

/** What a member is told on its standard input. */
export interface Command {
  /** The version to run from now on. */
  readonly version: string;
}

/** The wall clock, which all processes of a machine share, in milliseconds with fractions. */
export function wallClockMs(): number {
  return performance.timeOrigin + performance.now();
}
