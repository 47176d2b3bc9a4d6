/**
 * Authentication by keys that the members of a cluster share: `@hearsay/gossip/auth`.
 *
 * `join({ authentication: { keys } })` uses this module; otherwise pass it as `authentication` to a
 * `WebSocketTransport`. Both directions are authenticated before any state is sent. A dialer sends a token, signed with
 * its first key, with its own id, the cluster and the dialed authority. The token expires within seconds and is valid
 * once. The acceptor verifies the token before the upgrade. In its `hello` the acceptor proves its own key by a second
 * token that covers the first token.
 *
 * Any process with a key can claim any id. Signed state (`sign`) protects against false claims.
 *
 * @module
 */

import { toHex } from "../common/bytes_text.ts";
import { type JWTPayload, SignJWT } from "../deps/jose.ts";
import { CLOSE, ConnectionClosed } from "../common/errors.ts";
import type { Hello, Message, Refusal } from "../protocol/message.ts";
import { realRuntime, type Runtime } from "../common/runtime.ts";
import { helloText, type Signing, tokenHash } from "../contracts/signing.ts";
import { MAX_NAME_BYTES } from "../options/member_rules.ts";
import type {
  Admitted,
  Authentication,
  ClusterKey,
  Credentials,
  Guard,
  Rejection,
} from "../contracts/authentication.ts";
import { strongKeys } from "./key_strength.ts";
import {
  checkToken,
  isReadersToken,
  PROOF_TYPE as PROOF,
  READER_TYPE,
  sha256Hex,
  TOKEN_TYPE as TOKEN,
  type TokenClaims,
} from "./token_check.ts";
import { audienceOf, KID_LENGTH, MAX_TOKEN_LIFETIME_MS, newTokenId } from "./token_claims.ts";
import { UsedTokens } from "./used_tokens.ts";
import { fitsBytes } from "../protocol/check.ts";

export type {
  Admitted,
  Authentication,
  ClusterKey,
  Credentials,
  Guard,
  Rejection,
} from "../contracts/authentication.ts";
export { ed25519Signing, newSigningKey } from "./ed25519.ts";
export type { Signing, SigningKeyPair } from "../contracts/signing.ts";
export type { Access } from "../contracts/page_tokens.ts";
export { type PageTokenOptions, tokenFor } from "./page_tokens.ts";
export { keysFromEnvironment, keysFromFile, newClusterKey, signingKeyFromFile } from "./key_sources.ts";

export { MAX_TOKEN_LIFETIME_MS } from "./token_claims.ts";

/** The lifetime of a token, in milliseconds: the longest transit of a dial. */
export const TOKEN_LIFETIME_MS = 5_000;
/** The default of `clockTolerance`, in milliseconds. */
export const CLOCK_TOLERANCE_MS = 5_000;

/** Options of {@linkcode clusterKeys}. */
export interface ClusterKeysOptions {
  /** The first signs; all verify. */
  readonly keys: readonly ClusterKey[];
  /** The cluster's name. */
  readonly cluster: string;
  /** This member's id. */
  readonly id: string;
  /** The largest difference between the members' clocks, in milliseconds; 5,000 by default. */
  readonly clockTolerance?: number;
  /** Signs this member's handshakes, and verifies those of its peers: each proves that it owns its public key. */
  readonly signing?: Signing;
  /** Clock, timers and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
}

/**
 * Creates the authentication by shared keys.
 *
 * @example
 * ```ts
 * import { clusterKeys, newClusterKey } from "@hearsay/gossip/auth";
 * import { WebSocketTransport } from "@hearsay/gossip/transport";
 *
 * const authentication = clusterKeys({ keys: [await newClusterKey()], cluster: "orders", id: "ada" });
 * const transport = new WebSocketTransport({ path: "gossip", maxMessageBytes: 2 ** 20, authentication });
 * await transport.close();
 * ```
 *
 * @throws {ConfigurationError} if a key is weak: shorter than 32 bytes, or with fewer than 16 different bytes.
 */
export function clusterKeys(options: ClusterKeysOptions): Authentication {
  return new ClusterKeys(options);
}

/** A key and its derived forms. */
class KnownKey {
  readonly text: string;
  /** Closes the connections that were opened with this key. */
  readonly withdrawn = new AbortController();
  readonly bytes: Uint8Array<ArrayBuffer>;
  #signingKid: Promise<string> | undefined;
  #kid: string | undefined;
  #secret: Promise<CryptoKey> | undefined;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes;
    this.text = bytes.join();
  }

