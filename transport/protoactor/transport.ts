/**
 * The transport by which a Hearsay member takes part in a cluster of protoactor's: one port, at which both its own
 * kind and members of protoactor reach it, as protoactor's remoting.
 *
 * @module
 */

import type { CloseInfo, Connection, Member, Transport } from "../../gossiper/cluster.ts";
import { CLOSE, HearsayError } from "../../gossiper/errors.ts";
import { bracketed } from "../../gossiper/host_names.ts";
import { deadlineAfter, realRuntime, type Runtime } from "../../gossiper/runtime.ts";
import { type Call, type Calls, grpcCalls, type Listening } from "./call.ts";
import { GOSSIP_REQUEST, GOSSIP_RESPONSE, type RemoteMessage } from "./definitions.ts";
import { GoLink, GOSSIP_REQUEST_TYPE, GOSSIP_RESPONSE_TYPE, type LinkContext } from "./go_link.ts";
import { frameBytes, HEARSAY_ACTOR, readFrame } from "./hearsay_frames.ts";
import { HearsayConnection, type OpenCall } from "./hearsay_connection.ts";
import {
  connectRequestBytes,
  connectResponseBytes,
  type Letter,
  readLetters,
  readRemoteMessage,
} from "./letters.ts";
import { Refusals, type RefusedClient, whyForeignPage, whyStranger } from "../strangers.ts";
import type { ListenFailure } from "../listening.ts";
import { Outbound } from "./outbound.ts";
import type { Decoders } from "./values.ts";

/** The kind by which Hearsay members know each other among protoactor's. Nothing can be activated of it. */
export const HEARSAY_KIND = "hearsay.v2";
/** How many accepted connections may wait to be taken from `incoming`; those beyond are refused. */
export const MAX_UNTAKEN_CONNECTIONS = 128;
/** How many streams others may have open to this member; beyond that the one ends that was silent for longest. */
export const MAX_STREAMS = 512;
/** How many members of protoactor are remembered that nobody speaks for: what they tell is kept for a while. */
export const MAX_IDLE_LINKS = 64;
/** The largest message that gRPC takes unless told otherwise, and so protoactor-go. */
const GRPC_BYTES = 4 * 1024 * 1024;
/** What is around a message of `hearsay.v2`, at most. */
const FRAME_BYTES = 1_024;

/** What a {@linkcode ProtoactorTransport} is made with. */
export interface ProtoactorTransportOptions {
  /** This member's id. It must be a new one for every life: protoactor-go blocks an id for ever. */
  readonly id: string;
  /** The cluster's name; Hearsay members of another are refused. protoactor's own tell no name. */
  readonly cluster: string;
  /** The name or address to listen on; `"127.0.0.1"` by default. */
  readonly hostname?: string;
  /** The port to listen on; 0, the default, takes a free one. */
  readonly port?: number;
  /** Where others reach this member, if not where it listens: what discovery must tell them, to the letter. */
  readonly advertise?: { readonly host: string; readonly port: number };
  /** The kinds of this member, beside {@linkcode HEARSAY_KIND}. */
  readonly kinds?: readonly string[];
  /** The largest message of `hearsay.v2`, in bytes; the gossiper's own setting. */
  readonly maxMessageBytes: number;
  /** The name of the gossip actor; `"gossip"` by default, which protoactor-go knows no other than. */
  readonly gossipActorName?: string;
  /** Read protobuf values that protoactor's members set. */
  readonly decoders?: Decoders;
  /** How long opening a stream may take, in milliseconds; 500 by default. */
  readonly connectTimeout?: number;
  /** How long a peer may take to answer the closing of a connection, in milliseconds; 250 by default. */
  readonly closeTimeout?: number;
  /** Hears that nobody is listened to for now, see {@linkcode ListenFailure}. Must not throw. */
  readonly onListenFailed?: (failure: ListenFailure) => void;
  /** Lets clients in from other machines and by proxies; false by default. Pages are never let in. */
  readonly insecure?: boolean;
  /** Hears of a client that was refused: once for each host and reason. Must not throw. */
  readonly onClientRefused?: (refused: RefusedClient) => void;
  /** Time and chance; the real ones by default. */
  readonly runtime?: Runtime;
}

