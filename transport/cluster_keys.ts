/**
 * Authentication by keys that the members of a cluster share: `@hearsay/gossip/auth`.
 *
 * `join({ authentication: { keys } })` uses this; by hand it is the `authentication` of a `WebSocketTransport`.
 * Both directions are authenticated before any state flows. A dialler sends a token, signed with the first of its
 * keys, that names itself, the cluster and the authority that it dialled, ends within seconds and is good once.
 * The accepting side verifies it before it upgrades, and proves that it has the key too: by a second token, which
 * covers the first, in its greeting.
 *
 * Whoever has a key can speak for any id. What members sign themselves (`sign`) holds against that.
 *
 * @module
 */

import { type JWTPayload, SignJWT } from "../deps/jose.ts";
import { CLOSE, ConnectionClosed } from "../gossiper/errors.ts";
import type { Hello, Message, Refusal } from "../gossiper/message.ts";
import { realRuntime, type Runtime } from "../gossiper/runtime.ts";
import { helloText, type Signing, tokenHash } from "../gossiper/signing.ts";
import { MAX_NAME_BYTES } from "../gossiper/validation.ts";
import type {
  Admitted,
  Authentication,
  ClusterKey,
  Credentials,
  Guard,
  NotAdmitted,
} from "./authentication.ts";
import { strongKeys } from "./key_strength.ts";
import { checkToken, sha256Hex, type TokenClaims } from "./token_check.ts";
import { UsedTokens } from "./used_tokens.ts";
import { fitsBytes } from "./wire_check.ts";

export type {
  Admitted,
  Authentication,
  ClusterKey,
  Credentials,
  Guard,
  NotAdmitted,
} from "./authentication.ts";
export { ed25519Signing, newSigningKey } from "../gossiper/ed25519.ts";
export type { Signing } from "../gossiper/signing.ts";
export { keysFromEnvironment, keysFromFile, newClusterKey, signingKeyFromFile } from "./key_sources.ts";

/** How long a token is good, in milliseconds: as long as a dial may take to arrive. */
export const TOKEN_LIFETIME_MS = 5_000;
/** The longest life of a token that is accepted, in milliseconds, whatever it says itself. */
export const MAX_TOKEN_LIFETIME_MS = 30_000;
/** How far the clocks of two members may be apart, in milliseconds, unless it is said. */
export const CLOCK_TOLERANCE_MS = 5_000;

/** How many hexadecimal digits name a key. */
const KID_LENGTH = 16;

/** The types of the two tokens: neither can be taken for the other. */
const TOKEN = "hearsay-token+jwt";
const PROOF = "hearsay-proof+jwt";

/** What {@linkcode clusterKeys} needs. */
export interface ClusterKeysOptions {
  /** The first signs, all verify. */
  readonly keys: readonly ClusterKey[];
  /** The cluster's name. */
  readonly cluster: string;
  /** This member's id. */
  readonly id: string;
  /** How far the members' clocks may be apart, in milliseconds; 5,000 by default. */
  readonly clockTolerance?: number;
  /** Where members sign what they set: proves in every greeting that the public key in it is this member's own. */
  readonly signing?: Signing;
  /** Time and chance; the real ones by default. */
  readonly runtime?: Runtime;
}

/**
 * Authentication by shared keys.
 *
 * @example
 * ```ts
 * import { clusterKeys, newClusterKey } from "./cluster_keys.ts";
 * import { WebSocketTransport } from "./web_socket.ts";
 *
 * const authentication = clusterKeys({ keys: [await newClusterKey()], cluster: "orders", id: "ada" });
 * const transport = new WebSocketTransport({ path: "gossip", maxMessageBytes: 2 ** 20, authentication });
 * await transport.close();
 * ```
 *
 * @throws {ConfigurationError} where a key is weak: shorter than 32 bytes, or of fewer than 16 different ones.
 */
export function clusterKeys(options: ClusterKeysOptions): Authentication {
  return new ClusterKeys(options);
}

/** A key, in the forms in which it is used. */
class KnownKey {
  readonly text: string;
  /** Closes the connections that were opened under it. */
  readonly withdrawn = new AbortController();
  readonly bytes: Uint8Array<ArrayBuffer>;
  #signingKid: Promise<string> | undefined;
  #kid: string | undefined;
  #secret: Promise<CryptoKey> | undefined;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes;
    this.text = bytes.join();
  }

  /** The beginning of its hash, by which tokens name it: for the side that accepts, which must not wait for it. */
  get kid(): string {
    return this.#kid ??= sha256Hex(this.bytes).slice(0, KID_LENGTH);
  }

  /** The same for the side that dials, which may be a browser. */
  get signingKid(): Promise<string> {
    return this.#signingKid ??= crypto.subtle.digest("SHA-256", this.bytes)
      .then((hash) => new Uint8Array(hash).toHex().slice(0, KID_LENGTH));
  }

  get secret(): Promise<CryptoKey> {
    const hmac = { name: "HMAC", hash: "SHA-256" };
    return this.#secret ??= crypto.subtle.importKey("raw", this.bytes, hmac, false, ["sign"]);
  }
}

