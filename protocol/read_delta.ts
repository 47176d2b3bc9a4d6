/**
 * Reads the member states of a message: entries in proto3 JSON, their ranges, and the sender's versions.
 *
 * @module
 */

import { isUnversioned } from "../engine/incarnation.ts";
import { MAX_EXPIRES_AFTER } from "../options/member_rules.ts";
import {
  type Delta,
  type KnownVersion,
  type KnownVersions,
  type Liveness,
  MAX_NUMBER,
  type MemberDelta,
  type MemberDeltas,
} from "../engine/types.ts";
import type { SentEntry } from "../engine/types.ts";
import { readAny } from "./any_value.ts";
import {
  fail,
  type Fields,
  JsonPath,
  MAX_KEY_BYTES,
  MAX_SIGNATURE_BYTES,
  readHash,
  readIncarnation,
  readName,
  readNumber,
  readObject,
  readWhole,
  wholeOf,
} from "./check.ts";

/** The largest stride. 2^20: more intervals than any `heartbeatExpiration` has. */
const MAX_STRIDE = 2 ** 20;

/** Reads the delta of a gossip or a reply. `body` is its request or response, at `place`. */
export function readDelta(fields: Fields, body: Fields, place: JsonPath): Delta {
  const { members } = readPartialDelta(fields, body, place);
  const partial = fields.partial ?? false;
  if (typeof partial !== "boolean") fail(new JsonPath("partial"), "true or false", partial);
  const digest = readHash(fields.digest, new JsonPath("digest"));
  const agreeing = fields.agreeing === undefined
    ? {}
    : { agreeing: readDigits(fields.agreeing, new JsonPath("agreeing")) };
  return { members, digest, active: readHash(fields.active, new JsonPath("active")), partial, ...agreeing };
}

/** Reads the liveness of the sender and of the members that it knows. */
export function readLiveness(fields: Fields): Liveness {
  const count = readNumber(fields.count, new JsonPath("count"));
  if (fields.live === undefined) return { count };
  const place = new JsonPath("live");
  const live = readObject(fields.live, place);
  const stride = readWhole(live.stride, place.field("stride"), { min: 1, max: MAX_STRIDE });
  const counts = readCounts(live.counts, place.field("counts"));
  const hash = live.active === undefined
    ? {}
    : { incarnationsHash: readHash(live.active, place.field("active")) };
  return { count, vector: { ...hash, stride, counts } };
}

const NOT_DIGITS = /[^A-Za-z0-9_-]/;
const NOT_COUNTS = /[^A-Za-z0-9_.-]/;

function readDigits(value: unknown, place: JsonPath): string {
  if (typeof value !== "string" || NOT_DIGITS.test(value)) fail(place, "base64url digits", value);
  return value;
}

/** Reads base64url digits, with dots for unknown counts. */
function readCounts(value: unknown, place: JsonPath): string {
  if (typeof value !== "string" || NOT_COUNTS.test(value)) fail(place, "base64url digits and dots", value);
  return value;
}

