/**
 * Blocks by hand.
 *
 * @module
 */

import { NAME } from "../options/member_rules.ts";
import { assertNone, rule } from "../options/rules.ts";
import type { EngineHost } from "./engine_host.ts";

/**
 * Blocks a member by hand; returns false if it was blocked by hand already. Throws if the id is invalid or this
 * member's own, or if too many ids are blocked by hand.
 */
export function blockByHand(engineHost: EngineHost, id: string): boolean {
  const other = rule((given) => given !== engineHost.view.id, { allowed: "the id of another member" });
  assertNone([...NAME("id", id), ...other("id", id)]);
  return engineHost.do((engine, now) => engine.block(id, now), { mayRefuse: true }).blocked;
}
