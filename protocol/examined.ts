/**
 * The outcome of verifying the signatures of a delta.
 *
 * @module
 */

import type { KnownVersion } from "../engine/types.ts";

/** What was found out about a delta before the engine is called. */
export interface Examined {
  /** By member id: what was held when its part was found to be signed by it. */
  readonly verified: ReadonlyMap<string, KnownVersion | undefined>;
  /** The number of members whose parts were forged. */
  readonly forged: number;
}
