/**
 * Converts values between protobuf's binary `Any` and entries.
 *
 * @module
 */

import { type JsonValue, type SentEntry, TYPE } from "../../engine/types.ts";
import { type ReadAny, readAny } from "../../protocol/any_value.ts";
import { GO_MAP, goMapValue } from "../../maps/go_map.ts";
import { JsonPath } from "../../protocol/check.ts";
import {
  type Any,
  GOSSIP_MAP,
  HEARTBEAT,
  LIST_VALUE,
  type MapItem,
  type ProtoField,
  type ProtoMember,
  type ProtoTopology,
  type ProtoValue,
  STRUCT,
  TOPOLOGY,
  VALUE,
} from "./definitions.ts";
import { unsignedDigits, wholeOf } from "./numbers.ts";

/**
 * Decodes protobuf messages of one type to a JSON value. It may throw; the value is then shown as `{ typeUrl,
 * bytes }`.
 */
export type Decoder = (bytes: Uint8Array) => JsonValue;

/** Decoders by the full name of the message type, such as `google.protobuf.StringValue`. */
export type Decoders = Readonly<Record<string, Decoder>>;

const PREFIX = "type.googleapis.com/";
/** The deepest nesting of a value; a deeper one is kept as bytes. */
const MAX_DEPTH = 64;
const NOTHING = new Uint8Array();

/** Encodes the value of an entry for a Go member. The entry must not be a tombstone. */
export function anyOf(entry: SentEntry): Any {
  const fields = entry.value as Readonly<Record<string, JsonValue>>;
  switch (entry.type) {
    case TYPE.empty:
      return { typeUrl: PREFIX + TYPE.empty, value: NOTHING };
    case TYPE.heartbeat:
      return { typeUrl: PREFIX + TYPE.heartbeat, value: heartbeatBytes(fields) };
    case TYPE.topology:
      return { typeUrl: PREFIX + TYPE.topology, value: topologyBytes(fields) };
    case TYPE.packed: {
      // From the text, not from `value`: a decoder may have changed `value`, for this member only.
      const { typeUrl, bytes } = JSON.parse(entry.json) as { typeUrl: string; bytes: string };
      return { typeUrl, value: Uint8Array.fromBase64(bytes) };
    }
    default:
      return { typeUrl: PREFIX + TYPE.value, value: valueBytes(entry.value!) };
  }
}

/** Encodes a map for a Go member: there it is one value. */
export function mapAnyOf(items: readonly MapItem[]): Any {
  return { typeUrl: PREFIX + GO_MAP, value: GOSSIP_MAP.encode({ items }) };
}

/** Adds a decoder of maps, unless there is one. A map within a map stays `{ typeUrl, bytes }`: its depth has no limit. */
export function withMaps(decoders: Decoders): Decoders {
  const items = (bytes: Uint8Array) =>
    Object.fromEntries(GOSSIP_MAP.decode(bytes).items.flatMap((item) => readItem(item, decoders)));
  return { [GO_MAP]: (bytes) => goMapValue(items(bytes)), ...decoders };
}

function readItem({ key, value }: MapItem, decoders: Decoders): [string, JsonValue][] {
  try {
    return [[key, readBinaryAny(value!, decoders).value!]];
  } catch {
    // It has no value, or even the name of its type is invalid.
    return [];
  }
}

/** Reads a binary value. A value that cannot be decoded is kept, and sent on, as its bytes. */
export function readBinaryAny(any: Any, decoders: Decoders): ReadAny {
  try {
    return readAny(jsonAny(any), PLACE);
  } catch {
    return packed(any, decoders);
  }
}

/**
 * Replaces the value of a packed entry by the decoder's result. `json`, which is sent to peers, stays the
 * same.
 */
export function decoded<Kept extends ReadAny>(entry: Kept, decoders: Decoders): Kept {
  if (entry.type !== TYPE.packed || entry.value === undefined) return entry;
  const { typeUrl, bytes } = entry.value as { readonly typeUrl: string; readonly bytes: string };
  const name = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  const decoder = Object.hasOwn(decoders, name) ? decoders[name] : undefined;
  if (!decoder) return entry;
  try {
    const value = structuredClone(decoder(Uint8Array.fromBase64(bytes)));
    // A decoder may return anything; convert it as JSON would.
    return { ...entry, value: JSON.parse(JSON.stringify(value)) };
  } catch {
    return entry;
  }
}

