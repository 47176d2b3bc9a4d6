/**
 * The connections to peers: one for each peer, dialed when it is needed.
 *
 * @module
 */

import { byCodePoint } from "../engine/state/murmur3.ts";
import { Backoffs } from "../common/backoff.ts";
import type { Connection, Member, Transport } from "../contracts/cluster.ts";
import { acceptAll } from "./accept_all.ts";
import { Dials, Replaced } from "./dials.ts";
import { CLOSE, HearsayError } from "../common/errors.ts";
import { abortable, type Runtime } from "../common/runtime.ts";
import type { UnknownMessage } from "../protocol/message.ts";
import type { ReaderHost } from "./readers.ts";
import type { Routes } from "./routes.ts";
import { isBroken, pump } from "./pump.ts";
import { longestUnused } from "./longest_unused.ts";
import { ReaderSessions } from "./reader_sessions.ts";
import { Session } from "../protocol/session.ts";
import type { SessionHost, SessionOptions, SessionOwner } from "../protocol/session_host.ts";

/** Messages of types outside the protocol, such as the messages of `messages/`. */
export interface Extension {
  /** Its capability in this member's `hello`: peers without the capability get none of these messages. */
  readonly capability: string;
  /**
   * Called for each message of an unknown type from any peer that shook hands. The peer may be blocked, and the message
   * may belong to another extension. It must not throw.
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
 * Sessions by member id. Two members keep one connection. If both dialed at once, both sides keep the same connection
 * (rule P4).
 */
export class ConnectionPool {
  /** By capability. */
  readonly #extensions = new Map<string, Extension>();
  /** Set if this member prefers some peers to others. */
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
  readonly #serving = new Map<Session, Promise<void>>();
  readonly #readers: ReaderSessions;
  /** Members that closed their last connection because they stopped or no longer needed it. */
  readonly #goneAway = new Set<string>();
  /**
   * Backoff for peers whose requests timed out. Without it every round would take as long as the slowest peer. Two
   * timeouts in a row cause no backoff, because the next round sends a lost message again (E5).
   */
  readonly #unanswered: Backoffs;
  readonly #dials: Dials;
  readonly #closing = new AbortController();

  /** Makes a pool without connections. */
  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    this.#readers = new ReaderSessions(options);
    const { runtime, settings, transport } = options;
    const { gossipInterval: base, maxBackoff: cap } = settings;
    this.#unanswered = new Backoffs({ base, cap, tolerated: 2 });
    this.#dials = new Dials({
      transport,
      runtime,
      settings,
      signal: this.#closing.signal,
      serve: (connection, dialedId) => this.#serve(connection, "dialer", dialedId),
    });
  }

  /**
   * Adds an extension. Throws if another extension has the same capability, because both would take the same messages.
   */
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

  /** The number of open connections, including those without a handshake. */
  get served(): number {
    return this.#serving.size;
  }

  /**
   * True if a request to the member may begin now. False while a request is under way, and during the backoff after
   * unanswered requests. Without a connection, {@linkcode Dials.isFree} must be true too.
   */
  isFree(id: string, member: Member | undefined): boolean {
    if (this.#unanswered.isResting(id, this.#options.runtime.monotonicMs())) return false;
    const session = this.#open.get(id);
    return session ? !session.isBusy : this.#dials.isFree(id, member);
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

  /** True if a member relays the state of others. An unknown member counts as a relay. */
  relays(member: Member | undefined): boolean {
    const { transport } = this.#options;
    return member === undefined || (transport.relays?.(member) ?? true);
  }

  /** Drops the backoffs and notes of all other members. */
  retain(ids: ReadonlySet<string>): void {
    this.#unanswered.retain(ids);
    this.#dials.retain(ids);
    for (const id of this.#goneAway) if (!ids.has(id)) this.#goneAway.delete(id);
  }

  /**
   * Returns the session with a member, and dials first if there is no session. Rejects with code `busy` during the
   * backoff of its address, except with `ignoreBackoff`. With `fresh`, a new dial begins even if a dial is under way,
   * because the handshake of that dial may just have been refused.
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
    const underWay = fresh && this.#dials.underWay(address);
    if (underWay) await abortable(underWay.then(() => {}, () => {}), signal);
    const open = this.#open.get(member.id);
    if (open) return open;
    if (!ignoreBackoff) this.#dials.assertFree({ memberId: member.id, address });
    const found = await abortable(this.#dials.dial(address, member.id), signal);
    // The tie-break (P4) may have kept another connection instead of the dialed connection.
    const session = this.#open.get(member.id);
    if (session) return session;
    const isReplaced = this.#dials.addressOf(found) === address && found.id !== member.id;
    if (isReplaced) throw new Replaced(member.id, address);
    throw new HearsayError("unknown_member", `${member.id} was not at ${address}; nothing was sent.`);
  }

  /** Dials an address and shakes hands; resolves with the peer's record, which may be this member's own. */
  async handshake(address: string, { signal }: { readonly signal: AbortSignal }): Promise<Member> {
    return await abortable(this.#dials.dial(address), signal);
  }

  /** Resolves once the dials that are under way have ended. */
  async whenDialed(): Promise<void> {
    await this.#dials.settled();
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
      handshakeTimeout: this.#dials.dialTimeout,
    });
  }

  /** A reader may name a member's id, so nothing is recorded under the id. */
  #serveReader(connection: Connection): Session {
    const session = this.#newSession({ role: "acceptor", ...this.#readers.make() });
    this.#serving.set(session, pump(connection, session).then(() => void this.#serving.delete(session)));
    return session;
  }

  #adopt(session: Session): void {
    const id = session.peer!.id;
    this.#silent.delete(session);
    this.#goneAway.delete(id);
    this.#dials.recordHandshake(session.peer!, { hasDialed: session.role === "acceptor" });
    const other = this.#open.get(id);
    if (other && !this.#replaces(session, other)) {
      session.end(CLOSE.secondConnection, "The other connection of both members stays.");
      // The engine has recorded the process that ends now. Its record is about the process of the kept connection again.
      if (session.peerIncarnation !== other.peerIncarnation) {
        this.#options.host.onHello({ ...other.hello!, count: 0 }, { answering: true });
      }
      return;
    }
    this.#open.set(id, session);
    other?.end(CLOSE.secondConnection, "A newer connection replaces this one.");
    if (this.#open.size > this.#options.settings.maxConnections) this.#endLongestUnused(session);
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
    longest?.end(CLOSE.done, "Too many connections.");
  }

  #drop(session: Session): void {
    this.#silent.delete(session);
    const id = session.peer?.id;
    if (id !== undefined && this.#open.get(id) === session) this.#open.delete(id);
  }
}
