/**
 * The session of one connection: which messages are valid when, and the requests of both sides.
 *
 * @module
 */

import type { Incarnation, Liveness, SummaryPart } from "../engine/types.ts";
import type { Member } from "./member.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../common/errors.ts";
import type { Ack, Gossip, Hello, Message, Push, Reconcile, Refusal, Reply, Suspect } from "./message.ts";
import { type LaterMessages, Outbox } from "./outbox.ts";
import { PeerRefused, refuse } from "./refusal.ts";
import { type Answer, type Question, Replies, type Request, Requests, UNKNOWN_ID } from "./requests.ts";
import { abortable } from "../common/runtime.ts";
import type { Verification } from "./verification.ts";
import { type GossipContent, type RequestOptions, type SessionOptions, verify } from "./session_host.ts";

/**
 * A duplex stream between a connection's two directions:
 * `connection.readable.pipeThrough(session).pipeTo(connection.writable)`. It answers the peer's requests
 * and sends this side's own. While the peer does not read, the session does not read from it either.
 */
export class Session {
  /** Takes the messages of the peer. */
  readonly writable: WritableStream<Message>;
  readonly #options: SessionOptions;
  readonly #outbox: Outbox;
  readonly #requests: Requests;
  readonly #replies = new Replies();
  #controller!: WritableStreamDefaultController;
  #hello: Hello | undefined;
  #reported: Hello | undefined;
  /** The content of the next push, while it waits to be sent. */
  #toPush: { readonly ids: Set<string>; relay: boolean } | undefined;
  #timeouts = 0;
  #usedMs: number;
  #ended: ConnectionClosed | undefined;
  #isOver = false;
  #closedByPeer = false;
  #cancelTimer: () => void = () => {};
  #verifying: Promise<Verification> | undefined;

