/**
 * Makes the user's views of a gossiper's state.
 *
 * @module
 */

import { deepFreeze } from "../engine/json.ts";
import type { Entry, Phase } from "../engine/types.ts";
import type { EngineView } from "../engine/view.ts";
import type { GossipKeyValue, MemberSnapshot, MemberView, Snapshot } from "./contract.ts";
import type { Member, SeedStatus } from "../contracts/cluster.ts";
import type { Topology } from "./topology.ts";

/** The sources of {@linkcode membersOf} and {@linkcode snapshotOf}. */
export interface Viewed {
  readonly engine: EngineView;
  readonly topology: Topology;
  /** The cluster's name. */
  readonly cluster: string;
  /** The status of this member itself, once it has ended. */
  readonly ownEnd: "failed" | "left" | undefined;
  readonly seeds: readonly SeedStatus[];
}

/** The value of an entry, as users see it. */
function keyValueOf(entry: Entry): GossipKeyValue {
  return Object.freeze({
    value: deepFreeze(entry.value!),
    sequenceNumber: entry.number,
    localTimestampUnixMilliseconds: entry.timestampMs,
  });
}

/** The values of entries by the id of their member, or by another name. */
export function valuesOf(
  entries: Iterable<readonly [string, Entry]>,
  nameOf?: (entry: Entry) => string,
): Map<string, GossipKeyValue> {
  return new Map(Array.from(entries, ([id, entry]) => [nameOf?.(entry) ?? id, keyValueOf(entry)]));
}

/** Every member in the topology, blocked, or with known state, sorted by id. */
export function membersOf(viewed: Viewed): MemberView[] {
  const { engine, topology } = viewed;
  const blocked = engine.blockedMembers().map(({ id }) => id);
  const ids = new Set([engine.id, ...topology.ids(), ...blocked, ...engine.memberIds()]);
  return [...ids].sort().map((id) => memberOf(viewed, id));
}

/** The view of one member. An unknown member has the status `left`. */
export function memberOf(viewed: Viewed, id: string): MemberView {
  const { engine, topology } = viewed;
  return Object.freeze({
    id,
    member: topology.get(id),
    status: statusOf(viewed, id),
    block: engine.blockedMember(id),
    incarnation: engine.incarnationOf(id),
    isSelf: id === engine.id,
  });
}

/** The known state as plain data. */
export function snapshotOf(viewed: Viewed): Snapshot {
  const { engine, cluster, seeds } = viewed;
  const members = membersOf(viewed).map(({ member, block, ...view }): MemberSnapshot => ({
    ...view,
    address: member ? addressOf(member) : null,
    block: block ?? null,
    entries: engine.shownEntriesOf(view.id).map((entry) => ({ key: entry.key, ...keyValueOf(entry) })),
  }));
  return {
    self: engine.id,
    cluster,
    phase: phaseOf(engine),
    isolated: engine.isIsolated,
    digest: engine.digest,
    room: engine.room,
    members,
    seeds,
  };
}

/** The phase of dissemination. A member that has withdrawn, because another process has its id, stays `diffusing`. */
export function phaseOf(engine: EngineView): Phase {
  return engine.isFenced ? "diffusing" : engine.phase;
}

function addressOf({ host, port, url }: Member): MemberSnapshot["address"] {
  return { host, port, ...(url !== undefined && { url }) };
}

function statusOf({ engine, ownEnd }: Viewed, id: string): MemberView["status"] {
  if (id === engine.id && engine.isFenced) return "failed";
  if (id === engine.id && ownEnd) return ownEnd;
  const reason = engine.blockedMember(id)?.reason;
  if (reason !== undefined) return reason === "left" ? "left" : "failed";
  if (!engine.activeIds().has(id)) return "left";
  return engine.isSuspected(id) ? "suspected" : "alive";
}
