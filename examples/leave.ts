/**
 * Ending an example in good order.
 *
 * @module
 */

import { type FlushResult, leaveOnSignals, type Node } from "../mod.ts";

/** At SIGINT or SIGTERM the member leaves, says who knows, and the program ends; at once at the second. */
export function leaveOnSignal(node: Node): void {
  leaveOnSignals(node, {
    beforeLeaving: () => console.log("Leaving …"),
    afterLeaving: ({ flush }) => console.log(storyOf(flush)),
  });
}

/** Who knows that a member has left. */
export function storyOf(flush: FlushResult | undefined): string {
  if (!flush) return "This member had failed; nobody was told.";
  const { acknowledgedBy, wanted } = flush;
  if (wanted === 0) return "Left; there was nobody to tell.";
  return `Left; ${acknowledgedBy} of ${wanted} other ${
    wanted === 1 ? "member has" : "members have"
  } acknowledged it.`;
}
