/**
 * A real member `a` and a scripted peer `p`.
 *
 * @module
 */

import type { PartialConfig } from "../../options/configuration.ts";
import { seeds } from "../../discovery/seeds.ts";
import { TestCluster, type TestMember } from "./harness.ts";
import { ScriptedPeer } from "./scripted_peer.ts";

/** Short rounds, and an expiration that no test reaches. */
export const PAIR_CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 60_000 };
/** Short rounds, and an expiration that a test can wait for. */
export const EXPIRING_CONFIG = { ...PAIR_CONFIG, heartbeatExpiration: 10_000 };

/** A real member `a`, and a scripted peer as its only one. */
export async function withScripted(
  config: PartialConfig = PAIR_CONFIG,
): Promise<{ cluster: TestCluster; peer: ScriptedPeer }> {
  const cluster = new TestCluster(["a", "p"], { config });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a").gossiper.start();
  return { cluster, peer };
}

/** A real member `a` whose only peer is `p`, after one answer of it. */
export async function withAnsweringPeer(
  config: PartialConfig = EXPIRING_CONFIG,
): Promise<{ cluster: TestCluster; a: TestMember; peer: ScriptedPeer }> {
  const { cluster, peer } = await withScripted(config);
  await cluster.runUntil(() => peer.last("gossip") !== undefined);
  await cluster.runtime.settle();
  return { cluster, a: cluster.of("a"), peer };
}

/** A real member `a` that dials none, and a peer that will dial it. */
export async function withUnknownPeer(): Promise<{ cluster: TestCluster; peer: ScriptedPeer }> {
  const cluster = new TestCluster(["a", "p"], { config: PAIR_CONFIG });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a", { cluster: { discovery: seeds([]) } }).gossiper.start();
  return { cluster, peer };
}

/** Ends both. */
export async function end(cluster: TestCluster, peer: ScriptedPeer): Promise<void> {
  await cluster[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
}