  /** Makes a session. As the acceptor it starts the time limit of the first `hello`. */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.#requests = new Requests(options.role === "dialer" ? "d" : "a");
    this.#outbox = new Outbox({ onCancel: (reason) => this.over(reason) });
    this.#usedMs = options.runtime.monotonicMs();
    this.writable = new WritableStream<Message>({
      start: (controller) => {
        this.#controller = controller;
      },
      write: async (message) => {
        // One message after another, so that no message overtakes a message under verification.
        this.#verifying = this.#ended ? undefined : verify(message, this, options.host);
        const verification = this.#verifying && await this.#verifying;
        this.#verifying = undefined;
        this.#guard(() => this.#receive(message, verification));
        await this.#outbox.room();
      },
      close: () => this.over(undefined),
      abort: (reason) => this.over(reason),
    }, { highWaterMark: 1 });
    if (options.role === "acceptor") {
      const tooLate = () => this.end(CLOSE.noHello, "The handshake took too long.");
      this.#startTimer(tooLate, options.handshakeTimeout);
    }
  }

  /** Yields the messages to the peer. */
  get readable(): ReadableStream<Message> {
    return this.#outbox.readable;
  }

  get role(): "dialer" | "acceptor" {
    return this.#options.role;
  }

  get peer(): Member | undefined {
    return this.#hello?.member;
  }

  /** The peer's latest `hello`; `undefined` before the handshake. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  /** The peer's id; before the handshake the dialed id, if known. */
  get peerId(): string | undefined {
    return this.peer?.id ?? this.#options.dialedId;
  }

  get peerIncarnation(): Incarnation {
    return this.#hello?.incarnation ?? "";
  }

  /** This member's latest `hello` to the peer. */
  get reported(): Hello | undefined {
    return this.#reported;
  }

  /** True while a request of this side is under way, or the peer does not read. */
  get isBusy(): boolean {
    return this.#requests.isBusy || this.#outbox.isCongested;
  }

  get unsent(): number {
    return this.#outbox.length;
  }

  /** True if the session has ended, but this side did not end it. */
  get closedByPeer(): boolean {
    return this.#closedByPeer;
  }

  /** The time of the latest request of either side, by the monotonic clock. */
  get usedMs(): number {
    return this.#usedMs;
  }

  whenIdle(): Promise<void> {
    return this.#requests.whenIdle();
  }

  /** Shakes hands with the peer, the first time or again; resolves with its record. */
  async handshake(options: RequestOptions): Promise<Member> {
    const answer = await this.#ask({ kind: "hello" }, (id) => this.#helloUnder(id), options) as Hello;
    return answer.member;
  }

  /** Sends a delta; resolves once the reply is merged and acknowledged. */
  async gossip({ delta, sent, holds, liveness }: GossipContent, options: RequestOptions): Promise<void> {
    const memberId = this.#options.host.id;
    const message = { type: "gossip", memberId, delta, liveness, ...(holds.size > 0 && { holds }) } as const;
    await this.#ask({ kind: "gossip", sent }, (id) => ({ ...message, id }), options);
  }

  suspect(suspect: Omit<Suspect, "type">): void {
    if (this.#ended || !this.peer || this.#outbox.isCongested) return;
    this.#outbox.push({ type: "suspect", ...suspect });
  }

  /** Sends a heartbeat. Skipped if the peer reads slowly, because an older heartbeat is still unsent. */
  heartbeat(liveness: Liveness): void {
    if (this.#ended || !this.peer || this.#outbox.isCongested) return;
    this.#usedMs = this.#options.runtime.monotonicMs();
    this.#outbox.push({ type: "heartbeat", liveness });
  }

  /**
   * Sends the state of these members, without a reply. Members are added to a push that is still unsent, so that a slow
   * peer costs one message. Returns false if the peer reads too slowly: the next round sends the entries.
   */
  push(ids: Iterable<string>, { relay }: { readonly relay: boolean }): boolean {
    if (this.#ended || !this.peer) return true;
    if (this.#toPush) {
      for (const id of ids) this.#toPush.ids.add(id);
      this.#toPush.relay ||= relay;
      return true;
    }
    if (this.#outbox.isCongested) return false;
    this.#toPush = { ids: new Set(ids), relay };
    this.#outbox.push(() => this.#makePush());
    return true;
  }

  /** Sends the messages of an extension, each when no other message is unsent. Call it again for new messages. */
  sendLater(later: LaterMessages): void {
    if (this.#ended || !this.peer) return void later(true);
    this.#outbox.pushLater(later);
  }

  /** Sends a part of a comparison; resolves once the peer's answer is applied. */
  async reconcile(
    { part, last }: { readonly part: SummaryPart; readonly last: boolean },
    options: RequestOptions,
  ): Promise<void> {
    await this.#ask({ kind: "reconcile", last }, (id) => ({ type: "reconcile", id, part }), options);
  }

  /** Ends the session with a close code, after the unsent messages. */
  end(closeCode: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = new ConnectionClosed(closeCode, reason);
    this.#requests.takeUnderWay()?.answer.reject(this.#ended);
    this.#outbox.end(closeCode === CLOSE.done ? undefined : this.#ended);
    // A peer that no longer reads must not keep the connection open; the unsent messages are then dropped.
    // mutant replace-value: a third of the timeout serves as well.
    this.#startTimer(() => this.over(this.#ended), this.#options.requestTimeout / 2);
    this.#options.owner.ended(this);
  }

  /** Ends the session because this side stops or no longer needs it. */
  leave(reason: string): void {
    this.end(this.role === "dialer" ? CLOSE.goingAwayDialer : CLOSE.goingAway, reason);
  }

  /** Ends both directions now: the connection has ended, or must. Does nothing the second time. */
  over(reason: unknown): void {
    // A refusal under verification may be the reason of the close.
    if (this.#verifying) return void this.#verifying.catch(() => {}).then(() => this.over(reason));
    if (this.#isOver) return;
    this.#isOver = true;
    this.#closedByPeer = this.#ended === undefined;
    if (reason !== undefined) this.#outbox.abort(reason);
    const code = reason instanceof ConnectionClosed ? reason.closeCode : CLOSE.done;
    const why = reason instanceof Error ? reason.message : "The peer closed the connection.";
    this.#guard(() => this.end(code, why));
    this.#cancelTimer();
    if (reason !== undefined) this.#controller.error(reason);
  }

  async #ask(question: Question, make: (id: string) => Message, { signal }: RequestOptions): Promise<Answer> {
    signal.throwIfAborted();
    if (this.#ended) throw this.#ended;
    if (this.#outbox.isCongested) {
      throw new HearsayError("busy", "The peer takes messages too slowly; nothing was sent.");
    }
    const request = this.#requests.begin(question);
    this.#usedMs = this.#options.runtime.monotonicMs();
    const sent = make(request.id);
    // A request that timed out before it was sent is dropped: no code waits for its answer, and the peer may be blocked by
    // now. At the end of the session all unsent requests are still sent, because one may be the departure.
    this.#outbox.push(() => this.#requests.isLate(request) ? undefined : this.#noteHello(sent));
    try {
      return await abortable(request.answer.promise, signal);
    } catch (error) {
      if (signal.aborted) this.#onAborted(request, signal.reason);
      throw error;
    }
  }

  #onAborted(request: Request, reason: unknown): void {
    if (!this.#requests.expire(request)) return;
    if (!(reason instanceof HearsayError && reason.code === "timeout")) return;
    this.#timeouts++;
    if (!this.peer) this.end(CLOSE.noHello, "The handshake took too long.");
    else if (this.#timeouts >= 2) this.leave("Two requests in a row had no answer.");
  }

  #receive(message: Message, verification: Verification | undefined): void {
    if (this.#ended) return;
    if (message.type === "error") return this.#receiveRefusal(message, verification);
    if (!this.peer && message.type !== "hello") {
      return this.#invalid("Expected `hello` as the first message.");
    }
    switch (message.type) {
      case "unknown":
        return this.#options.owner.extra?.(this, message);
      case "hello":
        return this.#requests.isOwn(message.id)
          ? this.#receiveHelloAnswer(message)
          : this.#receiveHello(message);
      case "gossip":
        return this.#receiveGossip(message, verification);
      case "heartbeat":
        this.#usedMs = this.#options.runtime.monotonicMs();
        return this.#options.host.heartbeat(this, message.liveness);
      case "suspect":
        return this.#options.host.suspected(this, message);
      case "push":
        return this.#receivePush(message, verification);
      case "reply":
        return this.#receiveReply(message, verification);
      case "ack":
        return this.#receiveAck(message);
      case "reconcile":
        return this.#requests.isOwn(message.id)
          ? this.#receiveComparison(message)
          : this.#receiveReconcile(message);
    }
  }

  #receiveHello(hello: Hello): void {
    if (!this.#isNewRequest(hello.id)) return;
    if (!this.peer && this.role === "dialer") {
      return this.#invalid("Expected the answer to this side's `hello` first.");
    }
    if (!this.#samePeer(hello)) return;
    const verdict = this.#options.host.onHello(hello, { answering: false });
    if (verdict !== undefined && verdict !== "self") {
      this.#refuse(verdict, hello.id);
      return this.end(CLOSE.refused, verdict.message);
    }
    this.#outbox.push(this.#noteHello(this.#helloUnder(hello.id)));
    if (verdict === "self") return this.end(CLOSE.done, "Both sides are the same member.");
    this.#onHandshake(hello);
  }

  #receiveHelloAnswer(hello: Hello): void {
    const request = this.#take(hello.id, "hello");
    if (!request || !this.#samePeer(hello)) return;
    const verdict = this.#options.host.onHello(hello, { answering: true });
    if (verdict === "self") {
      request.answer.resolve(hello);
      return this.end(CLOSE.done, "Both sides are the same member.");
    }
    if (verdict) {
      request.answer.reject(new HearsayError("refused", `${verdict.message} Nothing was sent.`));
      this.#refuse(verdict);
      return this.end(CLOSE.refused, verdict.message);
    }
    this.#onHandshake(hello);
    request.answer.resolve(hello);
  }

  #onHandshake(hello: Hello): void {
    const isFirst = !this.#hello;
    this.#hello = hello;
    this.#usedMs = this.#options.runtime.monotonicMs();
    if (!isFirst) return;
    this.#cancelTimer();
    this.#options.owner.opened(this);
  }

  #receiveGossip(gossip: Gossip, verification: Verification | undefined): void {
    if (!this.#isNewRequest(gossip.id)) return;
    if (gossip.memberId !== this.peer!.id) return this.#invalid("`memberId` must be the peer's own id.");
    this.#usedMs = this.#options.runtime.monotonicMs();
    const answer = this.#options.host.gossiped(this, gossip, verification);
    if ("code" in answer) return this.#refuse(answer, gossip.id);
    const { delta, liveness, holds, sent } = answer;
    // A reply without entries needs no acknowledgement.
    if (delta.members.length > 0) this.#replies.add(gossip.id, sent);
    this.#outbox.push({ type: "reply", id: gossip.id, delta, liveness, holds });
  }

  #receivePush(push: Push, verification: Verification | undefined): void {
    const refusal = this.#options.host.pushed(this, push, verification);
    if (refusal) this.#refuse(refusal);
  }

  #makePush(): Push | undefined {
    const { ids, relay } = this.#toPush!;
    this.#toPush = undefined;
    const delta = this.#ended ? undefined : this.#options.host.toPush(this, ids);
    return delta && { type: "push", delta, relay };
  }

  #receiveReply(reply: Reply, verification: Verification | undefined): void {
    const request = this.#take(reply.id, "gossip");
    if (request?.question.kind !== "gossip") return;
    const versions = this.#options.host.replied(this, request.question.sent, { reply, verification });
    request.answer.resolve(reply);
    if (versions && "code" in versions) return this.#invalid(versions.message);
    const isToAcknowledge = reply.delta.members.length > 0 || (versions?.size ?? 0) > 0;
    if (versions && isToAcknowledge) this.#outbox.push({ type: "ack", id: reply.id, holds: versions });
  }

  #receiveAck(ack: Ack): void {
    // The content of a forgotten reply is sent again, so no entry is lost.
    const sent = this.#replies.take(ack.id);
    if (sent) return this.#options.host.acknowledged(this, sent, ack.holds);
    if (this.#requests.isOwn(ack.id)) this.#invalid("`ack` must have the id of a request of the peer.");
  }

  #receiveReconcile(question: Reconcile): void {
    if (!this.#isNewRequest(question.id)) return;
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

  #receiveRefusal(refusal: Refusal, verification: Verification | undefined): void {
    if (!this.peer && this.role === "acceptor") {
      return this.#invalid("Expected `hello` as the first message.");
    }
    const { id } = refusal;
    if (id !== undefined && !this.#requests.made(id)) return this.#invalid(UNKNOWN_ID);
    const request = id === undefined ? this.#requests.takeUnderWay() : this.#requests.take(id);
    this.#timeouts = 0;
    // `blocked` always answers a request, which may have timed out. Without a request it is ignored.
    if (refusal.code === "blocked" && id === undefined && !request) return;
    const invalid = this.#options.host.refused(this, refusal, verification);
    request?.answer.reject(new PeerRefused(refusal));
    if (invalid) return this.#invalid(invalid.message);
    if (!this.peer) this.leave("The handshake was refused.");
  }

  /** Removes and returns the request of an answer; `undefined` if it is no longer remembered. */
  #take(id: string, kind: Question["kind"]): Request | undefined {
    const { request, fault } = this.#requests.takeAnswer(id, kind);
    if (fault === undefined) {
      if (request) this.#timeouts = 0;
      return request;
    }
    this.#invalid(fault);
    request?.answer.reject(this.#ended);
    return undefined;
  }

  /**
   * True for a new request of the peer. A repeated or overtaken request is ignored: an acknowledgement could not
   * distinguish two replies under one id, and the peer sends the content again in a later request.
   */
  #isNewRequest(id: string): boolean {
    if (this.#requests.isOfPeer(id)) return this.#requests.acceptOfPeer(id);
    this.#invalid("The id must begin with d (dialer) or a (acceptor).");
    return false;
  }

  #samePeer(hello: Hello): boolean {
    if (!this.peer || this.peer.id === hello.member.id) return true;
    this.#invalid("The member's id must stay the same on a connection.");
    return false;
  }

  #helloUnder(id: string): Hello {
    const { host, owner } = this.#options;
    const capabilities = owner.capabilities?.() ?? [];
    return { type: "hello", id, ...host.hello(), capabilities };
  }

  /** Records a `hello` as reported once it is sent. A late request is never sent. */
  #noteHello<T extends Message>(sent: T): T {
    if (sent.type === "hello") this.#reported = sent;
    return sent;
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

  /** Runs code of the host. An error in it is this member's own fault, not the peer's. */
  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#options.host.failed(error);
    }
  }
}
