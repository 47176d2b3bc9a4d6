/**
 * An observer: asks a member and follows its events, but is no member itself.
 *
 * @module
 */

import { authorityOf } from "../common/canonical_address.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../common/errors.ts";
import { abortable, deadlineAfter, realRuntime, type Runtime } from "../common/runtime.ts";
import type { ClusterKey, Guard } from "../contracts/authentication.ts";
import type { JsonValue } from "../engine/types.ts";
import { denoPlatform } from "../transport/web_socket/deno_platform.ts";
import { destroySocket } from "../transport/web_socket/destroy.ts";
import { dialUrl, OBSERVE_PROTOCOL, pathOf } from "../transport/web_socket/dial.ts";
import type { Socket } from "../transport/web_socket/platform.ts";
import { OBSERVER_PING_MS, type RequestFault, type Welcome } from "./protocol.ts";

/** The largest message that a member may send, in UTF-16 units: a snapshot, or a value and its escapes. */
const MAX_ANSWER_LENGTH = 67_108_864;
/**
 * The most unread messages of a subscription. The member sends at most a few hundred KiB more than this side has read.
 */
const MAX_UNREAD = 65_536;
/** The longest wait for a connection or an answer, in milliseconds. */
export const OBSERVER_TIMEOUT_MS = 10_000;

/** Options of an observer's connection to a member. */
export interface ObserveOptions {
  /** The path, if the address has no path: the `gossipActorName`; `gossip` by default. */
  readonly path?: string;
  /** The keys of the cluster; the first signs the token. Needs `cluster`. */
  readonly keys?: readonly ClusterKey[];
  /** A token for one connection, in place of keys. The member then need not prove its identity. */
  readonly token?: string;
  /** The cluster's name. A member of another cluster is refused. */
  readonly cluster?: string;
  /** Certificates of authorities, as PEM, in addition to those of the platform. */
  readonly caCerts?: readonly string[];
  /** Ends the attempt, and later the connection. */
  readonly signal?: AbortSignal;
  /** Clock, timers and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
}

/** A member refused a request. */
export class RequestFailed extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "RequestFailed";
  /** The code in the answer. */
  readonly fault: RequestFault;

  /** Makes the error of an answer. */
  constructor(fault: RequestFault, message: string) {
    super(fault === "forbidden" ? "refused" : fault === "too_large" ? "too_large" : "invalid_value", message);
    this.fault = fault;
  }
}

/** A message of a subscription. */
export interface Followed {
  /** The event or update, as plain data. */
  readonly event?: { readonly type: string; readonly [field: string]: JsonValue };
  readonly atMs?: number;
  /** The number of events that this observer missed because it was slow. */
  readonly lost?: number;
}

/** The token and proof of a connection. */
interface Access {
  readonly token: string | undefined;
  readonly guard: Guard | undefined;
}

/** Makes the token for a dial. */
export async function accessFor(url: URL, options: ObserveOptions): Promise<Access> {
  const { keys, cluster, runtime = realRuntime, token } = options;
  if (!keys || keys.length === 0) return { token, guard: undefined };
  if (cluster === undefined) {
    throw new HearsayError(
      "invalid_configuration",
      "With keys the name of the cluster must be given (--cluster).",
    );
  }
  const { clusterKeys } = await import("../security/cluster_keys.ts");
  const id = `observer-${Math.floor(runtime.random() * 2 ** 32).toString(16)}`;
  const authentication = clusterKeys({ keys, cluster, id, runtime });
  return await authentication.credentials({ authority: authorityOf(url.href)! });
}

