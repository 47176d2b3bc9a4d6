/**
 * The verification of the signatures of a delta.
 *
 * @module
 */

import type { KnownVersion } from "../engine/types.ts";

/** The result, made before the engine call. */
export interface Verification {
  /** By member id: the known version when the member's signature was verified. */
  readonly verified: ReadonlyMap<string, KnownVersion | undefined>;
  /** The number of members with invalid signatures. */
  readonly forged: number;
}
