/**
 * A running gossiper: all parts that run between its start and its end.
 *
 * @module
 */

import { endsWithProofOfLife } from "../engine/membership/block_list.ts";
import { copyJson } from "../engine/json.ts";
import { MEMBER_KEY, SIGNING_KEY } from "../engine/types.ts";
import { RequestHandler } from "./request_handler.ts";
import { jitteredDelay } from "../common/backoff.ts";
import type { Cluster, ClusterTopology, DiscoveryContext, Member, SeedStatus } from "../contracts/cluster.ts";
import type { PacedConfig } from "../options/configuration.ts";
import type { EngineHost } from "./engine_host.ts";
import type { Decisions } from "./decisions.ts";
import type { Refusal } from "../protocol/message.ts";
import type { Session } from "../protocol/session.ts";
import type { Meters } from "../contracts/meters.ts";
import { type CrashWatch, watchCrashes } from "./crash_watch.ts";
import { flushDeparture, type FlushResult } from "./departure.ts";
import { ConflatingQueue } from "../common/conflating_queue.ts";
import { Loop } from "./loop.ts";
import { meterDeparture, Metering, meterRound } from "./metering.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { Readers } from "./readers.ts";
import { Rounds } from "./rounds.ts";
import { deadlineAfter } from "../common/runtime.ts";
import { Signatures } from "./signatures.ts";
import { Spread } from "./spread.ts";
import { SuspicionAnswers } from "./suspicion_answers.ts";
import type { Topology } from "./topology.ts";
import type { Watches } from "./watch.ts";

/** The dependencies of a {@linkcode Lifecycle}. */
export interface LifecycleOptions {
  readonly config: PacedConfig;
  readonly cluster: Cluster;
  readonly engineHost: EngineHost;
  readonly topology: Topology;
  readonly watches: Watches;
  /** The history of decisions, for explanations. */
  readonly decisions: Decisions;
  /** Called after an unexpected error, or when the transport broke. */
  readonly onFatal: (error: unknown) => void;
}