/** An open connection to a member. */
export class Observer implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #release: () => Promise<void>;
  readonly #runtime: Runtime;
  readonly #answers = new Map<number, PromiseWithResolvers<JsonValue>>();
  readonly #streams = new Map<number, ReadableStreamDefaultController<Followed>>();
  readonly #ended = new AbortController();
  #cancelPing: () => void = () => {};
  #welcome: Welcome | undefined;
  #lastId = 0;

  private constructor(
    socket: Socket,
    { url, release, runtime }: {
      readonly url: URL;
      readonly release: () => Promise<void>;
      readonly runtime: Runtime;
    },
  ) {
    this.#socket = socket;
    this.#release = release;
    this.#runtime = runtime;
    const { signal } = this.#ended;
    socket.addEventListener("message", ({ data }) => this.#receive(data));
    socket.addEventListener("close", ({ code, reason }) => {
      const text = `${url.href} closed the connection: ${reason || "it broke"}.`;
      this.#ended.abort(new ConnectionClosed(code || 1006, text));
    });
    socket.addEventListener("error", (event) => event.preventDefault());
    signal.addEventListener("abort", () => this.#fail(signal.reason), { once: true });
    signal.addEventListener("abort", () => this.#cancelPing(), { once: true });
    this.#ping();
  }

  /**
   * Connects to a member.
   *
   * @throws {HearsayError} with code `connection`, `timeout`, `unauthorized`, `refused` or `incompatible`.
   */
  static async connect(address: string, options: ObserveOptions = {}): Promise<Observer> {
    const { path = "gossip", runtime = realRuntime, caCerts, cluster } = options;
    const url = dialUrl(address, pathOf(path));
    using deadline = deadlineAfter(runtime, OBSERVER_TIMEOUT_MS, `Connecting to ${url.href}`, options);
    const { signal } = deadline;
    const { token, guard } = await accessFor(url, options);
    const dialer = denoPlatform.dialer({ caCerts });
    let observer: Observer | undefined;
    try {
      const { socket, release = () => Promise.resolve() } = await dialer.open(url, {
        ...(token !== undefined && { token }),
        tokenIn: "header",
        subprotocol: OBSERVE_PROTOCOL,
        maxMessageBytes: MAX_ANSWER_LENGTH,
        signal,
      });
      const end = async () => {
        await release();
        await dialer.close();
      };
      observer = new Observer(socket, { url, runtime, release: end });
      observer.#welcome = await observer.#greet(url, { guard, signal, cluster });
      observer.#endWith(options.signal);
      return observer;
    } catch (error) {
      if (observer) await observer[Symbol.asyncDispose]();
      else await dialer.close();
      throw error;
    }
  }

  /** The first answer of the member. */
  get welcome(): Welcome {
    return this.#welcome!;
  }

  /** Aborted with the reason when the connection has ended. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /**
   * Asks the member. Rejects with a {@linkcode RequestFailed} if the member refuses, or with another `HearsayError`.
   *
   * The member is trusted to answer in the form of the protocol: the type is the caller's assumption.
   */
  async ask<T>(ask: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<T> {
    return await this.#request(++this.#lastId, { ask, ...parameters }) as T;
  }

  /** Follows events, or the values of a key. The stream ends with the member, or fails with the connection. */
  async follow(what: { readonly types?: readonly string[] } | { readonly key: string }): Promise<
    ReadableStream<Followed>
  > {
    const id = ++this.#lastId;
    const stream = new ReadableStream<Followed>({
      start: (controller) => void this.#streams.set(id, controller),
      cancel: () => {
        this.#streams.delete(id);
        void this.ask("unsubscribe", { subscription: id }).catch(() => {});
      },
    }, { highWaterMark: MAX_UNREAD });
    try {
      await this.#request(id, { ask: "subscribe", ...what });
    } catch (error) {
      this.#streams.delete(id);
      throw error;
    }
    return stream;
  }

  /** Closes the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new HearsayError("stopped", "This observer has ended."));
    await closed(this.#socket, this.#runtime);
    await this.#release();
  }

  async #request(id: number, request: Readonly<Record<string, unknown>>): Promise<JsonValue> {
    this.#ended.signal.throwIfAborted();
    const answer = Promise.withResolvers<JsonValue>();
    // The answer may fail before it is awaited.
    answer.promise.catch(() => {});
    this.#answers.set(id, answer);
    using deadline = deadlineAfter(this.#runtime, OBSERVER_TIMEOUT_MS, `The answer to ${request.ask}`);
    try {
      this.#socket.send(JSON.stringify({ id, ...request }));
      return await abortable(answer.promise, deadline.signal);
    } finally {
      this.#answers.delete(id);
    }
  }

  /** Asks for the welcome, and checks the proof in it. */
  async #greet(url: URL, { guard, signal, cluster }: {
    readonly guard: Guard | undefined;
    readonly signal: AbortSignal;
    readonly cluster: string | undefined;
  }): Promise<Welcome> {
    const welcome = await abortable(this.ask<unknown>("hello"), signal);
    if (!isWelcome(welcome)) {
      throw new HearsayError(
        "incompatible",
        `${url.href} must answer as a member of this version; it did not.`,
      );
    }
    if (guard) {
      const message = "This is an observer's connection.";
      const { proof } = welcome;
      await guard.incoming({ type: "error", code: "other", message, ...(proof !== undefined && { proof }) });
    }
    if (cluster !== undefined && welcome.cluster !== cluster) {
      throw new WrongCluster(url.href, { expected: cluster, found: welcome.cluster });
    }
    return welcome;
  }

  #endWith(signal: AbortSignal | undefined): void {
    const end = () => this.#ended.abort(signal!.reason);
    if (signal?.aborted) end();
    signal?.addEventListener("abort", end, { once: true, signal: this.#ended.signal });
  }

  #ping(): void {
    this.#cancelPing = this.#runtime.setTimer(OBSERVER_PING_MS, () => {
      void this.ask("ping").catch(() => {});
      this.#ping();
    });
  }

  #receive(data: unknown): void {
    const message = read(data);
    if (!message) {
      return this.#ended.abort(new HearsayError("incompatible", "The member sent no valid answer."));
    }
    const { id, answer, error, end, ...followed } = message;
    const number = Number(id);
    const asked = this.#answers.get(number);
    if (answer !== undefined) return asked?.resolve(answer as JsonValue);
    if (error !== undefined) {
      const { code, message: text } = Object(error) as { readonly code: unknown; readonly message: unknown };
      // The error in one line, because the newlines between several problems would be escaped.
      const line = String(text).replace(/\s*\n\s*/g, " ");
      return asked?.reject(new RequestFailed(String(code) as RequestFault, line));
    }
    const stream = this.#streams.get(number);
    if (!stream) return;
    if (end === true) {
      this.#streams.delete(number);
      return stream.close();
    }
    if (stream.desiredSize! <= 0) {
      return this.#ended.abort(new HearsayError("busy", "This observer reads too slowly."));
    }
    stream.enqueue(followed as Followed);
  }

  #fail(reason: unknown): void {
    for (const { reject } of this.#answers.values()) reject(reason);
    for (const stream of this.#streams.values()) stream.error(reason);
    this.#streams.clear();
    if (this.#socket.readyState <= WebSocket.OPEN) this.#socket.close();
  }
}

/** A member of another cluster answered. */
export class WrongCluster extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "WrongCluster";
  /** The cluster of the member. */
  readonly found: string;

  /** Makes the error. */
  constructor(
    address: string,
    { expected, found }: { readonly expected: string; readonly found: string },
  ) {
    super(
      "refused",
      `${address} must be of cluster ${JSON.stringify(expected)}; it is of ${JSON.stringify(found)}.`,
    );
    this.found = found;
  }
}

function isWelcome(given: unknown): given is Welcome {
  const { version, self, cluster, wallMs, protocol }: Partial<Welcome> = Object(given);
  return [version, self, cluster].every((text) => typeof text === "string") && typeof wallMs === "number" &&
    typeof Object(protocol).latest === "number";
}

function read(data: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof data !== "string" || data.length > MAX_ANSWER_LENGTH) return undefined;
  try {
    return Object(JSON.parse(data));
  } catch {
    return undefined;
  }
}

/** Resolves when a socket is closed, or was destroyed after a second. */
function closed(socket: Socket, runtime: Runtime): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return Promise.resolve();
  return new Promise((resolve) => {
    const cancel = runtime.setTimer(1_000, () => {
      destroySocket(socket);
      resolve();
    });
    socket.addEventListener("close", () => {
      cancel();
      resolve();
    }, { once: true });
    if (socket.readyState !== WebSocket.CLOSING) socket.close(CLOSE.done, "");
  });
}
