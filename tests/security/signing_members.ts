/**
 * Members that sign their state, over real connections.
 *
 * @module
 */

import type { MemberDelta } from "../../engine/types.ts";
import { join, type JoinOptions, type Node } from "../../mod.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { Insider } from "./attacker.ts";
import { hears } from "./waits.ts";

export const KEY = await newClusterKey();
const CONFIG = {
  gossipInterval: 50,
  gossipRequestTimeout: 300,
  heartbeatExpiration: 1_500,
  departedRetention: 60_000,
  maxBackoff: 100,
};

export function member(options: Partial<JoinOptions> = {}): Promise<Node> {
  return join({
    cluster: "orders",
    listen: { port: 0 },
    config: CONFIG,
    authentication: { keys: [KEY], sign: true },
    ...options,
  });
}

/** Two members that know each other, and an insider connected to the first. */
export async function withInsider() {
  const ada = await member();
  const ben = await member({ seeds: [ada.address] });
  ben.setState("k", "true");
  await hears(ada, ben.member.id, "true");
  const insider = await Insider.withHandshake(ada.address, { key: KEY });
  const { incarnation } = ada.members.find(({ id }) => id === ben.member.id)!;
  return {
    ada,
    ben,
    insider,
    benId: ben.member.id,
    benLife: incarnation!,
    async [Symbol.asyncDispose]() {
      await insider[Symbol.asyncDispose]();
      await Promise.all([ada.stop(), ben.stop()]);
    },
  };
}

/** The full signed state of a member, as it sends it itself. */
export async function stateOf(node: Node): Promise<MemberDelta> {
  await using listener = await Insider.withHandshake(node.address, { key: KEY });
  const gossip = await listener.wire.hears("gossip");
  return { ...gossip.delta.members.find(({ id }) => id === node.member.id)!, reset: true };
}
