/**
 * The messages over one open connection: their queue, their window, and their numbers.
 *
 * @module
 */

import { utf8Length } from "../engine/json.ts";
import type { Runtime } from "../common/runtime.ts";
import { BYTES_PER_UNIT, TokenBucket } from "../common/token_bucket.ts";
import type { UnknownMessage } from "../protocol/message.ts";
import type { Session } from "../protocol/session.ts";
import {
  BYTES_PER_CONFIRM,
  MAX_MESSAGE_BYTES,
  MAX_UNSENT,
  MAX_UNSENT_BYTES,
  MESSAGES_PER_CONFIRM,
  RATE_DIVISOR,
  SIZE_DIVISOR,
  WINDOW_BYTES,
  WINDOW_MESSAGES,
  WINDOW_TIMEOUTS,
} from "./limits.ts";
import { CAPABILITY, type Content, type Numbered, takenOf, wireMessage } from "./wire.ts";

/** The bytes that the number and the flag add to a message. */
const HEAD_BYTES = 64;
/** A dialer sends a ping beside a message of this size and more, in bytes; the peer counts both. */
const PINGED_BYTES = 1_024;

/**
 * The bytes of a message that its content leaves free. 128: the type, the number and the flag fit, so that no content
 * that this limit admits is skipped for its number.
 */
const RESERVED_BYTES = 2 * HEAD_BYTES;

/** The largest message to a peer, in bytes, by the `maxMessageBytes` of both sides. */
export function maxBytesOf(theirs: number | undefined, ours: number): number {
  return Math.min(MAX_MESSAGE_BYTES, Math.min(theirs ?? Infinity, ours) / SIZE_DIVISOR);
}

/** The largest content of a message that a call accepts, in bytes, by the `maxMessageBytes` of both sides. */
export function maxContentBytesOf(theirs: number | undefined, ours: number): number {
  return maxBytesOf(theirs, ours) - RESERVED_BYTES;
}

/** The reason for a message that was not sent. */
export type Unsent = "blocked" | "congested" | "disconnected" | "too_large" | "unsupported";

/** The outcome of a message: sent, or the reason why not. */
export type SendOutcome = Unsent | "sent";

/** The dependencies of a {@linkcode Channel}. */
export interface ChannelOptions {
  readonly session: Session;
  readonly runtime: Runtime;
  /** True while this member may send to the peer. */
  readonly maySend: () => boolean;
  readonly settings: {
    readonly gossipRequestTimeout: number;
    readonly maxMessageBytes: number;
    readonly maxMessagesPerSecond: number;
  };
}

interface Waiting {
  readonly content: Content;
  readonly bytes: number;
  readonly settle: (outcome: SendOutcome) => void;
}

/**
 * Sends each message at most once, when the connection has nothing else to send. The peer says which messages it took;
 * beyond the window this side waits. So messages neither delay heartbeats nor fill the memory of the peer.
 */
export class Channel {
  readonly #options: ChannelOptions;
  readonly #bucket: TokenBucket;
  readonly #msPerToken: number;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #sent = 0;
  /** The messages on the way, in order. */
  #onTheWay: { readonly number: number; readonly bytes: number }[] = [];
  #onTheWayBytes = 0;
  /** The messages and bytes since the peer was last asked to confirm. */
  #unasked = { messages: 0, bytes: 0 };
  #lastSentMs = -Infinity;
  #received = 0;
  #toConfirm: number | undefined;
  #cancelTimer: (() => void) | undefined;
  readonly #onOver = new Set<() => void>();
  #isOver = false;
  readonly #next = (isOver: boolean) => isOver ? this.#end() : this.#take();

  /** Makes a channel over an open session. */
  constructor(options: ChannelOptions) {
    this.#options = options;
    const { runtime, settings } = options;
    // One message of the largest size must fit.
    const perSecond = Math.max(8, settings.maxMessagesPerSecond / RATE_DIVISOR);
    this.#bucket = new TokenBucket(perSecond, runtime);
    this.#msPerToken = 1_000 / perSecond;
  }

