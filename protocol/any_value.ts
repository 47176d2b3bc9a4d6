/**
 * Converts values between protobuf's `Any` in proto3 JSON (rule P3) and their form in memory.
 *
 * In memory a user's value is the JSON value itself. A heartbeat is `{ actorStatistics: { actorCount: { kind: 3 } } }`
 * with numbers. A topology has the same fields as on the wire, with its hash as a string of decimal digits. `left` is
 * `{}`. A binary protobuf value without a decoder is `{ typeUrl, bytes }`. A value of an unknown type is the whole
 * `Any` with its `@type`, so that it is relayed unchanged.
 *
 * @module
 */

import { checkJson } from "../engine/json.ts";
import { type JsonValue, MAX_NUMBER, type SentEntry, TYPE } from "../engine/types.ts";
import { CLOSE, ConnectionClosed } from "../common/errors.ts";
import {
  fail,
  type Fields,
  type JsonPath,
  readList,
  readName,
  readNames,
  readObject,
  readWhole,
  wholeOf,
} from "./check.ts";

const PREFIX = "type.googleapis.com/";
const VALUE_HEAD = `{"@type":"${PREFIX}${TYPE.value}","value":`;
const EMPTY_TEXT = `{"@type":"${PREFIX}${TYPE.empty}","value":{}}`;
const HEARTBEAT_HEAD = `{"@type":"${PREFIX}${TYPE.heartbeat}"`;
const TOPOLOGY_HEAD = `{"@type":"${PREFIX}${TYPE.topology}"`;
const PACKED_HEAD = `{"@type":"${PREFIX}${TYPE.packed}",`;
/** The longest name of a type, in bytes of UTF-8. */
const MAX_TYPE_BYTES = 1024;

/** The parts of an entry that come from an `Any`. */
export type ReadAny = Pick<SentEntry, "type" | "value" | "json">;

/** The value of a heartbeat without statistics. Shared, because most members have such a heartbeat. */
const BARE_HEARTBEAT: ReadAny = { type: TYPE.heartbeat, value: Object.freeze({}), json: "{}" };

/** Encodes the value of an entry. The entry must not be a tombstone. */
export function anyText(entry: SentEntry): string {
  switch (entry.type) {
    case TYPE.value:
      return `${VALUE_HEAD}${entry.json}}`;
    case TYPE.empty:
      return EMPTY_TEXT;
    case TYPE.heartbeat:
      return entry.json === "{}" ? `${HEARTBEAT_HEAD}}` : heartbeatText(entry.value as Fields);
    case TYPE.topology:
      return entry.json === "{}" ? `${TOPOLOGY_HEAD}}` : `${TOPOLOGY_HEAD},${entry.json.slice(1)}`;
    case TYPE.packed:
      return PACKED_HEAD + entry.json.slice(1);
    default:
      return entry.json;
  }
}

function heartbeatText(value: Fields): string {
  const counts = (value["actorStatistics"] as Fields | undefined)?.["actorCount"] as Fields | undefined;
  let text = "";
  for (const [kind, count] of Object.entries(counts ?? {})) {
    text += `${text && ","}${JSON.stringify(kind)}:"${count}"`;
  }
  if (text === "") return `${HEARTBEAT_HEAD}}`;
  return `${HEARTBEAT_HEAD},"actorStatistics":{"actorCount":{${text}}}}`;
}

/** Reads an `Any`, the field `value` of the entry at `place`. */
export function readAny(raw: unknown, place: JsonPath): ReadAny {
  const any = readObject(raw, place);
  const url = any["@type"];
  // Nearly all values have this URL, so they take the shortest path.
  // mutant swap-arithmetic: the other path reads the same.
  if (url === PREFIX + TYPE.value) return readValue(any, place);
  const name = readName(url, place.field("@type"), MAX_TYPE_BYTES);
  const type = name.slice(name.lastIndexOf("/") + 1);
  switch (type) {
    case "":
      return fail(place.field("@type"), "a URL that ends with a type's name", url);
    case TYPE.value:
      return readValue(any, place);
    case TYPE.empty:
      // Proto3 JSON has `"value":{}` here; some senders omit it.
      if (any["value"] !== undefined) readObject(any["value"], place.field("value"));
      return { type, value: {}, json: "{}" };
    case TYPE.heartbeat:
      return readHeartbeat(any, place);
    case TYPE.topology:
      return readTopology(any, place);
    case TYPE.packed:
      return readPacked(any, place);
    default:
      return { type, ...readJson(any, place) };
  }
}