/** Reads the member states of a message. `body` is its request or response, at `place`. */
export function readPartialDelta(fields: Fields, body: Fields, place: JsonPath): MemberDeltas {
  // Proto3 JSON accepts null for an omitted field.
  const below = place.field("state").field("members");
  const state = readObject(body.state ?? {}, place.field("state"));
  const states = readObject(state.members ?? {}, below);
  const rangesPlace = new JsonPath("ranges");
  const ranges = readObject(fields.ranges ?? {}, rangesPlace);
  const resets = readResets(fields.resets, ranges);
  const proofs = readProofs(fields.signatures, ranges);
  const members = Object.keys(ranges).map((id): MemberDelta => {
    const { incarnation, after, count, settled } = readRange(id, ranges[id], rangesPlace);
    // Own properties only: an id may be the name of an inherited property.
    const raw = Object.hasOwn(states, id) ? states[id] : undefined;
    // The state of an unversioned member has no prefix, and its numbers may start again.
    const distinct = !isUnversioned(incarnation);
    const entries = raw === undefined ? [] : readEntries(raw, below.item(id), { after, distinct });
    const proof = proofs.get(id);
    const end = resets.get(id);
    const last = entries.at(-1)?.number ?? after;
    if (end !== undefined && end < last) {
      fail(new JsonPath("resets").item(id), `at least ${last}, the last entry`, end);
    }
    return {
      id,
      incarnation,
      after,
      reset: end !== undefined,
      ...(end !== undefined && { end }),
      entries,
      ...(count > 0 && { count }),
      ...(settled > 0 && { ackedByAll: settled }),
      ...(proof === undefined ? {} : { signature: proof }),
    };
  });
  for (const id of Object.keys(states)) {
    if (!Object.hasOwn(ranges, id)) {
      fail(rangesPlace.item(id), "a range for each member in the state", undefined);
    }
  }
  return { members };
}

/** Reads the end of the state that each reset belongs to, by member id. */
function readResets(raw: unknown, ranges: Fields): ReadonlyMap<string, number> {
  const place = new JsonPath("resets");
  const resets = new Map<string, number>();
  for (const [id, end] of Object.entries(readObject(raw ?? {}, place))) {
    if (!Object.hasOwn(ranges, id)) fail(place.item(id), "of a member in ranges", id);
    resets.set(id, readNumber(end, place.item(id)));
  }
  return resets;
}

function readProofs(raw: unknown, ranges: Fields): ReadonlyMap<string, string> {
  const place = new JsonPath("signatures");
  const proofs = new Map<string, string>();
  for (const [id, proof] of Object.entries(readObject(raw ?? {}, place))) {
    if (!Object.hasOwn(ranges, id)) fail(place.item(id), "of a member in ranges", id);
    proofs.set(id, readName(proof, place.item(id), MAX_SIGNATURE_BYTES));
  }
  return proofs;
}

interface Range {
  readonly incarnation: string;
  readonly after: number;
  readonly count: number;
  readonly settled: number;
}

function readRange(id: string, raw: unknown, place: JsonPath): Range {
  readName(id, place.item(id));
  const range = readRangeItems(raw, place.item(id));
  const numberAt = (index: number) => readNumber(range[index] ?? 0, place.item(id).item(index));
  return {
    incarnation: readIncarnation(range[0], place.item(id).item(0)),
    after: numberAt(1),
    count: numberAt(2),
    settled: numberAt(3),
  };
}

function readRangeItems(raw: unknown, place: JsonPath): readonly unknown[] {
  const isRange = Array.isArray(raw) && raw.length >= 2 && raw.length <= 4;
  if (!isRange) fail(place, "an incarnation, a number and up to two more numbers", raw);
  return raw;
}

function readPair(raw: unknown, place: JsonPath): readonly unknown[] {
  if (!Array.isArray(raw) || raw.length !== 2) fail(place, "an incarnation and a number", raw);
  return raw;
}

/** The number before the first entry; `distinct` is true if all numbers must differ. */
interface EntryRules {
  readonly after: number;
  readonly distinct: boolean;
}

function readEntries(raw: unknown, place: JsonPath, rules: EntryRules): readonly SentEntry[] {
  const values = readObject(readObject(raw, place).values ?? {}, place.field("values"));
  const entries: SentEntry[] = [];
  let last = rules.after;
  let rising = true;
  for (const key of Object.keys(values)) {
    const entry = readEntry(key, values[key], place.field("values").item(key));
    if (entry.number <= last) rising = false;
    last = entry.number;
    entries.push(entry);
  }
  return rising ? entries : sortEntries(entries, place.field("values"), rules);
}

