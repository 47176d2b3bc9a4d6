/**
 * `deno task fuzz`: conversations with a real member that were valid, until something was done to them.
 *
 * @module
 */

import { parseArgs } from "../../deps/std_cli.ts";
import { seeds } from "../../discovery/seeds.ts";
import { FOREIGN_LIFE, makeLife } from "../../engine/life.ts";
import type { Holds, SummaryPart } from "../../engine/types.ts";
import { footprintOf } from "../../gossiper/gossiper.ts";
import type { Message } from "../../gossiper/message.ts";
import { memoryAddress } from "../../transport/memory.ts";
import { decode } from "../../transport/wire.ts";
import { TestCluster } from "../requirements/harness.ts";
import { deltaOf, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { entry, memberDelta, tombstone } from "../unit/engine/harness.ts";
import { Dice } from "./dice.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 200,
  heartbeatExpiration: 2_000,
  departedRetention: 2_000,
  tombstoneRetention: 500,
  maxMessageBytes: 2 ** 20,
  maxMembers: 1_000,
};
/** After so many conversations the honest peer is looked after, and what was told is let go. */
const CHECKED_EVERY = 100;

/** What a run came to. */
export interface FuzzResult {
  readonly messages: number;
  /** How many of them could not be read at all. */
  readonly unreadable: number;
  /** How many members were known at most. */
  readonly mostMembers: number;
  /** What the member kept before anything was said, and when all of it should be forgotten. */
  readonly before: Kept;
  readonly after: Kept;
}

const KEPT = ["members", "keys", "tombstones", "waiting", "sessions", "connections", "timers"] as const;

/** The least that a member kept over a while in which nothing was said but what honest members say. */
export type Kept = Readonly<Record<typeof KEPT[number], number>>;

/** Says so many messages to a member; throws where it does what it must not. */
export async function fuzz(
  { seed, messages }: { readonly seed: number; readonly messages: number },
  onProgress: (said: number) => void = () => {},
): Promise<FuzzResult> {
  const dice = new Dice(seed);
  await using cluster = new TestCluster(["a", "b"], { config: CONFIG, seed });
  const seedAddress = memoryAddress("a", 1);
  for (const id of ["a", "b"]) {
    await cluster.make(id, { cluster: { discovery: seeds([seedAddress]) } }).gossiper.start();
  }
  await cluster.runUntil(() => cluster.isConfirmed());
  const { gossiper } = cluster.of("a");
  await assertServed(cluster, 0);
  const keptBefore = await leastKept(cluster);
  await using peer = new ScriptedPeer(cluster, "p");
  // It only talks: what it answered would come between.
  peer.greeting = peer.answer = () => undefined;
  let [said, unreadable, mostMembers, conversations] = [0, 0, 0, 0];
  /** Whether something is done to what messages say, and not only to their order. */
  let isChanged = true;
  /** The state before a message that cannot be read, which must change nothing. */
  let before: string | undefined;
  const check = (text: string) => {
    if (before !== undefined && JSON.stringify(gossiper.snapshot()) !== before) {
      throw new Error(`Seed ${seed}: something that cannot be read changed the state, before ${text}`);
    }
  };
  const rewrite = (text: string): string => {
    check(text);
    said++;
    // Without a greeting nothing else is heard.
    const changed = isChanged && dice.chance(text.startsWith('{"type":"hello"') ? 0.2 : 0.6)
      ? mutate(text, dice)
      : text;
    before = undefined;
    try {
      decode(changed, CONFIG);
    } catch {
      unreadable++;
      before = JSON.stringify(gossiper.snapshot());
    }
    return changed;
  };
  while (said < messages) {
    cluster.network.setFaults({ rewrite }, { from: memoryAddress("p", 1), to: seedAddress });
    isChanged = dice.chance(0.8);
    const messages = conversation(peer, dice);
    if (dice.chance(0.9)) await peer.sayUngreeted("a", ...messages).catch(() => {});
    else await linger(peer, messages);
    await cluster.runtime.settle();
    assertAnsweredOnce(peer.heard, `Seed ${seed}`);
    check("the end of the conversation");
    before = undefined;
    mostMembers = Math.max(mostMembers, gossiper.members.length);
    peer.heard.length = 0;
    cluster.sent.length = 0;
    if (++conversations % CHECKED_EVERY !== 0) continue;
    onProgress(said);
    await assertServed(cluster, conversations);
  }
  cluster.network.setFaults({});
  // Everything that was told of anybody is forgotten in time.
  await cluster.advance(4 * CONFIG.departedRetention + 4 * CONFIG.heartbeatExpiration);
  await assertServed(cluster, conversations + 1);
  const keptAfter = await leastKept(cluster);
  return { messages: said, unreadable, mostMembers, before: keptBefore, after: keptAfter };
}

