/**
 * Ending an example in good order.
 *
 * @module
 */

import type { Node } from "../mod.ts";

/** At SIGINT or SIGTERM the member leaves, says who knows, and the program ends; at once at the second. */
export function leaveOnSignal(node: Node): void {
  let isLeaving = false;
  const leave = async () => {
    if (isLeaving) Deno.exit(130);
    isLeaving = true;
    console.log("Leaving …");
    const { acknowledgedBy, wanted } = await node.stop();
    const known = `${acknowledgedBy} of ${wanted} other ${wanted === 1 ? "member has" : "members have"}`;
    console.log(wanted === 0 ? "Left; there was nobody to tell." : `Left; ${known} acknowledged it.`);
    Deno.exit();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, leave);
}
