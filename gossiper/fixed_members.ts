/**
 * The members that a fixed list names from the start.
 *
 * @module
 */

import type { Cluster } from "../contracts/cluster.ts";
import type { EngineHost } from "./engine_host.ts";
import type { Topology } from "./topology.ts";

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
