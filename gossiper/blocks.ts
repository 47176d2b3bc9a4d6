/**
 * Blocks by hand, and the members that a fixed list names from the start.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import type { Cluster } from "../contracts/cluster.ts";
import { NAME } from "../options/member_rules.ts";
import { assertNone, rule } from "../options/rules.ts";
import type { EngineHost } from "./engine_host.ts";
import type { Topology } from "./topology.ts";

/** Blocks a member by hand; returns false if it was before. Throws if the id is invalid, this member's own, or one too many. */
export function blockByHand(engineHost: EngineHost, id: string): boolean {
  const OTHER = rule((given) => given !== engineHost.view.id, { allowed: "the id of another member" });
  assertNone([...NAME("id", id), ...OTHER("id", id)]);
  try {
    return engineHost.do((engine, now) => engine.block(id, now), { mayRefuse: true }).blocked;
  } catch (error) {
    if (error instanceof RangeError) throw new HearsayError("too_large", error.message, { cause: error });
    throw error;
  }
}

/** With a fixed list, consensus and `confirmed` need all listed members from the start. */
export function expectMembers(
  engineHost: EngineHost,
  { topology, cluster: { discovery, self } }: { readonly topology: Topology; readonly cluster: Cluster },
): void {
  if (!discovery?.members) return;
  topology.set([...discovery.members, self]);
  const ids = [...topology.ids()];
  engineHost.do((engine, now) => engine.setTopology({ members: ids, blocked: [] }, now));
}
