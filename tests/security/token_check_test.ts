import { assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { checkToken, sha256Hex } from "../../security/token_check.ts";

const KEY = { bytes: new Uint8Array(32).map((_, index) => index * 7) };
const NOW_MS = 1_700_000_000_000;
const NOW_S = NOW_MS / 1_000;
const CLAIMS = { sub: "ada", aud: "here", iat: NOW_S, exp: NOW_S + 5 };
const HEADER = { alg: "HS256", typ: "t", kid: "k" };
const RULES = {
  typ: "t",
  audiences: ["here"],
  nowMs: NOW_MS,
  clockToleranceMs: 5_000,
  keyOf: (kid: unknown) => kid === "k" ? KEY : undefined,
};

function part(value: unknown): string {
  const bytes = new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** A token with a valid signature by WebCrypto and any claims. */
async function signed(claims: unknown, header: unknown = HEADER): Promise<string> {
  const text = `${part(header)}.${part(claims)}`;
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", KEY.bytes, hmac, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text));
  return `${text}.${new Uint8Array(signature).toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

Deno.test("checkToken: reads a token that WebCrypto signed", async () => {
  assertEquals(checkToken(await signed(CLAIMS), RULES), { key: KEY, claims: CLAIMS });
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", KEY.bytes)).toHex();
  assertEquals(sha256Hex(KEY.bytes), hash);
});

Deno.test("checkToken: refuses any fault in the claims of a token with a valid signature", async () => {
  const refused: readonly (readonly [reason: RegExp, claims: unknown, header?: unknown])[] = [
    [/JWT with HS256/, CLAIMS, { ...HEADER, alg: "none" }],
    [/JWT with HS256/, CLAIMS, { ...HEADER, alg: "HS512" }],
    [/JWT with HS256/, CLAIMS, { ...HEADER, crit: ["exp"] }],
    [/JWT with HS256/, CLAIMS, []],
    [/JWT with HS256/, CLAIMS, "{"],
    [/JWT with HS256/, [CLAIMS]],
    [/JWT with HS256/, null],
    [/must be signed with a key/, CLAIMS, { ...HEADER, kid: "other" }],
    [/must be signed with a key/, CLAIMS, { ...HEADER, kid: undefined }],
    [/right typ/, CLAIMS, { ...HEADER, typ: undefined }],
    [/is for "there", and this member is here/, { ...CLAIMS, aud: "there" }],
    [/is for null/, { ...CLAIMS, aud: undefined }],
    [/one member only/, { ...CLAIMS, aud: ["here"] }],
    [/valid sub/, { ...CLAIMS, sub: 5 }],
    [/valid iat/, { ...CLAIMS, iat: "now" }],
    [/valid exp/, { ...CLAIMS, exp: undefined }],
    [/valid nbf/, { ...CLAIMS, nbf: NOW_S + 6 }],
    [/valid nbf/, { ...CLAIMS, nbf: null }],
    [/has expired/, { ...CLAIMS, exp: NOW_S - 5 }],
  ];
  for (const [reason, claims, header] of refused) {
    const outcome = checkToken(await signed(claims, header), RULES);
    assertMatch("refused" in outcome ? outcome.refused : "taken", reason);
  }
  const token = await signed(CLAIMS);
  for (const text of ["", "..", `${token}.`, token.slice(0, -4), `${token}é`, token.replace(".", "..")]) {
    assertEquals("refused" in checkToken(text, RULES), true, text);
  }
  assertEquals(
    "claims" in checkToken(await signed({ ...CLAIMS, exp: NOW_S - 4, nbf: NOW_S + 5 }), RULES),
    true,
  );
});
