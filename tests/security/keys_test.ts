import { assert, assertEquals, assertStringIncludes, assertThrows } from "../../deps/std_assert.ts";
import { assertRejects } from "../../deps/std_assert.ts";
import { ConfigurationError, parseConfig } from "../../options/yaml.ts";
import { realRuntime } from "../../common/runtime.ts";
import { join, type JoinOptions } from "../../mod.ts";
import { authorityOf } from "../../common/canonical_address.ts";
import { ConnectionClosed } from "../../common/errors.ts";
import type { Message } from "../../protocol/message.ts";
import {
  clusterKeys,
  type ClusterKeysOptions,
  keysFromFile,
  newClusterKey,
} from "../../security/cluster_keys.ts";
import { MAX_USED_TOKENS, MAX_USED_TOKENS_PER_ID, UsedTokens } from "../../security/used_tokens.ts";
import { bytesOf, forge, type TokenOptions } from "./attacker.ts";

const KEY = await newClusterKey();
const OTHER = await newClusterKey();
const HERE = "127.0.0.1:7001";
const AUTHORITIES = new Set([HERE]);

function member(options: Partial<ClusterKeysOptions> = {}) {
  return clusterKeys({ keys: [KEY], cluster: "orders", id: "ada", ...options });
}

const ADA = member();

/** Both clocks at one time. */
function at(ms: number) {
  return { wallMs: ms, monotonicMs: ms };
}

/** The reason why a token is refused; `undefined` if it is accepted. */
async function refusalOf(token: string, authentication = ADA): Promise<string | undefined> {
  const outcome = await authentication.admit(token, { authorities: AUTHORITIES });
  if (!("refused" in outcome)) return undefined;
  assertEquals(outcome.status, 401);
  return outcome.refused;
}

// ---- keys

