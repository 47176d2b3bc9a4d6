/**
 * The gossiper: one member's part in the gossip of a cluster.
 *
 * @module
 */

import type { GossipUpdate } from "../engine/events.ts";
import type { BlockedMember, JsonValue, Phase } from "../engine/types.ts";
import type { Cluster, Member } from "../contracts/cluster.ts";
import { paced, type PacedConfig, type PartialConfig } from "../options/configuration.ts";
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
  PrefixOptions,
  SetStateOptions,
  Snapshot,
  WaitOptions,
} from "./contract.ts";
import { acknowledged } from "./acknowledgements.ts";
import { Explanations } from "./explanations.ts";
import type { Explanation, Spreading } from "../contracts/explanation.ts";
import { blockByHand } from "./blocks.ts";
import { expectMembers } from "./fixed_members.ts";
import { EngineHost } from "./engine_host.ts";
import { type FlushResult, NOTHING_SENT } from "./departure.ts";
import { HearsayError } from "../common/errors.ts";
import type { EventStream } from "../contracts/event_stream.ts";
import { MemberWatches } from "./member_watches.ts";
import { assertOptions } from "../options/rules.ts";
import { EXPIRY, SET_STATE, WAIT } from "./call_options.ts";
import { changeKeys } from "./key_change.ts";
import type { Insight } from "./insight.ts";
import { Lifecycle } from "./lifecycle.ts";
import { setOwn } from "./own_values.ts";
import { realRuntime } from "../common/runtime.ts";
import { Topology } from "./topology.ts";
import { entriesWith, watched } from "./user_keys.ts";
import { assertCheck, assertKey, assertOwnKey, validated } from "./validation.ts";
import { memberOf, membersOf, phaseOf, snapshotOf, valuesOf } from "./views.ts";
import { Watches } from "./watch.ts";

/** The parts of a gossiper for other folders, such as `messages/`. Not part of the public module. */
export let insightOf: (gossiper: Gossiper) => Insight;

/**
 * A member of a cluster that gossips: it sends its own state, merges that of others, detects failures, and reports
 * consensus. A stopped gossiper cannot start again; make a new one for a new incarnation.
 */
export class Gossiper implements GossiperLike {
  readonly #config: PacedConfig;
  readonly #cluster: Cluster;
  readonly #engineHost: EngineHost;
  readonly #topology: Topology;
  readonly #watches: Watches;
  readonly #checks: ConsensusChecks;
  readonly #memberWatches: MemberWatches;
  readonly #explanations: Explanations;
  readonly #closed = Promise.withResolvers<GossiperClosed>();
  #running: Lifecycle | undefined;
  readonly #leaving = new AbortController();
  #isStopping = false;
  /** This member's own status, once it has ended. */
  #ownEnd: "failed" | "left" | undefined;
  #failure: { readonly error: unknown } | undefined;
  #unfollow: () => void = () => {};