/** Sorts entries by number, because JSON objects have no reliable order. */
function sortEntries(
  entries: SentEntry[],
  place: JsonPath,
  { after, distinct }: EntryRules,
): readonly SentEntry[] {
  entries.sort((a, b) => a.number - b.number);
  let last = after;
  for (const { key, number } of entries) {
    if (number <= last && (distinct || number <= after)) {
      const rule = number <= after ? `above ${after}, where the range starts` : "a number of its own";
      fail(place.item(key).field("sequenceNumber"), rule, number);
    }
    last = number;
  }
  return entries;
}

function readEntry(key: string, raw: unknown, place: JsonPath): SentEntry {
  readName(key, place, MAX_KEY_BYTES);
  const fields = readObject(raw, place);
  const number = wholeOf(fields.sequenceNumber, 1) ??
    fail(place.field("sequenceNumber"), `a whole number from 1 to ${MAX_NUMBER}`, fields.sequenceNumber);
  // The timestamp is of the sender's clock. The receiver sets its own (R5.4), so the sender's timestamp is checked and
  // dropped.
  const stamp = fields.localTimestampUnixMilliseconds;
  if (stamp !== undefined && stamp !== null && !isInt64(stamp)) {
    fail(place.field("localTimestampUnixMilliseconds"), "a 64-bit integer", stamp);
  }
  if (fields.value === undefined || fields.value === null) {
    const tombstone = { key, number, type: "", value: undefined, json: "" };
    return fields.renews === undefined ? tombstone : { ...tombstone, ...readRenewal(fields, number, place) };
  }
  const { type, value, json } = readAny(fields.value, place.field("value"));
  return { key, number, type, value, json, ...readExpiry(fields, place) };
}

/** A renewal must have a lifetime. Without a lifetime it would be read as a deletion. */
function readRenewal(
  fields: Fields,
  number: number,
  place: JsonPath,
): Pick<SentEntry, "renews" | "expiresAfter" | "ageMs"> {
  const { expiresAfterMilliseconds: lifetime } = fields;
  const renews = wholeOf(fields.renews, 1);
  if (renews === undefined || renews >= number) {
    fail(place.field("renews"), `a whole number below its sequenceNumber, ${number}`, fields.renews);
  }
  if (lifetime === undefined) fail(place.field("expiresAfterMilliseconds"), "given with a renewal", lifetime);
  return { renews, ...readExpiry(fields, place) };
}

/** Reads the lifetime of a value, and the part of it that has passed at the sender (rule E16). */
function readExpiry(
  { expiresAfterMilliseconds, ageMilliseconds = 0 }: Fields,
  place: JsonPath,
): Pick<SentEntry, "expiresAfter" | "ageMs"> {
  if (expiresAfterMilliseconds === undefined) return {};
  const bounds = { min: 1, max: MAX_EXPIRES_AFTER };
  const expiresAfter = readWhole(
    expiresAfterMilliseconds,
    place.field("expiresAfterMilliseconds"),
    bounds,
  );
  const ageMs = readNumber(ageMilliseconds, place.field("ageMilliseconds"));
  return { expiresAfter, ...(ageMs > 0 && { ageMs }) };
}

const INT64 = /^-?[0-9]{1,19}$/;

function isInt64(value: unknown): boolean {
  return typeof value === "string" ? INT64.test(value) : Number.isInteger(value);
}

/** Reads the sender's versions that differ from the expected versions; empty if omitted. */
export function readHolds(raw: unknown): KnownVersions {
  const place = new JsonPath("holds");
  const holds = new Map<string, KnownVersion>();
  for (const [id, pair] of Object.entries(readObject(raw ?? {}, place))) {
    readName(id, place.item(id));
    const [rawIncarnation, rawNumber] = readPair(pair, place.item(id));
    const incarnation = readIncarnation(rawIncarnation, place.item(id).item(0));
    const number = readNumber(rawNumber, place.item(id).item(1));
    holds.set(id, { incarnation, number });
  }
  return holds;
}