const WEAK: readonly (readonly [string, unknown])[] = [
  ["is too short", "c2hvcnQ"],
  ["is too short", new Uint8Array(31)],
  ["repeats itself", btoa("changeme".repeat(8))],
  ["repeats itself", new Uint8Array(64)],
  // Ten digits without any order: each comes again and again.
  ["repeats itself", new TextEncoder().encode("31415926535897932384626433832795")],
  ["is a sequence", Uint8Array.from({ length: 32 }, (_, at) => at).toBase64()],
  ["is a sequence", Uint8Array.from({ length: 48 }, (_, at) => 255 - 3 * at)],
  ["is a sequence", btoa("abcdefghijklmnopqrstuvwxyz0123456789")],
  ["is weak", Array.from({ length: 32 }, (_, at) => at.toString(16).padStart(2, "0")).join("")],
  ["is a sequence", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"],
  ["is a sequence", Uint8Array.from({ length: 40 }, (_, at) => at % 2 === 0 ? at : 255 - at)],
  ["repeats itself", Uint8Array.from({ length: 48 }, (_, at) => [...bytesOf(KEY)][at % 16]!)],
  ["repeats itself", "0123456789abcdef".repeat(4)],
  ["has words in it", "change-me-change-it-please-before-you-deploy-it"],
  ["has words in it", btoa("The quick brown fox jumps over the lazy dog")],
  ["has words in it", btoa('{"alg":"HS256","typ":"JWT","kid":"1"}')],
  ["has words in it", "MySecretKeyForTheClusterOfOrdersInProductions1"],
  ["is published in a manual", "6RhfKFZ5uYEaU6RgWzx69ssLcpiIkvnEZs5KBOQxvxA="],
  ["is not base64", "a pass phrase made up by a person, long as it is"],
  ["is no key", 5],
];

for (const [why, key] of WEAK) {
  Deno.test(`keys: a weak key is refused at construction, and not shown: ${why} (${typeof key})`, async () => {
    for (
      const make of [() => member({ keys: [KEY, key as string] }), () => member().setKeys([key as string])]
    ) {
      const error = assertThrows(make, ConfigurationError);
      assertStringIncludes(error.message, why);
      if (typeof key === "string") assert(!error.message.includes(key.slice(0, 12)));
    }
    const options = { cluster: "c", listen: {}, authentication: { keys: [key] } } as unknown as JoinOptions;
    const error = await assertRejects(() => join(options), ConfigurationError);
    assertEquals(error.problems.map(({ field }) => field), ["authentication.keys[0]"]);
  });
}

Deno.test("keys: an error about a missing list, or a missing key in it, says that nothing was given", async () => {
  const givenOf = async (authentication: unknown) => {
    const options = { cluster: "c", listen: {}, authentication } as JoinOptions;
    const { problems } = await assertRejects(() => join(options), ConfigurationError);
    return problems.map(({ field, given }) => `${field} ${given}`);
  };
  assertEquals(await givenOf({ key: KEY }), ["authentication.key ", "authentication.keys nothing"]);
  assertEquals(await givenOf({ keys: [undefined] }), ["authentication.keys[0] nothing"]);
  assertEquals(await givenOf({ keys: KEY }), ["authentication.keys a string"]);
});

Deno.test("keys: a list of no key, or of more than eight keys, is refused", () => {
  assertThrows(() => member({ keys: [] }), ConfigurationError, "a list of 0");
  assertThrows(() => member({ keys: new Array(9).fill(KEY) }), ConfigurationError, "a list of 9");
});

Deno.test("setKeys: fails for weak keys, and the former keys stay", async () => {
  const authentication = member();
  assertThrows(() => authentication.setKeys(["weak"]), ConfigurationError);
  assertEquals(await refusalOf(await forge({ key: KEY, authority: HERE }), authentication), undefined);
});

Deno.test("keys: bytes, base64 and base64url, with or without padding, give one key", async () => {
  const base64 = bytesOf(KEY).toBase64();
  for (const key of [KEY, base64, base64.replace(/=+$/, ""), ` ${KEY}\n`, bytesOf(KEY)]) {
    const authentication = member({ keys: [key] });
    assertEquals(await refusalOf(await forge({ key: KEY, authority: HERE }), authentication), undefined);
  }
});

/** The result of `keysFromEnvironment` in a process with this variable: the keys, or the error's text. */
async function inEnvironment(keys: string | undefined) {
  const module = new URL("../../security/cluster_keys.ts", import.meta.url).href;
  const code = `import { keysFromEnvironment } from ${JSON.stringify(module)};
    try { console.log(JSON.stringify(keysFromEnvironment())); } catch (error) { console.log(JSON.stringify(error.message)); }`;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--allow-env=HEARSAY_KEYS",
      `data:text/javascript,${encodeURIComponent(code)}`,
    ],
    env: keys === undefined ? {} : { HEARSAY_KEYS: keys },
  });
  return JSON.parse(new TextDecoder().decode((await child.output()).stdout));
}

Deno.test("keys: keys come from a file with one key in each line, and from the environment", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, `# the new one first\n${OTHER}\n\n${KEY}\n`);
    assertEquals(await keysFromFile(file), [OTHER, KEY]);
  } finally {
    await Deno.remove(file);
  }
  assertEquals(await inEnvironment(`${OTHER}, ${KEY}`), [OTHER, KEY]);
});

Deno.test("keys: an error names the file or the variable, and says that it is not set or has no key", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const file = `${dir}/keys.txt`;
    const textOf = async (text: string) => {
      await Deno.writeTextFile(file, text);
      return (await assertRejects(() => keysFromFile(file), ConfigurationError)).message.split("\n").slice(1);
    };
    assertEquals(await textOf("# none\n"), [`  \`${file}\` must have 1 to 8 keys; it has none.`]);
    const [line = ""] = await textOf(`${KEY}\nweak\n`);
    assert(line.startsWith(`  \`${file}[1]\` is weak`), line);
    assertEquals(await textOf(`${KEY}\n`.repeat(9)), [`  \`${file}\` must have 1 to 8 keys; got 9.`]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  const lineOf = async (keys: string | undefined) => (await inEnvironment(keys)).split("\n").at(-1);
  assertEquals(await lineOf(undefined), "  `HEARSAY_KEYS` must have 1 to 8 keys; it is not set.");
  assertEquals(await lineOf(" "), "  `HEARSAY_KEYS` must have 1 to 8 keys; it has none.");
  assertStringIncludes((await lineOf("weak"))!, "`HEARSAY_KEYS[0]` is weak");
});

