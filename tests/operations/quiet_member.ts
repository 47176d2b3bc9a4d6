/**
 * A member alone on a virtual clock, which prints nothing.
 *
 * @module
 */

import { join, type JoinOptions, type Node } from "../../mod.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";

/** The member "ada". */
export async function quietMember(
  options: Partial<JoinOptions> = {},
): Promise<{ readonly node: Node; readonly runtime: VirtualRuntime }> {
  const runtime = new VirtualRuntime();
  const node = await join({
    cluster: "orders",
    id: "ada",
    listen: { port: 0 },
    runtime,
    log: false,
    ...options,
  });
  return { node, runtime };
}
