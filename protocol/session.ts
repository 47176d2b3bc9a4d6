/**
 * One connection's conversation: who may say what when, and what it is taken for.
 *
 * @module
 */

import type { Sent } from "../engine/engine.ts";
import type {
  Delta,
  Incarnation,
  KnownVersions,
  Liveness,
  PartialDelta,
  SummaryPart,
} from "../engine/types.ts";
import type { Member } from "./member.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../common/errors.ts";
import type { Ack, Gossip, Hello, Message, Push, Reconcile, Refusal, Reply, Suspect } from "./message.ts";
import { Outbox } from "./outbox.ts";
import { PeerRefused, refuse } from "./refusal.ts";
import { type Answer, type Question, type Request, Requests } from "./requests.ts";
import { abortable, type Runtime } from "../common/runtime.ts";
import type { Examined } from "./examined.ts";

/** How many replies that were not acknowledged are remembered. */
export const MAX_UNACKNOWLEDGED = 8;

/** What answers a peer's gossip. */
export interface GossipAnswer {
  readonly delta: Delta;
  readonly liveness: Liveness;
  readonly holds: KnownVersions;
  readonly sent: Sent;
}

/** Whoever knows what to say: a session knows only when it may be said. */
export interface SessionHost {
  /** This member's id. */
  readonly id: string;
  /** This member's greeting, but for the request's id. */
  hello(): Omit<Hello, "type" | "id">;
  /**
   * A peer greeted; `answering` this member's own greeting, or of itself. Returns why it is refused,
   * `"self"` where the peer is this very gossiper, and `undefined` where it is let in.
   */
  greeted(hello: Hello, options: { readonly answering: boolean }): Refusal | "self" | undefined;
  /** Both sides have greeted each other for the first time. */
  opened(session: Session): void;
  /** Where members sign what they set: verifies what a peer tells, before anything is done with it. */
  readonly examine?: (session: Session, message: Gossip | Push | Reply | Refusal) => Promise<Examined>;
  /** The entries to push to the peer; `undefined` where it needs none of these members. */
  toPush(session: Session, ids: Iterable<string>): PartialDelta | undefined;
  /** The peer suspects a member, or says that it lives. */
  suspected(session: Session, suspect: Suspect): void;
  /** The peer said who is alive. */
  heartbeat(session: Session, liveness: Liveness): void;
  /** Takes what the peer pushed; a refusal where it is invalid. */
  pushed(session: Session, push: Push, examined?: Examined): Refusal | undefined;
  gossiped(session: Session, gossip: Gossip, examined?: Examined): GossipAnswer | Refusal;
  /** Returns what to acknowledge the reply with; `undefined` where it was not taken, a refusal where it is invalid. */
  replied(
    session: Session,
    sent: Sent,
    told: { readonly reply: Reply; readonly examined: Examined | undefined },
  ): KnownVersions | Refusal | undefined;
  acknowledged(session: Session, sent: Sent, holds: KnownVersions): void;
  compare(session: Session, part: SummaryPart): SummaryPart | Refusal;
  compared(session: Session, part: SummaryPart, options: { readonly last: boolean }): void;
  /** The peer refused a request, or the connection; returns a refusal where it is invalid. */
  refused(session: Session, refusal: Refusal, examined?: Examined): Refusal | undefined;
  /** The session takes no more requests. */
  ended(session: Session): void;
  /** The host itself threw: an invariant is broken. */
  failed(error: unknown): void;
}

/** What a session is made of. */
export interface SessionOptions {
  /** Whether this side opened the connection. */
  readonly role: "dialler" | "acceptor";
  readonly host: SessionHost;
  readonly runtime: Runtime;
  /** Either side waits half as long for a close to come through. */
  readonly requestTimeout: number;
  /** How long the accepting side waits for a greeting. */
  readonly greetingTimeout: number;
  /** The id of the member that was dialled, where it was one: who answers may be another. */
  readonly dialledId?: string | undefined;
}

/** What a request may take. */
export interface RequestOptions {
  /** Ends the waiting; a reply that comes later still counts. */
  readonly signal: AbortSignal;
}

/**
 * A duplex stream between a connection's two directions:
 * `connection.readable.pipeThrough(session).pipeTo(connection.writable)`. It answers the peer's requests
 * and sends this side's own; while the peer does not take what is sent, it is not listened to either.
 */
