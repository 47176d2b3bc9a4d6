/**
 * Consensus over the whole state, by a function.
 *
 * @module
 */

import { errorText } from "../common/error_text.ts";
import { canonicalize } from "../deps/canonicalize.ts";
import { copyJson } from "../engine/json.ts";
import { type JsonValue, TOPOLOGY_KEY } from "../engine/types.ts";
import type { GossipUpdate } from "../engine/events.ts";
import type { ConsensusHandle } from "../gossiper/consensus.ts";
import type { GossiperLike, GossipKeyValue, MemberView, WaitOptions } from "../gossiper/contract.ts";
import { isAlive } from "../gossiper/member_status.ts";
import { realRuntime, type Runtime } from "../common/runtime.ts";
import { assertNone, assertOptions, FUNCTION, type Rules, RUNTIME } from "../options/rules.ts";
import {
  type AgreedValue,
  CALLBACKS,
  type Consensus,
  type ConsensusOptions,
  ConsensusWaits,
} from "./agreement.ts";
import type { CheckedNode } from "./consensus.ts";

/** The parts of a member that {@linkcode consensusBy} uses; a node of `join` has them. */
export type WatchedNode =
  & CheckedNode
  & Pick<GossiperLike, "members" | "getAll" | "watch" | "watchMembers">;

/** Options of {@linkcode consensusBy}. */
export interface StateOptions<T> extends ConsensusOptions<T> {
  /** Timers; the real ones by default. */
  readonly runtime?: Runtime;
}

const OPTIONS: Rules<StateOptions<unknown>> = { ...CALLBACKS, runtime: RUNTIME };

/** The values of one member by key. */
export type MemberState = ReadonlyMap<string, JsonValue>;

/**
 * Watches for a function of the states of all active members to return a value. It gets the values by key of each
 * member by id, in the order of the ids, without the keys of the gossiper itself. Its result is a JSON value, or
 * `undefined` if the members do not agree. It runs after each change of any key, at most once in a turn of the event
 * loop, and with each read of `value`. It must not set state.
 *
 * There is no consensus before the first contact, in isolation, or while the state of an active member is unknown. If
 * the function throws, there is no consensus, and `CallbackFailed` is emitted once until it works again.
 *
 * @throws {ConfigurationError} if there is no function.
 * @throws {HearsayError} with code `stopped` after the end of the member.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { consensusBy } from "@hearsay/gossip/consensus";
 *
 * await using one = await join({ cluster: "shop", listen: { port: 0 } });
 * await using two = await join({ cluster: "shop", listen: { port: 0 }, seeds: [one.address] });
 * one.setState("slots", 3);
 * two.setState("slots", 5);
 * using check = consensusBy(one, (states) => {
 *   const slots = [...states.values()].map((state) => state.get("slots"));
 *   if (slots.some((each) => typeof each !== "number")) return undefined;
 *   return (slots as number[]).reduce((sum, each) => sum + each, 0);
 * });
 * console.assert(await check.reached({ signal: AbortSignal.timeout(5_000) }) === 8);
 * ```
 */
export function consensusBy<T>(
  node: WatchedNode,
  read: (states: ReadonlyMap<string, MemberState>) => T | undefined,
  options: StateOptions<T> = {},
): Consensus<T> {
  assertNone(FUNCTION("read", read));
  assertOptions(options, OPTIONS);
  return new StateAgreement(node, read, options);
}

class StateAgreement<T> implements Consensus<T> {
  readonly #node: WatchedNode;
  readonly #read: (states: ReadonlyMap<string, MemberState>) => T | undefined;
  /** Reached while members can agree: this member has met a peer, is not isolated, and has some state of all. */
  readonly #gate: ConsensusHandle;
  readonly #waits: ConsensusWaits<T>;
  readonly #ending = new AbortController();
  readonly #states = new Map<string, MemberState>();
  /** Members whose state has changed since it was read. */
  readonly #changed = new Set<string>();
  readonly #runtime: Runtime;
  #cancelTimer: (() => void) | undefined;
  #reported: string | undefined;

