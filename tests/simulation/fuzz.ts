/**
 * `deno task fuzz`: conversations with a real member that were valid, until something was done to them.
 *
 * @module
 */

import { parseArgs } from "../../deps/std_cli.ts";
import { seeds } from "../../discovery/seeds.ts";
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
  /** How many members were known at most, and in the end. */
  readonly mostMembers: number;
  readonly membersLeft: number;
}

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
  await using peer = new ScriptedPeer(cluster, "p");
  // It only talks: what it answered would come between.
  peer.greeting = peer.answer = () => undefined;
  let [said, unreadable, mostMembers, conversations] = [0, 0, 0, 0];
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
    const changed = dice.chance(text.startsWith('{"type":"hello"') ? 0.2 : 0.6) ? mutate(text, dice) : text;
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
    await peer.sayUngreeted("a", ...conversation(peer, dice)).catch(() => {});
    await cluster.runtime.settle();
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
  return { messages: said, unreadable, mostMembers, membersLeft: gossiper.members.length };
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

/** What a peer might say: all of it valid, though not always in a sensible order. */
function conversation(peer: ScriptedPeer, dice: Dice): Message[] {
  const id = () => `d${dice.whole(1, 12)}`;
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
          id: id(),
          memberId: "p",
          delta: deltaOf([member("p"), member(`m${dice.whole(0, 9)}`)]),
        }),
      ],
      [1, () => ({ type: "reply", id: id(), delta: deltaOf([member("p")]), holds: new Map() })],
      [
        2,
        () => ({
          type: "ack",
          id: id(),
          holds: new Map([["a", { life: peer.life, number: dice.whole(0, 9) }]]),
        }),
      ],
      [2, () => ({ type: "reconcile", id: id(), part: { from: "", until: undefined, members: new Map() } })],
      [1, () => ({ type: "error", id: id(), code: "busy", message: "" })],
      [1, () => peer.hello(id())],
    ])();
  const messages = Array.from({ length: dice.whole(1, 5) }, one);
  return dice.chance(0.9) ? [peer.hello("d1"), ...messages] : messages;
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
