/**
 * The transport of a Hearsay member in a cluster of protoactor. Hearsay members and Go members reach it at
 * one port, by protoactor's remoting.
 *
 * @module
 */

import { messageOf } from "../../common/error_text.ts";
import type { CloseInfo, Connection, Member, Transport } from "../../contracts/cluster.ts";
import { CLOSE, HearsayError } from "../../common/errors.ts";
import { bracketed } from "../../common/host_names.ts";
import { deadlineAfter, realRuntime, type Runtime } from "../../common/runtime.ts";
import { type Call, type Calls, grpcCalls, type Listening } from "./call.ts";
import { GOSSIP_REQUEST, GOSSIP_RESPONSE, type RemoteMessage } from "./definitions.ts";
import {
  EVENT_STREAM,
  GoLink,
  GOSSIP_REQUEST_TYPE,
  GOSSIP_RESPONSE_TYPE,
  type LinkContext,
} from "./go_link.ts";
import { frameBytes, HEARSAY_ACTOR, readFrame } from "./hearsay_frames.ts";
import { HearsayConnection, type OpenCall } from "./hearsay_connection.ts";
import {
  connectRequestBytes,
  connectResponseBytes,
  type Letter,
  readLetters,
  readRemoteMessage,
} from "./letters.ts";
import { Refusals, type RefusedClient, whyForeignPage, whyStranger } from "../../transport/strangers.ts";
import type { ListenFailure } from "../../transport/listening.ts";
import { Outbound } from "./outbound.ts";
import type { MapSource } from "./maps.ts";
import { type Decoders, withMaps } from "./values.ts";

/** The kind of every Hearsay member in a cluster of protoactor. It has no actors to activate. */
export const HEARSAY_KIND = "hearsay.v2";
/** The most accepted connections in `incoming`; further ones are refused. */
export const MAX_UNTAKEN_CONNECTIONS = 128;
/** The most open streams from peers; beyond it, the one that was silent for longest is closed. */
export const MAX_STREAMS = 512;
/** The most Go members without a connection whose state is kept for a while. */
export const MAX_IDLE_LINKS = 64;
/** The largest message of gRPC, and so of protoactor-go, by default. */
const GRPC_BYTES = 4 * 1024 * 1024;
/** The most bytes of the frame around a message of `hearsay.v2`. */
const FRAME_BYTES = 1_024;

/** Options of a {@linkcode ProtoactorTransport}. */
export interface ProtoactorTransportOptions {
  /** This member's id. It must be new at every start, because protoactor-go blocks a departed id forever. */
  readonly id: string;
  /** The cluster's name. Hearsay members of another cluster are refused; Go members send no name. */
  readonly cluster: string;
  /** The name or address to listen on; `"127.0.0.1"` by default. */
  readonly hostname?: string;
  /** The port to listen on; 0, the default, takes a free one. */
  readonly port?: number;
  /**
   * The address that other members dial; by default the listening address. Discovery must announce exactly
   * this one.
   */
  readonly advertise?: { readonly host: string; readonly port: number };
  /** The kinds of this member in addition to {@linkcode HEARSAY_KIND}. */
  readonly kinds?: readonly string[];
  /** The largest message of `hearsay.v2`, in bytes, as in the gossiper's settings. */
  readonly maxMessageBytes: number;
  /** The name of the gossip actor; `"gossip"` by default, the only one that protoactor-go has. */
  readonly gossipActorName?: string;
  /** Decoders of values that Go members set. */
  readonly decoders?: Decoders;
  /** The longest time to open a stream, in milliseconds; 500 by default. */
  readonly connectTimeout?: number;
  /** The longest wait for a peer's answer to a close, in milliseconds; 250 by default. */
  readonly closeTimeout?: number;
  /** Called when the server stops accepting for now, see {@linkcode ListenFailure}. Must not throw. */
  readonly onListenFailed?: (failure: ListenFailure) => void;
  /**
   * Accepts clients from other machines and through proxies; false by default. Requests of web pages are
   * always refused.
   */
  readonly insecure?: boolean;
  /** Called for a refused client, once for each host and reason. Must not throw. */
  readonly onClientRefused?: (refused: RefusedClient) => void;
  /** Clock, timers and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
}

/** Sends messages to Hearsay members and Go members over protoactor's remoting. */
export class ProtoactorTransport implements Transport {
  readonly incoming: ReadableStream<Connection>;
  /** This member's record for discovery. */
  readonly self: Member;
  /** Called for an event that a process sent to the event stream of this member. Must not throw. */
  onEvent: ((systemId: string, type: string, body: Uint8Array) => void) | undefined;
  /** @ignore */
  maps: MapSource | undefined;
  readonly #options: ProtoactorTransportOptions;
  readonly #runtime: Runtime;
  readonly #context: LinkContext;
  readonly #links = new Map<string, GoLink>();
  readonly #connections = new Set<HearsayConnection>();
  readonly #streams = new Set<Call>();
  readonly #closing = new AbortController();
  readonly #server: Listening;
  #incoming!: ReadableStreamDefaultController<Connection>;
  #isRefusing = false;
  #names = 0;
  #closed: Promise<void> | undefined;