/**
 * Looks for a while, at moments that are no multiple of a round: what is left behind is there at each of them. Members greet
 * their seeds again from time to time, on a connection that does not stay.
 */
async function leastKept(cluster: TestCluster): Promise<Kept> {
  const { gossiper, runtime } = cluster.of("a");
  let least: Kept | undefined;
  for (let look = 0; look < 100; look++) {
    await cluster.advance(37);
    const kept = {
      ...footprintOf(gossiper),
      members: gossiper.members.length,
      connections: cluster.network.openAt(memoryAddress("a", 1)),
      timers: runtime.timers,
    };
    least = Object.fromEntries(
      KEPT.map((name) => [name, Math.min(kept[name], least?.[name] ?? Infinity)]),
    ) as Kept;
  }
  return least!;
}

/** Says something and never hangs up: it is the member that has to. */
async function linger(peer: ScriptedPeer, messages: readonly Message[]): Promise<void> {
  const { readable, writable } = await peer.dial("a");
  void readable.pipeTo(new WritableStream({ write: (message) => void peer.heard.push(message) })).catch(
    () => {},
  );
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  for (const message of messages) await writer.write(message).catch(() => {});
}

/** Two answers under one id could not be told apart by what acknowledges them. */
function assertAnsweredOnce(heard: readonly Message[], where: string): void {
  const answers = heard.flatMap((message) =>
    (message.type === "reply" || message.type === "reconcile") && message.id.startsWith("d")
      ? [`${message.type} to ${message.id}`]
      : []
  );
  const twice = answers.find((answer, index) => answers.indexOf(answer) < index);
  if (twice) throw new Error(`${where}: there were two answers, the ${twice}`);
}

/** The honest peer still tells and hears. */
async function assertServed(cluster: TestCluster, value: number): Promise<void> {
  cluster.of("b").gossiper.setState("honest", value);
  await cluster.runUntil(() => cluster.of("a").value("b", "honest") === value, { withinMs: 5_000 });
  for (const id of ["a", "b"]) {
    const events = cluster.of(id).events.splice(0);
    const failed = events.find(({ type }) => type === "CallbackFailed" || type === "SelfBlocked");
    if (failed) throw new Error(`${id} tells ${JSON.stringify(failed)}`);
  }
}

/** What a peer might say: all of it valid, though half the time not in the order in which it was meant. */
function conversation(peer: ScriptedPeer, dice: Dice): Message[] {
  let asked = 1;
  const isOrderly = dice.chance(0.7);
  const id = () => isOrderly ? `d${++asked}` : `d${dice.whole(1, 12)}`;
  const member = (name: string) =>
    memberDelta(name, peer.life, [
      entry("k", dice.whole(1, 5), [1, { deep: "𝄞" }]),
      tombstone("gone", dice.whole(6, 9)),
      entry("heathbeat", 10, {}),
    ], { after: dice.pick([0, 0, 3]), reset: dice.chance(0.1) });
  const one = (): Message =>
    dice.weighted<() => Message>([
      [
        4,
        () => ({
          type: "gossip",
          liveness: { count: 0 },
          id: id(),
          memberId: "p",
          delta: deltaOf([member("p"), member(`m${dice.whole(0, 9)}`)]),
          ...(dice.chance(0.3) && { holds: holdsOf(peer, dice) }),
        }),
      ],
      [
        1,
        () => ({
          type: "reply",
          liveness: { count: 0 },
          id: id(),
          delta: deltaOf([member("p")]),
          holds: new Map(),
        }),
      ],
      [
        2,
        () => ({
          type: "ack",
          // Of the reply to what was asked last.
          id: isOrderly ? `d${asked}` : id(),
          holds: new Map([["a", { life: peer.life, number: dice.whole(0, 9) }]]),
        }),
      ],
      [2, () => ({ type: "reconcile", id: id(), part: partOf(peer, dice) })],
      [1, () => ({ type: "error", id: id(), code: "busy", message: "" })],
      [1, () => peer.hello(id())],
    ])();
  const messages = Array.from({ length: dice.whole(1, 5) }, one);
  const whole = dice.chance(0.9) ? [peer.hello("d1"), ...messages] : messages;
  return isOrderly && dice.chance(0.7) ? disordered(whole, dice) : whole;
}

