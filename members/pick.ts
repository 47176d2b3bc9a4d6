/**
 * The choice of one member.
 *
 * @module
 */

import { BoundedMap } from "../common/bounded_map.ts";
import { inRandomOrder } from "../common/random_order.ts";
import { type Gossiper, insightOf } from "../gossiper/gossiper.ts";
import type { Insight } from "../gossiper/insight.ts";
import { NAME } from "../options/member_rules.ts";
import { assertNone, listOf, optionsOf, rule, type Rules } from "../options/rules.ts";
import { described, DESCRIPTION_KEY } from "./reading.ts";
import { actorCountOf, infoOf, type MemberInfo, type Seen } from "./info.ts";

/** Options of {@linkcode pickMember}. */
export interface PickOptions {
  /** The kind that the member must have. */
  readonly kind: string;
  /**
   * `random` (default): each candidate is equally likely. `round robin`: the candidates in turn, in the order of their
   * ids; this process has one turn for each combination of `kind`, `zone` and `tags`. `least load`: of two random
   * candidates, the candidate with fewer actors of the kind.
   */
  readonly by?: "random" | "least load" | "round robin";
  /** The zone that the member must have; any by default. */
  readonly zone?: string;
  /** The tags that the member must have; it needs every tag of the list. By default it needs no tags. */
  readonly tags?: readonly string[];
  /** The ids to leave out, such as this member's own. */
  readonly exclude?: readonly string[];
}

/** The most round robins of a member at once. Beyond it, the round robin that was used least recently begins again. */
const MAX_ROUND_ROBINS = 1_000;

const NAMES = listOf(NAME, "a list of texts of 1 to 256 bytes");
const WAYS: readonly unknown[] = ["random", "least load", "round robin"];
const RULES: Rules<PickOptions> = {
  kind: NAME,
  by: rule((given) => WAYS.includes(given), { allowed: '"random", "least load" or "round robin"' }),
  zone: NAME,
  tags: NAMES,
  exclude: NAMES,
};
const OPTIONS = optionsOf<PickOptions>(RULES, ["kind"]);

/** The last pick of each round robin, by member and combination. */
const TURNS = new WeakMap<Gossiper, BoundedMap<string, string>>();

/**
 * Picks a living member of a kind; `undefined` if there is no such member. Suspected members are not picked, and this
 * member itself is a candidate until it begins to leave.
 *
 * `least load` compares two random candidates, not all. The counts date from the last rounds of their members. If every
 * member picked the candidate with the lowest count, all would pick the same candidate until its next report. A member
 * that reports no count of the kind counts as empty. For the counts of all members, see {@linkcode getActorCount}.
 *
 * @throws {ConfigurationError} if an option is invalid or unknown.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { pickMember } from "@hearsay/gossip/members";
 *
 * await using node = await join({ cluster: "orders", listen: { port: 0 }, kinds: ["cart"] });
 * console.assert(pickMember(node, { kind: "cart", by: "least load" })?.id === node.id);
 * console.assert(pickMember(node, { kind: "cart", exclude: [node.id] }) === undefined);
 * ```
 */
export function pickMember(node: Gossiper, options: PickOptions): MemberInfo | undefined {
  assertNone(OPTIONS("pickMember", options));
  const insight = insightOf(node);
  const { runtime, view } = insight.host;
  const candidates = candidatesOf(node, insight, options);
  const random = () => runtime.random();
  switch (options.by ?? "random") {
    case "random":
      return infoOrNone(insight, inRandomOrder(candidates, random).next().value);
    case "round robin":
      return infoOrNone(insight, nextInTurn(node, candidates, options));
    case "least load": {
      const loadOf = ({ id }: Seen) => actorCountOf(view, id, options.kind) ?? 0;
      const [one, other] = inRandomOrder(candidates, random);
      // mutant move-bound: of two with the same load, either will do.
      return infoOrNone(insight, one && other && loadOf(other) < loadOf(one) ? other : one);
    }
  }
}

/** The members that fit, in no order. */
function candidatesOf(
  node: Gossiper,
  { host: { view }, topology }: Insight,
  { kind, zone, tags = [], exclude = [] }: PickOptions,
): Seen[] {
  const candidates: Seen[] = [];
  const excluded = new Set(exclude);
  for (const id of view.activeIds()) {
    const isSelf = id === view.id;
    if (excluded.has(id) || view.isSuspected(id)) continue;
    if (isSelf && (node.signal.aborted || view.isFenced)) continue;
    const member = topology.get(id);
    const about = described(member?.kinds ?? [], view.get(id, DESCRIPTION_KEY));
    const isRight = about.kinds.includes(kind) && (zone === undefined || about.zone === zone);
    if (isRight && tags.every((tag) => about.tags.includes(tag))) {
      candidates.push({ id, status: "alive", isSelf, member });
    }
  }
  return candidates;
}

/**
 * The candidate with the next id above the last pick; if there is no such candidate, the candidate with the lowest id.
 */
function nextInTurn(
  node: Gossiper,
  candidates: readonly Seen[],
  { kind, zone, tags = [] }: PickOptions,
): Seen | undefined {
  let turns = TURNS.get(node);
  if (!turns) TURNS.set(node, turns = new BoundedMap(MAX_ROUND_ROBINS));
  const combination = JSON.stringify([kind, zone, [...tags].sort()]);
  const last = turns.get(combination);
  let lowest: Seen | undefined;
  let next: Seen | undefined;
  for (const candidate of candidates) {
    // mutant move-bound: no two candidates have one id.
    if (!lowest || candidate.id < lowest.id) lowest = candidate;
    const isLater = last !== undefined && candidate.id > last;
    // mutant move-bound: no two candidates have one id.
    if (isLater && (!next || candidate.id < next.id)) next = candidate;
  }
  const picked = next ?? lowest;
  if (picked) turns.set(combination, picked.id);
  return picked;
}

function infoOrNone({ host: { view } }: Insight, seen: Seen | undefined): MemberInfo | undefined {
  return seen && infoOf(view, seen);
}
