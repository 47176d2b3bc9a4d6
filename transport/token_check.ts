/**
 * Reading a signed token at once, as RFC 7519 and RFC 7515 say, for HS256 alone.
 *
 * WebCrypto takes its time, and a request must be upgraded before anything else runs: of a client that is gone by then
 * Deno keeps the socket open for ever.
 *
 * @module
 */

/** What a token says, as far as it was looked at. */
export interface TokenClaims {
  readonly sub: string;
  readonly aud: string;
  /** When it was made, in seconds of the Unix epoch. */
  readonly iat: number;
  /** Until when it is good, in seconds of the Unix epoch. */
  readonly exp: number;
  readonly [claim: string]: unknown;
}

/** What is asked of a token. */
export interface TokenRules<K> {
  readonly typ: string;
  readonly audiences: readonly string[];
  readonly nowMs: number;
  readonly clockToleranceMs: number;
  /** The key that a token names, if there is one. */
  readonly keyOf: (kid: unknown) => K | undefined;
}

/** What of `node:crypto` is used: there the hash is made at once. */
interface Hashing {
  createHash(name: "sha256"): Digest;
  createHmac(name: "sha256", key: Uint8Array): Digest;
}

interface Digest {
  update(data: string | Uint8Array): Digest;
  digest(): Uint8Array;
}

/** Looked up when it is used: browsers, which only dial, have none. */
function hashing(): Hashing {
  const { process } = globalThis as unknown as {
    readonly process: { getBuiltinModule(name: "node:crypto"): Hashing };
  };
  return process.getBuiltinModule("node:crypto");
}

/** The SHA-256 of some bytes, in hexadecimal digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return new Uint8Array(hashing().createHash("sha256").update(bytes).digest()).toHex();
}

/** The key and the claims of a token, or why it is refused, as a sentence. */
export function checkToken<K extends { readonly bytes: Uint8Array }>(
  token: string,
  rules: TokenRules<K>,
): { readonly key: K; readonly claims: TokenClaims } | { readonly refused: string } {
  const parts = token.split(".");
  const [header = "", payload = "", signature = ""] = parts;
  const head = objectOf(header);
  const given = bytesOf(signature);
  const isReadable = parts.length === 3 && head?.["alg"] === "HS256" && !("crit" in head) && given;
  if (!isReadable) return { refused: "The token cannot be read." };
  const key = rules.keyOf(head["kid"]);
  if (
    !key ||
    !areEqual(given, hashing().createHmac("sha256", key.bytes).update(`${header}.${payload}`).digest())
  ) {
    return { refused: "The token is not signed with a key of this cluster." };
  }
  const claims = objectOf(payload);
  if (!claims) return { refused: "The token cannot be read." };
  if (head["typ"] !== rules.typ) return { refused: "The token's typ is not right." };
  const refused = faultOf(claims, rules);
  // Just looked at: these claims are what they should be.
  return refused === undefined ? { key, claims: claims as unknown as TokenClaims } : { refused };
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
  // Several at once would be a token for several members.
  if (typeof aud !== "string") return "The token is for more than one member.";
  if (typeof sub !== "string") return "The token's sub is not right.";
  if (typeof iat !== "number") return "The token's iat is not right.";
  if (typeof exp !== "number") return "The token's exp is not right.";
  const nowS = Math.floor(nowMs / 1_000);
  const toleranceS = clockToleranceMs / 1_000;
  if (nbf !== undefined && !(typeof nbf === "number" && nbf <= nowS + toleranceS)) {
    return "The token's nbf is not right.";
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
    return Uint8Array.fromBase64(part, { alphabet: "base64url" });
  } catch {
    return undefined;
  }
}

/** Takes as long wherever the difference is. */
function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  return a.reduce((difference, byte, index) => difference | (byte ^ b[index]!), 0) === 0;
}
