/**
 * The outcome of verifying the signatures of a delta.
 *
 * @module
 */

import type { KnownVersion } from "../engine/types.ts";

/** The result of verifying a delta before the engine is called. */
export interface Examined {
  /** By member id: this member's version of it when its part was verified. */
  readonly verified: ReadonlyMap<string, KnownVersion | undefined>;
  /** The number of members whose parts were forged. */
  readonly forged: number;
}
