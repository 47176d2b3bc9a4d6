/**
 * Clusters in which a member crashes, and what their members notice of it.
 *
 * @module
 */

import type { PartialConfig } from "../../../options/configuration.ts";
import type { Message } from "../../../protocol/message.ts";
import { memoryAddress } from "../../../testing/memory.ts";
import { TestCluster, type TestMember } from "../../requirements/harness.ts";
import { ScriptedPeer } from "../../requirements/scripted_peer.ts";

/** The bound for a crash at the default settings: 1.05 s, and the time of the dials. */
export const FOUND_WITHIN_MS = 1_150;
/** Longer than a crash needs to be found, and shorter than the expiration. */
export const LONG_MS = 5_000;
/** Rounds so rare that within a second every dial is for a suspicion. */
export const FEW_ROUNDS = { gossipInterval: 5_000, heartbeatExpiration: 60_000 };

/** Connected members at the default settings with one state; `own` has settings of some alone. */
export async function connectedCluster(
  ids: readonly string[],
  config: PartialConfig = {},
  own: { readonly [id: string]: PartialConfig } = {},
): Promise<TestCluster> {
  const cluster = new TestCluster(ids, { config });
  for (const id of ids) cluster.make(id, { config: own[id] ?? {} });
  for (const { gossiper } of cluster.members) await gossiper.start();
  for (const { gossiper } of cluster.members) gossiper.setState("k", 1);
  const pairs = () => new Set(cluster.sent.map(({ from, to }) => [from, to].sort().join()));
  await cluster.runUntil(() => pairs().size === ids.length * (ids.length - 1) / 2);
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}

/** Three members; `c` dials none for seconds, so that its only connections are those to its address. */
export function clusterWithPassiveMember(): Promise<TestCluster> {
  return connectedCluster(["a", "b", "c"], FEW_ROUNDS, { c: { detectCrashes: false } });
}

/** The events of a member about suspicions and blocks of another, in order. */
export function eventsAbout(member: TestMember, about: string): string[] {
  return member.events.flatMap((event) => {
    if (event.type === "MemberSuspected" && event.memberId === about) return ["suspected"];
    if (event.type === "MemberBlocked" && event.memberId === about) return [event.reason];
    return event.type === "MemberUnblocked" && event.memberId === about ? ["unblocked"] : [];
  });
}

/** The members with other events about suspicions and blocks than these. */
export function withOtherEvents(cluster: TestCluster, about: string, expected: readonly string[]): string[] {
  const others = cluster.members.filter(({ id }) => id !== about);
  return others.filter((member) => eventsAbout(member, about).join() !== expected.join()).map(({ id }) => id);
}

/** The times of a member's dials to an address, in virtual milliseconds, from now on. */
export function dialsOf(cluster: TestCluster, id: string, to?: string): number[] {
  const { transport } = cluster.of(id);
  const dial = transport.dial.bind(transport);
  const dials: number[] = [];
  transport.dial = (address, options) => {
    if (to === undefined || address === memoryAddress(to, 1)) dials.push(cluster.runtime.monotonicMs());
    return dial(address, options);
  };
  return dials;
}

export function countOf(member: TestMember, id: string): number {
  return member.gossiper.getState("heathbeat").get(id)?.sequenceNumber ?? 0;
}

/** A message with a suspicion of a member, or its refutation. */
export function suspectOf(
  memberId: string,
  { incarnation, count, isAlive = false }: {
    readonly incarnation: string;
    readonly count: number;
    readonly isAlive?: boolean;
  },
): Message {
  return { type: "suspect", memberId, incarnation, count, isAlive };
}

/**
 * A member `a` connected with a real peer `b` and a scripted peer `P`. The name sorts before `a`, so that of
 * two connections the one that `P` dialed stays.
 */
export async function withScriptedPeer(
  config: PartialConfig = {},
): Promise<{ cluster: TestCluster; peer: ScriptedPeer }> {
  const cluster = new TestCluster(["a", "b", "P"], { config });
  const peer = new ScriptedPeer(cluster, "P");
  for (const id of ["a", "b"]) await cluster.make(id).gossiper.start();
  for (const id of ["a", "b"]) cluster.of(id).gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.of("a").value("b", "k") === 1 && peer.last("gossip") !== undefined);
  await cluster.advance(1_000);
  return { cluster, peer };
}
