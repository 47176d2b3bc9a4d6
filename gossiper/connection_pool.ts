/**
 * The connections to peers: one for each peer, dialed when it is needed.
 *
 * @module
 */

import { byCodePoint } from "../engine/state/murmur3.ts";
import { Backoffs } from "../common/backoff.ts";
import type { Connection, Member, Transport } from "../contracts/cluster.ts";
import { acceptAll } from "./accept_all.ts";
import { DialLimits } from "./dial_limits.ts";
import { CLOSE, HearsayError } from "../common/errors.ts";
import { abortable, deadlineAfter, type Runtime } from "../common/runtime.ts";
import type { UnknownMessage } from "../protocol/message.ts";
import type { ReaderHost } from "./readers.ts";
import type { Routes } from "./routes.ts";
import { isBroken, pump } from "./pump.ts";
import { longestUnused } from "./longest_unused.ts";
import { ReaderSessions } from "./reader_sessions.ts";
import { Session } from "../protocol/session.ts";
import type { SessionHost, SessionOptions, SessionOwner } from "../protocol/session_host.ts";

/**
 * The time limit of a dial with its handshake, in request timeouts. 4: when many processes start at once on few
 * processors, a handshake takes longer than later requests, and a handshake given up starts again from nothing.
 * Lower: members that start together dial several times. Higher: a process that does not answer keeps its slot longer.
 */
export const TIMEOUTS_PER_DIAL = 4;

/** Another member has the dialed address as its own, so the former one is no longer there. */
export class Replaced extends HearsayError {
  constructor(memberId: string, address: string) {
    super("unknown_member", `Another member is at ${address}, in place of ${memberId}; nothing was sent.`);
  }
}

/** Messages of types that the protocol leaves to others, such as those of `messages/`. */
export interface Extension {
  /** Its capability in this member's `hello`: peers without it are sent none of these messages. */
  readonly capability: string;
  /**
   * Called for each message of an unknown type, also of another extension, from any peer that shook hands, also a blocked
   * one. It must not throw.
   */
  receive(session: Session, message: UnknownMessage): void;
}

/** The dependencies of a {@linkcode ConnectionPool}. */
export interface ConnectionPoolOptions {
  readonly selfId: string;
  readonly transport: Transport;
  readonly runtime: Runtime;
  /** The host of each session with a peer. */
  readonly host: SessionHost;
  /** Makes the host of a connection whose peer is a reader. */
  readonly readerHost: () => ReaderHost;
  /** Called when the last connection with a member ended without a close code, as after a kill. */
  readonly onConnectionBroken: (memberId: string) => void;
  readonly settings: {
    readonly gossipInterval: number;
    readonly gossipRequestTimeout: number;
    readonly maxConnections: number;
    readonly maxHandshakes: number;
    readonly maxBackoff: number;
  };
}

/**
 * Sessions by member id. Two members keep one connection; if both dialed at once, both sides keep the same
 * one (rule P4).
 */
export class ConnectionPool {
  /** By capability. */
  readonly #extensions = new Map<string, Extension>();
  /** Present while this member prefers some peers. */
  routes: Routes | undefined;
  readonly #options: ConnectionPoolOptions;
  readonly #owner: SessionOwner = {
    capabilities: () => [...this.#extensions.keys()],
    opened: (session) => this.#adopt(session),
    extra: (session, message) => {
      for (const extension of this.#extensions.values()) extension.receive(session, message);
    },
    ended: (session) => this.#drop(session),
  };
  readonly #open = new Map<string, Session>();
  /** Accepted connections without a handshake, the oldest first. */
  readonly #silent = new Set<Session>();
  /** By address, so that concurrent requests for a peer share one dial. */
  readonly #dials = new Map<string, Promise<Member>>();
  readonly #dialed = new Set<string>();
  readonly #serving = new Map<Session, Promise<void>>();
  readonly #readers: ReaderSessions;
  /** Members that closed their last connection because they stopped or no longer needed it. */
  readonly #goneAway = new Set<string>();
  readonly #backoffs: Backoffs;
  /**
   * Backoff for peers whose requests timed out. Without it every round would take as long as the slowest peer.
   * Two timeouts in a row are tolerated, because the next round sends a lost message again (E5).
   */
  readonly #unanswered: Backoffs;
  readonly #dialLimits: DialLimits;
  readonly #closing = new AbortController();

  /** Makes a pool without connections. */
  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    this.#readers = new ReaderSessions(options);
    const { gossipInterval: base, maxBackoff: cap } = options.settings;
    this.#backoffs = new Backoffs({ base, cap });
    this.#unanswered = new Backoffs({ base, cap, tolerated: 2 });
    this.#dialLimits = new DialLimits({ runtime: options.runtime, base, cap });
  }

