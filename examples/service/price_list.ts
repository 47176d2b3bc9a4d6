/**
 * Prices that all instances share: a configuration without an owner.
 *
 * Only a member itself writes its state, and its state is dropped some time after it left. So each instance copies the
 * newest list into its own state. The list then outlives the instance that set it, and a consensus check shows that all
 * instances have it.
 *
 * @module
 */

import type { ConsensusHandle, Node } from "../../mod.ts";

const KEY = "prices";

/** A list of prices. The list with the higher revision wins; with equal revisions the greater id. */
export interface Prices {
  readonly revision: number;
  /** The id of the member that set it. */
  readonly by: string;
  /** Cents by item. */
  readonly cents: Readonly<Record<string, number>>;
}

const NONE: Prices = { revision: 0, by: "", cents: {} };

/** The prices in the view of this instance. */
export class PriceList {
  readonly #node: Node;
  readonly #check: ConsensusHandle;

  /** Copies newer lists of other instances until the node ends. */
  constructor(node: Node) {
    this.#node = node;
    this.#check = node.registerConsensusCheck(KEY);
    node.setState(KEY, this.newest);
    void this.#follow();
  }

  /** The winning list. */
  get newest(): Prices {
    let newest = NONE;
    for (const { value } of this.#node.getState<unknown>(KEY).values()) {
      if (isPrices(value) && isNewer(value, newest)) newest = value;
    }
    return newest;
  }

  /** True if all members have one list. */
  get isAgreed(): boolean {
    return this.#check.value !== undefined;
  }

  /**
   * Sets the prices for all instances. Resolves when another member has them and can spread them if this instance ends;
   * `isKept` is false if none had them within a second. If two lists are set at once, one is dropped.
   */
  async set(cents: Prices["cents"]): Promise<{ readonly prices: Prices; readonly isKept: boolean }> {
    const prices = { revision: this.newest.revision + 1, by: this.#node.member.id, cents };
    const signal = AbortSignal.timeout(1_000);
    try {
      await this.#node.setStateRequest(KEY, prices, { acknowledgedBy: 1, signal });
      return { prices, isKept: true };
    } catch (error) {
      if (!signal.aborted) throw error;
      return { prices, isKept: false };
    }
  }

  async #follow(): Promise<void> {
    const node = this.#node;
    for await (const _ of node.watch(KEY)) {
      const own = node.getState<Prices>(KEY).get(node.id)?.value ?? NONE;
      const { newest } = this;
      if (isNewer(newest, own)) node.setState(KEY, newest);
    }
  }
}

/** True for an object with non-negative integers. */
export function areCents(value: unknown): value is Prices["cents"] {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.values(value).every((cents) => Number.isSafeInteger(cents) && cents >= 0);
}

/** Another version of this service may publish another type. */
function isPrices(value: unknown): value is Prices {
  const { revision, by, cents } = (value ?? {}) as { readonly [name: string]: unknown };
  return Number.isSafeInteger(revision) && typeof by === "string" && areCents(cents);
}

function isNewer(one: Prices, other: Prices): boolean {
  return one.revision === other.revision ? one.by > other.by : one.revision > other.revision;
}
