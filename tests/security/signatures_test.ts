import { assert, assertEquals, assertMatch, assertNotEquals } from "../../deps/std_assert.ts";
import { assertRejects } from "../../deps/std_assert.ts";
import { DIGITS } from "../../engine/liveness/base64_digits.ts";
import { incarnationAbove, makeIncarnation } from "../../engine/incarnation.ts";
import { MemberState } from "../../engine/state/member_state.ts";
import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, type MemberDelta, TYPE } from "../../engine/types.ts";
import type { EventType, HearsayEvent } from "../../contracts/event_stream.ts";
import { KeyBindings } from "../../security/key_bindings.ts";
import { idOfKey } from "../../contracts/signing.ts";
import {
  ConfigurationError,
  type Gossiper,
  HearsayError,
  join,
  type JoinOptions,
  type Node,
} from "../../mod.ts";
import { authorityOf } from "../../common/canonical_address.ts";
import {
  ed25519Signing,
  newClusterKey,
  newSigningKey,
  signingKeyFromFile,
} from "../../security/cluster_keys.ts";
import { entry } from "../engine/harness.ts";
import { decode, encode } from "../../protocol/codec.ts";
import { forge, helloOf, Insider, jtiOf, newIdentity, Wire } from "./attacker.ts";

const KEY = await newClusterKey();
const CONFIG = {
  gossipInterval: 50,
  gossipRequestTimeout: 300,
  heartbeatExpiration: 1_500,
  departedRetention: 60_000,
  maxBackoff: 100,
};

function member(options: Partial<JoinOptions> = {}): Promise<Node> {
  return join({
    cluster: "orders",
    listen: { port: 0 },
    config: CONFIG,
    authentication: { keys: [KEY], sign: true },
    ...options,
  });
}

/** Two members that know each other, and an insider connected to the first. */
async function withInsider() {
  const ada = await member();
  const ben = await member({ seeds: [ada.address] });
  ben.setState("k", "true");
  await hears(ada, ben.member.id, "true");
  const insider = await Insider.withHandshake(ada.address, { key: KEY });
  const { incarnation } = ada.members.find(({ id }) => id === ben.member.id)!;
  return {
    ada,
    ben,
    insider,
    benId: ben.member.id,
    benLife: incarnation!,
    async [Symbol.asyncDispose]() {
      await insider[Symbol.asyncDispose]();
      await Promise.all([ada.stop(), ben.stop()]);
    },
  };
}

async function hears(node: Node, of: string, value: unknown): Promise<void> {
  for await (const update of node.watch("k", { signal: AbortSignal.timeout(5_000) })) {
    if (update.memberId === of && update.value === value) return;
  }
  throw new Error(`${value} was not received.`);
}

async function next<T extends EventType>(gossiper: Gossiper, type: T) {
  for await (const event of gossiper.events.subscribe(type, { signal: AbortSignal.timeout(5_000) })) {
    if (event.type === type) return event as Extract<HearsayEvent, { type: T }>;
  }
  throw new Error(`No ${type} was emitted.`);
}

