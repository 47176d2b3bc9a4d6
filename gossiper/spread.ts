/**
 * Sends changes to peers within milliseconds, between the rounds. A push has no reply: the rounds find out if it
 * arrived, and repair losses (rules E5, S1 to S3 in `docs/ALGORITHM.md`).
 *
 * @module
 */

import type { Meters } from "../contracts/meters.ts";
import type { EngineHost } from "./engine_host.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import { inRandomOrder } from "../common/random_order.ts";
import type { PushTo } from "./routes.ts";
import type { Session } from "../protocol/session.ts";
import type { Signatures } from "./signatures.ts";

/**
 * Up to this number of active members, a member pushes its own changes to all of them: one hop, no duplicate. In a
 * larger cluster it pushes to a few, because its work would otherwise grow with the cluster.
 */
export const DIRECT_MEMBERS = 64;
/**
 * The share of a peer's message rate for pushes. 1/2: the rounds need the rest, and a peer closes a connection above
 * its rate.
 */
const PUSH_SHARE = 1 / 2;
/** The most pushes to one peer per collection: own changes, and relayed changes. */
const PUSHES_AT_ONCE = 2;
/** The number of peers to relay a change to. 2: a member then receives it at most twice on average. */
export const RELAYS = 2;

/** The dependencies of a {@linkcode Spread}. */
export interface SpreadOptions {
  readonly engineHost: EngineHost;
  readonly peers: ConnectionPool;
  /** The number of peers to push this member's changes to in a large cluster. */
  readonly fanOut: number;
  /** The messages per second that a peer accepts. */
  readonly maxMessagesPerSecond: number;
  /** Present if members sign their state. */
  readonly signatures: Signatures | undefined;
  /** Called if signing failed, which is a broken invariant. */
  readonly onFatal: (error: unknown) => void;
  readonly meters?: Meters | undefined;
}

/** Collects and pushes changes. */
export class Spread {
  readonly #options: SpreadOptions;
  /** The least time between two pushes to a peer, in milliseconds. */
  readonly #gapMs: number;
  #pushedMs = -Infinity;
  #cancelTimer: (() => void) | undefined;
  #isOver = false;
  /** Members that this member let in, and that have not sent state yet. */
  readonly #newcomers = new Set<string>();
  #signing: Promise<void> = Promise.resolve();

  /** Makes a spread that pushes every change from now on, until {@linkcode Spread.end}. */
  constructor(options: SpreadOptions) {
    this.#options = options;
    this.#gapMs = 1_000 * PUSHES_AT_ONCE / (PUSH_SHARE * options.maxMessagesPerSecond);
    options.engineHost.onAfterCall(() => this.#collect());
  }

  /**
   * Marks a member as let in here. Its first state goes to all connected peers, because the member may have no other
   * connection in a cluster that has just started.
   */
  introduce(id: string): void {
    this.#newcomers.add(id);
  }

  /** Removes the mark of a member that is gone or was not let in. */
  forget(id: string): void {
    this.#newcomers.delete(id);
  }

  /** Pushes the changes so far, if there are any. A browser page that goes away calls it, because it runs no timers. */
  flush(): void {
    if (!this.#cancelTimer) return;
    this.#cancelTimer();
    this.#cancelTimer = undefined;
    const { engineHost, signatures, onFatal } = this.#options;
    this.#pushedMs = engineHost.runtime.monotonicMs();
    if (!signatures) return this.#pushChanges();
    this.#signing = signatures.signPending().then(() => this.#pushChanges()).catch(onFatal);
  }

  /** Stops the pushes; resolves once no signature is under way. */
  async end(): Promise<void> {
    this.#isOver = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    await this.#signing;
  }

  #collect(): void {
    const { engineHost } = this.#options;
    if (this.#isOver || this.#cancelTimer || !engineHost.view.hasChanges) return;
    const { runtime } = engineHost;
    const waitMs = this.#pushedMs + this.#gapMs - runtime.monotonicMs();
    if (waitMs > 0) this.#cancelTimer = runtime.setTimer(waitMs, () => this.flush());
    else {
      // After the present code, so that the sets of one turn cost one push. A timer would take two milliseconds.
      this.#cancelTimer = () => {};
      queueMicrotask(() => this.flush());
    }
  }

  #pushChanges(): void {
    const { engineHost, peers } = this.#options;
    if (this.#isOver) return;
    const changes = engineHost.engine.takeChanges();
    const { own, others } = changes;
    for (const reader of peers.readers()) {
      reader.push(own ? [engineHost.view.id, ...others] : others, { relay: false });
    }
    const sessions = this.#sessions();
    let relays: readonly Session[] = [];
    if (peers.routes) peers.routes.push(changes, sessions, this.#pushTo);
    else {
      if (own) this.#pushOwn(sessions);
      if (others.size > 0) relays = this.#passOn(others, sessions);
    }
    this.#pushNewcomers(others, sessions, relays);
  }

  #pushOwn(sessions: readonly Session[]): void {
    const { engineHost, fanOut } = this.#options;
    const activePeers = engineHost.view.activePeers().length;
    if (activePeers < DIRECT_MEMBERS) {
      const relay = sessions.length < activePeers;
      for (const session of sessions) this.#pushTo(session, [engineHost.view.id], { relay });
    } else {
      for (const session of this.#some(sessions, fanOut)) {
        this.#pushTo(session, [engineHost.view.id], { relay: true });
      }
    }
  }

  /** Passes changes of other members on; returns the sessions that got them. */
  #passOn(changed: ReadonlySet<string>, sessions: readonly Session[]): readonly Session[] {
    const relays = this.#some(sessions, RELAYS);
    for (const session of relays) this.#pushTo(session, changed, { relay: true });
    return relays;
  }

  /**
   * Pushes the first state of members that were let in here, except to the `relays`, which have got that state already.
   */
  #pushNewcomers(
    changed: ReadonlySet<string>,
    sessions: readonly Session[],
    relays: readonly Session[],
  ): void {
    const introduced = [...changed].filter((id) => this.#newcomers.delete(id));
    if (introduced.length === 0) return;
    const isFew = sessions.length < DIRECT_MEMBERS;
    for (const session of isFew ? sessions : this.#some(sessions, this.#options.fanOut)) {
      if (!relays.includes(session)) this.#pushTo(session, introduced, { relay: true });
    }
  }

  readonly #pushTo: PushTo = (session, ids, options) => {
    if (!session.push(ids, options)) this.#options.meters?.pushSent("congested");
  };

  /** The open connections to active peers. */
  #sessions(): Session[] {
    const { engineHost, peers } = this.#options;
    const active = engineHost.view.activeIds();
    return peers.sessions().filter(({ peer }) => active.has(peer!.id));
  }

  #some(sessions: readonly Session[], count: number): Session[] {
    const { runtime } = this.#options.engineHost;
    return [...inRandomOrder(sessions, () => runtime.random()).take(count)];
  }
}
