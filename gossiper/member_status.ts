/**
 * The statuses of members.
 *
 * @module
 */

import type { MemberView } from "./contract.ts";

/** True for a member that takes part. A suspected member still takes part. */
export function isAlive({ status }: Pick<MemberView, "status">): boolean {
  return status === "alive" || status === "suspected";
}