/** One end of one connection, as signatures name it. */
interface End {
  /** The connection's token, of which {@linkcode tokenHash} is signed. */
  readonly token: string;
  readonly side: "dialler" | "acceptor";
}

class ClusterKeys implements Authentication {
  readonly #options: ClusterKeysOptions;
  readonly #runtime: Runtime;
  /** By the monotonic clock: the wall clock may be corrected later. */
  readonly #startedMs: number;
  readonly #used = new UsedTokens();
  readonly #clockToleranceMs: number;
  #keys: readonly KnownKey[];

  constructor(options: ClusterKeysOptions) {
    this.#options = options;
    this.#runtime = options.runtime ?? realRuntime;
    this.#startedMs = this.#runtime.monotonicMs();
    this.#clockToleranceMs = options.clockTolerance ?? CLOCK_TOLERANCE_MS;
    this.#keys = strongKeys(options.keys).map((bytes) => new KnownKey(bytes));
  }

  setKeys(keys: readonly ClusterKey[]): void {
    const before = new Map(this.#keys.map((key) => [key.text, key]));
    this.#keys = strongKeys(keys).map((bytes) => before.get(bytes.join()) ?? new KnownKey(bytes));
    for (const key of before.values()) {
      if (this.#keys.includes(key)) continue;
      key.withdrawn.abort(
        new ConnectionClosed(CLOSE.unauthorised, "The key of this connection was withdrawn."),
      );
    }
  }

  async credentials({ authority }: { readonly authority: string }): Promise<Credentials> {
    const key = this.#keys[0]!;
    const jti = this.#draw();
    const token = await this.#sign(key, TOKEN, { aud: this.#audience(authority), jti });
    return { token, guard: this.#guardDialled({ key, jti, token }) };
  }

  admit(
    token: string,
    { authorities, address }: { readonly authorities: ReadonlySet<string>; readonly address?: string },
  ): Admitted | NotAdmitted {
    const verified = this.#verify(token, TOKEN, [...authorities].map((each) => this.#audience(each)));
    if ("refused" in verified) return { refused: verified.refused, status: 401 };
    const { key, claims: payload } = verified;
    const { jti, sub: id } = payload;
    if (typeof jti !== "string" || jti.length > 64) {
      return { refused: "The token must have a jti.", status: 401 };
    }
    const refused = this.#faultOfTimes(payload);
    if (refused !== undefined) return { refused, status: 401 };
    // Ends are compared by whole seconds.
    const untilMs = payload.exp * 1_000 + this.#clockToleranceMs + 1_000;
    const use = this.#used.use(jti, { id, address, untilMs, nowMs: this.#runtime.wallMs() });
    if (use === "used") return { refused: "The token was used before.", status: 401 };
    if (use === "full") {
      return {
        refused: "Too many tokens of this id, or from this address, were used within their lifetime.",
        status: 503,
      };
    }
    return { id, guard: this.#guardAccepted({ key, jti, token, id }) };
  }

  /** On a connection that this side opened nothing comes through before the peer has proved itself. */
  #guardDialled(
    { key, jti, token }: { readonly key: KnownKey; readonly jti: string; readonly token: string },
  ): Guard {
    let peerId: string | undefined;
    const prove = async (message: Message) => {
      peerId = this.#provenId(message, { key, token: jti });
      return await this.#assertSpeaksAs(peerId, message, { token, side: "acceptor" });
    };
    return {
      signal: key.withdrawn.signal,
      outgoing: (message) => this.#signed(message, { token, side: "dialler" }),
      incoming: (message) => {
        if (peerId === undefined) return prove(message);
        return this.#assertSpeaksAs(peerId, message, { token, side: "acceptor" });
      },
    };
  }

  /** On a connection that was accepted the peer speaks for its token's subject, and this side proves itself first. */
  #guardAccepted(
    { key, jti, token, id }: {
      readonly key: KnownKey;
      readonly jti: string;
      readonly token: string;
      readonly id: string;
    },
  ): Guard {
    let isProven = false;
    const prove = async (message: Hello | Refusal) => {
      const signed = await this.#signed(message, { token, side: "acceptor" });
      // By the key of the token, whichever comes first here: the dialler has that one for certain.
      return { ...signed, proof: await this.#sign(key, PROOF, { aud: this.#audience(), token: jti }) };
    };
    return {
      signal: key.withdrawn.signal,
      incoming: (message) => this.#assertSpeaksAs(id, message, { token, side: "dialler" }),
      outgoing: (message) => {
        if (isProven || (message.type !== "hello" && message.type !== "error")) {
          return this.#signed(message, { token, side: "acceptor" });
        }
        isProven = true;
        return prove(message);
      },
    };
  }

  /** A greeting with what proves that the key in it is this member's own, where it has one. */
  #signed(message: Message, end: End): Message | Promise<Message> {
    const { signing } = this.#options;
    if (message.type !== "hello" || !signing) return message;
    return this.#helloText(message, end).then((text) => signing.sign(text))
      .then((signature) => ({ ...message, signature }));
  }

  /** Nobody speaks for another, by id or by key. */
  #assertSpeaksAs(id: string, message: Message, end: End): Message | Promise<Message> {
    if (message.type === "gossip" && message.memberId !== id) {
      throw unauthorised(`The peer proved to be ${id}, and gossips as another.`);
    }
    if (message.type !== "hello") return message;
    if (message.member.id !== id) {
      throw unauthorised(`The peer proved to be ${id}, and says that it is another.`);
    }
    const { signing } = this.#options;
    const { publicKey, signature = "" } = message;
    if (!signing || publicKey === undefined) return message;
    const verdict = this.#helloText(message, end).then((text) =>
      signing.verify(text, { publicKey, signature })
    );
    return verdict.then((isOwn) => {
      if (isOwn) return message;
      throw unauthorised("The peer has not proved that its public key is its own.");
    });
  }

