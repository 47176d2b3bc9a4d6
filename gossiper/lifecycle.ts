/**
 * A gossiper at work: everything that runs between its start and its end.
 *
 * @module
 */

import { endsWithIncarnation } from "../engine/membership/block_list.ts";
import { copyJson } from "../engine/json.ts";
import { MEMBER_KEY, SIGNING_KEY } from "../engine/types.ts";
import { RequestHandler } from "./request_handler.ts";
import { jitteredDelay } from "../common/backoff.ts";
import type { Cluster, ClusterTopology, DiscoveryContext, Member, SeedStatus } from "../contracts/cluster.ts";
import type { GossiperConfig } from "../options/configuration.ts";
import type { EngineHost } from "./engine_host.ts";
import { CrashWatch } from "./crash_watch.ts";
import { flushDeparture, type FlushResult } from "./departure.ts";
import { ConflatingQueue } from "../common/conflating_queue.ts";
import { Loop } from "./loop.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { Rounds } from "./rounds.ts";
import { deadlineAfter } from "../common/runtime.ts";
import { Signatures } from "./signatures.ts";
import { Spread } from "./spread.ts";
import type { Topology } from "./topology.ts";
import type { Watches } from "./watch.ts";

/** What {@linkcode Lifecycle} needs. */
export interface LifecycleOptions {
  readonly config: GossiperConfig;
  readonly cluster: Cluster;
  readonly engineHost: EngineHost;
  readonly topology: Topology;
  readonly watches: Watches;
  /** Something threw that never should, or the transport broke. */
  readonly onBroken: (error: unknown) => void;
}

