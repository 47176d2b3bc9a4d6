/**
 * What this member does at every interval: it shows that it is alive, looks who else is, and gossips.
 *
 * @module
 */

import { checkedCounts } from "./actor_counts.ts";
import { isDialable, type Member } from "../contracts/cluster.ts";
import type { EngineHost } from "./engine_host.ts";
import { HearsayError } from "../common/errors.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import { inRandomOrder } from "../common/random_order.ts";
import { PeerRefused } from "../protocol/refusal.ts";
import { abortable, type Deadline, deadlineAfter } from "../common/runtime.ts";
import type { Session } from "../protocol/session.ts";
import type { Signatures } from "./signatures.ts";
import type { Topology } from "./topology.ts";
import { Turns } from "./turns.ts";

/**
 * While nothing is to be exchanged, one round in so many dials peers that are not connected. 10: so that lost connections
 * are replaced within seconds. Fewer: more dials where members have more peers than connections. More: pushes take ways
 * round for longer.
 */
const ROUNDS_PER_DIALLING_ROUND = 10;

/** What {@linkcode Rounds} needs. */
export interface RoundsOptions {
  readonly engineHost: EngineHost;
  readonly peers: ConnectionPool;
  readonly topology: Topology;
  readonly settings: {
    readonly gossipFanOut: number;
    readonly gossipRequestTimeout: number;
    readonly maxMessageBytes: number;
  };
  /** Where members sign what they set. */
  readonly signatures: Signatures | undefined;
  readonly actorStatistics: (() => Readonly<Record<string, number>>) | undefined;
}

/** The asking side of a gossiper. */
export class Rounds {
  readonly #options: RoundsOptions;
  readonly #engineHost: EngineHost;
  readonly #background = new Set<Promise<void>>();
  readonly #lastGreetings = new Map<string, number>();
  readonly #ending = new AbortController();
  readonly #inTurn: Turns;
  readonly #connectedInTurn: Turns;
  #idleRounds = 0;

  /** Makes the asking side; it asks nothing yet. */
  constructor(options: RoundsOptions) {
    this.#options = options;
    this.#engineHost = options.engineHost;
    const { view, runtime } = options.engineHost;
    const random = () => runtime.random();
    this.#inTurn = new Turns(() => view.activePeers(), random);
    this.#connectedInTurn = new Turns(() => options.peers.sessions().map(({ peer }) => peer!.id), random);
  }