  static {
    insightOf = (gossiper) => {
      const [host, config, running] = [gossiper.#engineHost, gossiper.#config, gossiper.#running];
      return { host, cluster: gossiper.#cluster.name, config, running, topology: gossiper.#topology };
    };
  }

  /**
   * Makes a gossiper that is not started: it has no timer, socket or stream, and accepts state.
   *
   * @throws {ConfigurationError} with every invalid setting and every invalid part of the cluster.
   */
  constructor(config: PartialConfig, cluster: Cluster) {
    this.#config = paced(validated(config, cluster));
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
      onFatal: (error) => this.#fail(error),
    });
    if (cluster.ownsTransport) {
      this.signal.addEventListener("abort", () => cluster.eventStream.end(), { once: true });
    }
    this.#explanations = new Explanations({
      engineHost: this.#engineHost,
      eventStream: cluster.eventStream,
      viewed: () => this.#viewed,
      isConnected: (id) => this.#running?.isConnected(id) ?? false,
      settings: this.#config,
    });
    expectMembers(this.#engineHost, { topology: this.#topology, cluster: this.#cluster });
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

  /** Resolves with the reason when the gossiper has ended; never rejects. */
  get closed(): Promise<GossiperClosed> {
    return this.#closed.promise;
  }

  /**
   * Aborted when this gossiper begins to leave (stop, abort or failure), with a `HearsayError` of code `stopped`.
   * Streams of {@linkcode Gossiper.watch} end by themselves then; use it to end your own timers and loops.
   */
  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  /** The stream of all events. */
  get events(): EventStream {
    return this.#cluster.eventStream;
  }

  /**
   * The phase of dissemination: `diffusing` while an active peer lacks something, `reconciling` while an exchange repairs a
   * gap or a conflict, `confirmed` once all active peers are known to hold everything; `diffusing` under an id used twice.
   */
  get phase(): Phase {
    return phaseOf(this.#engineHost.view);
  }

  /** Every known member, including this member, sorted by id. */
  get members(): readonly MemberView[] {
    return membersOf(this.#viewed);
  }

  /**
   * Emits the view of each member, then each view that changes: the member joined, left, failed, became suspected or
   * recovered, or was forgotten (status `left`, `incarnation` undefined). Ends like {@linkcode Gossiper.watch}. A slow
   * reader misses views that a newer view of the same member supersedes.
   */
  watchMembers(options: WaitOptions = {}): ReadableStream<MemberView> {
    assertOptions(options, WAIT);
    return this.#memberWatches.watch(options);
  }

  /**
   * Resolves with the alive members, including this one, once there are at least `count` and no member came or went for
   * `stableFor` milliseconds. Rejects with the signal's reason, or with a `HearsayError` of code `stopped` when this
   * member begins to leave.
   *
   * @throws {ConfigurationError} if `count` is not an integer of at least 1, or `stableFor` not one of at least 0.
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

  /** The blocked members, in the order of their blocks. They get no gossip, and their gossip is refused. */
  get blockedMembers(): readonly BlockedMember[] {
    return this.#engineHost.view.blockedMembers();
  }

  /** The number of rounds skipped because an earlier round or this process was late. */
  get skippedRounds(): number {
    return this.#running?.skippedRounds ?? 0;
  }

  /**
   * Starts to gossip; the first round begins at once. A later abort of the signal has the effect of `stop()`. With an
   * aborted signal nothing starts, and its reason is the rejection. Rejects with `already_started` or `stopped` later.
   */
  // deno-lint-ignore require-await -- every failure must reject the promise, not throw
  async start(options: WaitOptions = {}): Promise<void> {
    this.#assertNotStopped();
    assertOptions(options, WAIT);
    const { signal } = options;
    if (this.#running) {
      throw new HearsayError("already_started", "This member is already started; nothing was changed.");
    }
    signal?.throwIfAborted();
    this.#running = new Lifecycle({
      config: this.#config,
      cluster: this.#cluster,
      engineHost: this.#engineHost,
      topology: this.#topology,
      watches: this.#watches,
      decisions: this.#explanations.decisions,
      onFatal: (error) => this.#fail(error),
    });
    const abort = () => this.#engineHost.runAfterCall(() => void this.#end("aborted"));
    signal?.addEventListener("abort", abort, { once: true });
    this.#unfollow = () => signal?.removeEventListener("abort", abort);
    this.#running.start();
  }

  /**
   * Leaves the cluster: waits for requests under way, sends the departure to peers, and ends everything. Each of these
   * takes one request timeout at most; the result says if enough peers acknowledged the departure in time. Rejects with
   * code `not_started` before the start, and with `stopped` during and after a stop. Call `Deno.exit()` afterwards in a
   * process with nothing else to do: if a dialed peer hangs, Deno keeps the process for a minute and more.
   */
  async stop(): Promise<FlushResult> {
    this.#assertNotStopped();
    this.#engineHost.assertOutside();
    if (!this.#running) {
      throw new HearsayError("not_started", "This member was not started; nothing was changed.");
    }
    return await this.#end("stopped");
  }

  /** Stops the gossiper if it runs, and resolves at its end; a gossiper disposed before its start cannot start. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isStopping) await this.#end("stopped");
    await this.closed;
  }

  /**
   * The values of a key, by the id of the member that set it. Later gossip does not change the map. Throws a
   * `HearsayError` of code `invalid_key` for an invalid key.
   */
  getState<T = JsonValue>(key: string): Map<string, GossipKeyValue<T>> {
    assertKey(key);
    // Another program set the value: its type is the caller's assumption.
    return valuesOf(this.#engineHost.view.state(key)) as Map<string, GossipKeyValue<T>>;
  }

  /**
   * The keys under which any known member has a value, sorted, without the gossiper's own keys. Costs time in
   * proportion to the whole state.
   */
  keys(): readonly string[] {
    return [...new Set(entriesWith("", this.#engineHost.view).map(([, { key }]) => key))].sort();
  }

  /**
   * The values of a member by key, without the keys of the gossiper itself; empty for an unknown member. Later gossip does
   * not change the map.
   */
  getAll(memberId: string): Map<string, GossipKeyValue> {
    const entries = entriesWith("", this.#engineHost.view, [memberId]);
    return valuesOf(entries, ({ key }) => key);
  }

  /**
   * Sets a key of this member; by default it is sent to peers at once. The value is copied. An equal value counts as a
   * change. Throws a `HearsayError` and changes nothing: code `invalid_key` for a key that is empty, over 1,024 bytes
   * or the gossiper's own; `invalid_value` for a value that JSON cannot carry (with the path to it); `too_large` if the
   * value, the member's state or its number of keys exceeds a limit (`maxMessageBytes`, `maxStateBytes`,
   * `maxKeysPerMember`); `stopped` after the end. With `expiresAfter` the value ends by itself at each member, at most one
   * `gossipInterval` late (rule E16), with an update that is `deleted` and `expired`; a later set renews it.
   */
  setState(key: string, value: unknown, options: Pick<SetStateOptions, "expiresAfter"> = {}): void {
    assertOptions(options, EXPIRY);
    this.#set(key, value, options);
  }

  /**
   * Sets a key like {@linkcode Gossiper.setState}, and resolves once `acknowledgedBy` other members have acknowledged
   * it: 0 by default, so that it resolves at once. An aborted signal sets nothing.
   */
  async setStateRequest(key: string, value: unknown, options: SetStateOptions = {}): Promise<void> {
    assertOptions(options, SET_STATE);
    const { signal, acknowledgedBy = 0 } = options;
    signal?.throwIfAborted();
    const number = this.#set(key, value, options);
    if (acknowledgedBy !== 0) await acknowledged(this.#engineHost, { key, number, acknowledgedBy, signal });
  }

  /** Deletes a key of this member; returns `false` if it was not set. Throws like {@linkcode Gossiper.setState}. */
  deleteState(key: string): boolean {
    this.#assertNotStopped();
    assertOwnKey(key);
    return this.#engineHost.do((engine, now) => engine.delete(key, now)).number !== undefined;
  }

  /**
   * Emits the present values of a key, one update for each member, then changes and deletions. A prefix stands for all
   * keys that begin with it, except the gossiper's own keys; `""` is the prefix of all keys. Another member may see
   * only the last of several sets in quick succession. Ends when the gossiper begins to leave, the signal is aborted or
   * the stream is canceled. This drops unread updates, so that a loop over the stream sets no state after the end. A
   * reader over 1,024 updates behind misses updates that a newer update of the same member and key supersedes. Throws a
   * `HearsayError` of code `invalid_key` for an invalid key or prefix.
   */
  watch<T = JsonValue>(key: string | PrefixOptions, options?: WaitOptions): ReadableStream<GossipUpdate<T>> {
    const updates = this.#watches.watch({ ...watched(key, options), untilLeaving: true });
    return updates as ReadableStream<GossipUpdate<T>>; // The caller's assumption, as in `getState`.
  }

  /**
   * Registers a consensus check: do all active members have the same value under a key, as the extractor reads it? A
   * member without a value means no consensus. Throws a `HearsayError` of code `invalid_key` for an invalid key.
   */
  registerConsensusCheck(
    key: string,
    extractor: ConsensusExtractor = (value) => value,
    callbacks: ConsensusCallbacks = {},
  ): ConsensusHandle {
    this.#assertNotStopped();
    assertKey(key);
    assertCheck(extractor, callbacks);
    return this.#checks.register(key, extractor, callbacks);
  }

  /** Removes a consensus check; returns `false` if there was none. */
  removeConsensusCheck(id: string): boolean {
    return this.#checks.remove(id);
  }

  /**
   * Blocks an id at this member until {@linkcode Gossiper.unblock}, with the reason `topology`; returns `false` if it
   * was blocked so before. Throws if the id is invalid or this member's own, or if `maxMembers` ids are blocked
   * already.
   */
  block(id: string): boolean {
    this.#assertNotStopped();
    return blockByHand(this.#engineHost, id);
  }

  /** Unblocks a member; returns `false` if it was not blocked. The next round blocks a member that left again. */
  unblock(id: string): boolean {
    this.#assertNotStopped();
    return this.#engineHost.do((engine, now) => engine.unblock(id, now)).freed;
  }

  /**
   * Changes the cluster keys: the first signs, all verify. To rotate a key in a running cluster without a break, give
   * all members the old and the new key, then the new and the old, then the new alone. Connections under a removed key
   * are closed, and opened again under another. Throws a `HearsayError` of code `invalid_configuration`, and changes
   * nothing, if a key is weak or this member has no keys.
   */
  setKeys(keys: readonly (string | Uint8Array)[]): void {
    this.#assertNotStopped();
    changeKeys(this.#cluster.transport, keys);
  }

  /** Resolves once every active peer is known to hold all that this member holds. */
  async converged(options: WaitOptions = {}): Promise<void> {
    assertOptions(options, WAIT);
    await this.#engineHost.until(() => this.phase === "confirmed", options);
  }

  /** Returns the known state as plain data, for people and logs. */
  snapshot(): Snapshot {
    return snapshotOf(this.#viewed);
  }

  /**
   * Explains the status of a member, by default of this member: heartbeats, suspicions, refusals, decisions, and its
   * possible end. Plain data. Its sentences are safe for a terminal, its ids are not: see {@linkcode printable}.
   */
  explain(memberId: string = this.id): Explanation {
    return this.#explanations.explain(memberId);
  }

  /** The living members that acknowledged this member's latest value of a key, and the others with the reason. */
  seenBy(key: string): Spreading {
    assertKey(key);
    return this.#explanations.seenBy(key);
  }

  get #viewed() {
    const [{ view: engine }, topology, { name: cluster }] = [this.#engineHost, this.#topology, this.#cluster];
    return { engine, topology, cluster, ownEnd: this.#ownEnd, seeds: this.#running?.seeds ?? [] };
  }

  #set(key: string, value: unknown, { expiresAfter }: Pick<SetStateOptions, "expiresAfter">): number {
    this.#assertNotStopped();
    return setOwn(this.#engineHost, { key, value, ...(expiresAfter !== undefined && { expiresAfter }) });
  }

  #assertNotStopped(): void {
    if (this.#isStopping) throw new HearsayError("stopped", "This member has stopped; nothing was changed.");
  }

  /** A broken invariant ends the gossiper at once, because its state may be wrong. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    void this.#end("failed"); // mutant replace-value: inside a call of the engine no departure can be made.
  }

  /** Ends once, however often it is called; does not reject. */
  async #end(reason: GossiperClosed["reason"]): Promise<FlushResult> {
    if (this.#isStopping) return NOTHING_SENT;
    this.#isStopping = true;
    this.#unfollow();
    this.#leaving.abort(new HearsayError("stopped", "This member has stopped."));
    if (this.#running) this.#watches.leave();
    let flush: FlushResult | undefined;
    try {
      if (reason !== "failed") flush = await this.#running?.leave();
    } catch (error) {
      this.#failure ??= { error };
    }
    await this.#running?.end("The peer leaves the cluster.");
    this.#watches.end();
    this.#engineHost.end(new HearsayError("stopped", "This member has stopped."));
    if (this.#cluster.ownsTransport) await this.#cluster.transport.close();
    this.#ownEnd = this.#failure ? "failed" : "left";
    this.#closed.resolve({
      reason: this.#failure ? "failed" : reason,
      ...(this.#failure ?? {}),
      ...(flush ? { flush } : {}),
    });
    return flush ?? NOTHING_SENT;
  }
}
