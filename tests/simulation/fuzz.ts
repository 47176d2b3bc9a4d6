/**
 * `deno task fuzz`: mutates valid conversations, sends them to a real member and checks its state afterwards.
 *
 * @module
 */

import { parseArgs } from "../../deps/std_cli.ts";
import { seeds } from "../../discovery/seeds.ts";
import { makeIncarnation, NO_INCARNATION } from "../../engine/incarnation.ts";
import type { KnownVersions, SummaryPart } from "../../engine/types.ts";
import type { Message } from "../../protocol/message.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { decode } from "../../protocol/codec.ts";
import { TestCluster } from "../requirements/harness.ts";
import { deltaOf, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { entry, memberDelta, tombstone } from "../engine/harness.ts";
import { footprintOf } from "./footprint.ts";
import { SeededRandom } from "./seeded_random.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 200,
  heartbeatExpiration: 2_000,
  departedRetention: 2_000,
  tombstoneRetention: 500,
  maxMessageBytes: 2 ** 20,
  maxMembers: 1_000,
};
/** 100: an honest peer's update after every conversation would take most of the run. */
const CHECKED_EVERY = 100;

/** The result of a run. */
export interface FuzzResult {
  readonly messages: number;
  /** The messages that `decode` refused. */
  readonly unreadable: number;
  /** The largest member count seen. */
  readonly mostMembers: number;
  /** Resources of the member before the first conversation, and after every retention has passed. */
  readonly before: Kept;
  readonly after: Kept;
}

const KEPT = ["members", "keys", "tombstones", "pending", "sessions", "connections", "timers"] as const;

/** The smallest amounts over several samples: what one round needs for a moment is not counted. */
export type Kept = Readonly<Record<typeof KEPT[number], number>>;

