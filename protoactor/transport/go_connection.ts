/**
 * A connection to a Go member, which does not speak `hearsay.v2`. This class speaks it in the Go member's
 * name, and never claims more than the Go member has sent.
 *
 * A Go member answers each `cluster.GossipRequest` with an empty response, after its gossip actor has merged
 * the request. So a response becomes an acknowledgement. It also proves that the Go member is alive, so a
 * handshake waits for one. The Go member sends its own state in requests.
 *
 * @module
 */

import type { CloseInfo, Connection, Member } from "../../contracts/cluster.ts";
import { CLOSE, ConnectionClosed } from "../../common/errors.ts";
import {
  type Gossip,
  type Hello,
  type Message,
  OLDEST_VERSION,
  PROTOCOL_VERSION,
  type Refusal,
} from "../../protocol/message.ts";
import { refuse } from "../../protocol/refusal.ts";
import { endsWithProofOfLife } from "../../engine/membership/block_list.ts";
import { NO_INCARNATION } from "../../engine/incarnation.ts";
import type { MemberDelta, MemberDeltas } from "../../engine/types.ts";
import type { GossipState } from "./definitions.ts";
import type { GoBatch, GoInbox } from "./go_inbox.ts";
import { type MapSource, mapStates, withoutMaps } from "./maps.ts";
import { deltaOf, NO_DIGEST, readState, stateOf } from "./state.ts";
import type { Decoders } from "./values.ts";

/** Liveness of a Go member: empty, because its heartbeats are entries. */
const NOTHING_HEARD = { count: 0 };

/** The Go member, and the operations of its link. */
export interface GoSide {
  readonly member: Member;
  /** True if the Go member has reported that it blocks this member. */
  readonly isBlocking: boolean;
  /** State that the Go member sent and no session has merged yet. */
  readonly inbox: GoInbox;
  /**
   * Sends a state. `onAnswer` is called with the state in the response, if it has one; never without a
   * response.
   */
  ask(state: GossipState, onAnswer: (state: GossipState | undefined) => void): void;
  /** Answers the Go member's requests: merged, or refused. */
  answer(askers: GoBatch["askers"], options: { readonly refused: boolean }): void;
  /** Called once, when the connection has ended. */
  over(connection: GoConnection): void;
}

/** Options of a {@linkcode GoConnection}. */
export interface GoConnectionOptions {
  /** True if the connection stands for one that the Go member dialed. */
  readonly theyDialed: boolean;
  readonly cluster: string;
  readonly decoders: Decoders;
  /** The maps of Hearsay members; `undefined` if they are not translated. */
  readonly maps?: () => MapSource | undefined;
}

/** A {@linkcode Connection} to a Go member. */
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
  /** True after a handshake, until this member refuses a message. */
  #isOpen = false;
  /** The batch in the `gossip` message that this member has not answered yet. */
  #underWay: { readonly id: string; readonly batch: GoBatch } | undefined;

  /** Creates a connection. With `theyDialed` it sends `hello` at once. */
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
    if (options.theyDialed) this.#handshake();
  }

  /** True if this member merges the Go member's state. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends the inbox as one `gossip` message. Does nothing while another one is pending. */
  deliver(): void {
    const { inbox, member } = this.#side;
    if (!this.#isOpen || this.#underWay || this.#isOver || inbox.isEmpty) return;
    const batch = inbox.take();
    const id = this.#nextId();
    this.#underWay = { id, batch };
    const delta = deltaOf(batch.members);
    this.#say({ type: "gossip", id, memberId: member.id, delta, liveness: NOTHING_HEARD });
  }

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
    } catch { /* The stream was canceled. */ }
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
        return this.#push(message.delta);
      case "reply":
        return this.#taken(message.id);
      case "error":
        return this.#refused(message);
      case "reconcile": {
        const why = "A Go member has no digests to compare.";
        return this.#say({ ...refuse("incompatible", why), id: message.id });
      }
      case "ack":
      // The heartbeats of a Go member are entries.
      case "heartbeat":
      case "suspect":
      case "unknown":
        return;
    }
  }

  #handshake(): void {
    this.#isOpen = false;
    this.#say(this.#helloUnder(this.#nextId()));
  }

  #welcomed(): void {
    this.#isOpen = true;
    this.deliver();
  }

  /** Answers `hello` after a response, because only the Go member can prove that it is alive. */
  #answerHello({ id }: Hello): void {
    if (this.#side.isBlocking) {
      const why = "This member has blocked its peer forever.";
      return this.#say({ ...refuse("blocked", why, { reason: "topology" }), id });
    }
    this.#side.ask({ members: [] }, () => {
      if (this.#isOver) return;
      this.#say(this.#helloUnder(id));
      this.#welcomed();
    });
  }

  /**
   * Sends a push without maps. A map would be sent whole for each change of an entry, so maps wait for the next round.
   * The state in the response is ignored: a round brings it too.
   */
  #push(delta: MemberDeltas): void {
    const sent = stateOf(this.#options.maps?.() ? withoutMaps(delta) : delta);
    if (sent.members.length > 0) this.#side.ask(sent, () => {});
  }

  /** Sends gossip, with its maps in requests of their own. Only the answers to all requests acknowledge it. */
  #passOn({ id, delta }: Gossip): void {
    const maps = this.#options.maps?.();
    const states = maps ? [...mapStates(delta, maps), stateOf(withoutMaps(delta))] : [stateOf(delta)];
    const members: MemberDelta[] = [];
    let unanswered = states.length;
    for (const state of states) {
      this.#side.ask(state, (answer) => {
        if (answer) members.push(...readState(answer, this.#options.decoders));
        if (--unanswered > 0) return;
        this.#say({ type: "reply", id, delta: deltaOf(members), liveness: NOTHING_HEARD, holds: new Map() });
      });
    }
  }

  #taken(id: string): void {
    if (this.#underWay?.id !== id) return;
    this.#side.answer(this.#underWay.batch.askers, { refused: false });
    this.#underWay = undefined;
    this.deliver();
  }

  /**
   * Puts a refused batch back into the inbox, because a Go member sends each entry once. If this member
   * refused it because it blocks the Go member as expired, a new `hello` proves that the Go member is alive.
   */
  #refused({ id, code, reason }: Refusal): void {
    if (!this.#underWay || this.#underWay.id !== id) return;
    const { members, askers } = this.#underWay.batch;
    this.#underWay = undefined;
    const isExpired = code === "blocked" && endsWithProofOfLife(reason);
    this.#side.inbox.add({ members, askers: isExpired ? askers : [] });
    if (isExpired) return this.#handshake();
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
      incarnation: NO_INCARNATION,
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
    return this.#options.theyDialed ? "d" : "a";
  }
}
