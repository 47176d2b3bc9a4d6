/**
 * The test vectors that protoactor-go's own types wrote, and how its messages stand inside ours.
 *
 * @module
 */

import type { Delta, MemberDelta } from "../../engine/types.ts";
import type { Gossip, Reply } from "../../gossiper/message.ts";
import { decode, encode } from "../../transport/wire.ts";

/** A JSON object, before anything is known of it. */
export type Json = Readonly<Record<string, unknown>>;

/** One message of protoactor-go. */
export interface Vector {
  readonly name: string;
  readonly type: "cluster.GossipRequest" | "cluster.GossipResponse";
  /** What protojson writes of it. */
  readonly json: Json;
  /** What protojson writes of the same without what says nothing, where that is something else. */
  readonly lean?: Json;
  /** Its binary form, in base64. */
  readonly binary: string;
}

/** All that `tests/interop/vectors` writes. */
export interface Vectors {
  readonly protoactorGo: string;
  /** What a cluster is configured to where nothing else is said, by the names of the settings here. */
  readonly defaults: Readonly<Record<string, number | string>>;
  readonly keys: { readonly topology: string; readonly heartbeat: string; readonly gracefullyLeft: string };
  readonly messages: readonly Vector[];
  readonly topologyHashes: readonly { readonly ids: readonly string[]; readonly hash: string }[];
}

/** Where the vectors are. */
export const VECTORS_FILE = new URL("vectors.json", import.meta.url);

/** The committed vectors. */
export function readVectors(): Vectors {
  return JSON.parse(Deno.readTextFileSync(VECTORS_FILE));
}

/** The life of every member in the tests with vectors, of which protoactor-go's messages say nothing. */
export const LIFE = "0190f3a1b2c3-0badcafe";
const LIMITS = { maxMessageBytes: 1_048_576 };

/** The entries of each member in the JSON of a message. */
export function valuesOf(json: Json): [id: string, values: [key: string, entry: Json][]][] {
  const members = (json.state as Json | undefined)?.members ?? {};
  return Object.entries(members as Readonly<Record<string, Json>>).map(([id, { values }]) => [
    id,
    Object.entries((values ?? {}) as Readonly<Record<string, Json>>),
  ]);
}

/** Reads protoactor-go's message as the body of one of ours. */
export function readBody({ type, json }: Vector): Gossip | Reply {
  // Written by hand, for an object would take a member called `__proto__` for something else.
  const ranges = valuesOf(json).map(([id]) => `${JSON.stringify(id)}:["${LIFE}",0]`);
  const [kind, field] = type === "cluster.GossipRequest" ? ["gossip", "request"] : ["reply", "response"];
  const rest = `"count":0,"ranges":{${ranges}},"digest":"${"0".repeat(16)}","active":"${"0".repeat(16)}"`;
  const text = `{"type":"${kind}","id":"d1","${field}":${JSON.stringify(json)},${rest}}`;
  const message = decode(text, LIMITS);
  if (message.type !== "gossip" && message.type !== "reply") {
    throw new Error(`It was read as ${message.type}.`);
  }
  return message;
}

/** Writes the message, and returns what of it is protoactor-go's. */
export function writtenBody(message: Gossip | Reply): Json {
  const written = JSON.parse(encode(message));
  return message.type === "gossip" ? written.request : written.response;
}

/** A message whose entries have the stamps that the JSON has: what is read forgets them (R5.4). */
export function withStamps<M extends Gossip | Reply>(message: M, json: Json): M {
  const stamps = new Map(valuesOf(json).map(([id, values]) => [id, new Map(values)]));
  const stamped = (member: MemberDelta): MemberDelta => ({
    ...member,
    entries: member.entries.map((entry) => {
      const stamp = stamps.get(member.id)?.get(entry.key)?.localTimestampUnixMilliseconds;
      return { ...entry, timestampMs: Number(stamp ?? 0) };
    }),
  });
  const delta: Delta = { ...message.delta, members: message.delta.members.map(stamped) };
  return { ...message, delta };
}