/** Sends `messages` messages to a member. Throws if the member breaks a rule. */
export async function fuzz(
  { seed, messages }: { readonly seed: number; readonly messages: number },
  onProgress: (sent: number) => void = () => {},
): Promise<FuzzResult> {
  const random = new SeededRandom(seed);
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
  // A reply of this peer would come between the messages of the conversation.
  peer.greeting = peer.answer = () => undefined;
  let [sent, unreadable, mostMembers, conversations] = [0, 0, 0, 0];
  /** False: only the order of messages is changed. */
  let isChanged = true;
  /** The state before an unreadable message; the message must not change it. */
  let before: string | undefined;
  const check = (text: string) => {
    if (before !== undefined && JSON.stringify(gossiper.snapshot()) !== before) {
      throw new Error(`Seed ${seed}: an unreadable message changed the state; found before ${text}`);
    }
  };
  const rewrite = (text: string): string => {
    check(text);
    sent++;
    // Rarely for `hello`: the member ignores everything that follows a broken handshake.
    const changed = isChanged && random.chance(text.startsWith('{"type":"hello"') ? 0.2 : 0.6)
      ? mutate(text, random)
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
  while (sent < messages) {
    cluster.network.setFaults({ rewrite }, { from: memoryAddress("p", 1), to: seedAddress });
    isChanged = random.chance(0.8);
    const messages = conversation(peer, random);
    if (random.chance(0.9)) await peer.sayUngreeted("a", ...messages).catch(() => {});
    else await linger(peer, messages);
    await cluster.runtime.settle();
    assertAnsweredOnce(peer.received, `Seed ${seed}`);
    check("the end of the conversation");
    before = undefined;
    mostMembers = Math.max(mostMembers, gossiper.members.length);
    peer.received.length = 0;
    cluster.sent.length = 0;
    if (++conversations % CHECKED_EVERY !== 0) continue;
    onProgress(sent);
    await assertServed(cluster, conversations);
  }
  cluster.network.setFaults({});
  // After every retention the member must have forgotten all members of the conversations.
  await cluster.advance(4 * CONFIG.departedRetention + 4 * CONFIG.heartbeatExpiration);
  await assertServed(cluster, conversations + 1);
  const keptAfter = await leastKept(cluster);
  return { messages: sent, unreadable, mostMembers, before: keptBefore, after: keptAfter };
}

/**
 * The smallest of 100 samples. The interval of 37 ms is no divisor of the round, so that the samples fall on all parts of
 * it. A member dials its seeds at intervals, and each of those connections is short: a leak is in every sample.
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

/** Sends the messages and leaves the connection open: the member has to close it. */
async function linger(peer: ScriptedPeer, messages: readonly Message[]): Promise<void> {
  const { readable, writable } = await peer.dial("a");
  void readable.pipeTo(new WritableStream({ write: (message) => void peer.received.push(message) })).catch(
    () => {},
  );
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  for (const message of messages) await writer.write(message).catch(() => {});
}

/** An acknowledgement names a reply by its id alone, so a second reply to one id would be ambiguous. */
function assertAnsweredOnce(heard: readonly Message[], where: string): void {
  const answers = heard.flatMap((message) =>
    (message.type === "reply" || message.type === "reconcile") && message.id.startsWith("d")
      ? [`${message.type} to ${message.id}`]
      : []
  );
  const twice = answers.find((answer, index) => answers.indexOf(answer) < index);
  if (twice) throw new Error(`${where}: one request got two answers: the ${twice}`);
}

/** Throws if an update of the honest peer does not arrive, or if a member emitted an event of a failure. */
async function assertServed(cluster: TestCluster, value: number): Promise<void> {
  cluster.of("b").gossiper.setState("honest", value);
  await cluster.runUntil(() => cluster.of("a").value("b", "honest") === value, { withinMs: 5_000 });
  for (const id of ["a", "b"]) {
    const events = cluster.of(id).events.splice(0);
    const failed = events.find(({ type }) => type === "CallbackFailed" || type === "SelfBlocked");
    if (failed) throw new Error(`${id} emitted ${JSON.stringify(failed)}`);
  }
}

/** A conversation of valid messages; their order is wrong in about half of all cases. */
function conversation(peer: ScriptedPeer, random: SeededRandom): Message[] {
  let asked = 1;
  const isOrderly = random.chance(0.7);
  const id = () => isOrderly ? `d${++asked}` : `d${random.whole(1, 12)}`;
  const member = (name: string) =>
    memberDelta(name, peer.incarnation, [
      entry("k", random.whole(1, 5), [1, { deep: "𝄞" }]),
      tombstone("gone", random.whole(6, 9)),
      entry("heathbeat", 10, {}),
    ], { after: random.pick([0, 0, 3]), reset: random.chance(0.1) });
  const one = (): Message =>
    random.weighted<() => Message>([
      [
        4,
        () => ({
          type: "gossip",
          liveness: { count: 0 },
          id: id(),
          memberId: "p",
          delta: deltaOf([member("p"), member(`m${random.whole(0, 9)}`)]),
          ...(random.chance(0.3) && { holds: holdsOf(peer, random) }),
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
          // The id of the reply to the last request.
          id: isOrderly ? `d${asked}` : id(),
          holds: new Map([["a", { incarnation: peer.incarnation, number: random.whole(0, 9) }]]),
        }),
      ],
      [2, () => ({ type: "reconcile", id: id(), part: partOf(peer, random) })],
      [1, () => ({ type: "error", id: id(), code: "busy", message: "" })],
      [1, () => peer.hello(id())],
    ])();
  const messages = Array.from({ length: random.whole(1, 5) }, one);
  const whole = random.chance(0.9) ? [peer.hello("d1"), ...messages] : messages;
  return isOrderly && random.chance(0.7) ? disordered(whole, random) : whole;
}

/** Requested members: known and unknown ids, with known and unknown incarnations. */
function holdsOf(peer: ScriptedPeer, random: SeededRandom): KnownVersions {
  const ids = Array.from(
    { length: random.whole(0, 12) },
    () => random.pick(["a", "p", "q", `m${random.whole(0, 9)}`]),
  );
  return new Map(ids.map((id) => {
    const incarnation = random.pick([
      peer.incarnation,
      NO_INCARNATION,
      makeIncarnation(random.whole(0, 2 ** 40), 0),
    ]);
    return [id, { incarnation, number: random.pick([0, random.whole(1, 12), 2 ** 52]) }];
  }));
}

/** Part of a summary: known and unknown ids, some with an incarnation that no member has. */
function partOf(peer: ScriptedPeer, random: SeededRandom): SummaryPart {
  const ids = ["a", "b", "p", "m0", "m1", "nobody"].filter(() => random.chance(0.5));
  const [from, until] = random.pick([["", undefined], ["", "b"], ["b", undefined], ["m0", "m1"]] as const);
  const members = new Map(
    ids.sort().map((id) => [id, {
      incarnation: random.pick([peer.incarnation, NO_INCARNATION]),
      number: random.whole(0, 12),
      sum: `${random.whole(0, 9)}`.repeat(16),
    }]),
  );
  return { from, until, members };
}

/** Swaps, repeats and drops whole messages. */
function disordered(messages: readonly Message[], random: SeededRandom): Message[] {
  const changed = [...messages];
  for (let count = random.whole(1, 3); count > 0 && changed.length > 0; count--) {
    const [one, other] = [random.whole(0, changed.length - 1), random.whole(0, changed.length - 1)];
    const what = random.pick(["swap", "repeat", "drop"] as const);
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

/** Changes characters of the text, or fields of its JSON. */
function mutate(text: string, random: SeededRandom): string {
  if (random.chance(0.4)) return mutateText(text, random);
  const message = JSON.parse(text);
  for (let count = random.whole(1, 3); count > 0; count--) mutateNode(message, random);
  return JSON.stringify(message);
}

function mutateText(text: string, random: SeededRandom): string {
  const at = random.whole(0, text.length);
  const until = Math.min(text.length, at + random.whole(1, 20));
  switch (random.whole(0, 4)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + text.slice(until);
    case 2:
      return text.slice(0, until) + text.slice(at);
    case 3:
      return text.slice(0, at) + random.pick(['"', "{", "}", "[", ",", "9", "\\", "\ud834", "\u0000"]) +
        text.slice(at);
    default:
      return text.slice(0, at) + String.fromCharCode(random.whole(0, 0xffff)) + text.slice(at + 1);
  }
}

function mutateNode(node: unknown, random: SeededRandom): void {
  if (typeof node !== "object" || node === null) return;
  const keys = Object.keys(node);
  const key = keys.length === 0 ? "new" : random.pick(keys);
  const fields = node as Record<string, unknown>;
  if (random.chance(0.6) && typeof fields[key] === "object") return mutateNode(fields[key], random);
  switch (random.whole(0, 2)) {
    case 0:
      delete fields[key];
      return;
    case 1:
      fields[key] = random.pick(STRANGE);
      return;
    default:
      fields[random.pick(["extra", "__proto__x", key.toUpperCase() || "x"])] = fields[key] ?? null;
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
  let reportedAt = 0;
  const result = await fuzz({ seed, messages }, (sent) => {
    if (sent - reportedAt < messages / 20) return;
    reportedAt = sent;
    console.error(`${sent} messages sent`);
  });
  console.log(result);
}