  /** Adds an extension. Throws if another one has its capability: both would take the same messages. */
  extend(extension: Extension): void {
    const { capability } = extension;
    if (this.#extensions.has(capability)) {
      throw new Error(`This member already has an extension "${capability}"; nothing was changed.`);
    }
    this.#extensions.set(capability, extension);
  }

  /** The session with a member, or `undefined`. */
  session(id: string): Session | undefined {
    return this.#open.get(id);
  }

  /** All sessions with a complete handshake. */
  sessions(): readonly Session[] {
    return [...this.#open.values()];
  }

  /** The readers with a complete handshake. */
  readers(): ReadonlySet<Session> {
    return this.#readers.open;
  }

  /** The number of open connections, with those that have no handshake yet. */
  get served(): number {
    return this.#serving.size;
  }

  /**
   * True if a request to the member may begin now. False while a request or dial is under way, and during a backoff:
   * after a failed dial, after an unanswered request, or after dials to its address found no member.
   */
  isFree(id: string, member: Member | undefined): boolean {
    const nowMs = this.#options.runtime.monotonicMs();
    if (this.#unanswered.isResting(id, nowMs)) return false;
    const session = this.#open.get(id);
    if (session) return !session.isBusy;
    if (this.#dialed.has(id) || this.#backoffs.isResting(id, nowMs)) return false;
    const address = member && this.#addressOf(member);
    return address === undefined || this.#dialLimits.isFree({ memberId: id, address });
  }

  /** Records that a request to a member was answered or timed out. */
  noteAnswer(id: string, { inTime }: { readonly inTime: boolean }): void {
    const { runtime } = this.#options;
    if (inTime) this.#unanswered.succeeded(id);
    else this.#unanswered.failed(id, { nowMs: runtime.monotonicMs(), random: runtime.random() });
  }

  /** True if the member itself closed its last connection. */
  hasGoneAway(id: string): boolean {
    return this.#goneAway.has(id);
  }

  /** True if a member relays the state of others; an unknown member counts as one that does. */
  relays(member: Member | undefined): boolean {
    const { transport } = this.#options;
    return member === undefined || (transport.relays?.(member) ?? true);
  }

  /** Drops the backoffs and notes of all other members. */
  retain(ids: ReadonlySet<string>): void {
    this.#backoffs.retain(ids);
    this.#unanswered.retain(ids);
    this.#dialLimits.retain(ids);
    for (const id of this.#goneAway) if (!ids.has(id)) this.#goneAway.delete(id);
  }

  /**
   * Returns the session with a member, and dials first if there is none. Rejects with code `busy` during the backoff of
   * its address, except with `ignoreBackoff`. With `fresh`, a dial under way does not count, because its handshake may
   * just have been refused.
   */
  async reach(
    member: Member,
    { signal, ignoreBackoff = false, fresh = false }: {
      readonly signal: AbortSignal;
      readonly ignoreBackoff?: boolean;
      readonly fresh?: boolean;
    },
  ): Promise<Session> {
    const address = this.#options.transport.addressOf(member);
    const underWay = fresh && this.#dials.get(address);
    if (underWay) await abortable(underWay.then(() => {}, () => {}), signal);
    const open = this.#open.get(member.id);
    if (open) return open;
    if (
      !ignoreBackoff && !this.#dials.has(address) &&
      !this.#dialLimits.isFree({ memberId: member.id, address })
    ) {
      throw new HearsayError(
        "busy",
        `Dials to ${address} failed for other members; it was not dialed again yet.`,
      );
    }
    const found = await abortable(this.#dials.get(address) ?? this.#dial(address, member.id), signal);
    // The tie-break (P4) may have kept another connection than the one dialed.
    const session = this.#open.get(member.id);
    if (session) return session;
    if (this.#addressOf(found) === address && found.id !== member.id) throw new Replaced(member.id, address);
    throw new HearsayError("unknown_member", `${member.id} was not at ${address}; nothing was sent.`);
  }

  /** Dials an address and shakes hands; resolves with the peer's record, which may be this member's own. */
  async handshake(address: string, { signal }: { readonly signal: AbortSignal }): Promise<Member> {
    return await abortable(this.#dials.get(address) ?? this.#dial(address), signal);
  }

  /** Resolves once the dials that are under way have ended. */
  async whenDialed(): Promise<void> {
    await Promise.allSettled(this.#dials.values());
  }

  /** Serves the connections that peers open, until the signal is aborted. */
  accept(options: { readonly signal: AbortSignal }): Promise<void> {
    return acceptAll(this.#options.transport, (connection) => this.#accept(connection), options);
  }

  /** Ends every session and waits until all connections are closed. */
  async close(reason: string): Promise<void> {
    this.#closing.abort(new HearsayError("stopped", reason));
    await this.whenDialed();
    for (const session of this.#serving.keys()) session.leave(reason);
    await Promise.allSettled(this.#serving.values());
  }

  #accept(connection: Connection): void {
    const { isReader } = connection;
    const session = isReader ? this.#serveReader(connection) : this.#serve(connection, "acceptor");
    const silent = isReader ? this.#readers.silent : this.#silent;
    silent.add(session);
    // A client that opens connections without a handshake displaces only others of its kind.
    if (silent.size > this.#options.settings.maxHandshakes) {
      silent.values().next().value!.leave("Too many connections wait for a handshake.");
    }
    if (this.#closing.signal.aborted) session.leave("This member has stopped.");
  }

  #dial(address: string, memberId?: string): Promise<Member> {
    if (memberId !== undefined) this.#dialed.add(memberId);
    const dial = this.#dialFor(address, memberId).finally(() => {
      this.#dials.delete(address);
      if (memberId !== undefined) this.#dialed.delete(memberId);
    });
    this.#dials.set(address, dial);
    return dial;
  }

  async #dialFor(address: string, memberId: string | undefined): Promise<Member> {
    if (memberId === undefined) {
      const found = await this.#dialOnce(address, memberId);
      this.#dialLimits.recordFound({ memberId: found.id, address });
      return found;
    }
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
    using deadline = deadlineAfter(runtime, this.#dialTimeout, `Dialing ${address}`, { signal });
    const connection = await transport.dial(address, { signal: deadline.signal });
    const session = this.#serve(connection, "dialer", memberId);
    try {
      return await session.handshake({ signal: deadline.signal });
    } catch (error) {
      session.leave("The handshake failed.");
      throw error;
    }
  }

  get #dialTimeout(): number {
    return TIMEOUTS_PER_DIAL * this.#options.settings.gossipRequestTimeout;
  }

  /** The address of a member; `undefined` if its host or `url` is invalid. */
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

  #serve(connection: Connection, role: "dialer" | "acceptor", dialedId?: string): Session {
    const { host } = this.#options;
    const session = this.#newSession({ role, host, owner: this.#owner, dialedId });
    const serving = pump(connection, session).then(({ code }) => {
      this.#serving.delete(session);
      const id = session.peer?.id;
      const isGone = code === CLOSE.goingAway || code === CLOSE.goingAwayDialer;
      if (id === undefined || !session.closedByPeer || this.#open.has(id)) return;
      if (isGone) this.#goneAway.add(id);
      else if (isBroken(code)) this.#options.onConnectionBroken(id);
    });
    this.#serving.set(session, serving);
    return session;
  }

  #newSession(options: Pick<SessionOptions, "role" | "host" | "owner" | "dialedId">): Session {
    const { runtime, settings } = this.#options;
    return new Session({
      ...options,
      runtime,
      requestTimeout: settings.gossipRequestTimeout,
      handshakeTimeout: this.#dialTimeout,
    });
  }

  /** A reader's id may be that of a member: nothing here is recorded under it. */
  #serveReader(connection: Connection): Session {
    const session = this.#newSession({ role: "acceptor", ...this.#readers.make() });
    this.#serving.set(session, pump(connection, session).then(() => void this.#serving.delete(session)));
    return session;
  }

  #adopt(session: Session): void {
    const id = session.peer!.id;
    this.#silent.delete(session);
    this.#goneAway.delete(id);
    this.#backoffs.succeeded(id);
    if (session.role === "acceptor") this.#recordClaim(session.peer!);
    const other = this.#open.get(id);
    if (other && !this.#replaces(session, other)) {
      return session.end(CLOSE.secondConnection, "The other connection between the two members stays.");
    }
    this.#open.set(id, session);
    other?.end(CLOSE.secondConnection, "A newer connection replaces this one.");
    if (this.#open.size > this.#options.settings.maxConnections) this.#endLongestUnused(session);
  }

  #recordClaim(peer: Member): void {
    const address = this.#addressOf(peer);
    if (address !== undefined) this.#dialLimits.recordClaimed({ memberId: peer.id, address });
  }

  #replaces(newer: Session, older: Session): boolean {
    if (newer.peerIncarnation !== older.peerIncarnation) return newer.peerIncarnation > older.peerIncarnation;
    if (newer.role === older.role) return true;
    return byCodePoint(this.#dialerOf(newer), this.#dialerOf(older)) < 0;
  }

  #dialerOf(session: Session): string {
    return session.role === "dialer" ? this.#options.selfId : session.peer!.id;
  }

  #endLongestUnused(except: Session): void {
    const longest = longestUnused(this.#open.values(), except);
    // Not `goingAway`: this member stays reachable, and the peer may dial it again.
    longest?.end(CLOSE.done, "Too many connections; this one was unused for longest.");
  }

  #drop(session: Session): void {
    this.#silent.delete(session);
    const id = session.peer?.id;
    if (id !== undefined && this.#open.get(id) === session) this.#open.delete(id);
  }
}
