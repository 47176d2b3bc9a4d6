/**
 * Consensus over several keys.
 *
 * @module
 */

import type { JsonValue } from "../engine/types.ts";
import type { ConsensusHandle } from "../gossiper/consensus.ts";
import { assertNone, assertOptions, describeList, rule } from "../options/rules.ts";
import type { GossiperLike, WaitOptions } from "../gossiper/contract.ts";
import {
  type AgreedValue,
  CALLBACKS,
  type Consensus,
  type ConsensusOptions,
  ConsensusWaits,
} from "./agreement.ts";
import { type Reading, readingOf, type ValueOf } from "./reading.ts";

/** The parts of a member that the checks of keys use; a node of `join` has them. */
export type CheckedNode = Pick<GossiperLike, "events" | "signal" | "registerConsensusCheck">;

/** A consensus over keys. */
export interface KeyConsensus<T> extends Consensus<T> {
  /**
   * The active members that have no value, or another value than most, under at least one key, sorted. Empty if this
   * member is isolated or has met no other member.
   */
  dissenters(): readonly string[];
}

/** The most keys of one check. 100: each costs a check of its own. */
const MAX_KEYS = 100;
const KEYS = rule((given) => Array.isArray(given) && given.length >= 1 && given.length <= MAX_KEYS, {
  allowed: `a list of 1 to ${MAX_KEYS} keys`,
  show: describeList,
});

/**
 * Watches for all active members to have one value under each of the keys, all at one time. The value is the list of
 * these values. A key is a name, a typed key, or a {@linkcode reading} of a part of its values.
 *
 * This is what the member has seen. Another member may see it later, and it may be lost at any time. With seeds there is
 * no consensus before the first contact. After all others left or failed, the last member agrees with itself.
 *
 * @throws {ConfigurationError} if there is no key, or more than 100, or one is neither a key nor a reading.
 * @throws {HearsayError} with code `invalid_key` for an invalid key, `stopped` after the end of the member.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { consensusOf } from "@hearsay/gossip/consensus";
 *
 * await using one = await join({ cluster: "shop", listen: { port: 0 } });
 * await using two = await join({ cluster: "shop", listen: { port: 0 }, seeds: [one.address] });
 * for (const node of [one, two]) {
 *   node.setState("version", "1.4.0");
 *   node.setState("currency", "EUR");
 * }
 * using check = consensusOf(one, ["version", "currency"]);
 * const [version, currency] = await check.reached({ signal: AbortSignal.timeout(5_000) });
 * console.assert(version === "1.4.0" && currency === "EUR");
 * ```
 */
export function consensusOf<const Keys extends readonly (string | Reading<unknown>)[]>(
  node: CheckedNode,
  keys: Keys,
  options: ConsensusOptions<{ -readonly [index in keyof Keys]: ValueOf<Keys[index]> }> = {},
): KeyConsensus<{ -readonly [index in keyof Keys]: ValueOf<Keys[index]> }> {
  type Values = { -readonly [index in keyof Keys]: ValueOf<Keys[index]> };
  return new KeyAgreement<Values>(node, keys, {
    options,
    combine: (values, readings) => readings.map((each, index) => each.agreed(values[index]!)) as Values,
  });
}

/**
 * Watches for all active members to have one value under all of the keys: protoactor's `InConsensusWith`. The keys
 * usually are readings, each of the part that must be the same.
 *
 * @throws {ConfigurationError} if there is no key, or more than 100, or one is neither a key nor a reading.
 * @throws {HearsayError} with code `invalid_key` for an invalid key, `stopped` after the end of the member.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { consensusAcross, reading } from "@hearsay/gossip/consensus";
 *
 * await using one = await join({ cluster: "shop", listen: { port: 0 } });
 * await using two = await join({ cluster: "shop", listen: { port: 0 }, seeds: [one.address] });
 * for (const node of [one, two]) {
 *   node.setState("plan", { version: 7, by: node.id });
 *   node.setState("done", 7);
 * }
 * const planned = reading("plan", (value) => (value as { readonly version: number }).version);
 * using check = consensusAcross(one, [planned, "done"]);
 * console.assert(await check.reached({ signal: AbortSignal.timeout(5_000) }) === 7);
 * ```
 */
export function consensusAcross<const Keys extends readonly (string | Reading<unknown>)[]>(
  node: CheckedNode,
  keys: Keys,
  options: ConsensusOptions<ValueOf<Keys[number]>> = {},
): KeyConsensus<ValueOf<Keys[number]>> {
  return new KeyAgreement<ValueOf<Keys[number]>>(node, keys, {
    options,
    combine: ([value, ...others], [first]) => {
      const text = JSON.stringify(value);
      if (others.some((other) => JSON.stringify(other) !== text)) return undefined;
      return first!.agreed(value!) as ValueOf<Keys[number]>;
    },
  });
}

/** Makes one value of the values of all keys; `undefined` if they do not agree. */
type Combine<T> = (
  values: readonly JsonValue[],
  readings: readonly Reading<unknown>[],
) => T | undefined;

/** One check for each key, all reached at one time. */
class KeyAgreement<T> implements KeyConsensus<T> {
  readonly #readings: readonly Reading<unknown>[];
  readonly #checks: ConsensusHandle[] = [];
  readonly #waits: ConsensusWaits<T>;
  readonly #combine: Combine<T>;

  constructor(
    node: CheckedNode,
    keys: readonly (string | Reading<unknown>)[],
    { options, combine }: { readonly options: ConsensusOptions<T>; readonly combine: Combine<T> },
  ) {
    assertNone(KEYS("keys", keys));
    assertOptions(options, CALLBACKS);
    this.#readings = keys.map(readingOf);
    this.#combine = combine;
    this.#waits = new ConsensusWaits(node.signal, options);
    const changed = () => this.#waits.update(this.#present());
    try {
      for (const each of this.#readings) {
        const callbacks = { onReached: changed, onLost: changed };
        this.#checks.push(node.registerConsensusCheck(each.key, each.extractorFor(node), callbacks));
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  get value(): T | undefined {
    return this.#present()?.value;
  }

  reached(options?: WaitOptions): Promise<T> {
    return this.#waits.reached(this.#present(), options);
  }

  dissenters(): readonly string[] {
    return [...new Set(this.#checks.flatMap((check) => check.dissenters()))].sort();
  }

  [Symbol.dispose](): void {
    for (const check of this.#checks) check[Symbol.dispose]();
    this.#waits.end();
  }

  #present(): AgreedValue<T> | undefined {
    const values: JsonValue[] = [];
    for (const { value } of this.#checks) {
      if (value === undefined) return undefined;
      values.push(value);
    }
    const value = this.#combine(values, this.#readings);
    return value === undefined ? undefined : { value, text: JSON.stringify(values) };
  }
}
