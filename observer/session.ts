/**
 * One observer of a member: its requests, answers and subscriptions. All of these are bounded, and leave most of the
 * processor to gossip.
 *
 * @module
 */

import { errorText } from "../common/error_text.ts";
import { CLOSE, HearsayError } from "../common/errors.ts";
import { type Runtime, sleep } from "../common/runtime.ts";
import { TokenBucket } from "../common/token_bucket.ts";
import { VERSION } from "../common/version.ts";
import { insightOf } from "../gossiper/gossiper.ts";
import { OLDEST_VERSION, PROTOCOL_VERSION, type Refusal } from "../protocol/message.ts";
import type { ObserverClient } from "../transport/web_socket/observers.ts";
import type { Socket } from "../transport/web_socket/platform.ts";
import { answerTo, RequestRefused } from "./answers.ts";
import { closeSocket, type Observed, type Served } from "./door.ts";
import {
  HIGH_WATER_BYTES,
  MAX_REQUEST_LENGTH,
  MAX_REQUESTS_PER_SECOND,
  MAX_SUBSCRIPTIONS,
  MAX_WAITING_REQUESTS,
  MAX_WATCHED_BYTES,
  OBSERVER_IDLE_MS,
  plain,
  STALLED_MS,
  type Welcome,
} from "./protocol.ts";
import { streamOf, watchedBytes } from "./subscriptions.ts";

/** The time between two checks of a socket for room, in milliseconds. */
const ROOM_POLL_MS = 50;
/**
 * The time between two checks of the size of a slow observer's watched values, in milliseconds. 1 s: a check reads the
 * texts of all these values.
 */
const WEIGH_MS = 1_000;
/** The least work, in milliseconds, after which a rest follows. */
const REST_FROM_MS = 2;
/**
 * The length of a rest, as a multiple of the work before it. 15: eight observers together take at most half of the
 * time.
 */
const RESTS = 15;
/**
 * The longest rest, in milliseconds: the rest after 2 s of work. Shorter: eight observers of a large state could stop
 * the member.
 */
const MAX_REST_MS = 30_000;
/** The requests that a token for reading may make, beside subscriptions to a key. */
const FOR_READERS: ReadonlySet<string> = new Set([
  ...[
    "amounts",
    "explain",
    "hello",
    "member",
    "members",
    "ping",
    "seenBy",
    "set",
    "snapshot",
    "unsubscribe",
    "values",
  ],
]);

/** The parts of an {@linkcode ObserverSession}. */
export interface SessionOptions {
  readonly observed: Observed;
  readonly client: ObserverClient;
  /** The messages that came while this code was loaded. */
  readonly early: readonly unknown[];
  /** Called when the socket has ended without an event. */
  readonly over: () => void;
}

/** A request with a checked id. Its other fields are not checked yet. */
export interface Asked {
  readonly id: number;
  readonly ask: string;
  readonly [name: string]: unknown;
}

interface Subscription {
  readonly stop: AbortController;
  /** The watched key; `undefined` for events. */
  readonly key: string | undefined;
}

/** Serves one observer. */
export class ObserverSession implements Served {
  readonly #socket: Socket;
  readonly #options: SessionOptions;
  readonly #runtime: Runtime;
  readonly #rate: TokenBucket;
  readonly #ending = new AbortController();
  readonly #waiting: Asked[] = [];
  readonly #subscriptions = new Map<number, Subscription>();
  #isAnswering = false;
  #heardMs: number;
  #weighedMs = -Infinity;

