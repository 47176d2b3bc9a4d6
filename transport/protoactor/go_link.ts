/**
 * Everything between this member and one member of protoactor's own: the stream to it, what was asked of it, what
 * it has told, and the connections that speak for it.
 *
 * @module
 */

import { unbracketed } from "../../gossiper/host_names.ts";
import type { CloseInfo, Connection, Member } from "../../gossiper/cluster.ts";
import { CLOSE, HearsayError } from "../../gossiper/errors.ts";
import { deadlineAfter, type Runtime } from "../../gossiper/runtime.ts";
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
import { Outbound } from "./outbound.ts";
import { readState } from "./state.ts";
import type { Decoders } from "./values.ts";

/** The names of the types that members of protoactor gossip with. */
export const GOSSIP_REQUEST_TYPE = "cluster.GossipRequest";
/** What answers a request. */
export const GOSSIP_RESPONSE_TYPE = "cluster.GossipResponse";
/** What answers a request that nobody takes: who asked need not wait. */
export const DEAD_LETTER_TYPE = "actor.DeadLetterResponse";

/** How many requests to one member may be under way; the oldest is given up. */
const MAX_ASKED = 16;
/** How many messages of the largest size one member's untaken state may take. */
const INBOX_MESSAGES = 2;

/** What links share. */
export interface LinkContext {
  readonly self: { readonly id: string; readonly address: string };
  readonly runtime: Runtime;
  readonly cluster: string;
  readonly actorName: string;
  readonly maxMessageBytes: number;
  /** How long opening a stream may take, in milliseconds. */
  readonly connectTimeout: number;
  readonly decoders: Decoders;
  /** Aborted when all is over. */
  readonly signal: AbortSignal;
  open(address: string): Call;
  /** A name, never used before, for who waits for an answer. */
  nextName(): string;
  /** Hands a connection to the gossiper; false where it takes no more. */
  offer(connection: Connection): boolean;
}

/** All that there is with one member of protoactor's own. */
export class GoLink implements GoSide {
  readonly member: Member;
  /** Where the member is (`host:port`). */
  readonly address: string;
  readonly inbox: GoInbox;
  readonly #context: LinkContext;
  readonly #connections = new Set<GoConnection>();
  /** By the name of who waits for it, the first asked first. */
  readonly #asked = new Map<string, (state: GossipState | undefined) => void>();
  #outbound: Outbound | undefined;
  #connecting: Promise<Outbound> | undefined;
  #isPresenting = false;
  #restsUntilMs = -Infinity;

  /** Makes a link to a member at an address (`host:port`); nothing is opened yet. */
  constructor(memberId: string, options: { readonly address: string; readonly context: LinkContext }) {
    const { address, context } = options;
    this.address = address;
    this.#context = context;
    this.member = { id: memberId, ...endpointOf(address), kinds: [] };
    this.inbox = new GoInbox(INBOX_MESSAGES * context.maxMessageBytes);
  }

  get isBlocking(): boolean {
    return this.#outbound?.blocked ?? false;
  }

  /** Whether nobody speaks for the member. */
  get isIdle(): boolean {
    return this.#connections.size === 0;
  }

