/**
 * Sends messages to members: over the open connections, and over new ones to the members without.
 *
 * @module
 */

import { isDialable } from "../contracts/cluster.ts";
import { HearsayError } from "../common/errors.ts";
import { deadlineAfter } from "../common/runtime.ts";
import { Semaphore } from "../common/semaphore.ts";
import type { MemberView } from "../gossiper/contract.ts";
import type { Insight } from "../gossiper/insight.ts";
import type { ConnectionPool } from "../gossiper/connection_pool.ts";
import { TIMEOUTS_PER_DIAL } from "../gossiper/dials.ts";
import type { Session } from "../protocol/session.ts";
import { Channel, type SendOutcome } from "./channel.ts";
import { DEFAULT_TIMEOUTS, MAX_DIALS } from "./limits.ts";
import { CAPABILITY, type Content } from "./wire.ts";

/** How often a handshake is tried again because another request was under way. */
const MAX_TRIES = 10;

/** The outcome of a message to a member. */
export interface Sending {
  readonly outcome: SendOutcome | "unreachable";
  /** The channel that it was queued on. */
  readonly channel?: Channel;
}

/** The dependencies of a {@linkcode Sender}. */
export interface SenderOptions {
  readonly peers: ConnectionPool;
  /** Aborted when this member begins to leave. */
  readonly leaving: AbortSignal;
}

/** Sends to one member at a time. */
export class Sender {
  readonly #insight: Insight;
  readonly #peers: ConnectionPool;
  readonly #leaving: AbortSignal;
  readonly #dials: Semaphore;
  readonly #channels = new WeakMap<Session, Channel>();

  /** Makes a sender over the connections of a running gossiper. */
  constructor(insight: Insight, { peers, leaving }: SenderOptions) {
    this.#insight = insight;
    this.#leaving = leaving;
    this.#peers = peers;
    // mutant replace-value: a millisecond between two dials would do as well.
    this.#dials = new Semaphore({ permits: MAX_DIALS, heldMs: 0, runtime: insight.host.runtime });
  }

  /** The channel over a connection. */
  channelOf(session: Session): Channel {
    let channel = this.#channels.get(session);
    if (channel) return channel;
    const { host: { runtime, view }, config } = this.#insight;
    channel = new Channel({
      session,
      runtime,
      maySend: () => !view.isFenced && view.activeIds().has(session.peer!.id),
      settings: config,
    });
    this.#channels.set(session, channel);
    return channel;
  }

  /** Sends to a member, after a dial if there is no connection; resolves once it is known if the message was sent. */
  async send(
    { id, member }: Pick<MemberView, "id" | "member">,
    content: Content,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Sending> {
    let session = this.#peers.session(id);
    if (!session) {
      if (!member || !isDialable(member)) return { outcome: "unreachable" };
      try {
        const unless = () => this.#peers.session(id) !== undefined;
        // A leaving member dials no more: what waits for a dial would outlast it.
        const ends = { signal: AbortSignal.any([signal, this.#leaving]) };
        await this.#dials.run(() => this.#peers.reach(member, ends), { ...ends, unless });
      } catch {
        return { outcome: "unreachable" };
      }
      session = this.#peers.session(id);
      // mutant delete-statement: no test has a connection that ends in the turn in which it opened.
      if (!session) return { outcome: "unreachable" };
    }
    const channel = this.channelOf(session);
    return { outcome: await channel.send(content, { signal }), channel };
  }

  /**
   * Shakes hands again over the connections whose peer does not know the capability, also over those whose handshake is
   * under way now. Returns a function that ends this.
   */
  announce(): () => void {
    const { host: { runtime }, config } = this.#insight;
    const pauseMs = config.gossipRequestTimeout / 2;
    let left = TIMEOUTS_PER_DIAL * config.gossipRequestTimeout / pauseMs;
    let cancel = () => {};
    const announce = () => {
      for (const session of this.#peers.sessions()) {
        if (!session.reported?.capabilities.includes(CAPABILITY)) void this.#handshake(session);
      }
      if (left-- > 0) cancel = runtime.setTimer(pauseMs, announce);
    };
    announce();
    return () => cancel();
  }

  async #handshake(session: Session): Promise<void> {
    const { host: { runtime }, config } = this.#insight;
    const timeoutMs = DEFAULT_TIMEOUTS * config.gossipRequestTimeout;
    using deadline = deadlineAfter(runtime, timeoutMs, "A handshake");
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      try {
        await session.whenIdle();
        return void await session.handshake(deadline);
      } catch (error) {
        if (!(error instanceof HearsayError && error.code === "busy")) return;
      }
    }
  }
}