  /** Takes over an open socket. */
  constructor(socket: Socket, options: SessionOptions) {
    const { observed: { runtime }, client: { guard } } = options;
    this.#socket = socket;
    this.#options = options;
    this.#runtime = runtime;
    this.#rate = new TokenBucket(MAX_REQUESTS_PER_SECOND, runtime);
    this.#heardMs = runtime.monotonicMs();
    const { signal } = this.#ending;
    socket.addEventListener("message", ({ data }) => this.#receive(data), { signal });
    const withdraw = () => this.end(CLOSE.unauthorized, "The key of this connection was withdrawn.");
    guard?.signal.addEventListener("abort", withdraw, { signal });
    if (guard?.signal.aborted) withdraw();
    void this.#watchSilence();
    for (const data of options.early) this.#receive(data);
  }

  end(code: number, reason: string): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(new HearsayError("stopped", "The observer is gone."));
    this.#waiting.length = 0;
    const { over } = this.#options;
    closeSocket(this.#socket, this.#runtime, { code, reason, over });
  }

  async #welcome(): Promise<Welcome> {
    const { observed, client: { guard } } = this.#options;
    const { node, runtime } = observed;
    const proof = guard && await proofOf(guard);
    return {
      version: VERSION,
      protocol: { latest: PROTOCOL_VERSION, oldest: OLDEST_VERSION },
      self: node.id,
      cluster: insightOf(node).cluster,
      wallMs: runtime.wallMs(),
      maySet: this.#maySet,
      ...(proof !== undefined && { proof }),
    };
  }