export class Session {
  /** What the peer says goes in here. */
  readonly writable: WritableStream<Message>;
  readonly #options: SessionOptions;
  readonly #outbox: Outbox;
  readonly #requests: Requests;
  readonly #unacknowledged = new Map<string, Sent>();
  #controller!: WritableStreamDefaultController;
  #peer: Member | undefined;
  #peerIncarnation: Incarnation = "";
  #reportedIncarnation: Incarnation = "";
  /** The number of the peer's latest request. */
  #lastAsked = -1;
  /** What the next push is to carry, while one waits to be sent. */
  #toPush: { readonly ids: Set<string>; relay: boolean } | undefined;
  #timeouts = 0;
  #usedMs: number;
  #ended: ConnectionClosed | undefined;
  #isOver = false;
  #closedByPeer = false;
  #cancelTimer: () => void = () => {};

  /** Makes a session; the accepting side begins to wait for a greeting. */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.#requests = new Requests(options.role === "dialler" ? "d" : "a");
    this.#outbox = new Outbox({ onCancel: (reason) => this.over(reason) });
    this.#usedMs = options.runtime.monotonicMs();
    this.writable = new WritableStream<Message>({
      start: (controller) => {
        this.#controller = controller;
      },
      write: async (message) => {
        // One message after another: none overtakes one that is being looked at.
        const examining = this.#examine(message);
        const examined = examining && await examining;
        this.#guard(() => this.#receive(message, examined));
        await this.#outbox.room();
      },
      close: () => this.over(undefined),
      abort: (reason) => this.over(reason),
    }, { highWaterMark: 1 });
    if (options.role === "acceptor") {
      const tooLate = () => this.end(CLOSE.noHello, "No greeting came in time.");
      this.#startTimer(tooLate, options.greetingTimeout);
    }
  }

  /** What this side says comes out here. */
  get readable(): ReadableStream<Message> {
    return this.#outbox.readable;
  }

  /** Whether this side opened the connection. */
  get role(): "dialler" | "acceptor" {
    return this.#options.role;
  }

  /** The peer, once it has greeted. */
  get peer(): Member | undefined {
    return this.#peer;
  }

  /** Who the peer is, or else who was dialled: for what comes before the greeting. */
  get peerId(): string | undefined {
    return this.#peer?.id ?? this.#options.dialledId;
  }

  /** The peer's life, as it last said. */
  get peerIncarnation(): Incarnation {
    return this.#peerIncarnation;
  }

  /** The life of this member that the peer was last told in a greeting. */
  get reportedIncarnation(): Incarnation {
    return this.#reportedIncarnation;
  }

  /** Whether a request of this side is under way, or what was sent is not being taken. */
  get isBusy(): boolean {
    return this.#requests.isBusy || this.#outbox.isCongested;
  }

  /** Whether it is over, and it was not this side that ended it. */
  get closedByPeer(): boolean {
    return this.#closedByPeer;
  }

  /** When either side last asked for something, by the monotonic clock. */
  get usedMs(): number {
    return this.#usedMs;
  }

  /** Resolves when no request of this side is under way. */
  whenIdle(): Promise<void> {
    return this.#requests.whenIdle();
  }

  /** Greets the peer, for the first time or anew; resolves with its record when it has answered. */
  async greet(options: RequestOptions): Promise<Member> {
    const answer = await this.#ask({ kind: "hello" }, (id) => this.#helloUnder(id), options) as Hello;
    return answer.member;
  }

  /** Sends a delta; resolves when the reply has been merged and acknowledged. */
  async gossip(
    { delta, sent, holds, liveness }: {
      readonly delta: Delta;
      readonly sent: Sent;
      readonly holds: KnownVersions;
      readonly liveness: Liveness;
    },
    options: RequestOptions,
  ): Promise<void> {
    const memberId = this.#options.host.id;
    const message = { type: "gossip", memberId, delta, liveness, ...(holds.size > 0 && { holds }) } as const;
    await this.#ask({ kind: "gossip", sent }, (id) => ({ ...message, id }), options);
  }

  /** Sends a suspicion, or the answer to one. */
  suspect(suspect: Omit<Suspect, "type">): void {
    if (this.#ended || !this.#peer || this.#outbox.isCongested) return;
    this.#outbox.push({ type: "suspect", ...suspect });
  }

  /** Sends a heartbeat, unless the peer takes what it is sent too slowly: then an older one still waits. */
  heartbeat(liveness: Liveness): void {
    if (this.#ended || !this.#peer || this.#outbox.isCongested) return;
    this.#usedMs = this.#options.runtime.monotonicMs();
    this.#outbox.push({ type: "heartbeat", liveness });
  }

  /**
   * Sends the state of these members without an answer. While one push waits for the peer, the next ones join it, so
   * that a peer that reads slowly costs one message.
   */
  push(ids: Iterable<string>, { relay }: { readonly relay: boolean }): void {
    if (this.#ended || !this.#peer) return;
    if (this.#toPush) {
      for (const id of ids) this.#toPush.ids.add(id);
      this.#toPush.relay ||= relay;
      return;
    }
    // The next round brings the peer what it misses.
    if (this.#outbox.isCongested) return;
    this.#toPush = { ids: new Set(ids), relay };
    this.#outbox.push(() => this.#makePush());
  }

  /** Compares a part of what both hold; resolves when the peer's side of it has been applied. */
  async reconcile(
    { part, last }: { readonly part: SummaryPart; readonly last: boolean },
    options: RequestOptions,
  ): Promise<void> {
    await this.#ask({ kind: "reconcile", last }, (id) => ({ type: "reconcile", id, part }), options);
  }

  /** Ends the session with a close code, after what was already said. */
  end(closeCode: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = new ConnectionClosed(closeCode, reason);
    this.#requests.takeUnderWay()?.answer.reject(this.#ended);
    this.#outbox.end(closeCode === CLOSE.done ? undefined : this.#ended);
    // A peer that takes nothing any more must not hold the connection: what was said is then dropped.
    // mutant replace-value: a third of the timeout would do as well.
    this.#startTimer(() => this.over(this.#ended), this.#options.requestTimeout / 2);
    this.#options.host.ended(this);
  }

  /** Ends the session because this side goes away, or has no more use for it. */
  leave(reason: string): void {
    this.end(this.role === "dialler" ? CLOSE.goingAwayDialler : CLOSE.goingAway, reason);
  }

  /** The connection is over, or has to be: nothing more goes in or out. Does nothing the second time. */
  over(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#closedByPeer = this.#ended === undefined;
    if (reason !== undefined) this.#outbox.abort(reason);
    const code = reason instanceof ConnectionClosed ? reason.closeCode : CLOSE.done;
    this.#guard(() =>
      this.end(code, reason instanceof Error ? reason.message : "The peer closed the connection.")
    );
    this.#cancelTimer();
    if (reason !== undefined) this.#controller.error(reason);
  }

  async #ask(
    question: Question,
    message: (id: string) => Message,
    { signal }: RequestOptions,
  ): Promise<Answer> {
    signal.throwIfAborted();
    if (this.#ended) throw this.#ended;
    if (this.#outbox.isCongested) {
      throw new HearsayError("busy", "The peer takes messages too slowly; nothing was sent.");
    }
    const request = this.#requests.begin(question);
    this.#usedMs = this.#options.runtime.monotonicMs();
    this.#outbox.push(message(request.id));
    try {
      return await abortable(request.answer.promise, signal);
    } catch (error) {
      if (signal.aborted) this.#gaveUp(request, signal.reason);
      throw error;
    }
  }

  #gaveUp(request: Request, reason: unknown): void {
    if (!this.#requests.expire(request)) return;
    if (!(reason instanceof HearsayError && reason.code === "timeout")) return;
    this.#timeouts++;
    if (!this.#peer) this.end(CLOSE.noHello, "The greeting was not answered in time.");
    else if (this.#timeouts >= 2) this.leave("Two requests in a row were not answered in time.");
  }

  /** What is found out about a message before it is heeded; nothing, and at once, where that needs no time. */
  #examine(message: Message): Promise<Examined> | undefined {
    const { host } = this.#options;
    if (!host.examine || this.#ended) return undefined;
    if (message.type === "error") return message.state && host.examine(this, message);
    const hasEntries = message.type === "gossip" || message.type === "push" || message.type === "reply";
    return hasEntries && this.#peer ? host.examine(this, message) : undefined;
  }

  #receive(message: Message, examined: Examined | undefined): void {
    if (this.#ended) return;
    if (message.type === "error") return this.#receiveRefusal(message, examined);
    if (!this.#peer && message.type !== "hello") {
      return this.#invalid("Whoever has not greeted has nothing else to say.");
    }
    switch (message.type) {
      // A later version of the protocol may have messages that this one does not know.
      case "unknown":
        return;
      case "hello":
        return this.#isOwn(message.id) ? this.#receiveHelloAnswer(message) : this.#receiveHello(message);
      case "gossip":
        return this.#receiveGossip(message, examined);
      case "heartbeat":
        this.#usedMs = this.#options.runtime.monotonicMs();
        return this.#options.host.heartbeat(this, message.liveness);
      case "suspect":
        return this.#options.host.suspected(this, message);
      case "push":
        return this.#receivePush(message, examined);
      case "reply":
        return this.#receiveReply(message, examined);
      case "ack":
        return this.#receiveAck(message);
      case "reconcile":
        return this.#isOwn(message.id) ? this.#receiveComparison(message) : this.#receiveReconcile(message);
    }
  }

  #receiveHello(hello: Hello): void {
    if (!this.#isQuestion(hello.id)) return;
    if (!this.#peer && this.role === "dialler") {
      return this.#invalid("The accepting side answers a greeting first.");
    }
    if (!this.#samePeer(hello)) return;
    const verdict = this.#options.host.greeted(hello, { answering: false });
    if (verdict !== undefined && verdict !== "self") {
      this.#refuse(verdict, hello.id);
      return this.end(CLOSE.refused, verdict.message);
    }
    this.#outbox.push(this.#helloUnder(hello.id));
    if (verdict === "self") return this.end(CLOSE.done, "This is the same member.");
    this.#welcome(hello);
  }

  #receiveHelloAnswer(hello: Hello): void {
    const request = this.#take(hello.id, "hello");
    if (!request || !this.#samePeer(hello)) return;
    const verdict = this.#options.host.greeted(hello, { answering: true });
    if (verdict === "self") {
      request.answer.resolve(hello);
      return this.end(CLOSE.done, "This is the same member.");
    }
    if (verdict) {
      request.answer.reject(new HearsayError("refused", `${verdict.message} Nothing was sent.`));
      this.#refuse(verdict);
      return this.end(CLOSE.refused, verdict.message);
    }
    this.#welcome(hello);
    request.answer.resolve(hello);
  }

  #welcome(hello: Hello): void {
    const isFirst = this.#peer === undefined;
    this.#peer = hello.member;
    this.#peerIncarnation = hello.incarnation;
    this.#usedMs = this.#options.runtime.monotonicMs();
    if (!isFirst) return;
    this.#cancelTimer();
    this.#options.host.opened(this);
  }

  #receiveGossip(gossip: Gossip, examined: Examined | undefined): void {
    if (!this.#isQuestion(gossip.id)) return;
    if (gossip.memberId !== this.#peer!.id) return this.#invalid("A member gossips in its own name only.");
    this.#usedMs = this.#options.runtime.monotonicMs();
    const answer = this.#options.host.gossiped(this, gossip, examined);
    if ("code" in answer) return this.#refuse(answer, gossip.id);
    const { delta, liveness, holds, sent } = answer;
    // Without entries there is nothing to acknowledge.
    if (delta.members.length > 0) this.#unacknowledged.set(gossip.id, sent);
    if (this.#unacknowledged.size > MAX_UNACKNOWLEDGED) {
      this.#unacknowledged.delete(this.#unacknowledged.keys().next().value!);
    }
    this.#outbox.push({ type: "reply", id: gossip.id, delta, liveness, holds });
  }

  #receivePush(push: Push, examined: Examined | undefined): void {
    const refusal = this.#options.host.pushed(this, push, examined);
    if (refusal) this.#refuse(refusal);
  }

  #makePush(): Push | undefined {
    const { ids, relay } = this.#toPush!;
    this.#toPush = undefined;
    if (this.#ended) return undefined;
    const delta = this.#options.host.toPush(this, ids);
    return delta && { type: "push", delta, relay };
  }

  #receiveReply(reply: Reply, examined: Examined | undefined): void {
    const request = this.#take(reply.id, "gossip");
    if (request?.question.kind !== "gossip") return;
    const holds = this.#options.host.replied(this, request.question.sent, { reply, examined });
    request.answer.resolve(reply);
    if (holds && "code" in holds) return this.#invalid(holds.message);
    const isToAcknowledge = reply.delta.members.length > 0 || (holds?.size ?? 0) > 0;
    if (holds && isToAcknowledge) this.#outbox.push({ type: "ack", id: reply.id, holds });
  }

  #receiveAck(ack: Ack): void {
    // What is not remembered any more is sent again in time; nothing is lost.
    const sent = this.#unacknowledged.get(ack.id);
    if (!sent) {
      return void (this.#isOwn(ack.id) && this.#invalid("One does not acknowledge one's own reply."));
    }
    this.#unacknowledged.delete(ack.id);
    this.#options.host.acknowledged(this, sent, ack.holds);
  }

  #receiveReconcile(question: Reconcile): void {
    if (!this.#isQuestion(question.id)) return;
    this.#usedMs = this.#options.runtime.monotonicMs();
    const answer = this.#options.host.compare(this, question.part);
    if ("code" in answer) return this.#refuse(answer, question.id);
    this.#outbox.push({ type: "reconcile", id: question.id, part: answer });
  }

  #receiveComparison(answer: Reconcile): void {
    const request = this.#take(answer.id, "reconcile");
    if (request?.question.kind !== "reconcile") return;
    this.#options.host.compared(this, answer.part, { last: request.question.last });
    request.answer.resolve(answer);
  }

  #receiveRefusal(refusal: Refusal, examined: Examined | undefined): void {
    if (!this.#peer && this.role === "acceptor") {
      return this.#invalid("Whoever has not greeted has nothing else to say.");
    }
    if (refusal.id !== undefined && !this.#requests.made(refusal.id)) {
      return this.#invalid("Nothing was asked under that id.");
    }
    const request = refusal.id === undefined
      ? this.#requests.takeUnderWay()
      : this.#requests.take(refusal.id);
    this.#timeouts = 0;
    const invalid = this.#options.host.refused(this, refusal, examined);
    request?.answer.reject(new PeerRefused(refusal));
    if (invalid) return this.#invalid(invalid.message);
    if (!this.#peer) this.leave("The greeting was refused.");
  }

  /** The own request that an answer belongs to; none where that is long ago. */
  #take(id: string, kind: Question["kind"]): Request | undefined {
    if (!this.#requests.made(id)) {
      this.#invalid("Nothing was asked under that id.");
      return undefined;
    }
    const request = this.#requests.take(id);
    if (!request) return undefined;
    if (request.question.kind !== kind) {
      this.#invalid("That is no answer to what was asked.");
      request.answer.reject(this.#ended);
      return undefined;
    }
    this.#timeouts = 0;
    return request;
  }

  #isOwn(id: string): boolean {
    return id.startsWith(this.role === "dialler" ? "d" : "a");
  }

  /**
   * Whether the peer asks something new. A request that comes twice, or after a later one, is passed over:
   * two answers under one id could not be told apart by what acknowledges them, and whatever it was to
   * tell is told again.
   */
  #isQuestion(id: string): boolean {
    if (!/^[da][0-9]{1,15}$/.test(id) || this.#isOwn(id)) {
      this.#invalid("A request's id begins with d from the dialler and with a from the other side.");
      return false;
    }
    const number = Number(id.slice(1));
    if (number <= this.#lastAsked) return false;
    this.#lastAsked = number;
    return true;
  }

  #samePeer(hello: Hello): boolean {
    if (!this.#peer || this.#peer.id === hello.member.id) return true;
    this.#invalid("A member keeps its id for as long as the connection lasts.");
    return false;
  }

  #helloUnder(id: string): Hello {
    const hello: Hello = { type: "hello", id, ...this.#options.host.hello() };
    this.#reportedIncarnation = hello.incarnation;
    return hello;
  }

  #refuse(refusal: Refusal, id?: string): void {
    this.#outbox.push(id === undefined ? refusal : { ...refusal, id });
    if (refusal.code === "invalid") this.end(CLOSE.invalid, refusal.message);
  }

  #invalid(message: string): void {
    this.#refuse(refuse("invalid", message));
  }

  #startTimer(callback: () => void, delayMs: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.runtime.setTimer(delayMs, callback);
  }

  /** Whatever the host throws is the gossiper's own fault, and not the peer's. */
  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#options.host.failed(error);
    }
  }
}