async function eventually(isTrue: () => boolean): Promise<void> {
  const endMs = performance.now() + 5_000;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`Not true within 5 s: ${isTrue}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Lies of an insider about another member, each with the reason of its refusal. */
const LIES: Readonly<
  Record<
    string,
    readonly [
      "key" | "signature" | "unsigned",
      (at: { insider: Insider; state: MemberDelta }) => Promise<MemberDelta>,
    ]
  >
> = {
  "a new value without a signature": ["unsigned", ({ state }) => {
    const { signature: _, ...unsigned } = {
      ...state,
      after: 0,
      entries: [entry("k", 1_000, "a lie")],
    };
    return Promise.resolve({ ...unsigned, reset: false });
  }],
  "a new value under the owner's last signature": ["signature", ({ state }) => {
    return Promise.resolve({ ...state, entries: [...state.entries, entry("k", 1_000, "a lie")] });
  }],
  "an altered value": ["signature", ({ state }) => {
    const number = state.entries.at(-1)!.number + 5_000;
    const entries = state.entries.map((each) =>
      each.key === "k" ? { ...entry("k", each.number, "a lie") } : each
    );
    return Promise.resolve({ ...state, entries: [...entries, { ...state.entries.at(-1)!, number }] });
  }],
  "a state without one of the keys": ["signature", ({ state }) => {
    const number = state.entries.at(-1)!.number + 5_000;
    const entries = state.entries.filter(({ key }) => key !== "k");
    return Promise.resolve({ ...state, entries: [...entries.slice(0, -1), { ...entries.at(-1)!, number }] });
  }],
  "a whole state under the liar's own key": ["key", async ({ insider, state }) => {
    return await insider.forge({
      id: state.id,
      incarnation: state.incarnation,
      number: 1_000,
      entries: [entry("k", 1_000, "a lie")],
    });
  }],
  "a later incarnation under the liar's own key": ["key", async ({ insider, state }) => {
    const incarnation = incarnationAbove(state.incarnation, Date.now(), 0.5);
    return await insider.forge({ id: state.id, incarnation, number: 2, entries: [entry("k", 2, "a lie")] });
  }],
  "a departure": ["unsigned", ({ state }) => {
    const { signature: _, ...unsigned } = state;
    const left = { key: GRACEFULLY_LEFT_KEY, number: 1_000, type: TYPE.empty, value: {}, json: "{}" };
    return Promise.resolve({
      ...unsigned,
      reset: false,
      after: 0,
      entries: [left],
    });
  }],
};

/** The full signed state of a member, as it sends it itself. */
async function stateOf(node: Node): Promise<MemberDelta> {
  await using listener = await Insider.withHandshake(node.address, { key: KEY });
  const gossip = await listener.wire.hears("gossip");
  return { ...gossip.delta.members.find(({ id }) => id === node.member.id)!, reset: true };
}

for (const [lie, [reason, lieOf]] of Object.entries(LIES)) {
  Deno.test(`signatures: a member that lies about another is not believed, and leaves no gap: ${lie}`, async () => {
    await using all = await withInsider();
    const { ada, ben, insider, benId } = all;
    const state = await stateOf(ben);
    const refused = next(ada, "SignatureRefused");
    insider.gossip(await lieOf({ insider, state }));
    assertEquals(await refused, {
      type: "SignatureRefused",
      memberId: benId,
      peerId: insider.id,
      reason,
    });
    assertEquals(ada.getState("k").get(benId)?.value, "true");
    // The owner's next value still arrives: the lie left no gap.
    ben.setState("k", "true again");
    await hears(ada, benId, "true again");
    assertEquals(ada.blockedMembers.map(({ id }) => id), []);
    assertEquals(ben.members.find(({ isSelf }) => isSelf)!.incarnation, all.benLife);
  });
}

Deno.test("signatures: a lie about an older value of a member causes no ConflictDetected", async () => {
  await using all = await withInsider();
  const { ada, ben, insider, benId } = all;
  const state = await stateOf(ben);
  ben.setState("k", "later");
  await hears(ada, benId, "later");
  const conflicts: HearsayEvent[] = [];
  const over = new AbortController();
  const listening = (async () => {
    const options = { signal: over.signal };
    for await (const event of ada.events.subscribe("ConflictDetected", options)) {
      conflicts.push(event);
    }
  })().catch(() => {});
  const entries = (await stateOf(ben)).entries.map((each) =>
    each.key === "k" ? entry("k", each.number, "a lie") : each
  );
  insider.gossip({ ...state, after: 0, reset: false, entries });
  insider.gossip({ ...state, entries });
  await insider.wire.hears("reply");
  ben.setState("k", "last");
  await hears(ada, benId, "last");
  over.abort();
  await listening;
  assertEquals(conflicts, []);
});

Deno.test("signatures: a relay need not be trusted: state that it sends unchanged is merged by a member that never met the owner", async () => {
  await using all = await withInsider();
  const { ben, benId } = all;
  await using cleo = await member();
  await using relay = await Insider.withHandshake(cleo.address, { key: KEY });
  relay.gossip(await stateOf(ben));
  await hears(cleo, benId, "true");
});

Deno.test("signatures: an id that is a public key belongs to it, even if another member sends its first state", async () => {
  await using cleo = await member();
  await using insider = await Insider.withHandshake(cleo.address, { key: KEY });
  const { publicKey } = await ed25519Signing(await newSigningKey());
  const refused = next(cleo, "SignatureRefused");
  insider.gossip(
    await insider.forge({
      id: idOfKey(publicKey),
      incarnation: insider.incarnation,
      number: 2,
      entries: [entry("k", 2, 1)],
    }),
  );
  assertEquals((await refused).reason, "key");
});

Deno.test("signatures: false acknowledgements harm only the peer that sends them", async () => {
  await using all = await withInsider();
  const { ada, ben, insider, benId, benLife } = all;
  const ids = { ada: ada.member.id, ben: benId };
  const adaLife = ben.members.find(({ id }) => id === ids.ada)!.incarnation!;
  let lies = 0;
  const lying = setInterval(() => {
    // A later incarnation of ben, and a number of ada that was never set.
    const later = incarnationAbove(benLife, Date.now() + 60_000, 0.5);
    const holds = new Map([[ids.ben, { incarnation: later, number: 5 }], [ids.ada, {
      incarnation: adaLife,
      number: 1_000_000,
    }]]);
    if (insider.reply(holds)) lies++;
  }, 10);
  try {
    for (let round = 0; round < 5; round++) {
      ben.setState("k", round);
      await hears(ada, ids.ben, round);
      ada.setState("k", round);
      await hears(ben, ids.ada, round);
    }
    await eventually(() => lies > 5);
  } finally {
    clearInterval(lying);
  }
  // ben keeps its incarnation; ada may start one new incarnation and keeps sending.
  assertEquals(ada.members.find(({ id }) => id === ids.ben)!.incarnation, benLife);
  assertEquals(ada.members.filter(({ status }) => status === "alive").length >= 2, true);
  ada.setState("k", "still here");
  await hears(ben, ids.ada, "still here");
});

/** Ways of an insider to claim a later incarnation of a member without its signature. */
const LATER_LIVES: Readonly<
  Record<string, (at: { insider: Insider; incarnation: string; own: MemberDelta }) => unknown>
> = {
  "a refusal": ({ insider, incarnation }) => insider.refuse({ incarnation }),
  "a refusal with a state under the insider's key": async ({ insider, incarnation, own }) => {
    const state = await insider.forge({ id: own.id, incarnation, number: 2, entries: [entry("k", 2, 1)] });
    insider.refuse({ incarnation, state });
  },
  "a refusal with the member's state under another incarnation": ({ insider, incarnation, own }) => {
    insider.refuse({ incarnation, state: { ...own, incarnation } });
  },
  "a refusal with the insider's own state": async ({ insider, incarnation }) => {
    const { id } = insider;
    insider.refuse({ incarnation, state: await insider.forge({ id, incarnation, number: 1, entries: [] }) });
  },
  "a refusal with no entries": ({ insider, incarnation, own: { id } }) => {
    insider.refuse({ incarnation, state: { id, incarnation, after: 0, reset: false, entries: [] } });
  },
  "a refusal with the member's state of now": ({ insider, incarnation, own }) =>
    insider.refuse({ incarnation, state: own }),
  "an acknowledgement": async ({ insider, incarnation, own }) => {
    while (!insider.reply(new Map([[own.id, { incarnation, number: 7 }]]))) {
      await insider.wire.hears("gossip");
    }
  },
  "a gossip": ({ insider, incarnation, own }) => insider.gossip({ ...own, incarnation }),
};

for (const [what, claim] of Object.entries(LATER_LIVES)) {
  Deno.test(`signatures: a claim that a member has a later incarnation, in ${what}, has no effect without that member's signature`, async () => {
    await using all = await withInsider();
    const { ada, ben, insider } = all;
    const { id, incarnation } = ada.members.find(({ isSelf }) => isSelf)!;
    const own = await stateOf(ada);
    const lives: string[] = [];
    const over = new AbortController();
    const listening = (async () => {
      for await (const event of ada.events.subscribe("IncarnationRenewed", over)) {
        if (event.type === "IncarnationRenewed") lives.push(event.incarnation);
      }
    })();
    await claim({ insider, incarnation: incarnationAbove(incarnation!, Date.now() + 60_000, 0.5), own });
    // Messages are handled in order, so a reply to this gossip shows that the claim was handled.
    const asked = insider.gossip();
    await eventually(() => insider.wire.heard.some((each) => each.type === "reply" && each.id === asked));
    ada.setState("k", "unmoved");
    await hears(ben, id, "unmoved");
    over.abort();
    await listening;
    assertEquals([lives, ada.members.find(({ isSelf }) => isSelf)!.incarnation], [[], incarnation]);
  });
}

