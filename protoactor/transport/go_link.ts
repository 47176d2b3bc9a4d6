/**
 * The link to one Go member: the stream to it, pending requests, its inbox, and the connections that
 * represent it.
 *
 * @module
 */

import { BoundedMap } from "../../common/bounded_map.ts";
import { unbracketed } from "../../common/host_names.ts";
import type { CloseInfo, Connection, Member } from "../../contracts/cluster.ts";
import { CLOSE, HearsayError } from "../../common/errors.ts";
import { deadlineAfter, type Runtime } from "../../common/runtime.ts";
import type { Call } from "./call.ts";
import {
  DEAD_LETTER_RESPONSE,
  GOSSIP_REQUEST,
  GOSSIP_RESPONSE,
  type GossipState,
  type Pid,
} from "./definitions.ts";
import { GoConnection, type GoSide } from "./go_connection.ts";
import { type GoBatch, GoInbox } from "./go_inbox.ts";
import type { Letter } from "./letters.ts";
import type { MapSource } from "./maps.ts";
import { Outbound } from "./outbound.ts";
import { readState } from "./state.ts";
import type { Decoders } from "./values.ts";

/** The type of a gossip request. */
export const GOSSIP_REQUEST_TYPE = "cluster.GossipRequest";
/** The type of the response to a gossip request. */
export const GOSSIP_RESPONSE_TYPE = "cluster.GossipResponse";
/** The type of the answer to a message that no actor accepts, so that its sender stops waiting. */
export const DEAD_LETTER_TYPE = "actor.DeadLetterResponse";

/** The actor of each Go member that publishes what it receives to the event stream of its process. */
export const EVENT_STREAM = "eventstream";
/** The most unsent bytes with an event: gossip to the same member needs the rest of its queue. */
const MAX_UNSENT_EVENTS = 1024 * 1024;
/** The most pending requests to one Go member; the oldest is dropped. */
const MAX_ASKED = 16;
/** The capacity of an inbox, in messages of the largest size. */
const INBOX_MESSAGES = 2;

/** Shared by all links. */
export interface LinkContext {
  readonly self: { readonly id: string; readonly address: string };
  readonly runtime: Runtime;
  readonly cluster: string;
  readonly actorName: string;
  readonly maxMessageBytes: number;
  /** The longest time to open a stream, in milliseconds. */
  readonly connectTimeout: number;
  readonly decoders: Decoders;
  /** Aborted when the transport closes. */
  readonly signal: AbortSignal;
  open(address: string): Call;
  /** The maps of Hearsay members; `undefined` if they are not translated. */
  maps(): MapSource | undefined;
  /** Returns a new, unique actor name for a request's sender. */
  nextName(): string;
  /** Passes a connection to the gossiper; false if it accepts no more. */
  offer(connection: Connection): boolean;
}

/** The link to one Go member. */
export class GoLink implements GoSide {
  readonly member: Member;
  /** The Go member's address (`host:port`). */
  readonly address: string;
  readonly inbox: GoInbox;
  readonly #context: LinkContext;
  readonly #connections = new Set<GoConnection>();
  /** Callbacks of pending requests by the sender's actor name, oldest first. */
  readonly #asked = new BoundedMap<string, (state: GossipState | undefined) => void>(MAX_ASKED);
  #outbound: Outbound | undefined;
  #connecting: Promise<Outbound> | undefined;
  #isPresenting = false;
  #restsUntilMs = -Infinity;

  /** Creates a link to an address (`host:port`). Opens no stream yet. */
  constructor(memberId: string, options: { readonly address: string; readonly context: LinkContext }) {
    const { address, context } = options;
    this.address = address;
    this.#context = context;
    this.member = { id: memberId, ...hostAndPortOf(address), kinds: [] };
    this.inbox = new GoInbox(INBOX_MESSAGES * context.maxMessageBytes);
  }

  get isBlocking(): boolean {
    return this.#outbound?.blocked ?? false;
  }

  /** True if no connection represents the Go member. */
  get isIdle(): boolean {
    return this.#connections.size === 0;
  }

