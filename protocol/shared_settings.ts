/**
 * The settings that two members compare in their handshake.
 *
 * @module
 */

/** The settings in a handshake; durations are in milliseconds. */
export interface SharedSettings {
  /** The time between two rounds. */
  readonly gossipInterval: number;
  /** The silence after which a member is blocked. */
  readonly heartbeatExpiration: number;
  /** The most keys of a member. */
  readonly maxKeysPerMember: number;
  /** The largest message, in bytes. */
  readonly maxMessageBytes: number;
  /** The largest state of a member, in bytes. */
  readonly maxStateBytes: number;
}

/**
 * The `heartbeatExpiration` in the handshake of a member that blocks no member for silence, because JSON has no
 * `Infinity`.
 */
export const NEVER: number = Number.MAX_SAFE_INTEGER;

/** Picks the settings for a handshake. */
export function sharedSettings(
  { gossipInterval, heartbeatExpiration, neverExpires, maxKeysPerMember, maxMessageBytes, maxStateBytes }:
    & SharedSettings
    & { readonly neverExpires?: boolean },
): SharedSettings {
  const expiration = neverExpires ? NEVER : heartbeatExpiration;
  return {
    gossipInterval,
    heartbeatExpiration: expiration,
    maxKeysPerMember,
    maxMessageBytes,
    maxStateBytes,
  };
}

/** A setting that differs between two members in a way that matters. */
export interface SettingDifference {
  /** Its name. */
  readonly setting: keyof SharedSettings;
  /** This member's value. */
  readonly own: number;
  /** The peer's value. */
  readonly theirs: number;
  /** True if the members cannot work together, so that the handshake is refused. */
  readonly isRefused: boolean;
}

/**
 * Returns the differences that matter. A member that sends fewer than two heartbeats in the other's expiration would be
 * blocked and unblocked repeatedly, so the handshake is refused. The lower of two limits applies, and larger states are
 * left out.
 */
export function settingDifferences(own: SharedSettings, theirs: SharedSettings): SettingDifference[] {
  const differences: SettingDifference[] = [];
  const isTooSlow = theirs.gossipInterval * 2 > own.heartbeatExpiration;
  const isTooHasty = own.gossipInterval * 2 > theirs.heartbeatExpiration;
  if (isTooSlow) differences.push(differenceOf("gossipInterval", { own, theirs, isRefused: true }));
  if (isTooHasty) differences.push(differenceOf("heartbeatExpiration", { own, theirs, isRefused: true }));
  for (const setting of ["maxKeysPerMember", "maxMessageBytes", "maxStateBytes"] as const) {
    if (own[setting] !== theirs[setting]) {
      differences.push(differenceOf(setting, { own, theirs, isRefused: false }));
    }
  }
  return differences;
}

/** The effect of a difference that is not refused, as a sentence. */
export function meaningOf(setting: keyof SharedSettings): string {
  return setting === "maxMessageBytes"
    ? "The lower one applies between the two."
    : "The member with the lower limit refuses what exceeds it, and its copy of a larger state stays old.";
}

/** Describes a difference as a sentence for people. */
export function describeDifference({ setting, own, theirs }: SettingDifference): string {
  return `${setting} is ${own} here and ${theirs} there`;
}

function differenceOf(
  setting: keyof SharedSettings,
  { own, theirs, isRefused }: {
    readonly own: SharedSettings;
    readonly theirs: SharedSettings;
    readonly isRefused: boolean;
  },
): SettingDifference {
  return { setting, own: own[setting], theirs: theirs[setting], isRefused };
}