Deno.test("signatures: a refused dial does not raise the incarnation without the member's own signature", async () => {
  const refused = Promise.withResolvers<void>();
  let greetings = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const token = request.headers.get("authorization")!.slice("Bearer ".length);
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "hearsay.v2" });
    socket.addEventListener("message", async ({ data }) => {
      const hello = decode(String(data), { maxMessageBytes: 2 ** 20 });
      if (hello.type !== "hello") return;
      const claims = { token: jtiOf(token) };
      const proof = await forge({ key: KEY, id: "mallory", typ: "hearsay-proof+jwt", claims });
      const incarnation = incarnationAbove(hello.incarnation, Date.now() + 60_000, 0.5);
      const { id } = hello;
      socket.send(encode({ type: "error", id, code: "id_conflict", message: "no", incarnation, proof }));
      if (++greetings === 3) refused.resolve();
    });
    return response;
  });
  await using ada = await member({ seeds: [`ws://127.0.0.1:${server.addr.port}`] });
  const { incarnation } = ada.members[0]!;
  await refused.promise;
  assertEquals(ada.members[0]!.incarnation, incarnation);
  await ada.stop();
  await server.shutdown();
});

Deno.test("signatures: a member whose clock stepped back is let in again: the refusal carries its state of the later incarnation", async () => {
  await using ada = await member();
  const signingKey = await newSigningKey();
  const signing = await ed25519Signing(signingKey);
  const incarnation = makeIncarnation(Date.now() + 3_600_000, 0.5);
  const before = await Insider.withHandshake(ada.address, {
    key: KEY,
    as: { id: "ben", incarnation, signing },
  });
  before.gossip(
    await before.forge({ id: "ben", incarnation, number: 2, entries: [entry("k", 2, "before")] }),
  );
  await hears(ada, "ben", "before");
  await before[Symbol.asyncDispose]();
  await using ben = await member({
    id: "ben",
    seeds: [ada.address],
    authentication: { keys: [KEY], sign: true, signingKey },
  });
  const first = ben.members.find(({ isSelf }) => isSelf)!.incarnation!;
  assert(first < incarnation);
  ben.setState("k", "after");
  await hears(ada, "ben", "after");
  const held = ada.members.find(({ id }) => id === "ben")!;
  assertEquals([held.incarnation! > incarnation, held.status], [true, "alive"]);
});

