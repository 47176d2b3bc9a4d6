/**
 * Verifies a signed token synchronously, as in RFC 7519 and RFC 7515, for HS256 only.
 *
 * WebCrypto is asynchronous. A request must be upgraded before other code runs: if the client disconnects earlier, Deno
 * keeps the socket open forever.
 *
 * @module
 */

import { fromBase64Url, toHex } from "../common/bytes_text.ts";

/** The type of a dialer's token. Each kind of token has its own type, so that no token is valid as another kind. */
export const TOKEN_TYPE = "hearsay-token+jwt";
export const PROOF_TYPE = "hearsay-proof+jwt";
/** The type of a dialer's token for reading only. A member that does not know readers refuses this type. */
export const READER_TYPE = "hearsay-reader+jwt";

/** The verified claims of a token. */
export interface TokenClaims {
  readonly sub: string;
  readonly aud: string;
  /** The time of issue, in seconds of the Unix epoch. */
  readonly iat: number;
  /** The time of expiry, in seconds of the Unix epoch. */
  readonly exp: number;
  readonly [claim: string]: unknown;
}

/** The rules for a token. */
export interface TokenRules<K> {
  readonly typ: string;
  readonly audiences: readonly string[];
  readonly nowMs: number;
  readonly clockToleranceMs: number;
  /** Returns the key with an id; `undefined` for an unknown id. */
  readonly keyOf: (kid: unknown) => K | undefined;
}

/** The parts of `node:crypto` in use, which are synchronous. */
interface Hashing {
  createHash(name: "sha256"): Digest;
  createHmac(name: "sha256", key: Uint8Array): Digest;
}

interface Digest {
  update(data: string | Uint8Array): Digest;
  digest(): Uint8Array;
}

/** Looked up at first use, because browsers, which only dial, do not have it. */
function hashing(): Hashing {
  const { process } = globalThis as unknown as {
    readonly process: { getBuiltinModule(name: "node:crypto"): Hashing };
  };
  return process.getBuiltinModule("node:crypto");
}

/** The SHA-256 of bytes as hexadecimal digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return toHex(hashing().createHash("sha256").update(bytes).digest());
}

/** Verifies a token. Returns its key and claims, or the reason to refuse it as a sentence. */
export function checkToken<K extends { readonly bytes: Uint8Array }>(
  token: string,
  rules: TokenRules<K>,
): { readonly key: K; readonly claims: TokenClaims } | { readonly refused: string } {
  const parts = token.split(".");
  const [header = "", payload = "", signature = ""] = parts;
  const head = objectOf(header);
  const given = bytesOf(signature);
  const isReadable = parts.length === 3 && head?.["alg"] === "HS256" && !("crit" in head) && given;
  if (!isReadable) return { refused: "The token must be a JWT with HS256." };
  const key = rules.keyOf(head["kid"]);
  if (
    !key ||
    !areEqual(given, hashing().createHmac("sha256", key.bytes).update(`${header}.${payload}`).digest())
  ) {
    return { refused: "The token must be signed with a key of this cluster." };
  }
  const claims = objectOf(payload);
  if (!claims) return { refused: "The token must be a JWT with HS256." };
  if (head["typ"] !== rules.typ) return { refused: "The token must have the right typ." };
  const refused = faultOf(claims, rules);
  // faultOf has checked these claims.
  return refused === undefined ? { key, claims: claims as unknown as TokenClaims } : { refused };
}

/** True if a text has the header of a dialer's token; nothing is verified. */
export function isDialersToken(text: string): boolean {
  return typeOf(text) === TOKEN_TYPE || isReadersToken(text);
}

/** True if a text has the header of a token for reading; nothing is verified. */
export function isReadersToken(text: string): boolean {
  return typeOf(text) === READER_TYPE;
}

function typeOf(text: string): unknown {
  return objectOf(text.split(".", 1)[0]!)?.["typ"];
}

function faultOf(
  { sub, aud, iat, exp, nbf }: Readonly<Record<string, unknown>>,
  { audiences, nowMs, clockToleranceMs }: Omit<TokenRules<unknown>, "keyOf" | "typ">,
): string | undefined {
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!named.some((each) => typeof each === "string" && audiences.includes(each))) {
    const given = JSON.stringify(aud ?? null).slice(0, 200);
    return `The token is for ${given}, and this member is ${
      audiences.join(" or ") || "not known by any address"
    }.`;
  }
  // A token for several audiences would be valid for several members.
  if (typeof aud !== "string") return "The token must be for one member only.";
  if (typeof sub !== "string") return "The token must have a valid sub.";
  if (typeof iat !== "number") return "The token must have a valid iat.";
  if (typeof exp !== "number") return "The token must have a valid exp.";
  const nowS = Math.floor(nowMs / 1_000);
  const toleranceS = clockToleranceMs / 1_000;
  if (nbf !== undefined && !(typeof nbf === "number" && nbf <= nowS + toleranceS)) {
    return "The token must have a valid nbf.";
  }
  if (exp <= nowS - toleranceS) {
    return "The token has expired, or the clocks of the two members are too far apart.";
  }
  return undefined;
}

function objectOf(part: string): Readonly<Record<string, unknown>> | undefined {
  const bytes = bytesOf(part);
  if (!bytes) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? value as Readonly<Record<string, unknown>> : undefined;
  } catch {
    return undefined;
  }
}

function bytesOf(part: string): Uint8Array | undefined {
  try {
    return fromBase64Url(part);
  } catch {
    return undefined;
  }
}

/** Compares in constant time. */
function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  return a.reduce((difference, byte, index) => difference | (byte ^ b[index]!), 0) === 0;
}