  /** One round (R2): never rejects for anything that a peer does. */
  async round({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const engineHost = this.#engineHost;
    const actorCount = this.#actorCount();
    engineHost.do((engine, now) => engine.countHeartbeat(actorCount, now));
    engineHost.do((engine, now) => engine.tick(now));
    if (engineHost.view.isFenced) return;
    if (this.#options.signatures) await this.#options.signatures.signPending();
    for (const id of engineHost.engine.takeDueProbes(engineHost.now())) {
      if (this.#isWithinReach(id)) this.greetLater(id);
    }
    await Promise.all(this.#draw().map((id) => this.#attempt(id, () => this.#gossipWith(id, signal))));
  }

  /** Whether a heartbeat is all that there is to send to any peer that is connected. */
  #isIdle(): boolean {
    const { view } = this.#engineHost;
    return view.isIdle && this.#options.peers.sessions().every(({ peer }) => view.isQuiet(peer!.id));
  }

  /** The peers of this round: `gossipFanOut`, and where nothing is to be exchanged one of those that are connected. */
  #draw(): string[] {
    const { gossipFanOut } = this.#options.settings;
    if (!this.#isIdle()) return this.#drawPeers(this.#inTurn, gossipFanOut);
    if (this.#idleRounds++ % ROUNDS_PER_DIALLING_ROUND === 0) {
      const apart = this.#drawPeers(this.#inTurn, gossipFanOut, (id) => !this.#options.peers.session(id));
      if (apart.length > 0) return apart;
    }
    const [id] = this.#drawPeers(this.#connectedInTurn, 1);
    return id === undefined ? this.#drawPeers(this.#inTurn, 1) : [id];
  }

  /** Sends a heartbeat where nothing else is to be said; returns whether it was. */
  #sendHeartbeat(id: string): boolean {
    const { engine, view } = this.#engineHost;
    const session = this.#options.peers.session(id);
    if (
      !session || session.reportedIncarnation !== view.incarnation || !view.isQuiet(id) ||
      view.isSilent(id)
    ) {
      return false;
    }
    session.heartbeat(engine.takeLiveness(id));
    return true;
  }

  /** Sends a peer what it is not known to hold, and takes what it sends back. */
  async exchange(id: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    using deadline = this.#deadline(`The request to ${id}`, signal);
    const session = await this.#reach(id, deadline.signal);
    if (session.reportedIncarnation !== this.#engineHost.view.incarnation) await session.greet(deadline);
    if (this.#options.signatures) {
      await this.#options.signatures.signPending();
      deadline.signal.throwIfAborted();
    }
    // While this member dialled, the peer may have been blocked (R10.2).
    if (!this.#engineHost.view.activeIds().has(id) || this.#engineHost.view.isFenced) return;
    if (session.isBusy) throw new HearsayError("busy", `${id} is busy; nothing was sent.`);
    const { peers } = this.#options;
    try {
      const gossip = this.#engineHost.do((engine) => engine.prepareGossip(id));
      const liveness = this.#engineHost.engine.takeLiveness(id, gossip.sent);
      await session.gossip({ ...gossip, liveness }, deadline);
      peers.noteAnswer(id, { inTime: true });
    } catch (error) {
      if (error instanceof HearsayError && error.code === "timeout") peers.noteAnswer(id, { inTime: false });
      throw error;
    }
  }

  /** Resolves when no request to the peer is under way, or the signal is aborted. */
  async whenIdle(id: string, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const session = this.#options.peers.session(id);
    if (session) await abortable(session.whenIdle(), signal);
  }

  /** Whether a peer is gone: it closed the connection, and when it was dialled again there was nobody. */
  isGone(id: string, error: unknown): boolean {
    const isAway = error instanceof HearsayError && error.code === "connection";
    return isAway && this.#options.peers.hasGoneAway(id);
  }

  /** Greets a peer in the background, on the connection that there is or else on a new one. */
  greetLater(id: string): void {
    this.#runLater(id, () => this.#greet(id));
  }

  /** Exchanges state with an active peer in the background, unless a request to it is under way. */
  exchangeLater(id: string): void {
    const { view } = this.#engineHost;
    const isPeer = id !== view.id && view.activeIds().has(id);
    if (!isPeer || this.#options.peers.session(id)?.isBusy) return;
    this.#runLater(id, () => this.exchange(id));
  }

  /** The same, but not more often than one request may take. */
  greetAtOnce(id: string): void {
    const nowMs = this.#engineHost.runtime.monotonicMs();
    const last = this.#lastGreetings.get(id) ?? -Infinity;
    if (nowMs - last < this.#options.settings.gossipRequestTimeout) return;
    this.#lastGreetings.set(id, nowMs);
    this.greetLater(id);
  }

  /** Forgets what is remembered of all but these members. */
  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#lastGreetings.keys()) if (!ids.has(id)) this.#lastGreetings.delete(id);
  }

  /** Active peers that can be asked something, in random order, those last that pass nothing on. */
  shuffledPeers(): string[] {
    const { peers, topology } = this.#options;
    const ids = [...this.#peersAtRandom()].filter((id) => this.#isWithinReach(id));
    const passesOn = (id: string) => peers.passesOn(topology.get(id));
    return [...ids.filter(passesOn), ...ids.filter((id) => !passesOn(id))];
  }

  /** Ends what runs in the background, and resolves when nothing does any more. */
  async end(): Promise<void> {
    this.#ending.abort(new HearsayError("stopped", "The gossiper has stopped."));
    await Promise.all(this.#background);
  }

  /** Distinct peers, each in its turn, that are meant and can be asked now. */
  #drawPeers(turns: Turns, count: number, isMeant: (id: string) => boolean = () => true): string[] {
    const { peers, topology } = this.#options;
    const active = this.#engineHost.view.activeIds();
    return turns.take(count, (id) => {
      if (!active.has(id) || !isMeant(id)) return false;
      const member = topology.get(id);
      return peers.isFree(id, member) && this.#isWithinReach(id, member);
    });
  }

  #peersAtRandom(): Iterable<string> {
    return inRandomOrder(this.#engineHost.view.activePeers(), () => this.#engineHost.runtime.random());
  }

  /** Whether there is a way to a member: whoever cannot be dialled is reached over what it dialled itself. */
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

  async #greet(id: string): Promise<void> {
    using deadline = this.#deadline(`The greeting of ${id}`);
    const session = this.#options.peers.session(id);
    if (!session) return void await this.#reach(id, deadline.signal, { anew: true });
    await abortable(session.whenIdle(), deadline.signal);
    await session.greet(deadline);
  }

  async #reach(id: string, signal: AbortSignal, { anew = false } = {}): Promise<Session> {
    const { peers, topology } = this.#options;
    const open = peers.session(id);
    if (open) return open;
    const member = topology.get(id);
    if (!member) {
      throw new HearsayError("unknown_member", `It is not known where ${id} is; nothing was sent.`);
    }
    if (!isDialable(member)) {
      throw new HearsayError(
        "connection",
        `${id} cannot be dialled, and is not connected; nothing was sent.`,
      );
    }
    return await peers.reach(member, { signal, anew });
  }

  /** What goes wrong with one peer is told, and touches nobody else. */
  async #attempt(peerId: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (this.#ending.signal.aborted || isStopped(error)) return;
      this.#engineHost.publish({ type: "RequestFailed", peerId, error });
    }
  }

  #runLater(peerId: string, action: () => Promise<void>): void {
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

/** Whether an error says that the peer is leaving too, so that it need not be told (R9.2). */
export function isStopRefusal(error: unknown): boolean {
  return error instanceof PeerRefused && error.refusal === "stopped";
}

function isStopped(error: unknown): boolean {
  return error instanceof HearsayError && error.code === "stopped";
}