Deno.test("keys: keys never come from YAML, not even if the caller reserves the name", () => {
  for (const name of ["authentication", "keys", "key", "secret"]) {
    for (const options of [{}, { ignore: [name] }]) {
      const error = assertThrows(
        () => parseConfig(`gossipFanOut: 2\n${name}: ${KEY}\n`, options),
        ConfigurationError,
      );
      assertEquals(error.problems.map(({ field, problem }) => [field, problem]), [[
        name,
        "must not be in YAML",
      ]]);
      assert(!error.message.includes(KEY));
    }
  }
});

// ---- proofs

Deno.test("proof: the error about a peer without keys has its address, and says what to do", async () => {
  const { guard } = await member().credentials({ authority: "10.0.0.5:7001" });
  const hello = { type: "hello", member: { id: "ben" } } as unknown as Message;
  await assertRejects(
    async () => await guard.incoming(hello),
    ConnectionClosed,
    "The member at 10.0.0.5:7001 has no keys (`authentication`), and this one has; both need a common key.",
  );
});

// ---- tokens

Deno.test("token: a member's token is accepted by another with the same key, and gives its id", async () => {
  const ada = member();
  const { token } = await member({ id: "ben" }).credentials({ authority: HERE });
  const outcome = await ada.admit(token, { authorities: AUTHORITIES });
  assert("id" in outcome);
  assertEquals(outcome.id, "ben");
});

const FORGED: readonly (readonly [string, Partial<TokenOptions>, RegExp])[] = [
  ["signed with another key", { key: OTHER }, /must be signed with a key of this cluster/],
  ["signed with another key under the name of the right one", {
    key: OTHER,
    kid: new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf(KEY))).toHex().slice(0, 16),
  }, /must be signed with a key of this cluster/],
  ["that has expired", { madeMs: -20_000 }, /expired/],
  ["from the future", { madeMs: 20_000 }, /from the future/],
  ["that is good for a day", { lifetimeMs: 86_400_000 }, /shorter time/],
  ["from before the member began", { madeMs: -2_000 }, /before this member began/],
  ["for another cluster", { cluster: "payments" }, /is for "hearsay:payments@127.0.0.1:7001"/],
  ["for another member", { authority: "127.0.0.1:7002" }, /is for "hearsay:orders@127.0.0.1:7002"/],
  ["for no member", {}, /is for "hearsay:orders"/],
  [
    "for several members",
    { claims: { aud: [`hearsay:orders@${HERE}`, "hearsay:orders@b:1"] } },
    /one member only/,
  ],
  ["that is the proof of an accepting side", { typ: "hearsay-proof+jwt" }, /right typ/],
  ["that names no member", { claims: { sub: "" } }, /must name a member/],
  ["that names a member of 300 characters", { id: "x".repeat(300) }, /must name a member/],
  ["without an id of its own", { claims: { jti: 5 } as never }, /a jti/],
];

for (const [what, options, why] of FORGED) {
  Deno.test(`token: a token ${what} is refused`, async () => {
    const authority = what === "for no member" ? {} : { authority: HERE };
    // A member of its own: on a busy machine the shared one may have begun long ago.
    const token = await forge({ key: KEY, ...authority, ...options });
    const refused = await refusalOf(token, member());
    assert(why.test(refused ?? ""), refused);
  });
}

Deno.test("token: a token without a signature, or with a part changed, is refused", async () => {
  const token = await forge({ key: KEY, authority: HERE });
  const [head, body, signature] = token.split(".") as [string, string, string];
  const none = btoa(JSON.stringify({ alg: "none", typ: "hearsay-token+jwt" })).replace(/=+$/, "");
  const changed = btoa(atob(body).replace("mallory", "boss")).replace(/=+$/, "");
  for (
    const forged of [`${none}.${body}.`, `${head}.${changed}.${signature}`, `${head}.${body}.`, "", "a.b.c"]
  ) {
    assert(await refusalOf(forged) !== undefined, forged);
  }
});

Deno.test("token: a token is accepted once, also if it comes again while it is being verified", async () => {
  const authentication = member();
  const token = await forge({ key: KEY, authority: HERE });
  const both = await Promise.all([refusalOf(token, authentication), refusalOf(token, authentication)]);
  assertEquals(both.filter((refused) => refused === undefined).length, 1);
  assertEquals(await refusalOf(token, authentication), "The token was used before.");
});

