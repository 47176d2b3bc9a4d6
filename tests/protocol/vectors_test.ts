import { assert, assertEquals } from "../../deps/std_assert.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import { Heartbeats } from "../../engine/liveness/heartbeats.ts";
import { Suspicions } from "../../engine/liveness/suspicions.ts";
import type { Membership } from "../../engine/membership/membership.ts";
import { MemberState } from "../../engine/state/member_state.ts";
import { byCodePoint, topologyHash } from "../../engine/state/murmur3.ts";
import { Store } from "../../engine/state/store.ts";
import { type LivenessVector, type SentEntry, TYPE } from "../../engine/types.ts";
import { ed25519Signing } from "../../security/ed25519.ts";
import { helloText, signedText, tokenHash } from "../../contracts/signing.ts";
import { checkToken, sha256Hex } from "../../security/token_check.ts";

const VECTORS = new URL("../../docs/vectors/", import.meta.url);
const NOW = { monotonicMs: 1_000, wallMs: 1_700_000_000_000 };

/** The vectors in a file; each test states their type. */
async function read<T>(name: string): Promise<T> {
  return JSON.parse(await Deno.readTextFile(new URL(`${name}.json`, VECTORS))) as T;
}

async function casesOf<T>(name: string): Promise<readonly T[]> {
  const { cases } = await read<{ readonly cases: readonly T[] }>(name);
  assert(cases.length > 2);
  return cases;
}

type EntryVector = readonly [key: string, number: number, deleted?: boolean];

function entryOf([key, number, deleted = false]: EntryVector): SentEntry {
  return { key, number, type: TYPE.value, value: deleted ? undefined : 1, json: deleted ? "" : "1" };
}

/** A store with these active members; an empty incarnation is a member without state. */
function storeOf(members: readonly (readonly [id: string, incarnation: string])[]): Store {
  const store = new Store(members[0]?.[0] ?? "none", () => {});
  for (const [id, incarnation] of members) {
    store.activate(id);
    if (incarnation !== "") store.addMember(id, incarnation);
  }
  return store;
}

/** The heartbeats of the members of a store with this stride. */
function heartbeatsOf(store: Store, stride: number): Heartbeats {
  const settings = { gossipInterval: 1, heartbeatExpiration: 12 * stride, maxMessageBytes: 2 ** 20 };
  return new Heartbeats(settings, {
    selfId: "none",
    store,
    membership: { heartbeat() {} } as unknown as Membership,
    emit: () => {},
    suspicions: new Suspicions(store.active, () => {}),
    trustsVectors: true,
  });
}

Deno.test("vectors: the ids are in the order of their UTF-8 bytes", async () => {
  const { sorted } = await read<{ sorted: readonly string[] }>("id_order");
  assertEquals([...sorted].reverse().sort(byCodePoint), [...sorted]);
  // Otherwise the vectors would not distinguish this order from that of UTF-16.
  assert([...sorted].sort().join() !== sorted.join());
});

Deno.test("vectors: incarnations have the documented form, and rise (E1)", async () => {
  const cases = await casesOf<{ startMs: number; random: number; incarnation: string }>("incarnations");
  for (const { startMs, random, incarnation } of cases) {
    assertEquals(makeIncarnation(startMs, random / 2 ** 32), incarnation);
  }
  const incarnations = cases.map(({ incarnation }) => incarnation);
  assertEquals([...incarnations].sort(), incarnations);
});

Deno.test("vectors: the digest and the sum of each member are as documented (E12)", async () => {
  interface Case {
    readonly members: readonly { id: string; incarnation: string; entries: readonly EntryVector[] }[];
    readonly sums: readonly string[];
    readonly digest: string;
  }
  for (const { members, sums, digest } of await casesOf<Case>("digest")) {
    const store = storeOf(members.map(({ id, incarnation }) => [id, incarnation]));
    for (const { id, entries } of members) store.put(store.log.get(id)!, entries.map(entryOf), NOW);
    assertEquals(members.map(({ id }) => `${store.log.get(id)!.sum}`), [...sums]);
    assertEquals(store.digest, digest);
  }
});

Deno.test("vectors: the hash of the active members is as documented (E12)", async () => {
  for (const { ids, active } of await casesOf<{ ids: readonly string[]; active: string }>("active")) {
    assertEquals(storeOf(ids.map((id) => [id, ""])).activeHash, active);
  }
});