  /** Calls back when the connection has ended, or at once if it has; returns a function that removes the callback. */
  onOver(callback: () => void): () => void {
    if (this.#isOver) callback();
    else {
      this.#onOver.add(callback);
      // The session then reports its end, even if nothing is to be sent.
      this.#options.session.sendLater(this.#next);
    }
    return () => this.#onOver.delete(callback);
  }

  /** Queues a message; resolves once it was sent or will not be. An abort of the signal removes it as `congested`. */
  async send(content: Content, { signal }: { readonly signal?: AbortSignal } = {}): Promise<SendOutcome> {
    const { session, settings } = this.#options;
    const { hello } = session;
    // An asker takes answers, but its question may come before the handshake that says so.
    const isTaken = content.type === "answer" || hello?.capabilities.includes(CAPABILITY);
    if (!hello || !isTaken) return "unsupported";
    if (signal?.aborted) return "congested";
    const bytes = utf8Length(content.text) + HEAD_BYTES;
    if (bytes > maxBytesOf(hello.settings?.maxMessageBytes, settings.maxMessageBytes)) return "too_large";
    if (this.#queue.length >= MAX_UNSENT || this.#queuedBytes + bytes > MAX_UNSENT_BYTES) return "congested";
    const { promise, resolve } = Promise.withResolvers<SendOutcome>();
    const waiting = { content, bytes, settle: resolve };
    this.#queue.push(waiting);
    this.#queuedBytes += bytes;
    const giveUp = () => this.#remove(waiting);
    signal?.addEventListener("abort", giveUp);
    session.sendLater(this.#next);
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Records a message of the peer. Returns false for a repeated or overtaken message, which must not count. */
  receive({ number, confirm }: Numbered): boolean {
    const isNew = number > this.#received;
    if (isNew) this.#received = number;
    if (confirm) {
      this.#toConfirm = this.#received;
      this.#options.session.sendLater(this.#next);
    }
    return isNew;
  }

  /** Records that the peer took all messages up to a number. */
  taken(number: number): void {
    while (this.#onTheWay.length > 0 && this.#onTheWay[0]!.number <= number) {
      this.#forgetOldest();
    }
    if (this.#queue.length > 0) this.#options.session.sendLater(this.#next);
  }

  #take(): UnknownMessage | undefined {
    if (this.#toConfirm !== undefined) {
      const number = this.#toConfirm;
      this.#toConfirm = undefined;
      return takenOf(number);
    }
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      if (this.#options.maySend()) return this.#isDue(first) ? this.#send(first) : undefined;
      this.#drop(first, "blocked");
    }
    return undefined;
  }

  /** True if the window and the rate have room for the message. */
  #isDue({ bytes }: Waiting): boolean {
    const { runtime, settings } = this.#options;
    if (this.#isFullFor(bytes)) {
      const silentMs = runtime.monotonicMs() - this.#lastSentMs;
      if (silentMs < WINDOW_TIMEOUTS * settings.gossipRequestTimeout) return false;
      // The confirmation was lost: one more message asks for another confirmation.
      while (this.#isFullFor(bytes)) this.#forgetOldest();
      this.#unasked.messages = WINDOW_MESSAGES;
    }
    const cost = Math.max(bytes, bytes >= PINGED_BYTES ? 2 * BYTES_PER_UNIT : 0);
    if (this.#bucket.take(cost)) return true;
    this.#cancelTimer ??= runtime.setTimer(Math.ceil(this.#msPerToken), () => {
      this.#cancelTimer = undefined;
      this.#options.session.sendLater(this.#next);
    });
    return false;
  }

  #isFullFor(bytes: number): boolean {
    return this.#onTheWay.length >= WINDOW_MESSAGES || this.#onTheWayBytes + bytes > WINDOW_BYTES;
  }

  #forgetOldest(): void {
    this.#onTheWayBytes -= this.#onTheWay.shift()!.bytes;
  }

  #send(first: Waiting): UnknownMessage {
    const { bytes } = first;
    this.#drop(first, "sent");
    const number = ++this.#sent;
    this.#onTheWay.push({ number, bytes });
    this.#onTheWayBytes += bytes;
    this.#lastSentMs = this.#options.runtime.monotonicMs();
    const messages = this.#unasked.messages + 1;
    const confirm = messages >= MESSAGES_PER_CONFIRM || this.#unasked.bytes + bytes >= BYTES_PER_CONFIRM;
    this.#unasked = confirm ? { messages: 0, bytes: 0 } : { messages, bytes: this.#unasked.bytes + bytes };
    return wireMessage(first.content, { number, confirm });
  }

  /** Removes a message whose time is up. */
  #remove(waiting: Waiting): void {
    if (this.#queue.includes(waiting)) this.#drop(waiting, "congested");
  }

  #drop(waiting: Waiting, outcome: SendOutcome): void {
    this.#queue.splice(this.#queue.indexOf(waiting), 1);
    this.#queuedBytes -= waiting.bytes;
    waiting.settle(outcome);
  }

  #end(): undefined {
    this.#isOver = true;
    this.#cancelTimer?.();
    for (const { settle } of this.#queue) settle("disconnected");
    this.#queue = [];
    for (const callback of [...this.#onOver]) callback();
    this.#onOver.clear();
    return undefined;
  }
}