  constructor(
    node: WatchedNode,
    read: (states: ReadonlyMap<string, MemberState>) => T | undefined,
    { runtime = realRuntime, ...callbacks }: StateOptions<T>,
  ) {
    this.#node = node;
    this.#read = read;
    this.#runtime = runtime;
    const evaluate = () => this.#evaluateSoon();
    this.#gate = node.registerConsensusCheck(TOPOLOGY_KEY, () => true, {
      onReached: evaluate,
      onLost: evaluate,
    });
    this.#waits = new ConsensusWaits(node.signal, callbacks);
    for (const view of node.members) this.#take(view);
    const { signal } = this.#ending;
    void this.#followMembers(node.watchMembers({ signal }));
    void this.#followState(node.watch({ prefix: "", signal }));
  }

  get value(): T | undefined {
    return this.#present()?.value;
  }

  reached(options?: WaitOptions): Promise<T> {
    return this.#waits.reached(this.#present(), options);
  }

  [Symbol.dispose](): void {
    this.#ending.abort();
    this.#cancelTimer?.();
    this.#gate[Symbol.dispose]();
    this.#waits.end();
  }

  /** Ends with the stream, when the member leaves or this is disposed of. */
  async #followMembers(views: ReadableStream<MemberView>): Promise<void> {
    for await (const view of views) {
      this.#take(view);
      this.#evaluateSoon();
    }
  }

  async #followState(updates: ReadableStream<GossipUpdate>): Promise<void> {
    for await (const { memberId } of updates) {
      if (!this.#states.has(memberId)) continue;
      this.#changed.add(memberId);
      this.#evaluateSoon();
    }
  }

  #evaluateSoon(): void {
    if (this.#cancelTimer || this.#ending.signal.aborted) return;
    // A delta sets many keys one after another, and each is an item of the stream. A timer runs after all of them.
    this.#cancelTimer = this.#runtime.setTimer(0, () => {
      this.#cancelTimer = undefined;
      if (!this.#waits.isOver) void this.#evaluate();
    });
  }

  async #evaluate(): Promise<void> {
    try {
      await this.#waits.update(this.#agreed());
    } catch (error) {
      this.#report("a callback of consensusBy", error);
    }
  }

  #take(member: MemberView): void {
    const { id } = member;
    if (!isAlive(member)) this.#states.delete(id);
    else if (!this.#states.has(id)) {
      this.#states.set(id, new Map());
      this.#changed.add(id);
    }
  }

  /** Reads the whole state: the streams may be a turn behind, and would show the value before the last set. */
  #present(): AgreedValue<T> | undefined {
    if (this.#waits.isOver) return undefined;
    this.#states.clear();
    for (const view of this.#node.members) this.#take(view);
    return this.#agreed();
  }

  #agreed(): AgreedValue<T> | undefined {
    if (this.#gate.value === undefined) return undefined;
    for (const id of this.#changed) {
      if (this.#states.has(id)) this.#states.set(id, valuesOf(this.#node.getAll(id)));
    }
    this.#changed.clear();
    const ids = [...this.#states.keys()].sort();
    try {
      const value = this.#read(new Map(ids.map((id) => [id, this.#states.get(id)!])));
      const text = value === undefined ? undefined : canonicalize(copyJson(value).value);
      this.#reported = undefined;
      return value === undefined ? undefined : { value, text: text! };
    } catch (error) {
      const reason = errorText(error);
      if (this.#reported !== reason) this.#report("the function of consensusBy", error);
      this.#reported = reason;
      return undefined;
    }
  }

  #report(where: string, error: unknown): void {
    this.#node.events.publish({ type: "CallbackFailed", where, error });
  }
}

function valuesOf(entries: ReadonlyMap<string, GossipKeyValue>): MemberState {
  return new Map(Array.from(entries, ([key, { value }]) => [key, value]));
}