Deno.test("signatures: an old state of a later incarnation, replayed to a peer, is sent back to its owner, which rejoins", async () => {
  await using ada = await member();
  const signingKey = await newSigningKey();
  const signing = await ed25519Signing(signingKey);
  await using ben = await member({
    id: "ben",
    seeds: [ada.address],
    authentication: { keys: [KEY], sign: true, signingKey },
  });
  ben.setState("k", "now");
  await hears(ada, "ben", "now");
  const incarnation = makeIncarnation(Date.now() + 3_600_000, 0.5);
  const of = await newIdentity();
  await using insider = await Insider.withHandshake(ada.address, { key: KEY, as: of });
  const kept = new Insider({ id: "ben", incarnation, signing }, { wire: insider.wire, token: "" });
  const left = { key: GRACEFULLY_LEFT_KEY, number: 3, type: TYPE.empty, value: {}, json: "{}" };
  const entries = [entry("k", 2, "long ago"), left];
  insider.gossip(await kept.forge({ id: "ben", incarnation, number: 3, entries }));
  await eventually(() => ada.blockedMembers.some(({ reason }) => reason === "left"));
  await eventually(() => ada.blockedMembers.length === 0);
  ben.setState("k", "again");
  await hears(ada, "ben", "again");
});

Deno.test("signatures: the heartbeat of a dead member cannot be forged: it is blocked despite claims that it runs", async () => {
  await using all = await withInsider();
  const { ada, insider } = all;
  // The member sends its state once, and ends.
  const dead = await Insider.withHandshake(ada.address, { key: KEY });
  const beatOf = (number: number) => ({
    key: HEARTBEAT_KEY,
    number,
    type: TYPE.heartbeat,
    value: {},
    json: "{}",
  });
  const state = await dead.forge({
    id: dead.id,
    incarnation: dead.incarnation,
    number: 2,
    entries: [beatOf(2)],
  });
  dead.liveness = { count: 2 };
  dead.gossip(state);
  await eventually(() => ada.getState(HEARTBEAT_KEY).has(dead.id));
  await dead[Symbol.asyncDispose]();
  let number = 2;
  const { tag } = new MemberState(dead.id, dead.incarnation);
  const beating = setInterval(async () => {
    number++;
    const { id, incarnation } = insider;
    const own = await insider.forge({ id, incarnation, number, entries: [beatOf(number)] });
    // All forms: a vector by tags or by order, a count beside the true state, and an entry.
    const ids = ada.members.filter(({ status }) => status === "alive").map((each) => each.id);
    const digit = DIGITS[number]!;
    const { active } = insider.wire.heard.findLast((message) => message.type === "gossip")!.delta;
    const byOrder = { active, stride: 1, counts: ids.sort().map(() => digit).join("") };
    const vector = number % 2 === 0 ? byOrder : { stride: 1, counts: `${tag}${digit}` };
    insider.liveness = { count: number, vector };
    insider.gossip(own, { ...state, count: number });
    insider.gossip({ ...state, entries: [state.entries[0]!, beatOf(number)] });
  }, 300);
  try {
    await eventually(() => ada.blockedMembers.some(({ id }) => id === dead.id));
    assert(number > 4);
    // The insider sends its own heartbeats, so it is not blocked.
    assertEquals(ada.blockedMembers.map(({ id }) => id), [dead.id]);
  } finally {
    clearInterval(beating);
  }
});