Deno.test("vectors: the hash of the incarnations is as documented (L2)", async () => {
  const cases = await casesOf<{ members: [string, string][]; hash: string }>("incarnations_hash");
  for (const { members, hash } of cases) {
    assertEquals(storeOf(members).incarnationsHash, hash);
  }
});

Deno.test("vectors: the topology hash is as documented (E14)", async () => {
  const cases = await casesOf<{ ids: readonly string[]; topologyHash: string }>("topology");
  for (const each of cases) assertEquals(topologyHash(each.ids), each.topologyHash);
});

Deno.test("vectors: the tag of a member is as documented (L2)", async () => {
  const cases = await casesOf<{ id: string; incarnation: string; tag: string }>("tags");
  for (const { id, incarnation, tag } of cases) assertEquals(new MemberState(id, incarnation).tag, tag);
});

Deno.test("vectors: the set of the members that are known to agree is as documented (E12)", async () => {
  interface Case {
    readonly ids: readonly string[];
    readonly agreeing: readonly string[];
    readonly text: string;
  }
  for (const { ids, agreeing, text } of await casesOf<Case>("agreeing")) {
    const { sorted } = storeOf(ids.map((id) => [id, ""]));
    assertEquals(sorted.encode((id) => agreeing.includes(id)), text);
    assertEquals([...sorted.decode(text)], [...agreeing]);
  }
});

interface LivenessVectors {
  readonly strides: readonly { heartbeatExpiration: number; gossipInterval: number; stride: number }[];
  readonly encode: readonly { stride: number; count: number; digit: string }[];
  readonly decode: readonly { stride: number; known: number; digit: string; count: number }[];
  readonly vectors: readonly {
    readonly active: readonly string[];
    readonly known: readonly number[];
    /** As on the wire. */
    readonly live: Omit<LivenessVector, "incarnationsHash"> & { readonly active?: string };
    readonly counts: readonly number[];
  }[];
}

const LIFE = "018bcfe56800-1f3a9c02";

/** Three active members; the first was heard with this count. */
function heardOnce(count: number): { store: Store; state: MemberState } {
  const store = storeOf([["a", LIFE], ["b", LIFE], ["c", LIFE]]);
  const state = store.log.get("a")!;
  Object.assign(state, { heartbeatCount: count, heartbeatMonotonicMs: 0 });
  return { store, state };
}

Deno.test("vectors: the stride and the digit of a count are as documented (L2)", async () => {
  const { strides, encode } = await read<LivenessVectors>("liveness");
  const sent = (heartbeats: Heartbeats, { store, state }: { store: Store; state: MemberState }) =>
    heartbeats.takeLiveness(state, { peerIncarnations: store.incarnationsHash, room: 1_000, nowMs: 0 })
      .vector!;
  for (const { stride, ...settings } of strides) {
    const heard = heardOnce(1);
    const heartbeats = new Heartbeats({ ...settings, maxMessageBytes: 2 ** 20 }, {
      selfId: "a",
      store: heard.store,
      membership: { heartbeat() {} } as unknown as Membership,
      emit: () => {},
      suspicions: new Suspicions(heard.store.active, () => {}),
      trustsVectors: true,
    });
    assertEquals(sent(heartbeats, heard).stride, stride);
  }
  for (const { stride, count, digit } of encode) {
    const heard = heardOnce(count);
    assertEquals(sent(heartbeatsOf(heard.store, stride), heard).counts, `${digit}..`);
  }
});

Deno.test("vectors: a receiver computes the documented counts from a digit (L2)", async () => {
  const { decode } = await read<LivenessVectors>("liveness");
  for (const { stride, known, digit, count } of decode) {
    const { store, state } = heardOnce(known);
    const counts = `${digit}..`;
    heartbeatsOf(store, stride).apply({ incarnationsHash: store.incarnationsHash, stride, counts }, NOW);
    assertEquals(state.heartbeatCount, count, `${known} ${digit}`);
  }
});

