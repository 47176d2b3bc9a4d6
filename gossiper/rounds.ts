/**
 * The rounds: at every interval this member counts its heartbeat, checks the heartbeats of others, and gossips.
 *
 * @module
 */

import { checkedCounts } from "./actor_counts.ts";
import { isDialable, type Member } from "../contracts/cluster.ts";
import type { Meters } from "../contracts/meters.ts";
import type { EngineHost } from "./engine_host.ts";
import { HearsayError } from "../common/errors.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import { meterExchange } from "./metering.ts";
import { inRandomOrder } from "../common/random_order.ts";
import { PeerRefused } from "../protocol/refusal.ts";
import { abortable, type Deadline, deadlineAfter } from "../common/runtime.ts";
import type { Session } from "../protocol/session.ts";
import type { Signatures } from "./signatures.ts";
import type { Topology } from "./topology.ts";
import { RoundRobin } from "./round_robin.ts";

/**
 * While this member is idle, one round in this number dials peers without a connection. 10: lost connections are
 * replaced within seconds. Lower: more dials if members have more peers than connections. Higher: pushes make detours
 * for longer.
 */
const ROUNDS_PER_DIALING_ROUND = 10;

/** The dependencies of {@linkcode Rounds}. */
export interface RoundsOptions {
  readonly engineHost: EngineHost;
  readonly peers: ConnectionPool;
  readonly topology: Topology;
  readonly settings: {
    readonly gossipFanOut: number;
    readonly gossipRequestTimeout: number;
    readonly maxMessageBytes: number;
  };
  /** Present if members sign their state. */
  readonly signatures: Signatures | undefined;
  readonly actorStatistics: (() => Readonly<Record<string, number>>) | undefined;
  readonly meters?: Meters | undefined;
  /** Called with the failure of a request or a dial. */
  readonly onFailure: (peerId: string, error: unknown) => void;
}

/** The side of a gossiper that sends requests. */
export class Rounds {
  readonly #options: RoundsOptions;
  readonly #engineHost: EngineHost;
  readonly #background = new Set<Promise<void>>();
  /** When each member was last sent a handshake at once, in monotonic milliseconds. */
  readonly #lastHandshakes = new Map<string, number>();
  readonly #ending = new AbortController();
  readonly #roundRobin: RoundRobin;
  readonly #connectedRoundRobin: RoundRobin;
  #idleRounds = 0;

