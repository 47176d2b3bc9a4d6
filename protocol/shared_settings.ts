/**
 * Settings that two members have to agree on, compared when they greet each other.
 *
 * @module
 */

/** The settings that a greeting carries; durations in milliseconds. */
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

/** A setting that differs between two members in a way that matters. */
export interface SettingDifference {
  /** Its name. */
  readonly setting: keyof SharedSettings;
  /** This member's value. */
  readonly own: number;
  /** The peer's value. */
  readonly theirs: number;
  /** Whether the two cannot work together, so that the greeting is refused. */
  readonly isRefused: boolean;
}

/**
 * What differs. A member whose heartbeats come less than twice in the other's expiration would be blocked and freed
 * again and again: refused. With different limits the lower one holds between the two, and what exceeds it is left out.
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

/** What differs, as a sentence for people. */
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
