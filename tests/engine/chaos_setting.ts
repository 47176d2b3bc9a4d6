/**
 * The setting of a simulation, drawn from its seed: settings of the engines, faults of the network, and
 * habits of the processes.
 *
 * @module
 */

import type { EngineSettings } from "../../engine/engine.ts";
import type { Chance } from "./chaos_chance.ts";

/** The interval between the rounds of a process. */
export const INTERVAL_MS = 100;
/** The time after which a comparison is given up. */
export const TIMEOUT_MS = 100;
/** So few bytes that a member's messages do not always have room for all. */
export const SMALLEST_MESSAGE = 16_384;
/** The most intervals until all members hear a count, through vectors, and where each sends its own. */
const LEAST_INTERVALS = { vectors: 8, signed: 40 };

/** The possible faults, drawn once for each seed. */
export interface Faults {
  readonly loss: number;
  readonly repeat: number;
  readonly delay: number;
  /** The probability of a fault between two steps. */
  readonly trouble: number;
}

/** The constants of a simulation, and its faults at first. */
export interface Setting {
  /** The number of processes at first. */
  readonly size: number;
  readonly settings: EngineSettings;
  readonly openMembership: boolean;
  /** True if a process handles the acknowledgement in a reply before the state in it. */
  readonly ackFirst: boolean;
  /** True if a process answers others than members. */
  readonly takesStrangers: boolean;
  /** True if a process may begin with its clock set back. */
  readonly restartsBack: boolean;
  /** True if members sign their state. */
  readonly signed: boolean;
  /** True if changes are pushed between the rounds. */
  readonly pushes: boolean;
  readonly faults: Faults;
}

/** Draws a setting. The order of the draws is part of the meaning of a seed. */
export function drawSetting(chance: Chance, { signed }: { readonly signed: boolean }): Setting {
  const size = 2 + chance.below(11);
  const gossipMaxSend = chance.pick([1, 2, 3, 50]);
  const leastExpiration = INTERVAL_MS * LEAST_INTERVALS[signed ? "signed" : "vectors"];
  const heartbeatExpiration = Math.max(chance.pick([500, 1_000, 3_000]), leastExpiration);
  const settings = {
    gossipInterval: INTERVAL_MS,
    gossipRequestTimeout: TIMEOUT_MS,
    gossipMaxSend,
    heartbeatExpiration,
    blockedProbeInterval: chance.pick([100, 500, 2_000]),
    tombstoneRetention: chance.pick([100, 700, 100_000]),
    departedRetention: heartbeatExpiration * chance.pick([1, 2, 10]),
    maxMessageBytes: chance.pick([SMALLEST_MESSAGE, 1_048_576]),
    maxMembers: 1_000,
    maxKeysPerMember: 4_096,
    maxStateBytes: 2 ** 23,
    maxHeldBytes: 2 ** 28,
  };
  return {
    size,
    settings,
    signed,
    openMembership: chance.happens(0.5),
    ackFirst: chance.happens(0.5),
    takesStrangers: chance.happens(0.5),
    restartsBack: chance.happens(0.5),
    pushes: chance.happens(0.5),
    faults: {
      loss: chance.pick([0, 0.1, 0.3]),
      repeat: chance.pick([0, 0.1]),
      delay: chance.pick([5, 60, 300]),
      trouble: chance.pick([0.01, 0.03, 0.1]),
    },
  };
}