/** Whom a peer asks for: members that there are and others, under a life that is theirs or none of theirs. */
function holdsOf(peer: ScriptedPeer, dice: Dice): Holds {
  const ids = Array.from(
    { length: dice.whole(0, 12) },
    () => dice.pick(["a", "p", "q", `m${dice.whole(0, 9)}`]),
  );
  return new Map(ids.map((id) => {
    const life = dice.pick([peer.life, FOREIGN_LIFE, makeLife(dice.whole(0, 2 ** 40), 0)]);
    return [id, { life, number: dice.pick([0, dice.whole(1, 12), 2 ** 52]) }];
  }));
}

/** What a peer says that it holds, of members that there are and of others, some under a life that is none of theirs. */
function partOf(peer: ScriptedPeer, dice: Dice): SummaryPart {
  const ids = ["a", "b", "p", "m0", "m1", "nobody"].filter(() => dice.chance(0.5));
  const [from, until] = dice.pick([["", undefined], ["", "b"], ["b", undefined], ["m0", "m1"]] as const);
  const members = new Map(
    ids.sort().map((id) => [id, {
      life: dice.pick([peer.life, FOREIGN_LIFE]),
      number: dice.whole(0, 12),
      sum: `${dice.whole(0, 9)}`.repeat(16),
    }]),
  );
  return { from, until, members };
}

/** Whole messages change places, come twice, or do not come. */
function disordered(messages: readonly Message[], dice: Dice): Message[] {
  const changed = [...messages];
  for (let count = dice.whole(1, 3); count > 0 && changed.length > 0; count--) {
    const [one, other] = [dice.whole(0, changed.length - 1), dice.whole(0, changed.length - 1)];
    const what = dice.pick(["swap", "repeat", "drop"] as const);
    if (what === "swap") [changed[one], changed[other]] = [changed[other]!, changed[one]!];
    else if (what === "repeat") changed.splice(other, 0, changed[one]!);
    else changed.splice(one, 1);
  }
  return changed;
}

const STRANGE: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  2 ** 53 - 1,
  1e300,
  "",
  "__proto__",
  "ffffffffffff-ffffffff",
  "9007199254740993",
  "\ud800",
  "x".repeat(2_000),
  [],
  {},
  [[[[[[]]]]]],
  { "__proto__": { "polluted": 1 } },
];

/** Does something to a text: to its characters, or to what it says. */
function mutate(text: string, dice: Dice): string {
  if (dice.chance(0.4)) return mutateText(text, dice);
  const message = JSON.parse(text);
  for (let count = dice.whole(1, 3); count > 0; count--) mutateNode(message, dice);
  return JSON.stringify(message);
}

function mutateText(text: string, dice: Dice): string {
  const at = dice.whole(0, text.length);
  const until = Math.min(text.length, at + dice.whole(1, 20));
  switch (dice.whole(0, 4)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + text.slice(until);
    case 2:
      return text.slice(0, until) + text.slice(at);
    case 3:
      return text.slice(0, at) + dice.pick(['"', "{", "}", "[", ",", "9", "\\", "\ud834", "\u0000"]) +
        text.slice(at);
    default:
      return text.slice(0, at) + String.fromCharCode(dice.whole(0, 0xffff)) + text.slice(at + 1);
  }
}

function mutateNode(node: unknown, dice: Dice): void {
  if (typeof node !== "object" || node === null) return;
  const keys = Object.keys(node);
  const key = keys.length === 0 ? "new" : dice.pick(keys);
  const fields = node as Record<string, unknown>;
  if (dice.chance(0.6) && typeof fields[key] === "object") return mutateNode(fields[key], dice);
  switch (dice.whole(0, 2)) {
    case 0:
      delete fields[key];
      return;
    case 1:
      fields[key] = dice.pick(STRANGE);
      return;
    default:
      fields[dice.pick(["extra", "__proto__x", key.toUpperCase() || "x"])] = fields[key] ?? null;
  }
}

if (import.meta.main) {
  const flags = parseArgs(Deno.args, { string: ["messages", "seed"] }) as {
    messages?: string;
    seed?: string;
  };
  const messages = Number(flags.messages ?? 1_000_000);
  const seed = Number(flags.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  if (!(messages > 0) || !Number.isInteger(seed)) {
    console.error("Usage: deno task fuzz [--messages <number>] [--seed <number>]");
    Deno.exit(2);
  }
  console.log(`seed ${seed}, ${messages} messages`);
  let toldAt = 0;
  const result = await fuzz({ seed, messages }, (said) => {
    if (said - toldAt < messages / 20) return;
    toldAt = said;
    console.error(`${said} said`);
  });
  console.log(result);
}