  private constructor(
    options: ProtoactorTransportOptions,
    { calls, server }: { readonly calls: Calls; readonly server: Listening },
  ) {
    const { id, cluster, hostname = "127.0.0.1", advertise, kinds = [], maxMessageBytes } = options;
    this.#options = options;
    this.#server = server;
    this.#runtime = options.runtime ?? realRuntime;
    this.self = {
      id,
      ...(advertise ?? { host: hostname, port: server.port }),
      kinds: [...kinds, HEARSAY_KIND],
    };
    this.incoming = new ReadableStream<Connection>({
      start: (controller) => {
        this.#incoming = controller;
      },
      cancel: () => {
        this.#isRefusing = true;
      },
    }, { highWaterMark: MAX_UNTAKEN_CONNECTIONS });
    this.#context = {
      self: { id, address: hostPort(this.self) },
      runtime: this.#runtime,
      cluster,
      actorName: options.gossipActorName ?? "gossip",
      maxMessageBytes,
      connectTimeout: options.connectTimeout ?? 500,
      decoders: withMaps(options.decoders ?? {}),
      signal: this.#closing.signal,
      open: (address) => calls.open(address, limitsOf(options)),
      maps: () => this.maps,
      nextName: () => `${NAME_PREFIX}${++this.#names}`,
      offer: (connection) => this.#offer(connection),
    };
  }

  /** Starts a transport. Rejects if the port is taken. */
  static listen(options: ProtoactorTransportOptions): Promise<ProtoactorTransport> {
    return ProtoactorTransport.listenBy(grpcCalls, options);
  }

  /**
   * Like {@linkcode ProtoactorTransport.listen}, over another network, such as a simulated one.
   *
   * @ignore
   */
  static async listenBy(calls: Calls, options: ProtoactorTransportOptions): Promise<ProtoactorTransport> {
    const { hostname = "127.0.0.1", port = 0, onListenFailed = () => {}, runtime = realRuntime } = options;
    const { insecure = false, onClientRefused = () => {} } = options;
    const refusals = new Refusals(onClientRefused, runtime);
    const early: Call[] = [];
    let onCall = (call: Call) => void early.push(call);
    const server = await calls.listen({
      ...limitsOf(options),
      hostname,
      port,
      onCall: (call) => onCall(call),
      whyRefused: (request, remote) => {
        const reason = whyForeignPage(request, []) ?? (insecure ? undefined : whyStranger(request, remote));
        if (reason !== undefined) refusals.report(remote, reason);
        return reason;
      },
      onListenFailed,
      runtime,
    });
    const transport = new ProtoactorTransport(options, { calls, server });
    onCall = (call) => void transport.#serve(call);
    for (const call of early) onCall(call);
    return transport;
  }

  /**
   * The address of a member for {@linkcode ProtoactorTransport.dial}. Its scheme is `hearsay` or
   * `protoactor`.
   */
  addressOf(member: Member): string {
    const scheme = this.relays(member) ? "hearsay" : "protoactor";
    return `${scheme}://${hostPort(member)}`;
  }

  /** False for a Go member: it passes entries of Hearsay members on without versions, so no member can merge them. */
  relays(member: Member): boolean {
    return member.kinds.includes(HEARSAY_KIND);
  }

