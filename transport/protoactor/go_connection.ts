/**
 * A connection whose other side is a member of protoactor's own, which speaks no `hearsay.v2`: this speaks it in its
 * name, and says of it nothing but what it has said itself.
 *
 * Such a member is sent `cluster.GossipRequest`s and answers each by an empty response. The answer proves that its
 * gossip actor has merged all that was in the request: that is what an acknowledgement says. It proves that the
 * member is alive, so that a greeting is answered by one too. What it tells comes as requests of its own.
 *
 * @module
 */

import type { CloseInfo, Connection, Member } from "../../gossiper/cluster.ts";
import { CLOSE, ConnectionClosed } from "../../gossiper/errors.ts";
import {
  type Gossip,
  type Hello,
  type Message,
  OLDEST_VERSION,
  PROTOCOL_VERSION,
  type Refusal,
} from "../../gossiper/message.ts";
import { refuse } from "../../gossiper/refusal.ts";
import { endsWithLife } from "../../engine/block_list.ts";
import { FOREIGN_LIFE } from "../../engine/life.ts";
import type { GossipState } from "./definitions.ts";
import type { GoBatch, GoInbox } from "./go_inbox.ts";
import { deltaOf, NO_DIGEST, readState, stateOf } from "./state.ts";
import type { Decoders } from "./values.ts";

/** Its heartbeats come as entries of its state. */
const NOTHING_HEARD = { count: 0 };

/** The member at the other side, and how to reach it. */
export interface GoSide {
  readonly member: Member;
  /** Whether it has said that it has blocked this member. */
  readonly isBlocking: boolean;
  /** What it has told and nobody has taken yet. */
  readonly inbox: GoInbox;
  /** Sends a state; calls back where that was answered, with the state that the answer brought, if any. */
  ask(state: GossipState, onAnswer: (state: GossipState | undefined) => void): void;
  /** Answers requests that it made, as done or as refused. */
  answer(askers: GoBatch["askers"], options: { readonly refused: boolean }): void;
  /** The connection is over. */
  over(connection: GoConnection): void;
}

/** What a {@linkcode GoConnection} is made with. */
export interface GoConnectionOptions {
  /** Whether the member at the other side is taken to have dialled. */
  readonly theyDialled: boolean;
  readonly cluster: string;
  readonly decoders: Decoders;
}

/** A {@linkcode Connection} to a member of protoactor's own. */
export class GoConnection implements Connection {
  readonly readable: ReadableStream<Message>;
  readonly writable: WritableStream<Message>;
  readonly closed: Promise<CloseInfo>;
  readonly remote: string;
  readonly #side: GoSide;
  readonly #options: GoConnectionOptions;
  readonly #over = Promise.withResolvers<CloseInfo>();
  #controller!: ReadableStreamDefaultController<Message>;
  #sink!: WritableStreamDefaultController;
  #isOver = false;
  #asked = 0;
  /** Whether both sides have greeted, and this member did not refuse the other since. */
  #isOpen = false;
  /** What this member was given and has not answered yet. */
  #underWay: { readonly id: string; readonly batch: GoBatch } | undefined;

