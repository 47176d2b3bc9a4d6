/**
 * The connections to peers: one for each, dialled when it is needed.
 *
 * @module
 */

import { byCodePoint } from "../engine/state/murmur3.ts";
import { Backoffs } from "../common/backoff.ts";
import type { CloseInfo, Connection, Member, Transport } from "../contracts/cluster.ts";
import { DialLimits } from "./dial_limits.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../common/errors.ts";
import { abortable, deadlineAfter, type Runtime } from "../common/runtime.ts";
import { Session, type SessionHost } from "../protocol/session.ts";

/**
 * How many request timeouts a dial and its greeting may take together. 4: where many processes start at once on few
 * processors, a greeting takes longer than a request later on, and whoever gives it up has to begin it again. Fewer: of
 * many that start at once some dial several times. More: what does not answer holds a place for longer.
 */
export const TIMEOUTS_PER_DIAL = 4;

/** What {@linkcode ConnectionPool} needs. */
export interface ConnectionPoolOptions {
  readonly selfId: string;
  readonly transport: Transport;
  readonly runtime: Runtime;
  /** Everything about a session but its opening and its end, which are seen to here. */
  readonly host: Omit<SessionHost, "opened" | "ended">;
  /** The last connection with a member ended without a close code, as that of a killed process does. */
  readonly onBroken: (memberId: string) => void;
  readonly settings: {
    readonly gossipInterval: number;
    readonly gossipRequestTimeout: number;
    readonly maxConnections: number;
    readonly maxHandshakes: number;
    readonly maxBackoff: number;
  };
}

/**
 * Sessions by member id. Two members keep one connection; where both dialled at once, both sides keep the
 * same one (rule P4).
 */
export class ConnectionPool {
  readonly #options: ConnectionPoolOptions;
  readonly #host: SessionHost;
  readonly #open = new Map<string, Session>();
  /** Accepted connections whose dialler has not greeted yet, the oldest first. */
  readonly #silent = new Set<Session>();
  /** By address, so that all who ask for a peer at the same time share one dial. */
  readonly #dials = new Map<string, Promise<Member>>();
  /** Members that are being dialled. */
  readonly #dialled = new Set<string>();
  readonly #serving = new Map<Session, Promise<void>>();
  /** Members whose last connection they closed because they went away, or had no more use for it. */
  readonly #goneAway = new Set<string>();
  readonly #backoffs: Backoffs;
  /**
   * Members that left requests unanswered, one after another: a round lasts as long as its slowest peer. What was
   * lost once or twice on the way is sent again with the next round (E5).
   */
  readonly #mute: Backoffs;
  readonly #dialLimits: DialLimits;
  readonly #closing = new AbortController();