const PLACE = new JsonPath("value");

function packed({ typeUrl, value }: Any, decoders: Decoders): ReadAny {
  // For an empty field the library returns a plain array instead of a `Uint8Array`.
  const bytes = value.length === 0 ? "" : value.toBase64();
  const raw = { "@type": PREFIX + TYPE.packed, typeUrl, bytes };
  return decoded(readAny(raw, PLACE), decoders);
}

/**
 * Converts a value of a known type to its proto3 JSON form. Throws if the type is unknown or the bytes are
 * invalid.
 */
function jsonAny({ typeUrl, value }: Any): Readonly<Record<string, unknown>> {
  const type = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  const head = { "@type": PREFIX + type };
  switch (type) {
    case TYPE.value:
      return { ...head, value: jsonValue(value, 0) };
    case TYPE.empty:
      if (value.length > 0) throw new RangeError("A google.protobuf.Empty must have no bytes.");
      return head;
    case TYPE.heartbeat: {
      const counts = HEARTBEAT.decode(value).actorStatistics?.actorCount ?? [];
      const actorCount = Object.fromEntries(counts.map(({ key, value }) => [key, wholeOf(value)]));
      return { ...head, actorStatistics: { actorCount } };
    }
    case TYPE.topology:
      return { ...head, ...jsonTopology(TOPOLOGY.decode(value)) };
    default:
      throw new TypeError(`${type} is not a known type.`);
  }
}

function jsonTopology(topology: ProtoTopology): Readonly<Record<string, unknown>> {
  const records = (members: readonly ProtoMember[] = []) =>
    members.map(({ host, port, id, kinds }) => ({ host, port, id, kinds }));
  return {
    topologyHash: unsignedDigits(topology.topologyHash ?? 0),
    members: records(topology.members),
    joined: records(topology.joined),
    left: records(topology.left),
    blocked: topology.blocked ?? [],
  };
}

function jsonValue(bytes: Uint8Array, depth: number): JsonValue {
  if (depth > MAX_DEPTH) throw new RangeError(`A value must be at most ${MAX_DEPTH} levels deep.`);
  const value = VALUE.decode(bytes);
  switch (value.kind) {
    case "nullValue":
      return null;
    case "numberValue":
      return value.numberValue!;
    case "stringValue":
      return value.stringValue!;
    case "boolValue":
      return value.boolValue!;
    case "listValue":
      return LIST_VALUE.decode(value.listValue!).values.map((item) => jsonValue(item, depth + 1));
    case "structValue": {
      const { fields } = STRUCT.decode(value.structValue!);
      return Object.fromEntries(fields.map((field) => [field.key, jsonValue(field.value, depth + 1)]));
    }
    default:
      throw new TypeError("A google.protobuf.Value must have a kind.");
  }
}

function valueBytes(value: JsonValue): Uint8Array {
  return VALUE.encode(protoValue(value));
}

function protoValue(value: JsonValue): ProtoValue {
  if (value === null) return { nullValue: 0 };
  if (typeof value === "number") return { numberValue: value };
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (Array.isArray(value)) return { listValue: LIST_VALUE.encode({ values: value.map(valueBytes) }) };
  const fields = Object.entries(value).map(([key, item]): ProtoField => ({ key, value: valueBytes(item) }));
  return { structValue: STRUCT.encode({ fields }) };
}

function heartbeatBytes(fields: Readonly<Record<string, JsonValue>>): Uint8Array {
  const statistics = fields.actorStatistics as { readonly actorCount?: Record<string, number> } | undefined;
  const counts = Object.entries(statistics?.actorCount ?? {});
  return HEARTBEAT.encode({
    actorStatistics: { actorCount: counts.map(([key, value]) => ({ key, value })) },
  });
}

/**
 * Encodes a topology without its blocked ids. A Go member blocks every id in that list forever, and Go
 * members never send one. A Hearsay member's block ends as soon as the blocked member is heard again.
 */
function topologyBytes(fields: Readonly<Record<string, JsonValue>>): Uint8Array {
  const { blocked: _, ...rest } = fields;
  return TOPOLOGY.encode(rest as ProtoTopology);
}
