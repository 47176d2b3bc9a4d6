/**
 * Test vectors written by protoactor-go's own types, and conversions between its messages and Hearsay's.
 *
 * @module
 */

import type { Delta, MemberDelta } from "../../engine/types.ts";
import type { Gossip, Reply } from "../../protocol/message.ts";
import { decode, encode } from "../../protocol/codec.ts";

/** An unchecked JSON object. */
export type Json = Readonly<Record<string, unknown>>;

/** One message of protoactor-go. */
export interface Vector {
  readonly name: string;
  readonly type: "cluster.GossipRequest" | "cluster.GossipResponse";
  /** Its JSON by protojson. */
  readonly json: Json;
  /** The JSON without empty members and the like; left out if it is equal. */
  readonly lean?: Json;
  /** Its binary form, in base64. */
  readonly binary: string;
}

/** The file that `tests/protoactor/vectors` writes. */
export interface Vectors {
  readonly protoactorGo: string;
  /** protoactor-go's default settings, by Hearsay's names. */
  readonly defaults: Readonly<Record<string, number | string>>;
  readonly keys: { readonly topology: string; readonly heartbeat: string; readonly gracefullyLeft: string };
  readonly messages: readonly Vector[];
  readonly topologyHashes: readonly { readonly ids: readonly string[]; readonly hash: string }[];
}

/** The committed vectors. */
export const VECTORS_FILE = new URL("vectors.json", import.meta.url);

/** Reads the committed vectors. */
export function readVectors(): Vectors {
  return JSON.parse(Deno.readTextFileSync(VECTORS_FILE));
}

/** The incarnation of all members in tests with vectors; protoactor-go's messages have none. */
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

/** Decodes protoactor-go's message as the body of a Hearsay message. */
export function readBody({ type, json }: Vector): Gossip | Reply {
  // Built as text: in an object literal a member `__proto__` would set the prototype.
  const ranges = valuesOf(json).map(([id]) => `${JSON.stringify(id)}:["${LIFE}",0]`);
  const [kind, field] = type === "cluster.GossipRequest" ? ["gossip", "request"] : ["reply", "response"];
  const rest = `"count":0,"ranges":{${ranges}},"digest":"${"0".repeat(16)}","active":"${"0".repeat(16)}"`;
  const text = `{"type":"${kind}","id":"d1","${field}":${JSON.stringify(json)},${rest}}`;
  const message = decode(text, LIMITS);
  if (message.type !== "gossip" && message.type !== "reply") {
    throw new Error(`Expected gossip or reply; got ${message.type}.`);
  }
  return message;
}

/** Encodes a message; returns the part in protoactor-go's format. */
export function writtenBody(message: Gossip | Reply): Json {
  const written = JSON.parse(encode(message));
  return message.type === "gossip" ? written.request : written.response;
}

/** Adds the stamps of the JSON to the entries: the decoder drops them (R5.4). */
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