/** How messages reach peers, by protoactor's remoting: both Hearsay members and protoactor's own. */
export class ProtoactorTransport implements Transport {
  readonly incoming: ReadableStream<Connection>;
  /** This member, as discovery is to tell of it. */
  readonly self: Member;
  readonly #options: ProtoactorTransportOptions;
  readonly #runtime: Runtime;
  readonly #decoders: Decoders;
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
    this.#decoders = options.decoders ?? {};
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
      decoders: this.#decoders,
      signal: this.#closing.signal,
      open: (address) => calls.open(address, limitsOf(options)),
      nextName: () => `${NAME_PREFIX}${++this.#names}`,
      offer: (connection) => this.#offer(connection),
    };
  }

  /** Makes a transport that listens. Rejects where the port is taken. */
  static listen(options: ProtoactorTransportOptions): Promise<ProtoactorTransport> {
    return ProtoactorTransport.listenBy(grpcCalls, options);
  }

  /**
   * The same over another network, such as that of a simulation.
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
        if (reason !== undefined) refusals.tell(remote, reason);
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

  /** The address under which {@linkcode ProtoactorTransport.dial} reaches a member: its scheme says of which kind. */
  addressOf(member: Member): string {
    const scheme = this.passesOn(member) ? "hearsay" : "protoactor";
    return `${scheme}://${hostPort(member)}`;
  }

  /** protoactor's own members pass on what they hear, but not so that others here could take it. */
  passesOn(member: Member): boolean {
    return member.kinds.includes(HEARSAY_KIND);
  }

  /**
   * Opens a connection to `hearsay://host:port` or `protoactor://host:port`. Rejects with the signal's reason where
   * it is aborted, and else with a `HearsayError`: `stopped` after {@linkcode ProtoactorTransport.close},
   * `timeout` where `connectTimeout` has passed, `connection` where anything else went wrong.
   */
  async dial(address: string, options: { readonly signal: AbortSignal }): Promise<Connection> {
    this.#closing.signal.throwIfAborted();
    options.signal.throwIfAborted();
    const [, scheme, target = ""] = /^(hearsay|protoactor):\/\/(.+)$/.exec(address) ?? [];
    if (!isAddress(target)) {
      throw new HearsayError("connection", `${address} is no address of a member; nothing was dialled.`);
    }
    const { connectTimeout } = this.#context;
    using deadline = deadlineAfter(this.#runtime, connectTimeout, `Connecting to ${address}`, {
      signal: AbortSignal.any([options.signal, this.#closing.signal]),
    });
    const { signal } = deadline;
    return scheme === "hearsay"
      ? await this.#dialHearsay(target, signal)
      : await this.#dialGo(target, signal);
  }

  /** How many members of protoactor are remembered, to be held against {@linkcode MAX_IDLE_LINKS}. */
  get footprint(): number {
    return this.#links.size;
  }

  /** Closes every connection and stops accepting; resolves when nothing is left. May be called again. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new HearsayError("stopped", "The transport is closed; nothing was dialled."));
    if (!this.#isRefusing) this.#incoming.close();
    this.#isRefusing = true;
    for (const link of this.#links.values()) link.close(GOING_AWAY);
    await Promise.all(
      Array.from(this.#connections, (each) => each.close(GOING_AWAY.code, GOING_AWAY.reason)),
    );
    await this.#server.close();
  }

  // ---- dialling

  async #dialGo(target: string, signal: AbortSignal): Promise<Connection> {
    const call = this.#context.open(target);
    const outbound = await Outbound.greet(call, { self: this.#context.self, signal });
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
      return this.#keep(open, { dialled: true, address: target });
    } catch (cause) {
      call.cancel();
      signal.throwIfAborted();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HearsayError("connection", `hearsay://${target} was not reached: ${why} Nothing was sent.`, {
        cause,
      });
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  // ---- accepting

  /** Listens to a stream that somebody opened, until it is over or two Hearsay members talk on it. */
  async #serve(call: Call): Promise<void> {
    if (this.#closing.signal.aborted) return call.cancel();
    // A peer that went without a word leaves its stream open: such must not keep others out.
    if (this.#streams.size >= MAX_STREAMS) this.#endStream(this.#streams.values().next().value!);
    this.#streams.add(call);
    const open = { call, reader: call.readable.getReader(), writer: call.writable.getWriter() };
    try {
      await this.#listen(open);
    } catch {
      // Whoever speaks something else, or breaks off, is no more listened to.
      call.cancel();
    } finally {
      this.#streams.delete(call);
    }
  }

  #endStream(call: Call): void {
    this.#streams.delete(call);
    call.cancel();
  }

  /** The stream was not silent: all others go before it. */
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
    // This side has nothing more to say on it either.
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
    // From here on the gossiper bounds how many there are.
    this.#streams.delete(open.call);
    const connection = this.#keep(open, { dialled: false, address });
    if (!this.#offer(connection)) return void connection.close(GOING_AWAY.code, GOING_AWAY.reason);
    await connection.closed;
  }

  #receive(letter: Letter, peer: { readonly systemId: string; readonly address: string }): void {
    const { target, sender, type, body } = letter;
    if (target.id === this.#context.actorName && type === GOSSIP_REQUEST_TYPE) {
      return this.#linkTo(peer.systemId, peer.address).receive(GOSSIP_REQUEST.decode(body), sender);
    }
    const link = this.#links.get(peer.systemId);
    if (!target.id.startsWith(NAME_PREFIX)) return link?.refuse(letter);
    // Anything else that answers says that nobody there has taken what was sent.
    if (type === GOSSIP_RESPONSE_TYPE) {
      link?.answered(target.id, GOSSIP_RESPONSE.decode(body).state ?? undefined);
    }
  }

  #offer(connection: Connection): boolean {
    if (this.#isRefusing || this.#incoming.desiredSize! <= 0) return false;
    this.#incoming.enqueue(connection);
    return true;
  }

  #keep(open: OpenCall, side: { readonly dialled: boolean; readonly address: string }): HearsayConnection {
    const connection = new HearsayConnection(open, {
      ...side,
      runtime: this.#runtime,
      maxMessageBytes: this.#options.maxMessageBytes,
      closeTimeout: this.#options.closeTimeout ?? 250,
      decoders: this.#decoders,
      onOver: (over) => this.#connections.delete(over),
    });
    this.#connections.add(connection);
    return connection;
  }

  /** The link to a member that has answered at an address: what somebody said in its name does not stand against it. */
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

  /** Whoever comes under ever new ids only pushes out others that nobody speaks for. */
  #dropIdleLinks(): void {
    const idle = [...this.#links].filter(([, { isIdle }]) => isIdle);
    for (const [id, link] of idle.slice(0, Math.max(0, idle.length - MAX_IDLE_LINKS + 1))) {
      link.close(GOING_AWAY);
      this.#links.delete(id);
    }
  }
}

