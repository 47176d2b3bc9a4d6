/**
 * Messages of the codec with their intended content, for protojson to read.
 *
 * @module
 */

import { type Delta, type MemberDelta, type SentEntry, TYPE } from "../../engine/types.ts";
import type { Gossip, Message, Reply } from "../../protocol/message.ts";
import { decode, encode } from "../../protocol/codec.ts";
import { readAny } from "../../protocol/any_value.ts";
import { JsonPath } from "../../protocol/check.ts";
import { TestCluster } from "../requirements/harness.ts";
import { SeededRandom } from "../simulation/seeded_random.ts";
import { randomAny } from "./values.ts";
import { type Json, LIFE, readBody, valuesOf, type Vector, withStamps } from "./vectors.ts";

/** The body of an encoded message, as input of `tests/protoactor/vectors`. */
export interface Written {
  readonly name: string;
  readonly type: Vector["type"];
  /** The JSON of the request or the response alone. */
  readonly text: string;
  /** The name of the vector that it must equal. */
  readonly sample?: string;
  /** Without a vector: the intended content. */
  readonly memberId?: string;
  readonly entries?: readonly WrittenEntry[];
}

/** One entry in a message. */
export interface WrittenEntry {
  readonly member: string;
  readonly key: string;
  readonly number: number;
  readonly stamp: number;
  readonly type: string;
  readonly value?: unknown;
}

type Stamped = SentEntry & { readonly timestampMs: number };

/** Every accepted vector, decoded and encoded again, except vectors with stamps that a number cannot represent. */
export function rewritten(vectors: readonly Vector[]): Written[] {
  const holdable = vectors.filter(({ name, json }) =>
    !name.startsWith("refused: ") &&
    valuesOf(json).every(([, values]) =>
      values.every(([, entry]) => Number.isSafeInteger(Number(entry.localTimestampUnixMilliseconds ?? 0)))
    )
  );
  return holdable.map((vector) => ({
    name: `rewritten: ${vector.name}`,
    type: vector.type,
    text: bodyText(encode(withStamps(readBody(vector), vector.json))),
    sample: vector.name,
  }));
}

/** Messages with random members, keys, numbers and values. */
export function randomMessages(count: number): Written[] {
  return Array.from({ length: count }, (_, seed) => {
    const dice = new SeededRandom(seed);
    const members = dice.some(["a", "b", "member-3", "ä€😀", "__proto__", '"'], 0.5).map((id) =>
      randomMember(dice, id)
    );
    const delta: Delta = { members, digest: "0".repeat(16), active: "0".repeat(16), partial: false };
    const message: Gossip | Reply = dice.chance(0.5)
      ? { type: "gossip", liveness: { count: 0 }, id: "d1", memberId: dice.pick(["a", "ä€😀"]), delta }
      : { type: "reply", liveness: { count: 0 }, id: "d1", delta, holds: new Map() };
    return meant(`random message ${seed}`, { message, text: encode(message), members });
  });
}

function randomMember(dice: SeededRandom, id: string): MemberDelta {
  let number = 0;
  const keys = dice.some(["heathbeat", "topology", "left", "load", "__proto__", "a b", "\n"], 0.5);
  const entries = keys.map((key): Stamped => {
    number = number >= 2 ** 50 ? number + 1 : number + dice.pick([1, dice.whole(1, 100), 2 ** 51]);
    const timestampMs = dice.pick([0, 1, 1_700_000_000_000, Number.MAX_SAFE_INTEGER]);
    if (dice.chance(0.2)) return { key, number, timestampMs, type: "", value: undefined, json: "" };
    const { type, value, json } = readAny(randomAny(dice), new JsonPath("any"));
    return { key, number, timestampMs, type, value, json };
  });
  return { id, incarnation: LIFE, after: 0, reset: false, entries };
}

/** Messages of three gossipers that start, set and delete keys, and leave one after another. */
export async function clusterMessages(): Promise<Written[]> {
  const actorStatistics = () => ({ cart: 3, order: 0 });
  await using cluster = await TestCluster.started(["a", "b", "c"], { actorStatistics });
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const { id, gossiper } of cluster.members) {
    gossiper.setState("load", { cpu: 0.3, of: id, nested: [null, true, { "é": "ä€😀" }] });
    gossiper.setState("gone", id);
    gossiper.deleteState("gone");
  }
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const { id } of cluster.members) await cluster.stop(id);
  return cluster.sent.filter(({ type }) => type === "gossip" || type === "reply").map(({ text }, index) => {
    const message = decode(text, { maxMessageBytes: 1_048_576 }) as Gossip | Reply;
    const stamped = withStamps(message, JSON.parse(bodyText(text)));
    return meant(`message ${index} of a cluster`, { message, text, members: stamped.delta.members });
  });
}

function meant(
  name: string,
  { message, text, members }: {
    readonly message: Message;
    readonly text: string;
    readonly members: readonly MemberDelta[];
  },
): Written {
  const entries = members.flatMap((member) =>
    (member.entries as readonly Stamped[]).map(({ key, number, timestampMs: stamp, type, value }) => ({
      member: member.id,
      key,
      number,
      stamp,
      type,
      // An Empty has no content to compare.
      ...(type !== TYPE.empty && { value }),
    }))
  );
  const body = bodyText(text);
  if (message.type !== "gossip") return { name, type: "cluster.GossipResponse", text: body, entries };
  return { name, type: "cluster.GossipRequest", text: body, memberId: message.memberId, entries };
}

/** The part of a message in protoactor-go's format, as it was encoded. */
function bodyText(text: string): string {
  const message: Json = JSON.parse(text);
  return JSON.stringify(message.request ?? message.response);
}
