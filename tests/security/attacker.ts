/**
 * Tools of an attacker: tokens with any content, and a bare WebSocket to a member.
 *
 * @module
 */

import { type JWTPayload, SignJWT } from "../../deps/jose.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import {
  type Incarnation,
  type KnownVersions,
  type Liveness,
  type MemberDelta,
  type SentEntry,
  type SignedState,
  SIGNING_KEY,
} from "../../engine/types.ts";
import { ed25519Signing, newSigningKey } from "../../security/ed25519.ts";
import { type Hello, type Message, PROTOCOL_VERSION, type Refusal } from "../../protocol/message.ts";
import { refuse } from "../../protocol/refusal.ts";
import { helloText, idOfKey, signedText, type Signing, tokenHash } from "../../contracts/signing.ts";
import { authorityOf } from "../../common/canonical_address.ts";
import { deltaOf } from "../requirements/scripted_peer.ts";
import { entry } from "../engine/harness.ts";
import { decode, encode } from "../../protocol/codec.ts";

/** The bytes of a base64url key. */
export function bytesOf(key: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(key, { alphabet: "base64url" });
}

/** The key's id in tokens. */
export async function kidOf(key: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf(key))).toHex().slice(0, 16);
}

/** Fields of a token; without options the token is valid. */
export interface TokenOptions {
  readonly key: string;
  readonly id?: string;
  readonly cluster?: string;
  readonly authority?: string;
  readonly typ?: string;
  readonly kid?: string;
  /** Milliseconds from now to its time of issue; negative for the past. */
  readonly madeMs?: number;
  readonly lifetimeMs?: number;
  readonly claims?: JWTPayload;
}

/** A token as a member makes it, with these fields changed. */
export async function forge(options: TokenOptions): Promise<string> {
  const { key, id = "mallory", cluster = "orders", authority, madeMs = 0, lifetimeMs = 5_000 } = options;
  const { typ = "hearsay-token+jwt", kid = await kidOf(key), claims = {} } = options;
  const iat = (Date.now() + madeMs) / 1_000;
  return await new SignJWT({
    sub: id,
    aud: `hearsay:${cluster}${authority === undefined ? "" : `@${authority}`}`,
    iat,
    exp: iat + lifetimeMs / 1_000,
    jti: crypto.randomUUID(),
    ...claims,
  }).setProtectedHeader({ alg: "HS256", typ, kid }).sign(bytesOf(key));
}

/** Options of a {@linkcode Wire}. */
export interface WireOptions {
  readonly token?: string | undefined;
  readonly headers?: Record<string, string>;
  readonly protocols?: readonly string[];
  /** The local address of the client; the system's choice by default. */
  readonly from?: string;
}

/** A bare WebSocket to a member that can send any message. */
export class Wire implements AsyncDisposable {
  readonly socket: WebSocket;
  /** Received messages, in order. */
  readonly received: Message[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string; readonly error: string }>;
  readonly #opened: Promise<void>;
  #changed = Promise.withResolvers<void>();
  /** The error of a message that could not be decoded. */
  #invalid: Error | undefined;

  constructor(address: string, { token, headers = {}, protocols = ["hearsay.v2"], from }: WireOptions = {}) {
    const client = from === undefined ? undefined : Deno.createHttpClient({ localAddress: from });
    this.socket = new WebSocket(`${address}/gossip`, {
      protocols: [...protocols],
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
      ...(client && { client }),
    });
    let error = "";
    const opened = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<{ code: number; reason: string; error: string }>();
    this.socket.addEventListener("open", () => opened.resolve());
    this.socket.addEventListener("error", (event) => error = (event as ErrorEvent).message);
    this.socket.addEventListener("message", ({ data }) => this.#hear(String(data)));
    this.socket.addEventListener("close", ({ code, reason }) => {
      client?.close();
      // The last message of a connection that was cut may be torn.
      if (error === "") this.#failIfInvalid();
      opened.reject(new Error(error || `closed with ${code}`));
      closed.resolve({ code, reason, error });
      this.#report();
    });
    this.#opened = opened.promise;
    this.#opened.catch(() => {});
    this.closed = closed.promise;
  }

  /** Resolves when the socket is open. */
  static async opened(address: string, options?: WireOptions): Promise<Wire> {
    const wire = new Wire(address, options);
    await wire.#opened;
    return wire;
  }

  /** The HTTP status of the upgrade: 101 if it is accepted. */
  static async status(address: string, options?: WireOptions): Promise<number> {
    await using wire = new Wire(address, options);
    try {
      await wire.#opened;
      return 101;
    } catch (error) {
      return Number(/\b[45]\d\d\b/.exec((error as Error).message)?.[0] ?? 0);
    }
  }

  say(...messages: readonly Message[]): void {
    for (const message of messages) this.socket.send(encode(message));
  }

  /** The first message of a type; waits for it if none was received yet. */
  async hears<T extends Message["type"]>(type: T): Promise<Extract<Message, { type: T }>> {
    for (;;) {
      const found = this.received.find((message): message is Extract<Message, { type: T }> =>
        message.type === type
      );
      if (found) return found;
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error(`It was closed without a ${type}.`);
      await this.#changed.promise;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.socket.readyState < WebSocket.CLOSING) this.socket.close();
    await this.closed;
  }

  #hear(text: string): void {
    this.#failIfInvalid();
    const message = this.#decode(text);
    if (!message) return;
    if (message.type !== "ping" && message.type !== "pong") this.received.push(message);
    this.#report();
  }

  #decode(text: string): ReturnType<typeof decode> | undefined {
    try {
      return decode(text, { maxMessageBytes: 2 ** 20 });
    } catch (cause) {
      this.#invalid = new Error(`A member sent an invalid message: ${text.slice(0, 300)}`, { cause });
      return undefined;
    }
  }