  /** Makes a set of peers with no connection. */
  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    const { gossipInterval: base, maxBackoff: cap } = options.settings;
    this.#backoffs = new Backoffs({ base, cap });
    this.#mute = new Backoffs({ base, cap, tolerated: 2 });
    this.#dialLimits = new DialLimits({ runtime: options.runtime, base, cap });
    const { host } = options;
    this.#host = {
      id: host.id,
      hello: () => host.hello(),
      greeted: (hello, how) => host.greeted(hello, how),
      gossiped: (session, gossip, examined) => host.gossiped(session, gossip, examined),
      toPush: (session, ids) => host.toPush(session, ids),
      suspected: (session, suspect) => host.suspected(session, suspect),
      heartbeat: (session, liveness) => host.heartbeat(session, liveness),
      pushed: (session, push, examined) => host.pushed(session, push, examined),
      replied: (session, sent, told) => host.replied(session, sent, told),
      ...(host.examine && { examine: host.examine }),
      acknowledged: (session, sent, holds) => host.acknowledged(session, sent, holds),
      compare: (session, part) => host.compare(session, part),
      compared: (session, part, how) => host.compared(session, part, how),
      refused: (session, refusal, examined) => host.refused(session, refusal, examined),
      failed: (error) => host.failed(error),
      opened: (session) => this.#adopt(session),
      ended: (session) => this.#drop(session),
    };
  }

  /** The session with a member, where there is one. */
  session(id: string): Session | undefined {
    return this.#open.get(id);
  }

  /** All sessions in which both sides have greeted. */
  sessions(): readonly Session[] {
    return [...this.#open.values()];
  }

  /** The number of connections that are served, those included on which nobody has greeted. */
  get served(): number {
    return this.#serving.size;
  }

  /**
   * Whether a request to the member could be begun now: it is not busy, not being dialled, and not left alone after a
   * dial that failed or a request that it did not answer, nor is its address after dials in vain for others.
   */
  isFree(id: string, member: Member | undefined): boolean {
    if (this.#mute.isResting(id, this.#options.runtime.monotonicMs())) return false;
    const session = this.#open.get(id);
    if (session) return !session.isBusy;
    if (this.#dialled.has(id) || this.#backoffs.isResting(id, this.#options.runtime.monotonicMs())) {
      return false;
    }
    const address = member && this.#addressOf(member);
    return address === undefined || this.#dialLimits.isFree({ memberId: id, address });
  }

  /** A request to a member was answered, or not within its time. */
  noteAnswer(id: string, { inTime }: { readonly inTime: boolean }): void {
    const { runtime } = this.#options;
    if (inTime) this.#mute.succeeded(id);
    else this.#mute.failed(id, { nowMs: runtime.monotonicMs(), random: runtime.random() });
  }

  /** Whether a member was the one that closed the last connection with it. */
  hasGoneAway(id: string): boolean {
    return this.#goneAway.has(id);
  }

  /** Whether a member passes on what it hears; of one that is nowhere to be found, nobody knows. */
  passesOn(member: Member | undefined): boolean {
    const { transport } = this.#options;
    return member === undefined || (transport.refusesDials?.(member) ?? true);
  }

  /** Forgets what is remembered of all but these members. */
  retain(ids: ReadonlySet<string>): void {
    this.#backoffs.retain(ids);
    this.#mute.retain(ids);
    this.#dialLimits.retain(ids);
    for (const id of this.#goneAway) if (!ids.has(id)) this.#goneAway.delete(id);
  }

  /**
   * The session with a member, dialled and greeted first where there is none. Rejects with code `busy` where its address
   * is left alone after dials in vain for others, unless there is `evidence` that it was connected until now. With `anew`
   * a dial that is under way does not count: its greeting may just have been refused.
   */
  async reach(
    member: Member,
    { signal, evidence = false, anew = false }: {
      readonly signal: AbortSignal;
      readonly evidence?: boolean;
      readonly anew?: boolean;
    },
  ): Promise<Session> {
    const address = this.#options.transport.addressOf(member);
    const underWay = anew && this.#dials.get(address);
    if (underWay) await abortable(underWay.then(() => {}, () => {}), signal);
    const open = this.#open.get(member.id);
    if (open) return open;
    if (
      !evidence && !this.#dials.has(address) && !this.#dialLimits.isFree({ memberId: member.id, address })
    ) {
      throw new HearsayError("busy", `${address} was dialled in vain for others; it was left alone.`);
    }
    await abortable(this.#dials.get(address) ?? this.#dial(address, member.id), signal);
    // Not what was dialled, but what there is: the tie-break may have kept another.
    const session = this.#open.get(member.id);
    if (session) return session;
    throw new HearsayError("unknown_member", `At ${address} is not ${member.id}; nothing was sent.`);
  }

  /** Dials an address and greets whoever answers; resolves with its record, which may be this member's own. */
  async greet(address: string, { signal }: { readonly signal: AbortSignal }): Promise<Member> {
    return await abortable(this.#dials.get(address) ?? this.#dial(address), signal);
  }

  /** Serves the connections that peers open, until the signal is aborted. */
  async accept({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const reader = this.#options.transport.incoming.getReader();
    const cancel = () => void reader.cancel().catch(() => {});
    signal.addEventListener("abort", cancel, { once: true });
    try {
      if (signal.aborted) return cancel();
      for (let next = await reader.read(); !next.done; next = await reader.read()) this.#accept(next.value);
    } finally {
      signal.removeEventListener("abort", cancel);
      reader.releaseLock();
    }
  }

  /** Ends every session and waits until all connections are closed. */
  async close(reason: string): Promise<void> {
    this.#closing.abort(new HearsayError("stopped", reason));
    await Promise.allSettled(this.#dials.values());
    for (const session of this.#serving.keys()) session.leave(reason);
    await Promise.allSettled(this.#serving.values());
  }

  #accept(connection: Connection): void {
    const session = this.#serve(connection, "acceptor");
    this.#silent.add(session);
    // Whoever opens connections and says nothing only pushes out others that say nothing.
    if (this.#silent.size > this.#options.settings.maxHandshakes) {
      this.#silent.values().next().value!.leave("Too many connections wait for a greeting.");
    }
    if (this.#closing.signal.aborted) session.leave("This member has stopped.");
  }

  #dial(address: string, memberId?: string): Promise<Member> {
    if (memberId !== undefined) this.#dialled.add(memberId);
    const dial = this.#dialFor(address, memberId).finally(() => {
      this.#dials.delete(address);
      if (memberId !== undefined) this.#dialled.delete(memberId);
    });
    this.#dials.set(address, dial);
    return dial;
  }

  async #dialFor(address: string, memberId: string | undefined): Promise<Member> {
    if (memberId === undefined) return await this.#dialOnce(address, memberId);
    try {
      const found = await this.#dialLimits.dial(
        { memberId, address },
        () => this.#dialOnce(address, memberId),
      );
      if (found.id !== memberId) this.#failed(memberId);
      return found;
    } catch (error) {
      this.#failed(memberId);
      throw error;
    }
  }

  async #dialOnce(address: string, memberId: string | undefined): Promise<Member> {
    const { runtime, transport } = this.#options;
    const { signal } = this.#closing;
    using deadline = deadlineAfter(runtime, this.#dialTimeout, `Dialling ${address}`, { signal });
    const connection = await transport.dial(address, { signal: deadline.signal });
    const session = this.#serve(connection, "dialler", memberId);
    try {
      return await session.greet({ signal: deadline.signal });
    } catch (error) {
      session.leave("The greeting failed.");
      throw error;
    }
  }

  get #dialTimeout(): number {
    return TIMEOUTS_PER_DIAL * this.#options.settings.gossipRequestTimeout;
  }

  /** The address of a member; a source of members may name one that has none. */
  #addressOf(member: Member): string | undefined {
    try {
      return this.#options.transport.addressOf(member);
    } catch {
      return undefined;
    }
  }

  #failed(memberId: string): void {
    const { runtime } = this.#options;
    this.#backoffs.failed(memberId, { nowMs: runtime.monotonicMs(), random: runtime.random() });
  }

  #serve(connection: Connection, role: "dialler" | "acceptor", dialledId?: string): Session {
    const { runtime, settings } = this.#options;
    const session = new Session({
      role,
      host: this.#host,
      runtime,
      requestTimeout: settings.gossipRequestTimeout,
      greetingTimeout: this.#dialTimeout,
      dialledId,
    });
    const serving = pump(connection, session).then(({ code }) => {
      this.#serving.delete(session);
      const id = session.peer?.id;
      const isGone = code === CLOSE.goingAway || code === CLOSE.goingAwayDialler;
      if (id === undefined || !session.closedByPeer || this.#open.has(id)) return;
      if (isGone) this.#goneAway.add(id);
      else if (isBroken(code)) this.#options.onBroken(id);
    });
    this.#serving.set(session, serving);
    return session;
  }

  #adopt(session: Session): void {
    const id = session.peer!.id;
    this.#silent.delete(session);
    this.#goneAway.delete(id);
    this.#backoffs.succeeded(id);
    const other = this.#open.get(id);
    if (other && !this.#replaces(session, other)) {
      return session.end(CLOSE.secondConnection, "Another connection between the two stays.");
    }
    this.#open.set(id, session);
    other?.end(CLOSE.secondConnection, "Another connection took the place of this one.");
    if (this.#open.size > this.#options.settings.maxConnections) this.#endLongestUnused(session);
  }

  #replaces(newer: Session, older: Session): boolean {
    if (newer.peerIncarnation !== older.peerIncarnation) return newer.peerIncarnation > older.peerIncarnation;
    if (newer.role === older.role) return true;
    return byCodePoint(this.#diallerOf(newer), this.#diallerOf(older)) < 0;
  }

  #diallerOf(session: Session): string {
    return session.role === "dialler" ? this.#options.selfId : session.peer!.id;
  }

  #endLongestUnused(except: Session): void {
    let longest: Session | undefined;
    for (const session of this.#open.values()) {
      if (session === except) continue;
      if (!longest || session.usedMs < longest.usedMs) longest = session;
    }
    // Not as one that goes away: it is there to be dialled again.
    longest?.end(CLOSE.done, "This connection was unused for longest, and there are too many.");
  }

  #drop(session: Session): void {
    this.#silent.delete(session);
    const id = session.peer?.id;
    if (id !== undefined && this.#open.get(id) === session) this.#open.delete(id);
  }
}

/** Whether a connection ended without a close frame: 0 is what Deno gives, 1006 what browsers give. */
function isBroken(code: number): boolean {
  return code === 0 || code === 1006;
}

/** Serves one connection until it is closed. Whatever goes wrong in it is told by its end, and to nobody else. */
async function pump(connection: Connection, session: Session): Promise<CloseInfo> {
  try {
    await connection.readable.pipeThrough(session).pipeTo(connection.writable);
  } catch {
    // The session has told whoever asked something in it.
  }
  const closed = await connection.closed;
  session.over(new ConnectionClosed(closed.code, closed.reason));
  return closed;
}