Deno.test("signatures: a peer that keeps sending unsigned state is reported once, and its connection is closed", async () => {
  await using all = await withInsider();
  const { ada, insider, benId, benLife } = all;
  const over = new AbortController();
  let refusals = 0;
  const counting = (async () => {
    for await (const _ of ada.events.subscribe("SignatureRefused", over)) refusals++;
  })();
  for (let count = 0; count < 8; count++) {
    insider.gossip({
      id: benId,
      incarnation: benLife,
      after: 0,
      reset: true,
      entries: [entry("k", 2_000 + count, "a lie")],
    });
  }
  const { code, reason } = await insider.wire.closed;
  assertEquals(code, 4400);
  assertMatch(reason, /invalid signatures/);
  over.abort();
  await counting;
  assertEquals(refusals, 1);
});

// ---- keys and ids

Deno.test("handshake: a handshake for another member proves nothing, even if the token repeats its jti", async () => {
  await using all = await withInsider();
  const { ada, insider } = all;
  // mallory keeps the insider's hello. The attacker makes a token with the same jti and replays that hello to ada.
  const forMallory = await forge({ key: KEY, id: insider.id, authority: "127.0.0.1:1" });
  const greeting = await insider.hello(forMallory);
  const claims = { jti: jtiOf(forMallory) };
  const token = await forge({ key: KEY, id: insider.id, authority: authorityOf(ada.address)!, claims });
  await using replaying = await Wire.opened(ada.address, { token });
  replaying.say(greeting);
  assertEquals((await replaying.closed).code, 4401);
});

Deno.test("handshake: a handshake proves the key in it for one connection", async () => {
  await using all = await withInsider();
  const { ada, ben } = all;
  // With ben's id and the insider's key.
  const token = await forge({ key: KEY, id: ben.member.id, authority: authorityOf(ada.address)! });
  await using posing = await Wire.opened(ada.address, { token });
  const helloAsBen = await all.insider.hello(token, {
    member: { ...helloOf(ben.member.id).member },
  });
  posing.say(helloAsBen);
  const refusal = await posing.hears("error");
  assertEquals([refusal.code, refusal.incarnation], ["id_conflict", undefined]);
  // With ben's key, and a signature made for another connection.
  const again = await forge({ key: KEY, id: ben.member.id, authority: authorityOf(ada.address)! });
  await using replaying = await Wire.opened(ada.address, { token: again });
  const publicKey = ben.member.id.slice("key-".length);
  replaying.say({ ...helloAsBen, publicKey });
  assertEquals((await replaying.closed).code, 4401);
});

Deno.test("signatures: members with and without signing refuse each other with the reason", async () => {
  await using ada = await member();
  for (const sign of [false, true]) {
    await using plain = await member({ authentication: { keys: [KEY] } });
    const seed = sign ? plain : ada;
    await using eve = await member({ seeds: [seed.address], authentication: { keys: [KEY], sign } });
    const failed = await next(eve, "SeedFailed");
    const rule = sign ? "must not sign" : "must sign";
    assertMatch(String(failed.error), RegExp(`Members of this cluster ${rule} their state`));
  }
});

