import { assert, assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { DIGITS } from "../../engine/liveness/base64_digits.ts";
import { incarnationAbove } from "../../engine/incarnation.ts";
import { MemberState } from "../../engine/state/member_state.ts";
import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, type MemberDelta, TYPE } from "../../engine/types.ts";
import type { HearsayEvent } from "../../contracts/event_stream.ts";
import { entry, tombstone } from "../engine/harness.ts";
import { Insider, newIdentity } from "./attacker.ts";
import { KEY, member, stateOf, withInsider } from "./signing_members.ts";
import { eventually, hears, next } from "./waits.ts";

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

Deno.test("signatures: a relay brings no deleted value back: a renewal fits no signature", async () => {
  await using ada = await member();
  await using relay = await Insider.withHandshake(ada.address, { key: KEY });
  // The owner's signed states reach the member through the relay alone.
  const { wire } = relay;
  const owner = new Insider(await newIdentity(), { wire, token: "" });
  const { id, incarnation } = owner;
  const value = { ...entry("k", 2, "true"), expiresAfter: 60_000 };
  relay.gossip(await owner.forge({ id, incarnation, number: 2, entries: [value] }));
  await hears(ada, id, "true");
  const without = await owner.forge({ id, incarnation, number: 3, entries: [] });
  const deleted = tombstone("k", 3);
  const renewal = { ...deleted, renews: 2, expiresAfter: 31_536_000_000 };
  const refused = next(ada, "SignatureRefused");
  relay.gossip({ ...without, after: 2, reset: false, entries: [renewal] });
  assertEquals((await refused).reason, "signature");
  relay.gossip({ ...without, after: 2, reset: false, entries: [deleted] });
  await eventually(() => !ada.getState("k").has(id));
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

Deno.test("signatures: the heartbeat of a dead member cannot be forged: it is blocked despite claims that it runs (L4)", async () => {
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
  let { active } = (await insider.wire.hears("gossip")).delta;
  const beating = setInterval(async () => {
    number++;
    const { id, incarnation } = insider;
    const own = await insider.forge({ id, incarnation, number, entries: [beatOf(number)] });
    // All forms: a vector by tags or by order, a count beside the true state, and an entry.
    const ids = ada.members.filter(({ status }) => status === "alive").map((each) => each.id);
    const digit = DIGITS[number]!;
    active = insider.wire.received.findLast((message) => message.type === "gossip")?.delta.active ?? active;
    // Without an answer its connection would be closed, and its address refuses dials.
    insider.reply(new Map());
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
