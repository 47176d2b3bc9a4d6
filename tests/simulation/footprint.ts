/**
 * The memory use of a gossiper.
 *
 * @module
 */

import type { Footprint } from "../../engine/view.ts";
import { type Gossiper, insightOf } from "../../gossiper/gossiper.ts";

/** The numbers that the engine bounds, and the number of sessions. */
export function footprintOf(gossiper: Gossiper): Footprint & { readonly sessions: number } {
  const { host, running } = insightOf(gossiper);
  return { ...host.view.footprint, sessions: running?.peers.served ?? 0 };
}