/** Creates, connects and ends the parts of a running gossiper. */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #requestHandler: RequestHandler;
  readonly #peers: ConnectionPool;
  readonly #rounds: Rounds;
  /** Pushes changes between rounds; `undefined` with `spread: "interval"`. */
  readonly #spread: Spread | undefined;
  /** Detects crashed members; `undefined` without `detectCrashes`. */
  readonly #crashWatch: CrashWatch | undefined;
  readonly #loop: Loop;
  /** `undefined` without meters. */
  readonly #metering: Metering | undefined;
  readonly #metPeers: ConflatingQueue<Member>;
  /** Ends the rounds. */
  readonly #leaving = new AbortController();
  /** Ends everything else. */
  readonly #ending = new AbortController();
  readonly #tasks: Promise<void>[] = [];
  readonly #seedReaders: (() => readonly SeedStatus[])[] = [];
  /** The ids that the latest topology blocks. */
  #blocked: readonly string[] = [];
  #looping: Promise<void> = Promise.resolve();
  /** The members that a handshake let in, with the time: an older topology does not name them yet. */
  readonly #admitted = new Map<string, { readonly member: Member; readonly atMs: number }>();

  /** Creates the parts; nothing runs yet. */
  constructor(options: LifecycleOptions) {
    this.#options = options;
    const { config, cluster, engineHost, topology } = options;
    const { runtime } = engineHost;
    this.#metPeers = new ConflatingQueue<Member>({ keyOf: ({ id }) => id, signal: this.#ending.signal });
    const { meters, signing } = cluster;
    const signatures = signing &&
      new Signatures({ engineHost, signing, cluster: cluster.name, settings: config });
    this.#requestHandler = this.#makeRequestHandler(signatures);
    const readers = new Readers({
      engineHost,
      cluster: cluster.name,
      requestHandler: this.#requestHandler,
      settings: config,
      isStopping: () => this.#leaving.signal.aborted,
    });
    this.#peers = new ConnectionPool({
      selfId: cluster.self.id,
      transport: cluster.transport,
      runtime,
      host: this.#requestHandler,
      readerHost: () => readers.host(),
      settings: config,
      onConnectionBroken: (id) => this.#crashWatch?.onConnectionBroken(id),
    });
    this.#rounds = new Rounds({
      engineHost,
      peers: this.#peers,
      topology,
      settings: config,
      signatures,
      actorStatistics: cluster.actorStatistics,
      meters,
      onFailure: (id, error) => this.#crashWatch?.onFailure(id, error),
    });
    this.#crashWatch = watchCrashes({ engineHost, peers: this.#peers, topology, settings: config });
    this.#spread = config.spread === "interval" ? undefined : this.#makeSpread(signatures);
    this.#loop = new Loop({
      runtime,
      interval: config.gossipInterval,
      round: (isDue) => meterRound(() => this.#rounds.round(this.#leaving, isDue), options),
      onWoken: meters && ((lateMs) => meters.woken(lateMs)),
    });
    this.#metering = meters && this.#makeMetering(meters);
  }

  /** Makes the handler of peers' messages. Its callbacks use parts that are made later. */
  #makeRequestHandler(signatures: Signatures | undefined): RequestHandler {
    const { config, cluster, decisions, engineHost, onFatal } = this.#options;
    const { meters, signing } = cluster;
    const answers = new SuspicionAnswers(engineHost);
    return new RequestHandler({
      engineHost,
      self: cluster.self,
      cluster: cluster.name,
      publicKey: signing?.publicKey,
      signatures,
      settings: config,
      openMembership: cluster.discovery?.openMembership ?? false,
      isStopping: () => this.#leaving.signal.aborted,
      makePlace: () => this.#makePlace(),
      onStranger: (member) => this.#admit(member),
      // Without a discovery the queue has no reader, and would only grow.
      onHandshake: (member) => {
        if (cluster.discovery) this.#metPeers.push(member);
        this.#metering?.onHandshake();
      },
      onSuspect: (session, suspect) => {
        decisions.onSuspect(session.peer!.id, suspect, engineHost.view);
        answers.onSuspect(session, suspect);
        this.#crashWatch?.onSuspect(suspect);
      },
      onRefused: (session, refusal, proof) => this.#onRefused(session, refusal, proof),
      onFatal: onFatal,
      meters,
      onExchanged: meters && (() => this.#metering?.onExchanged()),
    });
  }

  #makeSpread(signatures: Signatures | undefined): Spread {
    const { config, cluster: { meters }, engineHost, onFatal } = this.#options;
    return new Spread({
      engineHost,
      peers: this.#peers,
      fanOut: config.gossipFanOut,
      maxMessagesPerSecond: config.maxMessagesPerSecond,
      signatures,
      onFatal: onFatal,
      meters,
    });
  }

  #makeMetering(meters: Meters): Metering {
    const { config: { maxMembers }, cluster, engineHost, topology } = this.#options;
    return new Metering({
      meters,
      cluster,
      engineHost,
      topology,
      peers: this.#peers,
      loop: this.#loop,
      maxMembers,
    });
  }

  #onRefused(
    session: Session,
    refusal: Refusal,
    { isSigned }: { readonly isSigned: boolean },
  ): void {
    const { decisions, engineHost } = this.#options;
    const { code, reason, incarnation } = refusal;
    decisions.onRefusal(session.peerId, refusal);
    // A leaving member asks every peer to block it, so such a block means nothing.
    if (this.#leaving.signal.aborted) return;
    if (incarnation !== undefined) {
      engineHost.do((engine, now) => engine.onNewerIncarnation(incarnation, now, { isSigned }));
    }
    const id = session.peerId;
    if (id === undefined) return;
    if (code === "blocked") engineHost.do((engine) => engine.onBlockedBy(id, reason ?? "expired"));
    // This member has begun an incarnation above that one, or the peer knows the present one, but not by a handshake.
    const isOwn = incarnation !== undefined && incarnation <= engineHost.view.incarnation;
    const needsHandshake = isOwn || code === "blocked" && endsWithProofOfLife(reason);
    if (needsHandshake) this.#rounds.startHandshakeIfDue(id);
  }

  /** The number of skipped rounds. */
  get skippedRounds(): number {
    return this.#loop.skipped;
  }

  /** The status of each address of the discovery. */
  get seeds(): readonly SeedStatus[] {
    return this.#seedReaders.flatMap((read) => read());
  }

  /** True if there is an open connection with a member. */
  isConnected(id: string): boolean {
    return this.#peers.session(id) !== undefined;
  }

  /** The connections, for extensions. */
  get peers(): ConnectionPool {
    return this.#peers;
  }

  /** Begins a round now; resolves at its end, or when this member leaves. */
  gossipNow(): Promise<void> {
    return this.#loop.now();
  }

  /** Starts all parts. */
  start(): void {
    const { cluster, engineHost } = this.#options;
    engineHost.onEvent((event) => {
      // The engine has forgotten the handshake too.
      if (event.type === "MemberForgotten") {
        this.#peers.session(event.memberId)?.leave("The member was forgotten.");
      }
      if (event.type !== "IncarnationRenewed") return;
      for (const { peer } of this.#peers.sessions()) this.#rounds.startHandshake(peer!.id);
    });
    if (cluster.discovery?.openMembership) {
      const { id, host, port, kinds, url } = cluster.self;
      const record = { id, host, port, kinds, ...(url !== undefined && { url }) };
      engineHost.do((engine, now) => engine.set(MEMBER_KEY, copyJson(record), now));
    }
    if (cluster.signing) {
      const { publicKey } = cluster.signing;
      engineHost.do((engine, now) => engine.set(SIGNING_KEY, copyJson(publicKey), now));
    }
    this.#run(this.#peers.accept(this.#ending));
    this.#run(this.#followTopology());
    this.#run(this.#discover());
    this.#looping = this.#loop.run(this.#leaving).catch(this.#options.onFatal);
  }

  /** Leaves the cluster, and sends the departure to peers (R9.1, R9.2). */
  leave(): Promise<FlushResult> {
    return meterDeparture(() => this.#leave(), this.#options);
  }

  async #leave(): Promise<FlushResult> {
    const { engineHost, config } = this.#options;
    this.#leaving.abort();
    if (engineHost.view.isFenced) {
      // Another process uses this id. Peers would block it if they received a departure under the id.
      await this.#looping;
      return { acknowledgedBy: 0, wanted: 0, flushed: true };
    }
    const { number } = engineHost.do((engine, now) => engine.leave(now));
    this.#spread?.flush();
    const giveUp = new AbortController();
    const flushing = flushDeparture({
      rounds: this.#rounds,
      runtime: engineHost.runtime,
      fanOut: config.gossipFanOut,
      isAcknowledgedBy: (id) => engineHost.view.isAcknowledgedBy(id, number),
      whenDialed: () => this.#peers.whenDialed(),
      retryAfter: config.gossipRequestTimeout / 8,
      signal: AbortSignal.any([giveUp.signal, this.#ending.signal]),
    });
    await Promise.race([flushing, this.#looping]);
    using deadline = deadlineAfter(
      engineHost.runtime,
      config.gossipRequestTimeout,
      "Sending the departure",
    );
    deadline.signal.addEventListener("abort", () => giveUp.abort(deadline.signal.reason), { once: true });
    const [result] = await Promise.all([flushing, this.#looping]);
    return result;
  }

  /** Ends all parts; resolves once nothing runs. */
  async end(reason: string): Promise<void> {
    this.#leaving.abort();
    this.#ending.abort();
    await Promise.all([
      this.#rounds.end(),
      this.#spread?.end(),
      this.#crashWatch?.end(),
      this.#peers.close(reason),
    ]);
    await Promise.all([this.#looping, ...this.#tasks]);
  }

  /** Runs a task until the end; a failure before it is a broken invariant. */
  #run(task: Promise<void>): void {
    this.#tasks.push(task.catch((error) => {
      if (!this.#ending.signal.aborted) this.#options.onFatal(error);
    }));
  }

  /** Topologies come from the event stream alone (R7.4). */
  async #followTopology(): Promise<void> {
    const { eventStream } = this.#options.cluster;
    // Capacity 1 is enough: the stream never drops the latest topology.
    const { signal } = this.#ending;
    for await (const event of eventStream.subscribe("ClusterTopology", { signal, capacity: 1 })) {
      this.#applyTopology(event);
    }
  }

  #applyTopology(topology: ClusterTopology): void {
    const { engineHost, topology: known } = this.#options;
    const fault = faultOf(topology);
    if (fault) {
      return engineHost.report("ClusterTopology", new TypeError(`${fault} The topology was ignored.`));
    }
    const before = known.ids();
    for (const { id } of topology.members) this.#admitted.delete(id);
    this.#setMembers([...this.#strangers(), ...topology.members], topology.blocked);
    const ids = known.ids();
    this.#peers.retain(ids);
    this.#rounds.retain(ids);
    for (const id of before) {
      if (!ids.has(id)) this.#spread?.forget(id);
      // A leaving member closes its connections itself, once enough peers know of its departure.
      if (ids.has(id) || engineHost.view.blockedMember(id)?.reason === "left") continue;
      this.#peers.session(id)?.leave("The peer is no longer a member.");
    }
  }

  /** Drops a member that never shook hands, to make room for a member that shakes hands now (rule E15). */
  #makePlace(): boolean {
    const { engineHost, config, topology: known } = this.#options;
    if (known.size < config.maxMembers) return true;
    const { id } = engineHost.do((engine, now) => engine.makePlaceInTopology(now));
    if (id === undefined) return false;
    // The discovery learns of the removal by `MemberForgotten`, and publishes the same list.
    known.set([...known.members()].filter((member) => member.id !== id));
    return true;
  }

  /** Adds an unknown member until a topology names it; returns the undo function. */
  #admit(member: Member): () => void {
    const { engineHost, topology: known } = this.#options;
    const before = [...known.members()];
    this.#admitted.set(member.id, { member, atMs: engineHost.runtime.monotonicMs() });
    this.#spread?.introduce(member.id);
    this.#setMembers([...before, member], this.#blocked);
    return () => {
      this.#admitted.delete(member.id);
      this.#spread?.forget(member.id);
      this.#setMembers(before, this.#blocked);
    };
  }

  /** Members let in so recently that a topology may not name them yet. */
  #strangers(): Member[] {
    const { engineHost, config } = this.#options;
    const sinceMs = engineHost.runtime.monotonicMs() - config.gossipRequestTimeout;
    for (const [id, { atMs }] of this.#admitted) {
      if (atMs < sinceMs || engineHost.view.blockedMember(id)) this.#admitted.delete(id);
    }
    return [...this.#admitted.values()].map(({ member }) => member);
  }

  #setMembers(members: readonly Member[], blocked: readonly string[]): void {
    const { engineHost, topology: known } = this.#options;
    this.#blocked = blocked;
    known.set(members);
    const ids = [...known.ids()];
    const unreachable = known.unreachableFrom(engineHost.view.id);
    engineHost.do((engine, now) => engine.setTopology({ members: ids, blocked, unreachable }, now));
  }

  async #discover(): Promise<void> {
    const { discovery } = this.#options.cluster;
    if (!discovery) return;
    try {
      await discovery.run(this.#discoveryContext(), { signal: this.#ending.signal });
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#options.engineHost.report("discovery", error);
    }
  }

  /** Shakes hands at an address, then exchanges state at once instead of with the next round. */
  async #handshake(address: string, options: { readonly signal: AbortSignal }): Promise<Member> {
    const member = await this.#peers.handshake(address, options);
    if (this.#options.config.spread === "immediate") this.#rounds.startExchange(member.id);
    return member;
  }

  #discoveryContext(): DiscoveryContext {
    const { config, cluster, engineHost, watches } = this.#options;
    const { gossipInterval: base, maxBackoff: cap } = config;
    return {
      self: cluster.self,
      cluster: cluster.name,
      runtime: engineHost.runtime,
      eventStream: cluster.eventStream,
      activeIds: () => engineHost.view.activeIds(),
      addressOf: (member) => cluster.transport.addressOf(member),
      handshake: (address, options) => this.#handshake(address, options),
      metPeers: this.#metPeers.readable,
      watch: (key) => watches.watch({ key, signal: this.#ending.signal }),
      retryDelay: (failures) => jitteredDelay(failures, { base, cap, random: engineHost.runtime.random() }),
      reportSeeds: (read) => void this.#seedReaders.push(read),
      blockedProbeInterval: config.blockedProbeInterval,
    };
  }
}

/** The fault of a topology, which may come from any code, as a sentence. */
function faultOf({ members, blocked }: ClusterTopology): string | undefined {
  const isId = (id: unknown) => typeof id === "string" && id !== "" && id.isWellFormed();
  if (!Array.isArray(members) || !members.every((member) => isId(member?.id))) {
    return "`members` must be a list of members with ids.";
  }
  if (!Array.isArray(blocked) || !blocked.every(isId)) return "`blocked` must be a list of ids.";
  return undefined;
}