  /** Uses an open stream to the Go member; closes it if the link has one already. */
  adopt(outbound: Outbound): void {
    if (this.#outbound) return outbound.close();
    this.#outbound = outbound;
    void outbound.ended.then(({ goingAway }) => {
      if (this.#outbound !== outbound) return;
      this.#outbound = undefined;
      this.#endAll(goingAway ? { code: CLOSE.goingAway, reason: "The peer disconnected." } : BROKEN);
    });
  }

  /** Creates a connection for a dial by this member. */
  connect(): GoConnection {
    return this.#make({ theyDialed: false });
  }

  /** Handles a gossip request of the Go member. */
  receive(request: { readonly state?: GossipState | null }, asker: Pid | undefined): void {
    const members = readState(request.state ?? { members: [] }, this.#context.decoders);
    this.inbox.add({ members, askers: asker ? [asker] : [] });
    const open = [...this.#connections].find(({ isOpen }) => isOpen);
    if (open) open.deliver();
    else if (this.#connections.size === 0) void this.#present();
  }

  /** Handles a response. Returns true if a request with this actor name was pending. */
  answered(name: string, state: GossipState | undefined): boolean {
    const onAnswer = this.#asked.get(name);
    this.#asked.delete(name);
    onAnswer?.(state);
    return onAnswer !== undefined;
  }

  /** Answers a letter to an unknown actor. */
  refuse(letter: Letter): void {
    if (letter.sender) this.#sendDeadLetter(letter.sender, letter.target);
  }

  ask(state: GossipState, onAnswer: (state: GossipState | undefined) => void): void {
    const { self, actorName } = this.#context;
    const name = this.#context.nextName();
    this.#asked.set(name, onAnswer);
    this.#outbound?.send({
      target: { address: this.address, id: actorName },
      sender: { address: self.address, id: name },
      type: GOSSIP_REQUEST_TYPE,
      // `memberId` is the receiver. With this member's own id, the Go member would mark everything
      // that it has for this member as sent.
      body: GOSSIP_REQUEST.encode({ memberId: this.member.id, state }),
    });
  }

  /** Sends an event to the event stream of the Go member's process. It may be lost, like any message. */
  sendEvent(type: string, body: Uint8Array): "congested" | "disconnected" | "sent" {
    if (!this.#outbound || this.isIdle) return "disconnected";
    if (this.#outbound.unsentBytes + body.length > MAX_UNSENT_EVENTS) return "congested";
    this.#outbound.send({ target: { address: this.address, id: EVENT_STREAM }, type, body });
    return "sent";
  }

  answer(askers: GoBatch["askers"], { refused }: { readonly refused: boolean }): void {
    const { self, actorName } = this.#context;
    for (const target of askers) {
      if (refused) this.#sendDeadLetter(target, { address: self.address, id: actorName });
      else this.#outbound?.send({ target, type: GOSSIP_RESPONSE_TYPE, body: GOSSIP_RESPONSE.encode({}) });
    }
  }

  over(connection: GoConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    // The session refused or ended. Wait before the next connection, or a refused Go member would cause a
    // dial per request.
    const { runtime, connectTimeout } = this.#context;
    this.#restsUntilMs = runtime.monotonicMs() + connectTimeout / 2;
    const outbound = this.#outbound;
    this.#outbound = undefined;
    this.#asked.clear();
    if (outbound) this.#letGo(outbound);
  }

  close(info: CloseInfo): void {
    const outbound = this.#outbound;
    this.#endAll(info);
    outbound?.close();
  }

  /**
   * Dials a Go member that sent a request, checks its id, and offers the gossiper a connection in its name.
   */
  async #present(): Promise<void> {
    const { runtime } = this.#context;
    if (this.#isPresenting || runtime.monotonicMs() < this.#restsUntilMs) return;
    this.#isPresenting = true;
    try {
      await this.#reach();
      if (this.#connections.size > 0) return;
      const connection = this.#make({ theyDialed: true });
      if (!this.#context.offer(connection)) {
        connection.end({ code: CLOSE.goingAway, reason: "This member has stopped." });
      }
    } catch {
      this.#restsUntilMs = runtime.monotonicMs() + this.#context.connectTimeout;
    } finally {
      this.#isPresenting = false;
    }
  }

  /**
   * Handles the end of a stream that the Go member had dialed. It ends its stream when it blocks this member,
   * but says so only in a `ConnectResponse`. So this method dials it to find out.
   */
  async lostStream(): Promise<void> {
    const before = this.#outbound;
    if (!before || this.#connecting || this.#context.signal.aborted) return;
    const asked = await this.#dial().catch(() => undefined);
    const stays = asked?.memberId === this.member.id && !asked.blocked;
    asked?.close();
    // The next dial reports the block.
    if (!stays) before.close();
  }

  async #reach(): Promise<void> {
    if (this.#outbound) return;
    const outbound = await this.#dial();
    if (outbound.memberId === this.member.id) return this.adopt(outbound);
    outbound.close();
    throw new HearsayError(
      "unknown_member",
      `Expected member ${this.member.id} at ${this.address}; got ${outbound.memberId}. Nothing was merged.`,
    );
  }

  async #dial(): Promise<Outbound> {
    const { runtime, connectTimeout, self, signal } = this.#context;
    using deadline = deadlineAfter(runtime, connectTimeout, `The dial of ${this.address}`, { signal });
    this.#connecting = Outbound.connect(this.#context.open(this.address), { self, signal: deadline.signal });
    try {
      return await this.#connecting;
    } finally {
      this.#connecting = undefined;
    }
  }

  /**
   * Ends a stream after its pending messages. Cancels it after `connectTimeout`, or when the transport
   * closes.
   */
  #letGo(outbound: Outbound): void {
    const { runtime, connectTimeout, signal } = this.#context;
    const close = () => outbound.close();
    const cancelTimer = runtime.setTimer(connectTimeout, close);
    signal.addEventListener("abort", close, { once: true });
    if (signal.aborted) close();
    void outbound.end();
    void outbound.ended.then(() => {
      cancelTimer();
      signal.removeEventListener("abort", close);
    });
  }

  #make({ theyDialed }: { readonly theyDialed: boolean }): GoConnection {
    const { cluster, decoders, maps } = this.#context;
    const connection = new GoConnection(this, { theyDialed, cluster, decoders, maps });
    this.#connections.add(connection);
    return connection;
  }

  #sendDeadLetter(to: Pid, target: Pid): void {
    this.#outbound?.send({
      target: to,
      type: DEAD_LETTER_TYPE,
      body: DEAD_LETTER_RESPONSE.encode({ target }),
    });
  }

  #endAll(info: CloseInfo): void {
    for (const connection of [...this.#connections]) connection.end(info);
  }
}

const BROKEN: CloseInfo = { code: 0, reason: "The connection broke." };

/** Splits `host:port`; the port is 80 by default. */
export function hostAndPortOf(address: string): { host: string; port: number } {
  const { hostname, port } = new URL(`http://${address}`);
  return { host: unbracketed(hostname), port: Number(port || 80) };
}
