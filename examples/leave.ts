/**
 * A graceful end of the examples.
 *
 * @module
 */

import { type FlushResult, leaveOnSignals, type Node } from "../mod.ts";

/** Leaves at SIGINT or SIGTERM and prints the result; a second signal ends the program at once. */
export function leaveOnSignal(node: Node): void {
  leaveOnSignals(node, {
    beforeLeaving: () => console.log("Leaving …"),
    afterLeaving: ({ flush }) => console.log(storyOf(flush)),
  });
}

/** The result of a departure as a sentence. */
export function storyOf(flush: FlushResult | undefined): string {
  if (!flush) return "The member had failed, so no other member was notified.";
  const { acknowledgedBy, wanted } = flush;
  if (wanted === 0) return "Left; there was no other member.";
  return `Left; ${acknowledgedBy} of ${wanted} other ${
    wanted === 1 ? "member has" : "members have"
  } acknowledged it.`;
}
