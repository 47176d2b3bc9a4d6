/**
 * Members that sign their state, over real connections.
 *
 * @module
 */

import type { MemberDelta } from "../../engine/types.ts";
import type { EventType, HearsayEvent } from "../../contracts/event_stream.ts";
import { type Gossiper, join, type JoinOptions, type Node } from "../../mod.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { Insider } from "./attacker.ts";

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

export async function hears(node: Node, of: string, value: unknown): Promise<void> {
  for await (const update of node.watch("k", { signal: AbortSignal.timeout(5_000) })) {
    if (update.memberId === of && update.value === value) return;
  }
  throw new Error(`${value} was not received.`);
}

export async function next<T extends EventType>(gossiper: Gossiper, type: T) {
  for await (const event of gossiper.events.subscribe(type, { signal: AbortSignal.timeout(5_000) })) {
    if (event.type === type) return event as Extract<HearsayEvent, { type: T }>;
  }
  throw new Error(`No ${type} was emitted.`);
}

export async function eventually(isTrue: () => boolean): Promise<void> {
  const endMs = performance.now() + 5_000;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`Not true within 5 s: ${isTrue}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The full signed state of a member, as it sends it itself. */
export async function stateOf(node: Node): Promise<MemberDelta> {
  await using listener = await Insider.withHandshake(node.address, { key: KEY });
  const gossip = await listener.wire.hears("gossip");
  return { ...gossip.delta.members.find(({ id }) => id === node.member.id)!, reset: true };
}
