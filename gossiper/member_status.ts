/**
 * The statuses of members.
 *
 * @module
 */

import type { MemberView } from "./contract.ts";

/** True for a member that takes part; a suspected one still does. */
export function isAlive({ status }: Pick<MemberView, "status">): boolean {
  return status === "alive" || status === "suspected";
}