  /** Makes the side that sends requests. It sends no request before the first round. */
  constructor(options: RoundsOptions) {
    this.#options = options;
    this.#engineHost = options.engineHost;
    const { view, runtime } = options.engineHost;
    const random = () => runtime.random();
    const { peers } = options;
    const turn = (ids: readonly string[]) => peers.routes?.turn(ids) ?? ids;
    this.#roundRobin = new RoundRobin(() => turn(view.activePeers()), random);
    this.#connectedRoundRobin = new RoundRobin(
      () => turn(peers.sessions().map(({ peer }) => peer!.id)),
      random,
    );
  }

  /** One round (R2). No failure of a peer rejects it. Only a round that is due raises the count: it counts intervals (L1). */
  async round({ signal }: { readonly signal: AbortSignal }, isDue: boolean): Promise<void> {
    const engineHost = this.#engineHost;
    if (isDue) {
      const actorCount = this.#actorCount();
      engineHost.do((engine, now) => engine.countHeartbeat(actorCount, now));
    }
    engineHost.do((engine, now) => engine.tick(now));
    if (engineHost.view.isFenced) return;
    if (this.#options.signatures) await this.#options.signatures.signPending();
    for (const id of engineHost.engine.takeDueProbes(engineHost.now())) {
      if (this.#isWithinReach(id)) this.startHandshake(id);
    }
    await Promise.all(this.#draw().map((id) => this.#attempt(id, () => this.#gossipWith(id, signal))));
  }

  /** True if every connected peer needs no more than a heartbeat. */
  #isIdle(): boolean {
    const { view } = this.#engineHost;
    const { peers } = this.#options;
    return view.isIdle &&
      peers.sessions().every(({ peer }) => view.isQuiet(peer!.id) || peers.routes?.isFar(peer!.id));
  }

  /** The peers of this round: `gossipFanOut` peers, or a single connected peer when this member is idle. */
  #draw(): string[] {
    const { gossipFanOut } = this.#options.settings;
    if (!this.#isIdle()) return this.#drawPeers(this.#roundRobin, gossipFanOut);
    // mutant swap-arithmetic 2, replace-value: it does not matter which one of ten rounds dials.
    if (this.#idleRounds++ % ROUNDS_PER_DIALING_ROUND === 0) {
      const unconnected = this.#drawPeers(
        this.#roundRobin,
        gossipFanOut,
        (id) => !this.#options.peers.session(id),
      );
      if (unconnected.length > 0) return unconnected;
    }
    const [id] = this.#drawPeers(this.#connectedRoundRobin, 1);
    return id === undefined ? this.#drawPeers(this.#roundRobin, 1) : [id];
  }

  /** Sends a heartbeat alone if the peer needs no more; returns false if it does. */
  #sendHeartbeat(id: string): boolean {
    const { view } = this.#engineHost;
    const { peers } = this.#options;
    const session = peers.session(id);
    const isEnough = view.isQuiet(id) && !view.isSilent(id) || peers.routes?.isAtRest(id);
    if (!session || !this.#engineHost.isReported(session) || !isEnough) return false;
    session.heartbeat(this.#engineHost.takeLiveness(session));
    return true;
  }

  /** Sends a peer the state that it has not acknowledged, and merges its reply. */
  exchange(id: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { meters } = this.#options;
    const exchange = () => this.#exchange(id, options);
    return meters
      ? meterExchange(exchange, { meters, runtime: this.#engineHost.runtime, peerId: id })
      : exchange();
  }

  async #exchange(id: string, { signal }: { readonly signal?: AbortSignal }): Promise<void> {
    using deadline = this.#deadline(`The request to ${id}`, signal);
    const session = await this.#reach(id, deadline.signal);
    if (!this.#engineHost.isReported(session)) await session.handshake(deadline);
    if (this.#options.signatures) {
      await this.#options.signatures.signPending();
      // mutant delete-statement: the session refuses to send after the deadline as well.
      deadline.signal.throwIfAborted();
    }
    // The peer may have been blocked during the dial (R10.2).
    if (!this.#engineHost.view.activeIds().has(id) || this.#engineHost.view.isFenced) return;
    // mutant delete-statement: the session throws the same code, after a message was made in vain.
    if (session.isBusy) throw new HearsayError("busy", `${id} is busy; nothing was sent.`);
    const { peers } = this.#options;
    try {
      const gossip = this.#engineHost.do((engine) => engine.prepareGossip(id));
      const liveness = this.#engineHost.takeLiveness(session, gossip.sent);
      await session.gossip({ ...gossip, liveness }, deadline);
      peers.noteAnswer(id, { inTime: true });
    } catch (error) {
      if (error instanceof HearsayError && error.code === "timeout") peers.noteAnswer(id, { inTime: false });
      throw error;
    }
  }

  /** Resolves once no request to the peer is under way, or the signal is aborted. */
  async whenIdle(id: string, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const session = this.#options.peers.session(id);
    if (session) await abortable(session.whenIdle(), signal);
  }

  /** True if a peer is gone: it closed the connection, and the next dial failed. */
  isGone(id: string, error: unknown): boolean {
    const isAway = error instanceof HearsayError && error.code === "connection";
    return isAway && this.#options.peers.hasGoneAway(id);
  }

  /** Shakes hands with a peer in the background, on the open connection or a new one. */
  startHandshake(id: string): void {
    this.#runInBackground(id, () => this.#handshake(id));
  }

  /** Exchanges state with an active peer in the background, unless a request to it is under way. */
  startExchange(id: string): void {
    const { view } = this.#engineHost;
    const isPeer = id !== view.id && view.activeIds().has(id);
    if (!isPeer || this.#options.peers.session(id)?.isBusy) return;
    this.#runInBackground(id, () => this.exchange(id));
  }

  /** Like {@linkcode Rounds.startHandshake}, but at most once per request timeout. */
  startHandshakeIfDue(id: string): void {
    const nowMs = this.#engineHost.runtime.monotonicMs();
    const last = this.#lastHandshakes.get(id) ?? -Infinity;
    if (nowMs - last < this.#options.settings.gossipRequestTimeout) return;
    this.#lastHandshakes.set(id, nowMs);
    this.startHandshake(id);
  }

  /** Drops the notes of all other members. */
  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#lastHandshakes.keys()) if (!ids.has(id)) this.#lastHandshakes.delete(id);
  }

  /** The reachable active peers in random order. Peers that relay nothing are at the end. */
  shuffledPeers(): string[] {
    const { peers, topology } = this.#options;
    const ids = [...this.#peersAtRandom()].filter((id) => this.#isWithinReach(id));
    const relays = (id: string) => peers.relays(topology.get(id));
    return [...ids.filter(relays), ...ids.filter((id) => !relays(id))];
  }

  /** Ends the background tasks; resolves once no task runs. */
  async end(): Promise<void> {
    this.#ending.abort(new HearsayError("stopped", "This member has stopped."));
    await Promise.all(this.#background);
  }

  /** Draws distinct peers by round-robin; each is wanted and free for a request now. */
  #drawPeers(
    roundRobin: RoundRobin,
    count: number,
    isWanted: (id: string) => boolean = () => true,
  ): string[] {
    const { peers, topology } = this.#options;
    const active = this.#engineHost.view.activeIds();
    return roundRobin.take(count, (id) => {
      if (!active.has(id) || !isWanted(id)) return false;
      const member = topology.get(id);
      return peers.isFree(id, member) && this.#isWithinReach(id, member);
    });
  }

  #peersAtRandom(): Iterable<string> {
    return inRandomOrder(this.#engineHost.view.activePeers(), () => this.#engineHost.runtime.random());
  }

  /** True if a member is connected or can be dialed. A member without an address must dial this member. */
  #isWithinReach(id: string, member: Member | undefined = this.#options.topology.get(id)): boolean {
    const { peers } = this.#options;
    return peers.session(id) !== undefined || (member !== undefined && isDialable(member));
  }

  async #gossipWith(id: string, signal: AbortSignal): Promise<void> {
    if (this.#sendHeartbeat(id)) return;
    await this.exchange(id);
    if (signal.aborted || this.#engineHost.view.isFenced) return;
    const { parts } = this.#engineHost.do((engine) => engine.requestReconcile(id));
    try {
      for (const [index, part] of parts.entries()) {
        using deadline = this.#deadline(`The comparison with ${id}`, signal);
        const session = await this.#reach(id, deadline.signal);
        await session.reconcile({ part, last: index === parts.length - 1 }, deadline);
      }
    } catch (error) {
      this.#engineHost.do((engine) => engine.abandonReconcile(id));
      throw error;
    }
  }

  async #handshake(id: string): Promise<void> {
    using deadline = this.#deadline(`The handshake with ${id}`);
    const session = this.#options.peers.session(id);
    if (!session) return void await this.#reach(id, deadline.signal, { fresh: true });
    await abortable(session.whenIdle(), deadline.signal);
    await session.handshake(deadline);
  }

  async #reach(id: string, signal: AbortSignal, { fresh = false } = {}): Promise<Session> {
    const { peers, topology } = this.#options;
    const open = peers.session(id);
    if (open) return open;
    const member = topology.get(id);
    if (!member) {
      throw new HearsayError("unknown_member", `The address of ${id} is unknown; nothing was sent.`);
    }
    if (!isDialable(member)) {
      throw new HearsayError(
        "connection",
        `${id} has no address and no connection; nothing was sent.`,
      );
    }
    return await peers.reach(member, { signal, fresh });
  }

  /** Publishes the failure with one peer, so that it affects no other peer. */
  async #attempt(peerId: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (this.#ending.signal.aborted || isStopped(error)) return;
      this.#engineHost.publish({ type: "RequestFailed", peerId, error });
      this.#options.onFailure(peerId, error);
    }
  }

  #runInBackground(peerId: string, action: () => Promise<void>): void {
    if (this.#ending.signal.aborted) return;
    const task = this.#attempt(peerId, action).finally(() => this.#background.delete(task));
    this.#background.add(task);
  }

  #deadline(what: string, signal: AbortSignal = this.#ending.signal): Deadline {
    const { gossipRequestTimeout } = this.#options.settings;
    return deadlineAfter(this.#engineHost.runtime, gossipRequestTimeout, what, { signal });
  }

  #actorCount(): Readonly<Record<string, number>> {
    const { actorStatistics, settings } = this.#options;
    if (!actorStatistics) return {};
    try {
      return checkedCounts(actorStatistics(), settings);
    } catch (error) {
      this.#engineHost.report("actorStatistics", error);
      return {};
    }
  }
}

/** True if the error says that the peer is leaving too, so that it needs no departure from this member (R9.2). */
export function isStopRefusal(error: unknown): boolean {
  return error instanceof PeerRefused && error.refusal === "stopped";
}

function isStopped(error: unknown): boolean {
  return error instanceof HearsayError && error.code === "stopped";
}