/** The parts of a gossiper that is started, and how they end. */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #answers: RequestHandler;
  readonly #peers: ConnectionPool;
  readonly #rounds: Rounds;
  /** Pushes changes between the rounds; missing where the configuration turns that off. */
  readonly #spread: Spread | undefined;
  /** Finds crashed members; missing where the configuration turns that off. */
  readonly #crashWatch: CrashWatch | undefined;
  readonly #loop: Loop;
  readonly #greeted: ConflatingQueue<Member>;
  /** Ends the loop. */
  readonly #leaving = new AbortController();
  /** Ends everything else. */
  readonly #ending = new AbortController();
  readonly #tasks: Promise<void>[] = [];
  readonly #seedReaders: (() => readonly SeedStatus[])[] = [];
  /** The ids that the latest topology blocks. */
  #blocked: readonly string[] = [];
  #looping: Promise<void> = Promise.resolve();
  /** Strangers that were let in, and when: a topology from before that does not know of them yet. */
  readonly #admitted = new Map<string, { readonly member: Member; readonly atMs: number }>();

  /** Puts the parts together; nothing runs yet. */
  constructor(options: LifecycleOptions) {
    this.#options = options;
    const { config, cluster, engineHost, topology } = options;
    const { runtime } = engineHost;
    this.#greeted = new ConflatingQueue<Member>({ keyOf: ({ id }) => id, signal: this.#ending.signal });
    const { signing } = cluster;
    const signatures = signing &&
      new Signatures({ engineHost, signing, cluster: cluster.name, settings: config });
    this.#answers = new RequestHandler({
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
      // Without a discovery nobody reads it.
      onHandshake: (member) => void (cluster.discovery && this.#greeted.push(member)),
      onSuspect: (session, suspect) => this.#crashWatch?.onSuspect(session, suspect),
      onRefused: (session, { code, reason, incarnation }, { isSigned }) => {
        // Whoever leaves is blocked by all: that is what it asked for, and no news.
        if (this.#leaving.signal.aborted) return;
        const before = engineHost.view.incarnation;
        if (incarnation !== undefined) {
          engineHost.do((engine, now) => engine.reportedIncarnation(incarnation, now, { isSigned }));
        }
        const id = session.peerId;
        if (id === undefined) return;
        if (code === "blocked") engineHost.do((engine) => engine.onBlockedBy(id, reason ?? "expired"));
        const isToGreet = code === "blocked" && endsWithIncarnation(reason) ||
          engineHost.view.incarnation !== before;
        if (isToGreet) this.#rounds.greetAtOnce(id);
      },
      onBroken: options.onBroken,
    });
    this.#peers = new ConnectionPool({
      selfId: cluster.self.id,
      transport: cluster.transport,
      runtime,
      host: this.#answers,
      settings: config,
      onBroken: (id) => this.#crashWatch?.onBroken(id),
    });
    this.#rounds = new Rounds({
      engineHost,
      peers: this.#peers,
      topology,
      settings: config,
      signatures,
      actorStatistics: cluster.actorStatistics,
    });
    this.#crashWatch = config.detectCrashes
      ? new CrashWatch({ engineHost, peers: this.#peers, topology, settings: config })
      : undefined;
    this.#spread = config.spread === "interval" ? undefined : new Spread({
      engineHost,
      peers: this.#peers,
      fanOut: config.gossipFanOut,
      maxMessagesPerSecond: config.maxMessagesPerSecond,
      signatures,
      onBroken: options.onBroken,
    });
    this.#loop = new Loop({
      runtime,
      interval: config.gossipInterval,
      round: () => this.#rounds.round(this.#leaving),
    });
  }

  /** The number of ticks that the loop had to skip. */
  get skippedRounds(): number {
    return this.#loop.skipped;
  }

  /** What is known of each address at which the discovery looks for members. */
  get seeds(): readonly SeedStatus[] {
    return this.#seedReaders.flatMap((read) => read());
  }

  /** The number of connections that are served. */
  get served(): number {
    return this.#peers.served;
  }

  /** Begins. */
  start(): void {
    const { cluster, engineHost } = this.#options;
    engineHost.onEvent((event) => {
      if (event.type !== "IncarnationRenewed") return;
      for (const { peer } of this.#peers.sessions()) this.#rounds.greetLater(peer!.id);
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
    this.#looping = this.#loop.run(this.#leaving).catch(this.#options.onBroken);
  }

  /** Leaves the cluster, and sees to it that others know (R9.1, R9.2). */
  async leave(): Promise<FlushResult> {
    const { engineHost, config } = this.#options;
    this.#leaving.abort();
    if (engineHost.view.isFenced) {
      // What is told under this id now would be believed of the other process that uses it.
      await this.#looping;
      return { acknowledgedBy: 0, wanted: 0, flushed: true };
    }
    const { number } = engineHost.do((engine, now) => engine.leave(now));
    const giveUp = new AbortController();
    const flushing = flushDeparture({
      rounds: this.#rounds,
      runtime: engineHost.runtime,
      fanOut: config.gossipFanOut,
      isAcknowledgedBy: (id) => engineHost.view.isAcknowledgedBy(id, number),
      retryAfter: config.gossipRequestTimeout / 8,
      signal: AbortSignal.any([giveUp.signal, this.#ending.signal]),
    });
    await Promise.race([flushing, this.#looping]);
    using deadline = deadlineAfter(
      engineHost.runtime,
      config.gossipRequestTimeout,
      "Telling of the departure",
    );
    deadline.signal.addEventListener("abort", () => giveUp.abort(deadline.signal.reason), { once: true });
    const [result] = await Promise.all([flushing, this.#looping]);
    return result;
  }

  /** Ends everything that runs, and resolves when nothing does. */
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

  /** Runs something until the end; that it fails before is a broken invariant. */
  #run(task: Promise<void>): void {
    this.#tasks.push(task.catch((error) => {
      if (!this.#ending.signal.aborted) this.#options.onBroken(error);
    }));
  }

  /** R7.4: the only way in which members come and go. */
  async #followTopology(): Promise<void> {
    const { eventStream } = this.#options.cluster;
    // One place is enough: the latest topology is never dropped, and nothing else matters.
    const { signal } = this.#ending;
    for await (const event of eventStream.subscribe("ClusterTopology", { signal, capacity: 1 })) {
      this.#take(event);
    }
  }

  #take(topology: ClusterTopology): void {
    const { engineHost, topology: known } = this.#options;
    const wrong = faultOf(topology);
    if (wrong) {
      return engineHost.report("ClusterTopology", new TypeError(`${wrong} The topology was not taken over.`));
    }
    const before = known.ids();
    for (const { id } of topology.members) this.#admitted.delete(id);
    this.#place([...this.#strangers(), ...topology.members], topology.blocked);
    const ids = known.ids();
    this.#peers.retain(ids);
    this.#rounds.retain(ids);
    for (const id of before) {
      if (!ids.has(id)) this.#spread?.forget(id);
      // Whoever says that it leaves closes its connections itself, when it has told enough others.
      if (ids.has(id) || engineHost.view.blockedMember(id)?.reason === "left") continue;
      this.#peers.session(id)?.leave("The peer is no member any more.");
    }
  }

  /** A member that shakes hands takes the place of one that is known by hearsay alone (rule E15). */
  #makePlace(): boolean {
    const { engineHost, config, topology: known } = this.#options;
    if (known.size < config.maxMembers) return true;
    const { id } = engineHost.do((engine, now) => engine.makePlace(now));
    if (id === undefined) return false;
    // The discovery hears of it with the events, and says the same in a moment.
    known.set([...known.members()].filter((member) => member.id !== id));
    return true;
  }

  /** Takes a stranger for a member until a topology says the same; returns how to undo that. */
  #admit(member: Member): () => void {
    const { engineHost, topology: known } = this.#options;
    const before = [...known.members()];
    this.#admitted.set(member.id, { member, atMs: engineHost.runtime.monotonicMs() });
    this.#spread?.introduce(member.id);
    this.#place([...before, member], this.#blocked);
    return () => {
      this.#admitted.delete(member.id);
      this.#spread?.forget(member.id);
      this.#place(before, this.#blocked);
    };
  }

  /** Those let in so lately that a topology without them may just be late. */
  #strangers(): Member[] {
    const { engineHost, config } = this.#options;
    const sinceMs = engineHost.runtime.monotonicMs() - config.gossipRequestTimeout;
    for (const [id, { atMs }] of this.#admitted) {
      if (atMs < sinceMs || engineHost.view.blockedMember(id)) this.#admitted.delete(id);
    }
    return [...this.#admitted.values()].map(({ member }) => member);
  }

  #place(members: readonly Member[], blocked: readonly string[]): void {
    const { engineHost, topology: known } = this.#options;
    this.#blocked = blocked;
    known.set(members);
    const ids = [...known.ids()];
    engineHost.do((engine, now) => engine.setTopology({ members: ids, blocked }, now));
  }

  async #discover(): Promise<void> {
    const { discovery } = this.#options.cluster;
    if (!discovery) return;
    try {
      await discovery.run(this.#site(), { signal: this.#ending.signal });
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#options.engineHost.report("discovery", error);
    }
  }

  /** Greets whoever is at an address; a newcomer gets what it lacks at once, and not with the next round. */
  async #greet(address: string, options: { readonly signal: AbortSignal }): Promise<Member> {
    const member = await this.#peers.greet(address, options);
    if (this.#options.config.spread === "immediate") this.#rounds.exchangeLater(member.id);
    return member;
  }

  #site(): DiscoveryContext {
    const { config, cluster, engineHost, watches } = this.#options;
    const { gossipInterval: base, maxBackoff: cap } = config;
    return {
      self: cluster.self,
      cluster: cluster.name,
      runtime: engineHost.runtime,
      eventStream: cluster.eventStream,
      activeIds: () => engineHost.view.activeIds(),
      addressOf: (member) => cluster.transport.addressOf(member),
      handshake: (address, options) => this.#greet(address, options),
      metPeers: this.#greeted.readable,
      watch: (key) => watches.watch(key, this.#ending),
      retryDelay: (failures) => jitteredDelay(failures, { base, cap, random: engineHost.runtime.random() }),
      reportSeeds: (read) => void this.#seedReaders.push(read),
      blockedProbeInterval: config.blockedProbeInterval,
    };
  }
}

/** What is wrong with a topology, which may come from anywhere, as a sentence. */
function faultOf({ members, blocked }: ClusterTopology): string | undefined {
  const isId = (id: unknown) => typeof id === "string" && id !== "" && id.isWellFormed();
  if (!Array.isArray(members) || !members.every((member) => isId(member?.id))) {
    return "members must be a list of members with ids.";
  }
  if (!Array.isArray(blocked) || !blocked.every(isId)) return "blocked must be a list of ids.";
  return undefined;
}
