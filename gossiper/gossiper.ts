/**
 * The gossiper: a member's part in spreading and merging state between the members of a cluster.
 *
 * @module
 */

import type { Footprint } from "../engine/view.ts";
import type { GossipUpdate } from "../engine/events.ts";
import { copyJson, type JsonCopy, JsonValueError } from "../engine/json.ts";
import type { BlockedMember, JsonValue, Phase } from "../engine/types.ts";
import type { Cluster, Member } from "../contracts/cluster.ts";
import type { GossiperConfig, PartialConfig } from "../options/configuration.ts";
import {
  type ConsensusCallbacks,
  ConsensusChecks,
  type ConsensusExtractor,
  type ConsensusHandle,
} from "./consensus.ts";
import type {
  GossiperClosed,
  GossiperLike,
  GossipKeyValue,
  MembersOptions,
  MemberView,
  SetStateOptions,
  Snapshot,
  WaitOptions,
} from "./contract.ts";
import { EngineHost } from "./engine_host.ts";
import type { FlushResult } from "./departure.ts";
import { HearsayError } from "../common/errors.ts";
import type { EventStream } from "../contracts/event_stream.ts";
import { MemberWatches } from "./member_watches.ts";
import { assertNone, assertSignal, describe } from "../options/rules.ts";
import { Lifecycle } from "./lifecycle.ts";
import { realRuntime } from "../common/runtime.ts";
import { Topology } from "./topology.ts";
import { assertKey, assertOwnKey, validated } from "./validation.ts";
import { keyValueOf, memberOf, membersOf, phaseOf, snapshotOf } from "./views.ts";
import { Watches } from "./watch.ts";

/** How much a gossiper keeps: for tests, which hold it against its limits. No part of what the module offers. */
export let footprintOf: (gossiper: Gossiper) => Footprint & { readonly sessions: number };
/** The name of the state that a gossiper holds, without a snapshot of it: for tests likewise. */
export let stateNameOf: (gossiper: Gossiper) => string;

/**
 * A member of a cluster that gossips: it spreads its own state, merges that of others, notices who is alive,
 * and tells when all agree. A stopped gossiper does not start again: a new life is a new object.
 */
export class Gossiper implements GossiperLike {
  readonly #config: GossiperConfig;
  readonly #cluster: Cluster;
  readonly #engineHost: EngineHost;
  readonly #topology: Topology;
  readonly #watches: Watches;
  readonly #checks: ConsensusChecks;
  readonly #memberWatches: MemberWatches;
  readonly #closed = Promise.withResolvers<GossiperClosed>();
  #running: Lifecycle | undefined;
  readonly #leaving = new AbortController();
  #isStopping = false;
  #failure: { readonly error: unknown } | undefined;
  #unfollow: () => void = () => {};

  static {
    footprintOf = (gossiper) => ({
      ...gossiper.#engineHost.view.footprint,
      sessions: gossiper.#running?.served ?? 0,
    });
    stateNameOf = (gossiper) => `${gossiper.#engineHost.view.digest}/${gossiper.#engineHost.view.active}`;
  }