  /**
   * Opens a connection to `hearsay://host:port` or `protoactor://host:port`. Rejects with the signal's reason
   * if it is aborted, otherwise with a `HearsayError`: `stopped` after {@linkcode ProtoactorTransport.close},
   * `timeout` after `connectTimeout`, `connection` for any other failure.
   */
  async dial(address: string, options: { readonly signal: AbortSignal }): Promise<Connection> {
    this.#closing.signal.throwIfAborted();
    options.signal.throwIfAborted();
    const [, scheme, target = ""] = /^(hearsay|protoactor):\/\/(.+)$/.exec(address) ?? [];
    if (!isAddress(target)) {
      throw new HearsayError(
        "connection",
        `The address must be hearsay://host:port or protoactor://host:port; got ${address}. Nothing was dialed.`,
      );
    }
    using deadline = deadlineAfter(this.#runtime, this.#context.connectTimeout, `Connecting to ${address}`, {
      signal: AbortSignal.any([options.signal, this.#closing.signal]),
    });
    const { signal } = deadline;
    return scheme === "hearsay"
      ? await this.#dialHearsay(target, signal)
      : await this.#dialGo(target, signal);
  }

  /** Sends an event to the event stream of a Go member. */
  sendEvent(memberId: string, type: string, body: Uint8Array): "congested" | "disconnected" | "sent" {
    return this.#links.get(memberId)?.sendEvent(type, body) ?? "disconnected";
  }

  /** The number of links, for tests of {@linkcode MAX_IDLE_LINKS}. */
  get footprint(): number {
    return this.#links.size;
  }

  /** Closes every connection and stops accepting. Resolves when all have ended. May be called again. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new HearsayError("stopped", "The transport is closed. Nothing was dialed."));
    if (!this.#isRefusing) this.#incoming.close();
    this.#isRefusing = true;
    for (const link of this.#links.values()) link.close(GOING_AWAY);
    await Promise.all(
      Array.from(this.#connections, (each) => each.close(GOING_AWAY.code, GOING_AWAY.reason)),
    );
    await this.#server.close();
  }

  // ---- dialing

  async #dialGo(target: string, signal: AbortSignal): Promise<Connection> {
    const call = this.#context.open(target);
    const outbound = await Outbound.connect(call, { self: this.#context.self, signal });
    const link = this.#linkAt(outbound.memberId, target);
    link.adopt(outbound);
    return link.connect();
  }

  async #dialHearsay(target: string, signal: AbortSignal): Promise<Connection> {
    const call = this.#context.open(target);
    const abort = () => call.cancel();
    signal.addEventListener("abort", abort, { once: true });
    const open = { call, reader: call.readable.getReader(), writer: call.writable.getWriter() };
    try {
      signal.throwIfAborted();
      await open.writer.write(connectRequestBytes(this.#context.self));
      await open.writer.write(frameBytes({ kind: "open" }, target));
      await accepted(open);
      signal.throwIfAborted();
      return this.#keep(open, { dialed: true, address: target });
    } catch (cause) {
      call.cancel();
      signal.throwIfAborted();
      const why = messageOf(cause);
      throw new HearsayError("connection", `Cannot reach hearsay://${target}: ${why} Nothing was sent.`, {
        cause,
      });
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  // ---- accepting

  /** Serves a stream that a peer opened, until it ends or becomes a connection between Hearsay members. */
  async #serve(call: Call): Promise<void> {
    if (this.#closing.signal.aborted) return call.cancel();
    // A crashed peer leaves its stream open. Such streams must not keep others out.
    if (this.#streams.size >= MAX_STREAMS) this.#endStream(this.#streams.values().next().value!);
    this.#streams.add(call);
    const open = { call, reader: call.readable.getReader(), writer: call.writable.getWriter() };
    try {
      await this.#listen(open);
    } catch {
      // The peer broke off or sent something invalid.
      call.cancel();
    } finally {
      this.#streams.delete(call);
    }
  }

  #endStream(call: Call): void {
    this.#streams.delete(call);
    call.cancel();
  }

  /** Moves a stream to the end of the order, because it was not silent. */
  #spoke(call: Call): void {
    if (this.#streams.delete(call)) this.#streams.add(call);
  }

  async #listen(open: OpenCall): Promise<void> {
    const { connectTimeout, self } = this.#context;
    const tooLate = this.#runtime.setTimer(connectTimeout, () => open.call.cancel());
    const first = await next(open).finally(tooLate);
    const peer = first?.connectRequest?.serverConnection;
    if (!peer?.systemId || !isAddress(peer.address)) return open.call.cancel();
    await open.writer.write(connectResponseBytes(self.id));
    try {
      await this.#converse(open, peer);
    } finally {
      void this.#links.get(peer.systemId)?.lostStream();
    }
    // This side has no more messages on this stream either.
    await open.writer.close();
  }