  get #maySet(): boolean {
    const { observed: { maySet }, client: { isReader } } = this.#options;
    return maySet && !isReader;
  }

  async #watchSilence(): Promise<void> {
    const { signal } = this.#ending;
    try {
      for (;;) {
        const leftMs = this.#heardMs + OBSERVER_IDLE_MS - this.#runtime.monotonicMs();
        if (leftMs <= 0) break;
        await sleep(this.#runtime, leftMs, { signal });
      }
    } catch {
      return;
    }
    this.end(CLOSE.goingAway, "The observer sent nothing for long.");
  }

  /** Must not throw: an exception in a listener would end the process. */
  #receive(data: unknown): void {
    this.#heardMs = this.#runtime.monotonicMs();
    if (this.#ending.signal.aborted) return;
    if (typeof data !== "string") return this.end(CLOSE.invalid, "A message must be text.");
    if (data.length > MAX_REQUEST_LENGTH) {
      return this.end(CLOSE.tooLarge, `A request may have at most ${MAX_REQUEST_LENGTH} characters.`);
    }
    if (!this.#rate.take(1)) {
      return this.end(CLOSE.tooLarge, `At most ${MAX_REQUESTS_PER_SECOND} requests may come in a second.`);
    }
    const asked = askedIn(data);
    if (!asked) return this.end(CLOSE.invalid, "A request must be a JSON object with `id` and `ask`.");
    if (this.#waiting.length >= MAX_WAITING_REQUESTS) {
      return this.end(CLOSE.tooLarge, `At most ${MAX_WAITING_REQUESTS} requests may wait for their answers.`);
    }
    this.#waiting.push(asked);
    if (!this.#isAnswering) void this.#answerAll();
  }

  async #answerAll(): Promise<void> {
    this.#isAnswering = true;
    for (let asked = this.#waiting.shift(); asked; asked = this.#waiting.shift()) {
      const { id } = asked;
      try {
        const sinceMs = this.#runtime.monotonicMs();
        const answer = await this.#answer(asked);
        await this.#room();
        this.#send({ id, answer });
        await this.#rest(sinceMs);
      } catch (error) {
        if (this.#ending.signal.aborted) break;
        this.#send({ id, error: faultOf(error) });
      }
    }
    this.#isAnswering = false;
  }

  #answer(asked: Asked): unknown {
    if (this.#options.client.isReader && !isForReaders(asked)) {
      throw new RequestRefused("forbidden", "A token for reading reads members and their state only.");
    }
    switch (asked.ask) {
      case "hello":
        return this.#welcome();
      case "ping":
        return {};
      case "subscribe":
        return this.#subscribe(asked);
      case "unsubscribe": {
        this.#subscriptions.get(Number(asked["subscription"]))?.stop.abort();
        return {};
      }
      default:
        return answerTo(asked, this.#options.observed, { maySet: this.#maySet });
    }
  }

  #subscribe(asked: Asked): unknown {
    const { id } = asked;
    if (this.#subscriptions.has(id)) {
      throw new RequestRefused("invalid", `The id ${id} is that of a subscription already.`);
    }
    if (this.#subscriptions.size >= MAX_SUBSCRIPTIONS) {
      throw new RequestRefused(
        "too_many",
        `An observer may have at most ${MAX_SUBSCRIPTIONS} subscriptions.`,
      );
    }
    const { observed } = this.#options;
    const { key } = asked;
    if (typeof key === "string") this.#assertRoom(key);
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#ending.signal]);
    const stream = streamOf(asked, { observed, signal });
    this.#subscriptions.set(id, { stop, key: typeof key === "string" ? key : undefined });
    void this.#forward(id, stream);
    return {};
  }

  /**
   * Refuses a subscription if the watched values would be too large: each subscription keeps its own parsed copy of all
   * unread values.
   */
  #assertRoom(key: string): void {
    const keys = [key, ...this.#watchedKeys()];
    const bytes = watchedBytes(this.#options.observed, keys);
    if (bytes <= MAX_WATCHED_BYTES) return;
    throw new RequestRefused(
      "too_large",
      `The values of the watched keys must take at most ${MAX_WATCHED_BYTES} bytes; they take ${bytes}.`,
    );
  }

  /** True if the values that a slow observer watches have become too large since the subscription. */
  #hasOutgrown(): boolean {
    const nowMs = this.#runtime.monotonicMs();
    if (nowMs - this.#weighedMs < WEIGH_MS) return false;
    this.#weighedMs = nowMs;
    return watchedBytes(this.#options.observed, this.#watchedKeys()) > MAX_WATCHED_BYTES;
  }

  #watchedKeys(): string[] {
    return [...this.#subscriptions.values()].flatMap(({ key }) => key ?? []);
  }

  /** Reads the next event only when there is room, so that the bounded buffer of the stream is the only one. */
  async #forward(id: number, stream: ReadableStream<unknown>): Promise<void> {
    try {
      for await (const event of stream) {
        await this.#room();
        const sinceMs = this.#runtime.monotonicMs();
        this.#send({ id, ...Object(event) });
        await this.#rest(sinceMs);
      }
      this.#send({ id, end: true });
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#fail(error);
    } finally {
      this.#subscriptions.delete(id);
    }
  }

  /** Resolves when few bytes are unsent. Closes an observer that does not read. */
  async #room(): Promise<void> {
    const { signal } = this.#ending;
    const sinceMs = this.#runtime.monotonicMs();
    while (this.#socket.bufferedAmount > HIGH_WATER_BYTES) {
      if (this.#runtime.monotonicMs() - sinceMs > STALLED_MS || this.#hasOutgrown()) {
        this.end(CLOSE.tooLarge, "The observer reads too slowly.");
      }
      await sleep(this.#runtime, ROOM_POLL_MS, { signal });
    }
    signal.throwIfAborted();
  }

  /** Rests after work, so that the observers together leave most of the processor to gossip. */
  async #rest(sinceMs: number): Promise<void> {
    const workedMs = this.#runtime.monotonicMs() - sinceMs;
    if (workedMs < REST_FROM_MS) return;
    await sleep(this.#runtime, Math.min(MAX_REST_MS, RESTS * workedMs), { signal: this.#ending.signal });
  }

  #send(message: object): void {
    if (this.#ending.signal.aborted || this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(plain(message)));
  }

  #fail(error: unknown): void {
    this.end(CLOSE.goingAway, "The observer failed.");
    this.#options.observed.node.events.publish({ type: "CallbackFailed", where: "an observer", error });
  }
}

/** The proof of this side's identity, as in the first message to a peer. */
async function proofOf(guard: NonNullable<ObserverClient["guard"]>): Promise<string | undefined> {
  const first: Refusal = { type: "error", code: "other", message: "This is an observer's connection." };
  const sent = await guard.outgoing(first);
  return sent.type === "error" ? sent.proof : undefined;
}

function askedIn(text: string): Asked | undefined {
  try {
    const asked: unknown = JSON.parse(text);
    const { id, ask }: { readonly id?: unknown; readonly ask?: unknown } = Object(asked);
    return Number.isSafeInteger(id) && typeof ask === "string" ? asked as Asked : undefined;
  } catch {
    return undefined;
  }
}

function faultOf(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof RequestRefused) return { code: error.fault, message: error.message };
  if (error instanceof HearsayError) return { code: "invalid", message: error.message };
  return { code: "failed", message: errorText(error) };
}

/** True for requests about members and their state. Events and facts may name clients, settings and errors of the service. */
function isForReaders(asked: Asked): boolean {
  return FOR_READERS.has(asked.ask) || (asked.ask === "subscribe" && typeof asked["key"] === "string");
}