  /** Takes over a stream that was opened to the member; ends it where there is one. */
  adopt(outbound: Outbound): void {
    if (this.#outbound) return outbound.close();
    this.#outbound = outbound;
    void outbound.ended.then(({ goingAway }) => {
      if (this.#outbound !== outbound) return;
      this.#outbound = undefined;
      this.#endAll(goingAway ? { code: CLOSE.goingAway, reason: "It disconnected." } : BROKEN);
    });
  }

  /** A connection that this member has dialled. */
  connect(): GoConnection {
    return this.#make({ theyDialled: false });
  }

  /** The member has sent a request. */
  receive(request: { readonly state?: GossipState | null }, asker: Pid | undefined): void {
    const members = readState(request.state ?? { members: [] }, this.#context.decoders);
    this.inbox.add({ members, askers: asker ? [asker] : [] });
    const open = [...this.#connections].find(({ isOpen }) => isOpen);
    if (open) open.deliver();
    else if (this.#connections.size === 0) void this.#present();
  }

  /** The member has answered somebody here; returns whether anybody waited for that. */
  answered(name: string, state: GossipState | undefined): boolean {
    const onAnswer = this.#asked.get(name);
    this.#asked.delete(name);
    onAnswer?.(state);
    return onAnswer !== undefined;
  }

  /** The member asked something of nobody who is here. */
  refuse(letter: Letter): void {
    if (letter.sender) this.#sendDeadLetter(letter.sender, letter.target);
  }

  ask(state: GossipState, onAnswer: (state: GossipState | undefined) => void): void {
    const { self, actorName } = this.#context;
    const name = this.#context.nextName();
    this.#asked.set(name, onAnswer);
    if (this.#asked.size > MAX_ASKED) this.#asked.delete(this.#asked.keys().next().value!);
    this.#outbound?.send({
      target: { address: this.address, id: actorName },
      sender: { address: self.address, id: name },
      type: GOSSIP_REQUEST_TYPE,
      // Named is who is asked: with this member's own id, it would take all that it has to tell as told.
      body: GOSSIP_REQUEST.encode({ memberId: this.member.id, state }),
    });
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
    // Refused, or replaced by none: what it tells next is offered anew, but not at once.
    const { runtime, connectTimeout } = this.#context;
    this.#restsUntilMs = runtime.monotonicMs() + connectTimeout / 2;
    const outbound = this.#outbound;
    this.#outbound = undefined;
    this.#asked.clear();
    if (outbound) this.#letGo(outbound);
  }

  /** Ends everything. */
  close(info: CloseInfo): void {
    const outbound = this.#outbound;
    this.#endAll(info);
    outbound?.close();
  }

  /** Offers the gossiper a connection in the name of a member that came by itself; who it is, is looked at first. */
  async #present(): Promise<void> {
    const { runtime } = this.#context;
    if (this.#isPresenting || runtime.monotonicMs() < this.#restsUntilMs) return;
    this.#isPresenting = true;
    try {
      await this.#reach();
      if (this.#connections.size > 0) return;
      const connection = this.#make({ theyDialled: true });
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
   * The member has closed a stream of its own. It does so where it blocks this member, and says so only to who dials:
   * so it is dialled anew.
   */
  async lostStream(): Promise<void> {
    const before = this.#outbound;
    if (!before || this.#connecting || this.#context.signal.aborted) return;
    const asked = await this.#dial().catch(() => undefined);
    const stays = asked?.memberId === this.member.id && !asked.blocked;
    asked?.close();
    // What is dialled next says whether it blocks.
    if (!stays) before.close();
  }

  async #reach(): Promise<void> {
    if (this.#outbound) return;
    const outbound = await this.#dial();
    if (outbound.memberId === this.member.id) return this.adopt(outbound);
    outbound.close();
    throw new HearsayError(
      "unknown_member",
      `At ${this.address} is not ${this.member.id}; nothing was taken.`,
    );
  }

  async #dial(): Promise<Outbound> {
    const { runtime, connectTimeout, self, signal } = this.#context;
    using deadline = deadlineAfter(runtime, connectTimeout, `Dialling ${this.address}`, { signal });
    this.#connecting = Outbound.greet(this.#context.open(this.address), { self, signal: deadline.signal });
    try {
      return await this.#connecting;
    } finally {
      this.#connecting = undefined;
    }
  }

  /** Ends a stream after what was said; at once where the other side does not end it in time, or all is over. */
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

  #make({ theyDialled }: { readonly theyDialled: boolean }): GoConnection {
    const { cluster, decoders } = this.#context;
    const connection = new GoConnection(this, { theyDialled, cluster, decoders });
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

/** The parts of an address. */
export function endpointOf(address: string): { host: string; port: number } {
  const { hostname, port } = new URL(`http://${address}`);
  return { host: unbracketed(hostname), port: Number(port || 80) };
}