  #failIfInvalid(): void {
    if (this.#invalid) throw this.#invalid;
  }

  #report(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** A valid `hello`, with these fields changed. */
export function helloOf(id: string, options: Partial<Hello> = {}): Hello {
  return {
    type: "hello",
    id: "d1",
    cluster: "orders",
    member: { id, host: "127.0.0.1", port: 1, kinds: [] },
    incarnation: makeIncarnation(Date.now(), Math.random()),
    count: 0,
    version: PROTOCOL_VERSION,
    oldestVersion: 2,
    capabilities: [],

    digest: "0".repeat(16),
    active: "0".repeat(16),
    ...options,
  };
}

/** The identity of an {@linkcode Insider}, which can reuse it for a new connection. */
export interface Identity {
  readonly id: string;
  readonly incarnation: Incarnation;
  readonly signing: Signing;
}

/** A new identity; its id is derived from its key by default. */
export async function newIdentity(id?: string): Promise<Identity> {
  const signing = await ed25519Signing(await newSigningKey());
  return {
    id: id ?? idOfKey(signing.publicKey),
    incarnation: makeIncarnation(Date.now(), Math.random()),
    signing,
  };
}

/**
 * An attacker with the cluster's key and a signing key of its own: it completes the handshake, then sends any message.
 */
export class Insider implements AsyncDisposable {
  readonly id: string;
  readonly incarnation: Incarnation;
  readonly signing: Signing;
  readonly wire: Wire;
  /** The liveness part of its gossip; tests replace it. */
  liveness: Liveness = { count: 0 };
  readonly #token: string;
  #asked = 0;

  /** Makes an insider on an open wire, without a handshake. */
  constructor(
    { id, incarnation, signing }: Identity,
    { wire, token }: { readonly wire: Wire; readonly token: string },
  ) {
    this.id = id;
    this.incarnation = incarnation;
    this.signing = signing;
    this.wire = wire;
    this.#token = token;
  }

  /** Connects and completes the handshake. */
  static async withHandshake(
    address: string,
    { key, as, signs = true }: {
      readonly key: string;
      readonly as?: Identity;
      /** False in a cluster whose members do not sign: they refuse a public key. */
      readonly signs?: boolean;
    },
  ): Promise<Insider> {
    const identity = as ?? await newIdentity();
    const token = await forge({ key, id: identity.id, authority: authorityOf(address)! });
    const insider = new Insider(identity, { wire: await Wire.opened(address, { token }), token });
    if (signs) await insider.handshake();
    else {insider.wire.say(
        helloOf(insider.id, { incarnation: insider.incarnation, id: `d${++insider.#asked}` }),
      );}
    await insider.wire.hears("hello");
    return insider;
  }

  /** Sends a `hello`; also possible after the first. */
  async handshake(options: Partial<Hello> = {}): Promise<void> {
    const id = `d${++this.#asked}`;
    this.wire.say(await this.hello(this.#token, { id, ...options }));
  }

  /** Its `hello`, signed for the connection of this token. */
  async hello(token: string, options: Partial<Hello> = {}): Promise<Hello> {
    const { publicKey } = this.signing;
    const hello = helloOf(this.id, { incarnation: this.incarnation, publicKey, ...options });
    const text = helloText({
      cluster: "orders",
      id: hello.member.id,
      incarnation: hello.incarnation,
      tokenHash: await tokenHash(token),
      side: "dialer",
    });
    return { ...hello, signature: await this.signing.sign(text) };
  }

  /** Sends gossip with these members; returns the id of the request. */
  gossip(...members: readonly MemberDelta[]): string {
    const id = `d${++this.#asked}`;
    const { liveness } = this;
    this.wire.say({ type: "gossip", liveness, id, memberId: this.id, delta: deltaOf(members) });
    return id;
  }

  /** Sends a refusal, as if another process used the member's id. */
  refuse(details: Pick<Refusal, "incarnation" | "state">): void {
    this.wire.say(refuse("id_conflict", "Another process uses this id.", details));
  }

  /** Replies to the last received gossip and acknowledges these versions. False if there is no gossip. */
  reply(holds: KnownVersions): boolean {
    const gossip = this.wire.received.findLast(({ type }) => type === "gossip");
    if (gossip?.type !== "gossip") return false;
    this.wire.say({ type: "reply", liveness: { count: 0 }, id: gossip.id, delta: deltaOf([]), holds });
    this.wire.received.splice(0);
    return true;
  }

  /** The full state of any member, signed with this insider's key. */
  async forge(claim: Omit<SignedState, "entries"> & { readonly entries: readonly SentEntry[] }) {
    const { id, incarnation, number } = claim;
    const own = entry(SIGNING_KEY, 1, this.signing.publicKey);
    const entries = [own, ...claim.entries];
    const text = signedText("orders", { id, incarnation, number, entries });
    return { id, incarnation, after: 0, reset: true, entries, signature: await this.signing.sign(text) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.wire[Symbol.asyncDispose]();
  }
}

/** The `jti` of a token. */
export function jtiOf(token: string): string {
  return JSON.parse(atob(token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/"))).jti;
}

/** The HTTP status of an upgrade with this `Host` header, which Deno's WebSocket cannot set. */
export async function statusWithHost(address: string, host: string): Promise<number> {
  const { hostname, port } = new URL(address);
  using socket = await Deno.connect({ hostname, port: Number(port) });
  const head = [
    "GET /gossip HTTP/1.1",
    `Host: ${host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
    "Sec-WebSocket-Protocol: hearsay.v2",
  ];
  await socket.write(new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`));
  const answer = new Uint8Array(64);
  await socket.read(answer);
  return Number(new TextDecoder().decode(answer).split(" ")[1]);
}
