/**
 * Sends changes to peers within milliseconds, between the rounds. A push has no answer: the rounds find out whether it
 * arrived, and repair what was lost (rules E5, S1 to S3 in `docs/ALGORITHM.md`).
 *
 * @module
 */

import type { EngineHost } from "./engine_host.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import { inRandomOrder } from "../common/random_order.ts";
import type { Session } from "../protocol/session.ts";
import type { Signatures } from "./signatures.ts";

/**
 * How long changes are collected, in milliseconds. 2: a burst of sets costs one push, and a single one waits for less
 * than the network takes between two processes that are busy.
 */
const COLLECT_MS = 2;
/**
 * Up to so many active members a member sends its own changes to all itself: one hop, and no copy twice. Above, the
 * work of one member would grow with the cluster.
 */
const DIRECT_MEMBERS = 64;
/**
 * What part of the messages that a peer takes in a second may be pushes. A half: the rest is for the rounds. A peer closes
 * a connection that brings more than it takes.
 */
const PUSH_SHARE = 1 / 2;
/** How many pushes to one peer a collection may cost: this member's own changes, and those that it passes on. */
const PUSHES_AT_ONCE = 2;
/** To how many peers a member passes a change on. 2: on average each member then receives it twice at most. */
const RELAYS = 2;

/** What {@linkcode Spread} needs. */
export interface SpreadOptions {
  readonly engineHost: EngineHost;
  readonly peers: ConnectionPool;
  /** The number of peers that a member sends its own change to where there are many. */
  readonly fanOut: number;
  /** How many messages a peer takes in a second. */
  readonly maxMessagesPerSecond: number;
  /** Where members sign what they set. */
  readonly signatures: Signatures | undefined;
  /** The signing failed: an invariant is broken. */
  readonly onBroken: (error: unknown) => void;
}

/** The changes that wait to be pushed. */
export class Spread {
  readonly #options: SpreadOptions;
  /** The least time between two pushes to a peer, in milliseconds. */
  readonly #gapMs: number;
  #pushedMs = -Infinity;
  #cancelTimer: (() => void) | undefined;
  #isOver = false;
  /** Whoever was let in here, and has yet to say something of itself. */
  readonly #newcomers = new Set<string>();
  #signing: Promise<void> = Promise.resolve();

  /** Makes a spread that pushes what changes from now on, until {@linkcode Spread.end}. */
  constructor(options: SpreadOptions) {
    this.#options = options;
    this.#gapMs = 1_000 * PUSHES_AT_ONCE / (PUSH_SHARE * options.maxMessagesPerSecond);
    options.engineHost.onAfterCall(() => this.#collect());
  }

  /**
   * A newcomer was let in here. Its first word goes to all that are connected: in a cluster that has just started, they
   * may be connected with nobody else.
   */
  introduce(id: string): void {
    this.#newcomers.add(id);
  }

  /** It was not let in after all, or is gone. */
  forget(id: string): void {
    this.#newcomers.delete(id);
  }

  /** Pushes nothing any more; resolves when no signature is being made. */
  async end(): Promise<void> {
    this.#isOver = true;
    this.#cancelTimer?.();
    await this.#signing;
  }

  #collect(): void {
    const { engineHost } = this.#options;
    if (this.#isOver || this.#cancelTimer || !engineHost.view.hasChanges) return;
    const { runtime } = engineHost;
    const waitMs = Math.max(COLLECT_MS, this.#pushedMs + this.#gapMs - runtime.monotonicMs());
    this.#cancelTimer = runtime.setTimer(waitMs, () => {
      this.#cancelTimer = undefined;
      this.#pushedMs = runtime.monotonicMs();
      this.#push();
    });
  }

  #push(): void {
    const { signatures, onBroken } = this.#options;
    if (!signatures) return this.#pushChanges();
    this.#signing = signatures.signPending().then(() => this.#pushChanges()).catch(onBroken);
  }

  #pushChanges(): void {
    const { engineHost, fanOut } = this.#options;
    if (this.#isOver) return;
    const { own, others } = engineHost.engine.takeChanges();
    const sessions = this.#sessions();
    const activePeers = engineHost.view.activePeers().length;
    if (own && activePeers < DIRECT_MEMBERS) {
      const relay = sessions.length < activePeers;
      for (const session of sessions) session.push([engineHost.view.id], { relay });
    } else if (own) {
      for (const session of this.#some(sessions, fanOut)) {
        session.push([engineHost.view.id], { relay: true });
      }
    }
    if (others.size > 0) this.#passOn(others, sessions);
  }

  #passOn(changed: ReadonlySet<string>, sessions: readonly Session[]): void {
    const introduced = [...changed].filter((id) => this.#newcomers.delete(id));
    const relays = this.#some(sessions, RELAYS);
    for (const session of relays) session.push(changed, { relay: true });
    if (introduced.length === 0) return;
    const isFew = sessions.length < DIRECT_MEMBERS;
    for (const session of isFew ? sessions : this.#some(sessions, this.#options.fanOut)) {
      if (!relays.includes(session)) session.push(introduced, { relay: true });
    }
  }

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