  /** Makes a connection; a member that dialled greets at once. */
  constructor(side: GoSide, options: GoConnectionOptions) {
    this.#side = side;
    this.#options = options;
    const { host, port } = side.member;
    this.remote = `protoactor://${host}:${port}`;
    this.closed = this.#over.promise;
    this.readable = new ReadableStream<Message>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: (reason) => this.#endFor(reason),
    });
    this.writable = new WritableStream<Message>({
      start: (controller) => {
        this.#sink = controller;
      },
      write: (message) => this.#receive(message),
      close: () => this.end({ code: CLOSE.done, reason: "" }),
      abort: (reason) => this.#endFor(reason),
    });
    if (options.theyDialled) this.#greet();
  }

  /** Whether what the member tells is taken here. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Hands over what the member has told, unless something is under way: then that follows. */
  deliver(): void {
    const { inbox, member } = this.#side;
    if (!this.#isOpen || this.#underWay || this.#isOver || inbox.isEmpty) return;
    const batch = inbox.take();
    const id = this.#nextId();
    this.#underWay = { id, batch };
    const delta = deltaOf(batch.members);
    this.#say({ type: "gossip", id, memberId: member.id, delta, liveness: NOTHING_HEARD });
  }

  /** Ends the connection, once. */
  end(info: CloseInfo): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isOpen = false;
    if (this.#underWay) this.#side.inbox.add(this.#underWay.batch);
    this.#underWay = undefined;
    const error = new ConnectionClosed(info.code, info.reason);
    try {
      if (info.code === 0) this.#controller.error(error);
      else this.#controller.close();
    } catch { /* Its reader has cancelled it. */ }
    this.#sink.error(error);
    this.#over.resolve(info);
    this.#side.over(this);
  }

  #endFor(reason: unknown): void {
    const { closeCode, message } = reason instanceof ConnectionClosed
      ? reason
      : { closeCode: reason === undefined ? CLOSE.done : CLOSE.goingAway, message: "" };
    this.end({ code: closeCode, reason: message });
  }

  #receive(message: Message): void {
    switch (message.type) {
      case "hello":
        return this.#isOwn(message.id) ? this.#welcomed() : this.#answerHello(message);
      case "gossip":
        return this.#passOn(message);
      case "push":
        // Its answer brings nothing that the next round would not bring.
        return this.#side.ask(stateOf(message.delta), () => {});
      case "reply":
        return this.#taken(message.id);
      case "error":
        return this.#refused(message);
      case "reconcile": {
        const why = "A member of protoactor compares nothing.";
        return this.#say({ ...refuse("incompatible", why), id: message.id });
      }
      case "ack":
      // Such a member has heartbeats as entries.
      case "heartbeat":
      case "suspect":
      case "unknown":
        return;
    }
  }

  #greet(): void {
    this.#isOpen = false;
    this.#say(this.#helloUnder(this.#nextId()));
  }

  #welcomed(): void {
    this.#isOpen = true;
    this.deliver();
  }

  /** Only the member itself can say that it is there. */
  #answerHello({ id }: Hello): void {
    if (this.#side.isBlocking) {
      const why = "This member has blocked the other, and blocks for ever.";
      return this.#say({ ...refuse("blocked", why, { reason: "topology" }), id });
    }
    this.#side.ask({ members: [] }, () => {
      if (this.#isOver) return;
      this.#say(this.#helloUnder(id));
      this.#welcomed();
    });
  }

  #passOn({ id, delta }: Gossip): void {
    this.#side.ask(stateOf(delta), (state) => {
      if (this.#isOver) return;
      const members = state ? readState(state, this.#options.decoders) : [];
      this.#say({ type: "reply", id, delta: deltaOf(members), liveness: NOTHING_HEARD, holds: new Map() });
    });
  }

  #taken(id: string): void {
    if (this.#underWay?.id !== id) return;
    this.#side.answer(this.#underWay.batch.askers, { refused: false });
    this.#underWay = undefined;
    this.deliver();
  }

  /** What was refused is kept: it is never told again. A member blocked as expired is alive, and says so. */
  #refused({ id, code, reason }: Refusal): void {
    if (!this.#underWay || this.#underWay.id !== id) return;
    const { members, askers } = this.#underWay.batch;
    this.#underWay = undefined;
    const isExpired = code === "blocked" && endsWithLife(reason);
    this.#side.inbox.add({ members, askers: isExpired ? askers : [] });
    if (isExpired) return this.#greet();
    this.#isOpen = false;
    this.#side.answer(askers, { refused: true });
  }

  #helloUnder(id: string): Hello {
    const { cluster } = this.#options;
    return {
      type: "hello",
      id,
      cluster,
      member: this.#side.member,
      life: FOREIGN_LIFE,
      count: 0,
      version: PROTOCOL_VERSION,
      oldestVersion: OLDEST_VERSION,
      capabilities: [],
      digest: NO_DIGEST,
      active: NO_DIGEST,
    };
  }

  #say(message: Message): void {
    if (!this.#isOver) this.#controller.enqueue(message);
  }

  #nextId(): string {
    return `${this.#letter}${++this.#asked}`;
  }

  #isOwn(id: string): boolean {
    return id.startsWith(this.#letter);
  }

  get #letter(): "d" | "a" {
    return this.#options.theyDialled ? "d" : "a";
  }
}
