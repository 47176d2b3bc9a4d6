/**
 * The members as targets of work, as this member knows them.
 *
 * @module
 */

import type { Member } from "../contracts/cluster.ts";
import { HEARTBEAT_KEY, type JsonValue } from "../engine/types.ts";
import type { EngineView } from "../engine/view.ts";
import type { MemberView } from "../gossiper/contract.ts";
import { isAlive } from "../gossiper/member_status.ts";
import { type Gossiper, insightOf } from "../gossiper/gossiper.ts";
import { NAME } from "../options/member_rules.ts";
import { assertNone } from "../options/rules.ts";
import { described, DESCRIPTION_KEY } from "./reading.ts";

/** A member with its description and its actor counts. Frozen. */
export interface MemberInfo {
  /** Its id. */
  readonly id: string;
  /** As in `node.members`. */
  readonly status: MemberView["status"];
  /** True for this member itself. */
  readonly isSelf: boolean;
  /** Its record, with its address; `undefined` if the topology no longer names it. */
  readonly member: Member | undefined;
  /** Its kinds, from its description; without a description, the kinds of `join`. */
  readonly kinds: readonly string[];
  /** Its tags; empty by default. */
  readonly tags: readonly string[];
  /** Its zone, from its description; otherwise from its kind `zone:<zone>`. */
  readonly zone: string | undefined;
  /** True if it gossips mostly within its zone. */
  readonly nearFirst: boolean;
  /** Its actor counts by kind, as its option `actorStatistics` returned them; empty without it. */
  readonly actorCounts: ReadonlyMap<string, number>;
}

/** The fields of a {@linkcode MemberInfo} that the topology and the failure detection know. */
export type Seen = Pick<MemberInfo, "id" | "status" | "isSelf" | "member">;

/**
 * The actor counts of a kind, by member id. The map has each living member (alive or suspected, including this member)
 * whose `actorStatistics` named the kind. The counts of other members date from their last rounds that reached this
 * member. Later gossip does not change the map.
 *
 * @throws {ConfigurationError} if the kind is not a text of 1 to 256 bytes.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { getActorCount } from "@hearsay/gossip/members";
 *
 * const listen = { port: 0 };
 * await using one = await join({ cluster: "orders", listen, actorStatistics: () => ({ cart: 3 }) });
 * await using two = await join({ cluster: "orders", listen, seeds: [one.address] });
 * for await (const _ of two.watch("heathbeat")) if (getActorCount(two, "cart").get(one.id) === 3) break;
 * ```
 */
export function getActorCount(node: Gossiper, kind: string): Map<string, number> {
  assertNone(NAME("kind", kind));
  const { view } = insightOf(node).host;
  const counts = new Map<string, number>();
  for (const id of view.activeIds()) {
    const count = actorCountOf(view, id, kind);
    if (count !== undefined) counts.set(id, count);
  }
  return counts;
}

/** The info of a member. `undefined` for an id that is not in the topology, is not blocked, and has no known state. */
export function memberInfo(node: Gossiper, id: string): MemberInfo | undefined {
  const view = node.members.find((member) => member.id === id);
  return view && infoOf(insightOf(node).host.view, view);
}

/** The living members (alive or suspected, including this member) of a zone, sorted by id. */
export function membersInZone(node: Gossiper, zone: string): readonly MemberInfo[] {
  assertNone(NAME("zone", zone));
  const { view } = insightOf(node).host;
  return node.members.filter(isAlive)
    .map((member) => infoOf(view, member)).filter((info) => info.zone === zone);
}

/** Makes the info of a member. */
export function infoOf(view: EngineView, { id, status, isSelf, member }: Seen): MemberInfo {
  const description = described(member?.kinds ?? [], view.get(id, DESCRIPTION_KEY));
  const actorCounts = new Map(Object.entries(countsOf(view, id)));
  return Object.freeze({ id, status, isSelf, member, ...description, actorCounts });
}

/** The actor count of one kind; `undefined` if the member reports none. */
export function actorCountOf(view: EngineView, id: string, kind: string): number | undefined {
  const counts = countsOf(view, id);
  // A kind may have the same name as a property of every object, such as `toString`.
  return Object.hasOwn(counts, kind) ? counts[kind] : undefined;
}

/**
 * The actor counts in a member's heartbeat, by kind. They need no check here: `protocol/any_value.ts` checks those
 * that peers send, and `gossiper/actor_counts.ts` checks those that this member sends.
 */
function countsOf(view: EngineView, id: string): Readonly<Record<string, number>> {
  const value = view.get(id, HEARTBEAT_KEY)?.value as { readonly [field: string]: JsonValue } | undefined;
  const statistics = value?.["actorStatistics"] as
    | { readonly actorCount?: Record<string, number> }
    | undefined;
  return statistics?.actorCount ?? {};
}
