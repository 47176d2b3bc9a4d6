/**
 * The outcome of verifying the signatures of a delta.
 *
 * @module
 */

import type { KnownVersion } from "../engine/types.ts";

/** The result of the verification, made before the engine call. */
export interface Examined {
  /** By member id: the known version when the member's signature was verified. */
  readonly verified: ReadonlyMap<string, KnownVersion | undefined>;
  /** The number of members with invalid signatures. */
  readonly forged: number;
}