  /** The beginning of the key's hash: the key's id in tokens. Synchronous, because the acceptor must not wait. */
  get kid(): string {
    return this.#kid ??= sha256Hex(this.bytes).slice(0, KID_LENGTH);
  }

  /** `kid`, computed with Web Crypto: the dialer may be a browser. */
  get signingKid(): Promise<string> {
    return this.#signingKid ??= crypto.subtle.digest("SHA-256", this.bytes)
      .then((hash) => toHex(new Uint8Array(hash)).slice(0, KID_LENGTH));
  }

  get secret(): Promise<CryptoKey> {
    const hmac = { name: "HMAC", hash: "SHA-256" };
    return this.#secret ??= crypto.subtle.importKey("raw", this.bytes, hmac, false, ["sign"]);
  }
}

/** A connection and one of its two ends: the end whose `hello` is signed. */
interface End {
  /** The connection's token; its {@linkcode tokenHash} is signed. */
  readonly token: string;
  readonly side: "dialer" | "acceptor";
}

class ClusterKeys implements Authentication {
  readonly #options: ClusterKeysOptions;
  readonly #runtime: Runtime;
  /** By the monotonic clock, because the wall clock may be corrected later. */
  readonly #startedMs: number;
  readonly #used = new UsedTokens();
  /**
   * Kept separately, because a service gives tokens for reading to any visitor. These must not use up the room for
   * members' tokens.
   */
  readonly #usedByReaders = new UsedTokens();
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
        new ConnectionClosed(CLOSE.unauthorized, "The key of this connection was withdrawn."),
      );
    }
  }

  async credentials({ authority }: { readonly authority: string }): Promise<Credentials> {
    const key = this.#keys[0]!;
    const jti = newTokenId(this.#runtime);
    const token = await this.#sign(key, TOKEN, { aud: this.#audience(authority), jti });
    return { token, guard: this.#guardDialed({ key, jti, token, authority }) };
  }

  admit(
    token: string,
    { authorities, address }: { readonly authorities: ReadonlySet<string>; readonly address?: string },
  ): Admitted | Rejection {
    const isReader = isReadersToken(token);
    const audiences = [...authorities].map((each) => this.#audience(each));
    const verified = this.#verify(token, isReader ? READER_TYPE : TOKEN, audiences);
    if ("refused" in verified) return { refused: verified.refused, status: 401 };
    const { key, claims: payload } = verified;
    const { jti, sub: id } = payload;
    if (typeof jti !== "string" || jti.length > 64) {
      return { refused: "The token must have a jti.", status: 401 };
    }
    const refused = this.#faultOfTimes(payload);
    if (refused !== undefined) return { refused, status: 401 };
    // Expiry is compared in whole seconds.
    const untilMs = payload.exp * 1_000 + this.#clockToleranceMs + 1_000;
    const used = isReader ? this.#usedByReaders : this.#used;
    const now = { wallMs: this.#runtime.wallMs(), monotonicMs: this.#runtime.monotonicMs() };
    const use = used.use(jti, { id, address, untilMs, ...now });
    if (use === "used") return { refused: "The token was used before.", status: 401 };
    if (use === "full") {
      return {
        refused: "Too many tokens of this id, or from this address, were used within their lifetime.",
        status: 503,
      };
    }
    return { id, isReader, guard: this.#guardAccepted({ key, jti, token, id }) };
  }

  /** The guard of a dialed connection: refuses every message until the peer has proved its identity. */
  #guardDialed(
    { key, jti, token, authority }: {
      readonly key: KnownKey;
      readonly jti: string;
      readonly token: string;
      readonly authority: string;
    },
  ): Guard {
    let peerId: string | undefined;
    const prove = async (message: Message) => {
      peerId = this.#provenId(message, { key, token: jti, authority });
      return await this.#assertSpeaksAs(peerId, message, { token, side: "acceptor" });
    };
    return {
      signal: key.withdrawn.signal,
      outgoing: (message) => this.#signed(message, { token, side: "dialer" }),
      incoming: (message) => {
        if (peerId === undefined) return prove(message);
        return this.#assertSpeaksAs(peerId, message, { token, side: "acceptor" });
      },
    };
  }

  /**
   * The guard of an accepted connection: the peer may speak only for its token's subject, and this side
   * proves itself first.
   */
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
      // Signed with the key of the dialer's token, because the dialer certainly has that key. It may lack the first key
      // here.
      return { ...signed, proof: await this.#sign(key, PROOF, { aud: this.#audience(), token: jti }) };
    };
    return {
      signal: key.withdrawn.signal,
      incoming: (message) => this.#assertSpeaksAs(id, message, { token, side: "dialer" }),
      outgoing: (message) => {
        if (isProven || (message.type !== "hello" && message.type !== "error")) {
          return this.#signed(message, { token, side: "acceptor" });
        }
        isProven = true;
        return prove(message);
      },
    };
  }

  /** Adds a signature to a `hello`, to prove that this member owns the public key in it. */
  #signed(message: Message, end: End): Message | Promise<Message> {
    const { signing } = this.#options;
    if (message.type !== "hello" || !signing) return message;
    return this.#helloText(message, end).then((text) => signing.sign(text))
      .then((signature) => ({ ...message, signature }));
  }

  /** Refuses messages in another member's name, by id or by key. */
  #assertSpeaksAs(id: string, message: Message, end: End): Message | Promise<Message> {
    if (message.type === "gossip" && message.memberId !== id) {
      throw unauthorized(`The peer proved to be ${id} but gossips as another member.`);
    }
    if (message.type !== "hello") return message;
    if (message.member.id !== id) {
      throw unauthorized(`The peer proved to be ${id} but claims to be another member.`);
    }
    const { signing } = this.#options;
    const { publicKey, signature = "" } = message;
    if (!signing || publicKey === undefined) return message;
    const verdict = this.#helloText(message, end).then((text) =>
      signing.verify(text, { publicKey, signature })
    );
    return verdict.then((isOwn) => {
      if (isOwn) return message;
      throw unauthorized("The peer must prove that it owns its public key.");
    });
  }

  async #helloText({ member, incarnation }: Hello, { token, side }: End): Promise<string> {
    const { cluster } = this.#options;
    return helloText({ cluster, id: member.id, incarnation, side, tokenHash: await tokenHash(token) });
  }

  /**
   * Returns the id that the peer's first message proves. A refusal needs a proof too: otherwise an outsider could
   * refuse in the peer's place.
   */
  #provenId(
    message: Message,
    { key, token, authority }: {
      readonly key: KnownKey;
      readonly token: string;
      readonly authority: string;
    },
  ): string {
    const proof = message.type === "hello" || message.type === "error" ? message.proof : undefined;
    if (proof === undefined) {
      throw unauthorized(
        `The member at ${authority} has no keys (\`authentication\`), and this one has; both need a common key.`,
      );
    }
    const verified = this.#verify(proof, PROOF, [this.#audience()]);
    if ("refused" in verified) throw unauthorized(`The peer's proof is invalid: ${verified.refused}`);
    if (verified.claims["token"] !== token) {
      throw unauthorized("The peer's proof was made for another connection.");
    }
    // Otherwise a peer that has only a removed key could keep the connection after the removal.
    if (verified.key !== key) {
      throw unauthorized("The peer's proof is signed with another key than the token.");
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
    return { refused: "The token must name a member." };
  }

  /** Returns the fault in the times of an unexpired token, if any. */
  #faultOfTimes({ iat, exp }: TokenClaims): string | undefined {
    const nowMs = this.#runtime.wallMs();
    if (iat * 1_000 > nowMs + this.#clockToleranceMs) {
      return "The token is from the future: the clocks of the two members are too far apart.";
    }
    if ((exp - iat) * 1_000 > MAX_TOKEN_LIFETIME_MS) return "The token must be valid for a shorter time.";
    // An earlier process here may have accepted the token. Its start is computed from the present wall clock:
    // a clock that was ahead at the start and is corrected later would otherwise refuse new members for as
    // long.
    const beganMs = nowMs - (this.#runtime.monotonicMs() - this.#startedMs);
    if (Math.round(iat * 1_000) < Math.floor(beganMs)) {
      return "The token is from before this member began; the client needs a new token.";
    }
    return undefined;
  }

  #audience(authority?: string): string {
    return audienceOf(this.#options.cluster, authority);
  }
}

function unauthorized(reason: string): ConnectionClosed {
  return new ConnectionClosed(CLOSE.unauthorized, reason);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.isWellFormed() &&
    fitsBytes(value, MAX_NAME_BYTES);
}