/** A host's name has at most 253 characters. */
const MAX_ADDRESS_LENGTH = 300;
/** Who waits for an answer is called so, and a number. */
const NAME_PREFIX = "hearsay$";
const GOING_AWAY: CloseInfo = { code: CLOSE.goingAway, reason: "This member has stopped." };

function limitsOf({ maxMessageBytes }: ProtoactorTransportOptions): { readonly maxBytes: number } {
  return { maxBytes: Math.max(GRPC_BYTES, maxMessageBytes + FRAME_BYTES) };
}

/** Whether a text is `host:port` and nothing more, so that who names an address names no path or user by it. */
function isAddress(text: string): boolean {
  return text.length <= MAX_ADDRESS_LENGTH && /^[^\s/\\?#@]+:[0-9]+$/.test(text) &&
    URL.canParse(`http://${text}`);
}

function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${bracketed(host)}:${port}`;
}

/** The next message of a stream; undefined at its end. */
async function next({ reader }: OpenCall): Promise<RemoteMessage | undefined> {
  const { done, value } = await reader.read();
  return done ? undefined : readRemoteMessage(value);
}

/** Resolves when the other side has accepted a connection between Hearsay members. */
async function accepted(open: OpenCall): Promise<void> {
  for (let message = await next(open); message; message = await next(open)) {
    for (const letter of message.messageBatch ? readLetters(message.messageBatch) : []) {
      if (readFrame(letter)?.kind === "accepted") return;
    }
  }
  throw new TypeError("The connection was not accepted.");
}
