/**
 * Each member's view of the membership, as far as this member knows it.
 *
 * A member publishes a hash of the members that it counts as active, and the ids that it blocks. Its view is known in full
 * if the hash is that of a set that this member can name.
 *
 * @module
 */

import { topologyHash } from "../../engine/state/murmur3.ts";
import { type JsonValue, TOPOLOGY_KEY } from "../../engine/types.ts";
import type { EngineView } from "../../engine/view.ts";
import type { MemberView } from "../../gossiper/contract.ts";
import { isAlive } from "../../gossiper/member_status.ts";
import { MAX_HASHED_MEMBERS, MAX_HASHED_VIEWS } from "./limits.ts";

/** One view of the membership, by the indices of members. */
export interface KnownView {
  /** The active members; `null` if they are not known. */
  readonly active: readonly number[] | null;
  /** The blocked members. */
  readonly blocked: readonly number[];
}

/** The views of all shown members. */
export interface KnownViews {
  /** Each distinct view; the first one is this member's own. */
  readonly views: readonly KnownView[];
  /** For each member the index of its view; `null` if the view is not known. */
  readonly viewOf: readonly (number | null)[];
}

/** The part of its view that a member publishes. */
interface Published {
  readonly hash: string;
  readonly blocked: readonly string[];
}

/** The views of these members; the first one must be this member. */
export function knownViews(view: EngineView, members: readonly MemberView[]): KnownViews {
  const matcher = new ViewMatcher(view, members);
  const views: KnownView[] = [matcher.own];
  const byText = new Map<string, number>();
  const viewOf = members.map(({ id, isSelf, status }): number | null => {
    if (isSelf) return 0;
    // The last view of a member that failed or left is out of date.
    if (!isAlive({ status })) return null;
    const entry = view.get(id, TOPOLOGY_KEY);
    if (entry === undefined) return null;
    const known = byText.get(entry.json);
    if (known !== undefined) return known;
    const published = publishedIn(entry.value);
    if (published === undefined) return null;
    const index = matcher.isOwn(published) ? 0 : views.push(matcher.viewOf(published)) - 1;
    byText.set(entry.json, index);
    return index;
  });
  return { views, viewOf };
}

/** Finds the set of members behind a published hash. */
class ViewMatcher {
  readonly own: KnownView;
  readonly #indices: ReadonlyMap<string, number>;
  readonly #ownHash: string | undefined;
  readonly #mayHash: boolean;
  #hashesLeft = MAX_HASHED_VIEWS;

  constructor(view: EngineView, members: readonly MemberView[]) {
    const active = view.activeIds();
    this.#indices = new Map(members.map(({ id }, index) => [id, index]));
    this.#mayHash = active.size <= MAX_HASHED_MEMBERS;
    // The published hash is as old as the last interval, but costs nothing.
    this.#ownHash = this.#mayHash
      ? topologyHash(active)
      : publishedIn(view.get(view.id, TOPOLOGY_KEY)?.value)?.hash;
    this.own = {
      active: this.#indicesOf(active),
      blocked: this.#indicesOf(view.blockedMembers().map(({ id }) => id)),
    };
  }

  isOwn({ hash }: Published): boolean {
    return hash === this.#ownHash;
  }

  viewOf({ hash, blocked }: Published): KnownView {
    const blocks = new Set(blocked);
    const others = [...this.#indices.keys()].filter((id) => !blocks.has(id));
    const isKnown = this.#mayHash && this.#hashesLeft-- > 0 && topologyHash(others) === hash;
    return { active: isKnown ? this.#indicesOf(others) : null, blocked: this.#indicesOf(blocked) };
  }

  #indicesOf(ids: Iterable<string>): number[] {
    return [...ids].flatMap((id) => this.#indices.get(id) ?? []).sort((one, other) => one - other);
  }
}

/** Reads the value of the key `topology`, which its member chose. */
function publishedIn(value: JsonValue | undefined): Published | undefined {
  const { topologyHash: hash, blocked = [] } = Object(value) as { readonly [name: string]: unknown };
  if (typeof hash !== "string" || !Array.isArray(blocked)) return undefined;
  return { hash, blocked: blocked.filter((id: unknown) => typeof id === "string") };
}