function readValue(any: Fields, place: JsonPath): ReadAny {
  const { value } = any;
  if (value === undefined) fail(place.field("value"), "a JSON value", value);
  const { json } = readJson(value, place);
  return { type: TYPE.value, value: value as JsonValue, json };
}

function readJson(value: unknown, place: JsonPath): { value: JsonValue; json: string } {
  const wrong = checkJson(value, "");
  // The path may contain long keys, so the text is limited.
  if (wrong) {
    const where = `${place.field("value")}${wrong}`;
    throw new ConnectionClosed(CLOSE.invalid, where.slice(0, 1000).toWellFormed());
  }
  return { value: value as JsonValue, json: JSON.stringify(value) };
}

function readHeartbeat(any: Fields, place: JsonPath): ReadAny {
  const below = place.field("actorStatistics").field("actorCount");
  const statistics = readObject(any["actorStatistics"] ?? {}, place.field("actorStatistics"));
  const given = Object.entries(readObject(statistics["actorCount"] ?? {}, below));
  const counts = given.map(([kind, count]) => {
    readName(kind, below.item(kind), 1024);
    const read = wholeOf(count, 0) ?? fail(below.item(kind), `a whole number from 0 to ${MAX_NUMBER}`, count);
    return [kind, read] as const;
  });
  // `fromEntries` defines own properties, so a kind named `__proto__` is harmless.
  if (counts.length === 0) return BARE_HEARTBEAT;
  const value = { actorStatistics: { actorCount: Object.fromEntries(counts) } };
  return { type: TYPE.heartbeat, value, json: JSON.stringify(value) };
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function readPacked(any: Fields, place: JsonPath): ReadAny {
  const typeUrl = readName(any["typeUrl"], place.field("typeUrl"), MAX_TYPE_BYTES);
  const bytes = any["bytes"] ?? "";
  if (typeof bytes !== "string" || !BASE64.test(bytes)) fail(place.field("bytes"), "base64", bytes);
  const value = { typeUrl, bytes };
  return { type: TYPE.packed, value, json: JSON.stringify(value) };
}

const UINT64 = /^(?:0|[1-9][0-9]{0,19})$/;
const MAX_UINT64 = 2n ** 64n - 1n;

function readTopology(any: Fields, place: JsonPath): ReadAny {
  const value: Record<string, JsonValue> = {};
  const hash = readUint64(any.topologyHash, place.field("topologyHash"));
  if (hash !== "0") value.topologyHash = hash;
  for (const name of ["members", "joined", "left"] as const) {
    const members = readList(any[name] ?? [], place.field(name));
    if (members.length === 0) continue;
    value[name] = members.map((member, index) => readProtoMember(member, place.field(name).item(index)));
  }
  const blocked = readList(any.blocked ?? [], place.field("blocked"));
  if (blocked.length > 0) {
    value.blocked = blocked.map((id, index) => readName(id, place.field("blocked").item(index)));
  }
  return { type: TYPE.topology, value, json: JSON.stringify(value) };
}

function readUint64(value: unknown, place: JsonPath): string {
  if (value === undefined || value === null) return "0";
  // A JSON number above 2^53 has already lost digits.
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return String(value + 0);
  if (typeof value === "string" && UINT64.test(value) && BigInt(value) <= MAX_UINT64) return value;
  return fail(place, "the decimal digits of an unsigned 64-bit integer, as a string", value);
}

/** Reads a `cluster.Member` in proto3 JSON. Every field is optional. */
function readProtoMember(raw: unknown, place: JsonPath): JsonValue {
  const fields = readObject(raw, place);
  const member: Record<string, JsonValue> = {};
  if (isSet(fields.host)) member.host = readName(fields.host, place.field("host"));
  if (isSet(fields.port)) member.port = readWhole(fields.port, place.field("port"), { min: 0, max: 65535 });
  if (isSet(fields.id)) member.id = readName(fields.id, place.field("id"));
  const kinds = readNames(fields.kinds ?? [], place.field("kinds"));
  if (kinds.length > 0) member.kinds = kinds;
  return member;
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "" && value !== 0;
}