  /**
   * Makes a gossiper that is not started: it holds no timer, socket or stream yet, and state can be set.
   *
   * @throws {ConfigurationError} naming every setting, and everything about the cluster, that is invalid.
   */
  constructor(config: PartialConfig, cluster: Cluster) {
    this.#config = validated(config, cluster);
    this.#cluster = { ...cluster, self: Object.freeze({ ...cluster.self, kinds: [...cluster.self.kinds] }) };
    this.#topology = new Topology(this.#cluster.self);
    this.#engineHost = new EngineHost({
      id: cluster.self.id,
      openMembership: cluster.discovery?.openMembership ?? false,
      awaitsTopology: cluster.discovery !== undefined,
      signs: cluster.signing !== undefined,
      settings: this.#config,
      runtime: cluster.runtime ?? realRuntime,
      eventStream: cluster.eventStream,
      onBroken: (error) => this.#fail(error),
    });
    if (cluster.ownsTransport) {
      this.signal.addEventListener("abort", () => cluster.eventStream.end(), { once: true });
    }
    const known = cluster.discovery?.members;
    if (known) this.#expect(known);
    this.#watches = new Watches(this.#engineHost);
    this.#checks = new ConsensusChecks(this.#engineHost);
    this.#memberWatches = new MemberWatches({
      engineHost: this.#engineHost,
      views: () => this.members,
      view: (id) => memberOf(this.#viewed, id),
      leaving: this.signal,
    });
  }

  /** This member's id. */
  get id(): string {
    return this.#cluster.self.id;
  }

  /** This member as others see it. */
  get member(): Member {
    return this.#cluster.self;
  }

  /** Resolves when the gossiper is over, with the reason; never rejects. */
  get closed(): Promise<GossiperClosed> {
    return this.#closed.promise;
  }

  /**
   * Aborted when this gossiper begins to leave, whether it is stopped, aborted or has failed: with a `HearsayError` of
   * code `stopped`. Streams of {@linkcode Gossiper.watch} end by themselves then. It is for everything else that sets
   * something: timers, and loops that wait for something between two steps.
   */
  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Where everything that happens is told. */
  get events(): EventStream {
    return this.#cluster.eventStream;
  }

  /**
   * How far the spreading has come: `diffusing` while some active peer lacks something, `reconciling` while
   * a full exchange repairs a gap or a conflict, `confirmed` when all are known to hold all. One that takes part no
   * more, because another process uses its id, is `diffusing` from then on.
   */
  get phase(): Phase {
    return phaseOf(this.#engineHost.view);
  }

  /** Every member that is known, this one included, sorted by id. */
  get members(): readonly MemberView[] {
    return membersOf(this.#viewed);
  }

  /**
   * The view of each member, and then the view of each that changes: it joined, left, failed, is suspected or no longer so,
   * or was forgotten (its status is `left`, and its `incarnation` is undefined). Ends like {@linkcode Gossiper.watch}. A
   * reader that falls behind misses views that newer ones of the same member have superseded.
   */
  watchMembers(options: WaitOptions = {}): ReadableStream<MemberView> {
    assertSignal(options.signal);
    return this.#memberWatches.watch(options);
  }

  /**
   * Resolves with the members that are alive, once there are at least `count` of them, this one included, and none came or
   * went for `stableFor` milliseconds. Rejects with the signal's reason, or with a `HearsayError` of code `stopped` when
   * this member begins to leave.
   *
   * @throws {ConfigurationError} if `count` is not a whole number of at least 1, or `stableFor` not one of at least 0.
   *
   * @example
   * ```ts
   * import { join } from "@hearsay/gossip";
   *
   * await using one = await join({ cluster: "orders", listen: { port: 0 } });
   * await using two = await join({ cluster: "orders", listen: { port: 0 }, seeds: [one.address] });
   * const members = await one.whenMembers(2, { stableFor: 100, signal: AbortSignal.timeout(5_000) });
   * console.assert(members.some(({ id }) => id === two.id));
   * ```
   */
  whenMembers(count: number, options: MembersOptions = {}): Promise<readonly MemberView[]> {
    return this.#memberWatches.when(count, options);
  }

  /** The members that get no gossip and from which none is taken, the first blocked first. */
  get blockedMembers(): readonly BlockedMember[] {
    return this.#engineHost.view.blockedMembers();
  }

  /** How many rounds were left out because one before them, or this process, was late. */
  get skippedRounds(): number {
    return this.#running?.skippedRounds ?? 0;
  }

  /**
   * Starts to gossip; the first round begins at once. Aborting the signal later does what `stop()` does. A
   * signal that is aborted already rejects with its reason and starts nothing. Rejects with code
   * `already_started` the second time, and `stopped` after the end.
   */
  // deno-lint-ignore require-await -- that it fails is told by the promise, whatever the reason
  async start({ signal }: WaitOptions = {}): Promise<void> {
    this.#assertNotStopped();
    assertSignal(signal);
    if (this.#running) {
      throw new HearsayError("already_started", "The gossiper runs already; nothing was changed.");
    }
    signal?.throwIfAborted();
    this.#running = new Lifecycle({
      config: this.#config,
      cluster: this.#cluster,
      engineHost: this.#engineHost,
      topology: this.#topology,
      watches: this.#watches,
      onBroken: (error) => this.#fail(error),
    });
    const abort = () => this.#engineHost.runAfterCall(() => void this.#end("aborted"));
    signal?.addEventListener("abort", abort, { once: true });
    this.#unfollow = () => signal?.removeEventListener("abort", abort);
    this.#running.start();
  }

  /**
   * Leaves the cluster: waits for requests under way, tells others that this member leaves, and ends
   * everything. Takes three request timeouts at most: one for each of these; the result says whether enough were
   * told in that time.
   * Rejects with code `not_started` before the start, and `stopped` when it is being or has been stopped.
   * A process that has nothing else to do should call `Deno.exit()` then: if a peer that it dialled hangs, Deno keeps the
   * process for a minute and more.
   */
  async stop(): Promise<FlushResult> {
    this.#assertNotStopped();
    this.#engineHost.assertOutside();
    if (!this.#running) {
      throw new HearsayError("not_started", "The gossiper was not started; nothing was changed.");
    }
    return await this.#end("stopped");
  }

  /** Stops the gossiper if it runs, and waits until it is over; one that never ran cannot be started after this. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isStopping) await this.#end("stopped");
    await this.closed;
  }

  /**
   * The values of a key, by the id of the member that set it: a picture that later gossip does not change. Throws a
   * `HearsayError` of code `invalid_key` for what is no key.
   */
  getState<T = JsonValue>(key: string): Map<string, GossipKeyValue<T>> {
    assertKey(key);
    const values = new Map<string, GossipKeyValue<T>>();
    for (const [id, entry] of this.#engineHost.view.state(key)) {
      // What a member publishes is its own affair: the type is what the caller expects.
      values.set(id, keyValueOf(entry) as GossipKeyValue<T>);
    }
    return values;
  }

  /**
   * Sets a key of this member, to be told with the next gossip. The value is copied. Setting an equal value
   * is news too. Throws a `HearsayError`, and changes nothing: with code `invalid_key` for a key that is
   * empty, over 1,024 bytes or the gossiper's own, `invalid_value` for what JSON cannot carry (with the path
   * to it), `too_large` where the value or the member's whole state would be too large, or its keys too many (see
   * `maxMessageBytes`, `maxStateBytes`, `maxKeysPerMember`), `stopped` after the end.
   */
  setState(key: string, value: unknown): void {
    this.#set(key, value);
  }

  /**
   * Sets a key like {@linkcode Gossiper.setState} and resolves when that is done, and when so many others as
   * `acknowledgedBy` asks for are known to hold it. A signal aborted before sets nothing.
   */
  async setStateRequest(key: string, value: unknown, options: SetStateOptions = {}): Promise<void> {
    const { signal, acknowledgedBy = 0 } = options;
    assertSignal(signal);
    signal?.throwIfAborted();
    if (acknowledgedBy !== "all" && !(Number.isInteger(acknowledgedBy) && acknowledgedBy >= 0)) {
      const allowed = '"all" or a whole number of at least 0';
      const given = describe(acknowledgedBy);
      assertNone([{ field: "acknowledgedBy", problem: "is no number of members", given, allowed }]);
    }
    const number = this.#set(key, value);
    if (acknowledgedBy === 0) return;
    const { view } = this.#engineHost;
    const { incarnation } = view;
    await this.#engineHost.until(() => {
      // A renewed life sets every key anew, under other numbers.
      const present = view.incarnation === incarnation
        ? number
        : view.ownNumber(key) ?? view.versionOf(view.id)!.number;
      const enough = acknowledgedBy === "all" ? view.activeIds().size - 1 : acknowledgedBy;
      return (acknowledgedBy !== "all" || view.hasMetPeer) && view.acknowledgedBy(present) >= enough;
    }, signal ? { signal } : {});
  }

  /** Deletes a key of this member; returns whether it was set. Throws like {@linkcode Gossiper.setState}. */
  deleteState(key: string): boolean {
    this.#assertNotStopped();
    assertOwnKey(key);
    return this.#engineHost.do((engine, now) => engine.delete(key, now)).number !== undefined;
  }

  /**
   * The present values of a key, one update for each member, and then every change and deletion, until the
   * gossiper begins to leave, the signal is aborted or the stream is cancelled. Each ends it at once: what was not read
   * is dropped, so that a loop over it can set something without being refused. A reader that falls behind by more than
   * 1,024 updates misses those that newer ones of the same member have superseded. Throws a `HearsayError` of code
   * `invalid_key` for what is no key.
   */
  watch(key: string, options: WaitOptions = {}): ReadableStream<GossipUpdate> {
    assertKey(key);
    assertSignal(options.signal);
    return this.#watches.watch(key, { signal: options.signal, untilLeaving: true });
  }

  /**
   * Registers a check of whether all active members have the same value under a key, as the extractor reads
   * it. A member with no value means no consensus. Throws a `HearsayError` of code `invalid_key` for what is no key.
   */
  registerConsensusCheck(
    key: string,
    extractor: ConsensusExtractor = (value) => value,
    callbacks: ConsensusCallbacks = {},
  ): ConsensusHandle {
    this.#assertNotStopped();
    assertKey(key);
    return this.#checks.register(key, extractor, callbacks);
  }

  /** Drops a consensus check; returns whether there was one. */
  removeConsensusCheck(id: string): boolean {
    return this.#checks.remove(id);
  }

  /** Frees a blocked member by hand; returns whether it was blocked. One that left is blocked again with the next round. */
  unblock(id: string): boolean {
    this.#assertNotStopped();
    return this.#engineHost.do((engine, now) => engine.unblock(id, now)).freed;
  }

  /**
   * Changes the keys that the members share: the first signs, all verify. To rotate a key in a running cluster,
   * give all members the old and the new, then the new and the old, then the new alone: nobody is cut off.
   * Connections opened under a key that is no longer there are closed, and are opened anew under another. Throws
   * a `HearsayError` of code `invalid_configuration`, and changes nothing, where a key is weak or this member
   * was made without keys.
   */
  setKeys(keys: readonly (string | Uint8Array)[]): void {
    this.#assertNotStopped();
    const { transport } = this.#cluster;
    if (!transport.setKeys) {
      throw new HearsayError("invalid_configuration", "The transport knows no keys; nothing was changed.");
    }
    transport.setKeys(keys);
  }

  /** Resolves as soon as every active peer is known to hold all that this member holds. */
  async converged(options: WaitOptions = {}): Promise<void> {
    await this.#engineHost.until(() => this.phase === "confirmed", options);
  }

  /** Everything that is held, as plain data for people and logs. */
  snapshot(): Snapshot {
    return snapshotOf(this.#viewed);
  }

  /** Whom this member has to agree with is known from the start. */
  #expect(members: readonly Member[]): void {
    this.#topology.set([...members, this.#cluster.self]);
    const ids = [...this.#topology.ids()];
    this.#engineHost.do((engine, now) => engine.setTopology({ members: ids, blocked: [] }, now));
  }

  get #viewed() {
    return {
      engine: this.#engineHost.view,
      topology: this.#topology,
      cluster: this.#cluster.name,
      seeds: this.#running?.seeds ?? [],
    };
  }

  #set(key: string, value: unknown): number {
    this.#assertNotStopped();
    assertOwnKey(key);
    const copy = copied(value);
    try {
      return this.#engineHost.do((engine, now) => engine.set(key, copy, now), { mayRefuse: true }).number;
    } catch (error) {
      if (error instanceof RangeError) throw new HearsayError("too_large", error.message, { cause: error });
      throw error;
    }
  }

  #assertNotStopped(): void {
    if (this.#isStopping) throw new HearsayError("stopped", "The gossiper has stopped; nothing was changed.");
  }

  /** A broken invariant ends the gossiper at once: what it holds cannot be trusted any more. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    void this.#end("failed");
  }

  /** Ends once, whoever asks; does not reject. */
  async #end(reason: GossiperClosed["reason"]): Promise<FlushResult> {
    const nobody: FlushResult = { acknowledgedBy: 0, wanted: 0, flushed: false };
    if (this.#isStopping) return nobody;
    this.#isStopping = true;
    this.#unfollow();
    this.#leaving.abort(new HearsayError("stopped", "The gossiper has stopped."));
    if (this.#running) this.#watches.leave();
    let flush: FlushResult | undefined;
    try {
      if (reason !== "failed") flush = await this.#running?.leave();
    } catch (error) {
      this.#failure ??= { error };
    }
    await this.#running?.end("The peer leaves the cluster.");
    this.#watches.end();
    this.#engineHost.end(new HearsayError("stopped", "The gossiper has stopped."));
    if (this.#cluster.ownsTransport) await this.#cluster.transport.close();
    this.#closed.resolve({
      reason: this.#failure ? "failed" : reason,
      ...(this.#failure ?? {}),
      ...(flush ? { flush } : {}),
    });
    return flush ?? nobody;
  }
}

/** Whatever is wrong with a value, or thrown by it while it is read. */
function copied(value: unknown): JsonCopy {
  try {
    return copyJson(value);
  } catch (cause) {
    const message = cause instanceof JsonValueError
      ? cause.message
      : `Reading the value threw ${String(cause)}; nothing was changed.`;
    throw new HearsayError("invalid_value", message, { cause });
  }
}
