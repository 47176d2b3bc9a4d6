/**
 * Prices that all instances share: a configuration that no instance owns.
 *
 * A member alone writes its own state, and what it said is forgotten some time after it has left. So each instance
 * takes over the newest list that it hears of as its own: the list outlives whoever set it, and that all have the same
 * is a consensus like any other.
 *
 * @module
 */

import type { ConsensusHandle, Node } from "../../mod.ts";

const KEY = "prices";

/** A list of prices. Of two the one with the higher revision counts; of equal ones the one of the greater id. */
export interface Prices {
  readonly revision: number;
  /** The id of the member at which it was set. */
  readonly by: string;
  /** Cents by item. */
  readonly cents: Readonly<Record<string, number>>;
}

const NONE: Prices = { revision: 0, by: "", cents: {} };

/** The prices as this instance knows them. */
export class PriceList {
  readonly #node: Node;
  readonly #check: ConsensusHandle;

  /** Follows what the others say, until the node is over. */
  constructor(node: Node) {
    this.#node = node;
    this.#check = node.gossiper.registerConsensusCheck(KEY);
    node.gossiper.setState(KEY, this.newest);
    void this.#follow();
  }

  /** The list that counts. */
  get newest(): Prices {
    let newest = NONE;
    for (const { value } of this.#node.gossiper.getState<unknown>(KEY).values()) {
      if (isPrices(value) && isNewer(value, newest)) newest = value;
    }
    return newest;
  }

  /** Whether all members have the same list. */
  get isAgreed(): boolean {
    return this.#check.value !== undefined;
  }

  /**
   * Sets the prices for all. Resolves when another member knows, which then tells the others even if this instance
   * ends: `isKept` is false where none did in time. Set at two instances at once, one of the lists is dropped.
   */
  async set(cents: Prices["cents"]): Promise<{ readonly prices: Prices; readonly isKept: boolean }> {
    const prices = { revision: this.newest.revision + 1, by: this.#node.member.id, cents };
    const signal = AbortSignal.timeout(1_000);
    try {
      await this.#node.gossiper.setStateRequest(KEY, prices, { acknowledgedBy: 1, signal });
      return { prices, isKept: true };
    } catch (error) {
      if (!signal.aborted) throw error;
      return { prices, isKept: false };
    }
  }

  async #follow(): Promise<void> {
    const { gossiper, member } = this.#node;
    for await (const _ of gossiper.watch(KEY)) {
      const own = gossiper.getState<Prices>(KEY).get(member.id)?.value ?? NONE;
      const { newest } = this;
      if (isNewer(newest, own)) gossiper.setState(KEY, newest);
    }
  }
}

/** Whether cents by item are prices. */
export function areCents(value: unknown): value is Prices["cents"] {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.values(value).every((cents) => Number.isSafeInteger(cents) && cents >= 0);
}

/** What another version of this service has said may be of another shape. */
function isPrices(value: unknown): value is Prices {
  const { revision, by, cents } = (value ?? {}) as { readonly [name: string]: unknown };
  return Number.isSafeInteger(revision) && typeof by === "string" && areCents(cents);
}

function isNewer(one: Prices, other: Prices): boolean {
  return one.revision === other.revision ? one.by > other.by : one.revision > other.revision;
}