  async #converse(
    open: OpenCall,
    peer: { readonly systemId: string; readonly address: string },
  ): Promise<void> {
    for (let message = await next(open); message; message = await next(open)) {
      this.#spoke(open.call);
      for (const letter of message.messageBatch ? readLetters(message.messageBatch) : []) {
        if (letter.target.id === HEARSAY_ACTOR) {
          if (readFrame(letter)?.kind === "open") return await this.#acceptHearsay(open, peer.address);
        } else this.#receive(letter, peer);
      }
    }
  }

  async #acceptHearsay(open: OpenCall, address: string): Promise<void> {
    if (this.#isRefusing || this.#incoming.desiredSize! <= 0) return open.call.cancel();
    await open.writer.write(frameBytes({ kind: "accepted" }, address));
    // From here on the gossiper limits the number of connections.
    this.#streams.delete(open.call);
    const connection = this.#keep(open, { dialed: false, address });
    if (!this.#offer(connection)) return void connection.close(GOING_AWAY.code, GOING_AWAY.reason);
    await connection.closed;
  }

  #receive(letter: Letter, peer: { readonly systemId: string; readonly address: string }): void {
    const { target, sender, type, body } = letter;
    if (target.id === this.#context.actorName && type === GOSSIP_REQUEST_TYPE) {
      return this.#linkTo(peer.systemId, peer.address).receive(GOSSIP_REQUEST.decode(body), sender);
    }
    if (target.id === EVENT_STREAM) return this.onEvent?.(peer.systemId, type, body);
    const link = this.#links.get(peer.systemId);
    if (!target.id.startsWith(NAME_PREFIX)) return link?.refuse(letter);
    // A response of another type means that no actor has accepted the request.
    if (type === GOSSIP_RESPONSE_TYPE) {
      link?.answered(target.id, GOSSIP_RESPONSE.decode(body).state ?? undefined);
    }
  }

  #offer(connection: Connection): boolean {
    if (this.#isRefusing || this.#incoming.desiredSize! <= 0) return false;
    this.#incoming.enqueue(connection);
    return true;
  }

  #keep(open: OpenCall, side: { readonly dialed: boolean; readonly address: string }): HearsayConnection {
    const connection = new HearsayConnection(open, {
      ...side,
      runtime: this.#runtime,
      maxMessageBytes: this.#options.maxMessageBytes,
      closeTimeout: this.#options.closeTimeout ?? 250,
      decoders: this.#context.decoders,
      onOver: (over) => this.#connections.delete(over),
    });
    this.#connections.add(connection);
    return connection;
  }

  /**
   * The link to a Go member that has answered at an address. That address replaces one from an unverified
   * request.
   */
  #linkAt(memberId: string, address: string): GoLink {
    const known = this.#links.get(memberId);
    if (known?.isIdle && known.address !== address) {
      known.close(GOING_AWAY);
      this.#links.delete(memberId);
    }
    return this.#linkTo(memberId, address);
  }

  #linkTo(memberId: string, address: string): GoLink {
    const known = this.#links.get(memberId);
    if (known) return known;
    this.#dropIdleLinks();
    const link = new GoLink(memberId, { address, context: this.#context });
    this.#links.set(memberId, link);
    return link;
  }

  /** Limits the links, so that requests under ever new ids only drop other links without a connection. */
  #dropIdleLinks(): void {
    const idle = [...this.#links].filter(([, { isIdle }]) => isIdle);
    for (const [id, link] of idle.slice(0, Math.max(0, idle.length - MAX_IDLE_LINKS + 1))) {
      link.close(GOING_AWAY);
      this.#links.delete(id);
    }
  }
}

/** A host name has at most 253 characters. */
const MAX_ADDRESS_LENGTH = 300;
/** The actor name of a request's sender: this prefix and a number. */
const NAME_PREFIX = "hearsay$";
const GOING_AWAY: CloseInfo = { code: CLOSE.goingAway, reason: "This member has stopped." };

function limitsOf({ maxMessageBytes }: ProtoactorTransportOptions): { readonly maxBytes: number } {
  return { maxBytes: Math.max(GRPC_BYTES, maxMessageBytes + FRAME_BYTES) };
}

/** True if a text is exactly `host:port`, so that an address from a peer cannot contain a path or a user. */
function isAddress(text: string): boolean {
  return text.length <= MAX_ADDRESS_LENGTH && /^[^\s/\\?#@]+:[0-9]+$/.test(text) &&
    URL.canParse(`http://${text}`);
}

function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${bracketed(host)}:${port}`;
}

/** The next message of a stream, or undefined at its end. */
async function next({ reader }: OpenCall): Promise<RemoteMessage | undefined> {
  const { done, value } = await reader.read();
  return done ? undefined : readRemoteMessage(value);
}

/** Resolves when the peer has accepted a connection between Hearsay members. */
async function accepted(open: OpenCall): Promise<void> {
  for (let message = await next(open); message; message = await next(open)) {
    for (const letter of message.messageBatch ? readLetters(message.messageBatch) : []) {
      if (readFrame(letter)?.kind === "accepted") return;
    }
  }
  throw new TypeError("The peer did not accept the connection.");
}