Deno.test("token: a used token is remembered until it expires, by both clocks", async () => {
  let aheadMs = 0;
  const runtime = {
    ...realRuntime,
    wallMs: () => Date.now() + aheadMs,
    monotonicMs: () => performance.now() + aheadMs,
  };
  const authentication = member({ runtime });
  const token = await forge({ key: KEY, authority: HERE });
  assertEquals(await refusalOf(token, authentication), undefined);
  aheadMs = 9_900;
  assertEquals(await refusalOf(token, authentication), "The token was used before.");
  aheadMs = 11_100;
  assertStringIncludes(await refusalOf(token, authentication) ?? "", "expired");
});

Deno.test("token: after a fast clock is corrected no valid token is refused, and no token is accepted twice", async () => {
  let aheadMs = 60_000;
  let atMs = 0;
  const runtime = {
    ...realRuntime,
    wallMs: () => Date.now() + atMs + aheadMs,
    monotonicMs: () => performance.now() + atMs,
  };
  const corrected = { ...realRuntime, wallMs: () => Date.now() + atMs };
  const before = await forge({ key: KEY, authority: HERE });
  atMs = 100;
  const [ada, ben] = [member({ runtime }), member({ id: "ben", runtime })];
  const newcomer = member({ id: "cem", runtime: corrected });
  aheadMs = 0;
  atMs = 1_000;
  for (const [from, to] of [[newcomer, ada], [ada, ben], [ben, ada]] as const) {
    const { token } = await from.credentials({ authority: HERE });
    assertEquals(await refusalOf(token, to), undefined);
    assertEquals(await refusalOf(token, to), "The token was used before.");
  }
  // The process that ran here before may have accepted it.
  assertEquals(
    await refusalOf(before, ada),
    "The token is from before this member began; the client needs a new token.",
  );
});

Deno.test("token: after a step back of the clock, tokens that had expired refuse no token of their id, and none is accepted twice", async () => {
  let wallMs = Date.UTC(2026, 0, 1);
  let monotonicMs = 0;
  const runtime = { ...realRuntime, wallMs: () => wallMs, monotonicMs: () => monotonicMs };
  const [ada, ben] = [member({ runtime }), member({ id: "ben", runtime })];
  const tokens: string[] = [];
  const dial = async () => {
    wallMs += 25_000;
    monotonicMs += 25_000;
    tokens.push((await ben.credentials({ authority: HERE })).token);
    assertEquals(await refusalOf(tokens.at(-1)!, ada), undefined);
  };
  for (let times = 0; times < MAX_USED_TOKENS_PER_ID; times++) await dial();
  wallMs -= 2 * 3_600_000;
  for (let times = 0; times < MAX_USED_TOKENS_PER_ID; times++) await dial();
  // Each is unexpired again at the same time of the corrected clock.
  wallMs = Date.UTC(2026, 0, 1);
  for (const token of tokens.slice(0, MAX_USED_TOKENS_PER_ID)) {
    wallMs += 25_000;
    assertEquals(await refusalOf(token, ada), "The token was used before.");
  }
});

Deno.test("token: at the limit of all tokens, the first that expired by both clocks is forgotten first", () => {
  const used = new UsedTokens();
  const use = (jti: string, untilMs: number, now: ReturnType<typeof at>) =>
    used.use(jti, { id: jti, address: undefined, untilMs, ...now });
  // By the wall clock, the first two expire two hours later than the others: it was ahead.
  for (let n = 0; n < MAX_USED_TOKENS; n++) {
    const aheadMs = n < 2 ? 7_200_000 : 0;
    assertEquals(use(`${n}`, 1_000 + aheadMs, { monotonicMs: 0, wallMs: aheadMs }), "ok");
  }
  assertEquals(use("more", 3_000, at(2_000)), "ok");
  for (const jti of ["0", "1", "3"]) assertEquals(use(jti, 3_000, at(2_000)), "used");
  assertEquals(use("2", 3_000, at(2_000)), "ok");
  // By the wall clock, none has expired: the first token is forgotten.
  assertEquals(use("last", 3_000, { monotonicMs: 2_000, wallMs: -7_200_000 }), "ok");
  for (const jti of ["1", "more"]) assertEquals(use(jti, 3_000, at(2_000)), "used");
  assertEquals(use("0", 3_000, at(2_000)), "ok");
});