Deno.test("signingKeyFromFile: starters that make one signing key file at the same time agree on its key, and leave no other file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/key.json`;
    const made = await Promise.all(Array.from({ length: 8 }, () => signingKeyFromFile(file)));
    const idOf = async ({ publicKey }: CryptoKeyPair) => (await crypto.subtle.exportKey("jwk", publicKey)).x;
    assertEquals(new Set(await Promise.all(made.map(idOf))).size, 1);
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["key.json"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name:
    "signingKeyFromFile: a signing key file that others may read is refused, and the error says what to do",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const file = `${folder}/key.json`;
      await signingKeyFromFile(new URL(`file://${file}`));
      for (const mode of [0o644, 0o640, 0o604]) {
        await Deno.chmod(file, mode);
        const error = await assertRejects(
          () => signingKeyFromFile(file),
          HearsayError,
          `has ${mode.toString(8)}`,
        );
        assertMatch(error.message, /chmod 600/);
      }
      await Deno.chmod(file, 0o400);
      await signingKeyFromFile(file);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("signatures: a member that keeps its id keeps its key: its next incarnation is accepted with that key alone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/key.json`;
    const signingKey = await signingKeyFromFile(file);
    if (Deno.build.os !== "windows") assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
    const start = (key: CryptoKeyPair, seeds: string[] = []) =>
      member({ id: "ben", seeds, authentication: { keys: [KEY], sign: true, signingKey: key } });
    await using ada = await member();
    const first = await start(signingKey, [ada.address]);
    first.setState("k", 1);
    await hears(ada, "ben", 1);
    await first.stop();
    const second = await start(await signingKeyFromFile(file), [ada.address]);
    second.setState("k", 2);
    await hears(ada, "ben", 2);
    await second.stop();
    await using third = await start(await newSigningKey(), [ada.address]);
    const failed = await next(third, "SeedFailed");
    assertMatch(String(failed.error), /is bound to another key/);
    await Deno.writeTextFile(file, "{}");
    await assertRejects(() => signingKeyFromFile(file), HearsayError, "must have a signing key");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("configuration: an id needs a signing key, and the key must be a key pair", async () => {
  const pair = await newSigningKey();
  const cases: readonly (readonly [Partial<JoinOptions>, string])[] = [
    [{ id: "ben" }, "authentication.signingKey"],
    [{ authentication: { keys: [KEY], signingKey: pair } }, "authentication.signingKey"],
    [
      { authentication: { keys: [KEY], sign: true, signingKey: {} as CryptoKeyPair } },
      "authentication.signingKey",
    ],
    [{ authentication: { keys: [KEY], sign: "yes" as never } }, "authentication.sign"],
  ];
  for (const [options, field] of cases) {
    const error = await assertRejects(() => member(options), ConfigurationError);
    assertEquals(error.problems.map((problem) => problem.field), [field]);
  }
});

Deno.test("signatures: bindings are bounded: a known member keeps its key, and of the others the oldest binding is dropped", () => {
  const held = new Set(["held"]);
  const bindings = new KeyBindings({ max: 2, isHeld: (id) => held.has(id) });
  assert(bindings.bind("held", "one"));
  assert(bindings.bind("gone", "two"));
  assert(!bindings.bind("held", "two"));
  assert(bindings.bind("new", "three"));
  assertEquals([bindings.keyOf("held"), bindings.keyOf("gone"), bindings.keyOf("new")], [
    "one",
    undefined,
    "three",
  ]);
  held.add("new");
  assert(!bindings.bind("newer", "four"));
  assertNotEquals(bindings.keyOf(idOfKey("x".repeat(43))), undefined);
});

Deno.test("bindings: those of members that shook hands are not evicted for members known by hearsay, however many (E15)", () => {
  const bindings = new KeyBindings({ max: 2, isHeld: () => false });
  assert(bindings.bind("heard", "one"));
  assert(bindings.bind("heard", "one", { met: true }));
  assert(bindings.bind("met", "two", { met: true }));
  for (let index = 0; index < 10; index++) assert(bindings.bind(`i${index}`, "three"));
  assertEquals([bindings.keyOf("heard"), bindings.keyOf("met"), bindings.keyOf("i9")], [
    "one",
    "two",
    "three",
  ]);
  assert(!bindings.bind("heard", "other", { met: true }));
  // The oldest binding of a met member makes room for one that shakes hands.
  assert(bindings.bind("new", "four", { met: true }));
  assertEquals([bindings.keyOf("heard"), bindings.keyOf("met")], [undefined, "two"]);
});