Deno.test("vectors: a receiver computes the documented counts from a whole vector (L2)", async () => {
  const { vectors } = await read<LivenessVectors>("liveness");
  for (const { active, known, live, counts } of vectors) {
    const store = storeOf(active.map((each) => each.split(" ") as [string, string]));
    const states = active.map((each) => store.log.get(each.split(" ")[0]!)!);
    for (const [index, state] of states.entries()) {
      Object.assign(state, { heartbeatCount: known[index]!, heartbeatMonotonicMs: 0 });
    }
    const { active: incarnationsHash, ...digits } = live;
    const hash = incarnationsHash === undefined ? {} : { incarnationsHash };
    heartbeatsOf(store, live.stride).apply({ ...digits, ...hash }, NOW);
    assertEquals(states.map(({ heartbeatCount }) => heartbeatCount), [...counts]);
  }
});

interface SignatureVectors {
  readonly privateKey: string;
  readonly publicKey: string;
  readonly state: {
    readonly cluster: string;
    readonly id: string;
    readonly incarnation: string;
    readonly number: number;
    readonly entries: readonly (readonly [number: number, key: string, type: string, json: string])[];
    readonly text: string;
    readonly signature: string;
  };
  readonly hello: Parameters<typeof helloText>[0] & { readonly text: string; readonly signature: string };
}

Deno.test("vectors: the signed bytes and their signatures are as documented", async () => {
  const { privateKey: d, publicKey: x, state, hello } = await read<SignatureVectors>("signatures");
  const key = { kty: "OKP", crv: "Ed25519", x };
  const signing = await ed25519Signing({
    privateKey: await crypto.subtle.importKey("jwk", { ...key, d }, "Ed25519", true, ["sign"]),
    publicKey: await crypto.subtle.importKey("jwk", key, "Ed25519", true, ["verify"]),
  });
  assertEquals(signing.publicKey, x);
  const entries = state.entries.map(([number, key, type, json]) => (
    { key, number, type, json, value: JSON.parse(json) }
  ));
  assertEquals(signedText(state.cluster, { ...state, entries }), state.text);
  assertEquals(helloText(hello), hello.text);
  for (const { text, signature } of [state, hello]) {
    assertEquals(await signing.sign(text), signature);
    assert(await signing.verify(text, { publicKey: x, signature }));
  }
});

interface TokenVectors {
  readonly key: string;
  readonly kid: string;
  readonly cluster: string;
  readonly authority: string;
  readonly token: { readonly claims: Readonly<Record<string, string | number>>; text: string; hash: string };
  readonly proof: { readonly claims: Readonly<Record<string, string | number>>; text: string };
}

Deno.test("vectors: a token admits its subject, and the proof covers it", async () => {
  const { key, kid, cluster, authority, token, proof } = await read<TokenVectors>("tokens");
  const part = (jwt: string, index: number) =>
    JSON.parse(
      new TextDecoder().decode(Uint8Array.fromBase64(jwt.split(".")[index]!, { alphabet: "base64url" })),
    );
  assertEquals(await tokenHash(token.text), token.hash);
  assertEquals(part(token.text, 0), { alg: "HS256", typ: "hearsay-token+jwt", kid });
  assertEquals(part(token.text, 1), token.claims);
  assertEquals(part(proof.text, 0), { alg: "HS256", typ: "hearsay-proof+jwt", kid });
  assertEquals(part(proof.text, 1), proof.claims);
  const bytes = Uint8Array.fromBase64(key, { alphabet: "base64url" });
  // Checked without a cluster, because a cluster refuses this published key.
  const checked = checkToken(token.text, {
    typ: "hearsay-token+jwt",
    audiences: [`hearsay:${cluster}@${authority}`],
    nowMs: NOW.wallMs,
    clockToleranceMs: 0,
    keyOf: (named) => named === kid ? { bytes } : undefined,
  });
  assert("claims" in checked, JSON.stringify(checked));
  assertEquals({ ...checked.claims }, { ...token.claims } as unknown as typeof checked.claims);
  assertEquals(sha256Hex(bytes).slice(0, 16), kid);
  assertEquals(proof.claims["token"], token.claims["jti"]!);
  const secret = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [
    "verify",
  ]);
  const [head, body, signature = ""] = proof.text.split(".");
  const signed = new TextEncoder().encode(`${head}.${body}`);
  assert(
    await crypto.subtle.verify(
      "HMAC",
      secret,
      Uint8Array.fromBase64(signature, { alphabet: "base64url" }),
      signed,
    ),
  );
});