Deno.test("token: one id or one address fills only its own share of the used tokens", () => {
  const used = new UsedTokens();
  const use = (jti: string, id: string, address: string) =>
    used.use(jti, { id, address, untilMs: 1_000, ...at(0) });
  for (let n = 0; n < MAX_USED_TOKENS; n++) use(`m${n}`, "mallory", "10.0.0.66");
  assertEquals(use("m", "mallory", "10.0.0.66"), "full");
  assertEquals(use("a", "ada", "10.0.0.66"), "ok");
  for (let n = 0; n < MAX_USED_TOKENS; n++) use(`i${n}`, `invented ${n}`, "10.0.0.66");
  assertEquals(use("b", "ben", "10.0.0.66"), "full");
  assertEquals(use("b", "ben", "10.0.0.7"), "ok");
  assertEquals(used.use("c", { id: "ada", address: "10.0.0.66", untilMs: 2_000, ...at(1_001) }), "ok");
});

Deno.test("token: clocks may differ by the tolerance, but not by more", async () => {
  const authentication = member({ clockTolerance: 60_000 });
  assertEquals(
    await refusalOf(await forge({ key: KEY, authority: HERE, madeMs: 50_000 }), authentication),
    undefined,
  );
  assertStringIncludes(
    await refusalOf(await forge({ key: KEY, authority: HERE, madeMs: 120_000 }), authentication) ?? "",
    "future",
  );
});

Deno.test("token: used tokens are bounded: while the bound is reached no other client is admitted", () => {
  const used = new UsedTokens();
  for (let each = 0; each < MAX_USED_TOKENS; each++) {
    const from = { id: `${each}`, address: `10.0.0.${each % 256}` };
    assertEquals(used.use(`${each}`, { ...from, untilMs: 1_000 + each, ...at(0) }), "ok");
  }
  const from = { id: "more", address: "10.0.1.1" };
  assertEquals(used.use("more", { ...from, untilMs: 1_000, ...at(500) }), "full");
  assertEquals(used.use("0", { ...from, untilMs: 1_000, ...at(500) }), "used");
  assertEquals(used.use("more", { ...from, untilMs: 1_000, ...at(1_001) }), "ok");
});

Deno.test("keys: the first key signs and all verify, so a key is added and removed without a gap", async () => {
  const [one, other] = [member({ id: "one" }), member({ id: "other" })];
  const passes = async () => {
    for (const [from, to] of [[one, other], [other, one]] as const) {
      const { token } = await from.credentials({ authority: HERE });
      assertEquals(await refusalOf(token, to), undefined);
    }
  };
  for (const keys of [[KEY, OTHER], [OTHER, KEY], [OTHER]]) {
    one.setKeys(keys);
    await passes();
    other.setKeys(keys);
    await passes();
  }
  assertStringIncludes(
    await refusalOf(await forge({ key: KEY, authority: HERE }), one) ?? "",
    "must be signed with a key",
  );
});

Deno.test("token: an authority is written in one form, with its port", () => {
  for (
    const [address, authority] of [
      ["ws://127.0.0.1:7001", "127.0.0.1:7001"],
      ["ws://localhost:7001/gossip", "127.0.0.1:7001"],
      ["wss://A.Example/gossip", "a.example:443"],
      ["ws://a.example", "a.example:80"],
      ["ws://[::1]:7001", "127.0.0.1:7001"],
      ["ws://a.localhost.:7001", "127.0.0.1:7001"],
      ["ws://[::ffff:127.0.0.1]:7001", "127.0.0.1:7001"],
      ["ws://[::ffff:10.0.0.5]:7001", "10.0.0.5:7001"],
      ["ws://a.example.:7001", "a.example:7001"],
      ["ws://127.0.0.2:7001", "127.0.0.2:7001"],
      ["ws://[fd00::0:1]:7001", "[fd00::1]:7001"],
      ["nonsense", undefined],
    ] as const
  ) assertEquals(authorityOf(address), authority);
});