  async #helloText({ member, life }: Hello, { token, side }: End): Promise<string> {
    const { cluster } = this.#options;
    return helloText({ cluster, id: member.id, life, side, tokenHash: await tokenHash(token) });
  }

  /** The id that a peer's first message proves; a refusal proves one as well, so that nobody else can refuse. */
  #provenId(
    message: Message,
    { key, token }: { readonly key: KnownKey; readonly token: string },
  ): string {
    const proof = message.type === "hello" || message.type === "error" ? message.proof : undefined;
    if (proof === undefined) throw unauthorised("The peer has not proved that it belongs to the cluster.");
    const verified = this.#verify(proof, PROOF, [this.#audience()]);
    if ("refused" in verified) throw unauthorised(`The peer's proof is no good: ${verified.refused}`);
    if (verified.claims["token"] !== token) {
      throw unauthorised("The peer's proof was made for another connection.");
    }
    // Else whoever has but a key that is about to be withdrawn would keep the connection after it.
    if (verified.key !== key) {
      throw unauthorised("The peer's proof is signed with another key than the token.");
    }
    return verified.claims.sub;
  }

  async #sign(key: KnownKey, typ: string, claims: JWTPayload): Promise<string> {
    const nowMs = this.#runtime.wallMs();
    return await new SignJWT({
      ...claims,
      sub: this.#options.id,
      iat: nowMs / 1_000,
      exp: (nowMs + TOKEN_LIFETIME_MS) / 1_000,
    }).setProtectedHeader({ alg: "HS256", typ, kid: await key.signingKid }).sign(await key.secret);
  }

  #verify(
    token: string,
    typ: string,
    audiences: readonly string[],
  ): { readonly key: KnownKey; readonly claims: TokenClaims } | { readonly refused: string } {
    const verified = checkToken(token, {
      typ,
      audiences,
      nowMs: this.#runtime.wallMs(),
      clockToleranceMs: this.#clockToleranceMs,
      keyOf: (kid) => this.#keys.find((key) => key.kid === kid),
    });
    if ("refused" in verified || isName(verified.claims.sub)) return verified;
    return { refused: "The token names no member." };
  }

  /** What is wrong with the times of a token that has not ended yet. */
  #faultOfTimes({ iat, exp }: TokenClaims): string | undefined {
    const nowMs = this.#runtime.wallMs();
    if (iat * 1_000 > nowMs + this.#clockToleranceMs) {
      return "The token is from the future: the clocks of the two members are too far apart.";
    }
    if ((exp - iat) * 1_000 > MAX_TOKEN_LIFETIME_MS) return "The token is good for too long.";
    // A process that ran here before may have let it in. When this one began, by the wall clock as it is now: a clock
    // that was ahead then, and is corrected, would else keep newcomers out for as long as it was ahead.
    const beganMs = nowMs - (this.#runtime.monotonicMs() - this.#startedMs);
    if (Math.round(iat * 1_000) < Math.floor(beganMs)) return "The token is from before this member began.";
    return undefined;
  }

  #audience(authority?: string): string {
    const cluster = `hearsay:${encodeURIComponent(this.#options.cluster)}`;
    return authority === undefined ? cluster : `${cluster}@${authority}`;
  }

  /** 128 random bits. */
  #draw(): string {
    return Array.from(
      { length: 4 },
      () => Math.floor(this.#runtime.random() * 2 ** 32).toString(16).padStart(8, "0"),
    ).join("");
  }
}

function unauthorised(reason: string): ConnectionClosed {
  return new ConnectionClosed(CLOSE.unauthorised, reason);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.isWellFormed() &&
    fitsBytes(value, MAX_NAME_BYTES);
}
