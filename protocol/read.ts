/**
 * Checks a parsed message and converts it to its form in memory (rules P2, P3, P7).
 *
 * @module
 */

import { byCodePoint } from "../engine/state/murmur3.ts";
import type { BlockReason, MemberDelta, Summary, SummaryPart } from "../engine/types.ts";
import type { Member } from "./member.ts";
import { isHost, isMemberUrl } from "../common/host_names.ts";
import type { SharedSettings } from "./shared_settings.ts";
import { CLOSE, ConnectionClosed } from "../common/errors.ts";
import type { Hello, Message, Refusal, RefusalCode } from "./message.ts";
import { fitKinds, MAX_KINDS_BYTES } from "../options/member_rules.ts";
import {
  fail,
  type Fields,
  JsonPath,
  MAX_SIGNATURE_BYTES,
  readHash,
  readIncarnation,
  readName,
  readNames,
  readNumber,
  readObject,
  readText,
  readWhole,
  show,
} from "./check.ts";
import { readDelta, readHolds, readLiveness, readPartialDelta } from "./read_delta.ts";

const REFUSAL_CODES: readonly RefusalCode[] = [
  "blocked",
  "busy",
  "id_conflict",
  "incompatible",
  "invalid",
  "stopped",
  "unknown_member",
  "wrong_cluster",
];
/** The longest proof of the acceptor, in bytes. */
const MAX_PROOF_BYTES = 2_048;
/** The longest URL of a member, in bytes. */
const MAX_URL_BYTES = 2_048;
const BLOCK_REASONS: readonly BlockReason[] = ["crashed", "expired", "left", "topology"];

/** Reads a message of any type except the transport's own. The fields of an unknown type are unchecked. */
export function readMessage(fields: Fields, type: string): Message {
  switch (type) {
    case "gossip": {
      const place = new JsonPath("request");
      const request = readObject(fields.request, place);
      // Later versions of protoactor-go call the same field `fromMemberId`.
      const memberId = readName(request.memberId ?? request.fromMemberId, place.field("memberId"));
      const delta = readDelta(fields, request, place);
      const asked = fields.holds === undefined ? {} : { holds: readHolds(fields.holds) };
      return { type, id: readId(fields), memberId, delta, liveness: readLiveness(fields), ...asked };
    }
    case "heartbeat":
      return { type, liveness: readLiveness(fields) };
    case "suspect": {
      const isAlive = fields.alive ?? false;
      if (typeof isAlive !== "boolean") fail(new JsonPath("alive"), "true or false", isAlive);
      const memberId = readName(fields.member, new JsonPath("member"));
      const incarnation = readIncarnation(fields.incarnation, new JsonPath("incarnation"));
      return { type, memberId, incarnation, count: readNumber(fields.count, new JsonPath("count")), isAlive };
    }
    case "push": {
      const place = new JsonPath("request");
      const delta = readPartialDelta(fields, readObject(fields.request, place), place);
      const relay = fields.relay ?? false;
      if (typeof relay !== "boolean") fail(new JsonPath("relay"), "true or false", relay);
      return { type, delta, relay };
    }
    case "reply": {
      const place = new JsonPath("response");
      const delta = readDelta(fields, readObject(fields.response, place), place);
      const liveness = readLiveness(fields);
      return { type, id: readId(fields), delta, liveness, holds: readHolds(fields.holds) };
    }
    case "ack":
      return { type, id: readId(fields), holds: readHolds(fields.holds) };
    case "reconcile":
      return { type, id: readId(fields), part: readPart(fields) };
    case "error":
      return readRefusal(fields);
    case "hello":
      return readHello(fields);
    default:
      return { type: "unknown", name: type, fields };
  }
}

/** Reads the fields of a message and its type. */
export function readEnvelope(message: unknown): { fields: Fields; type: string } {
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    throw new ConnectionClosed(CLOSE.invalid, `A message must be a JSON object, was ${show(message)}.`);
  }
  const fields = message as Fields;
  return { fields, type: readName(fields.type, new JsonPath("type")) };
}

function readId(fields: Fields): string {
  return readName(fields.id, new JsonPath("id"));
}

function readPart(fields: Fields): SummaryPart {
  const from = readText(fields.from ?? "", new JsonPath("from"));
  const until = fields.until === undefined ? undefined : readName(fields.until, new JsonPath("until"));
  const place = new JsonPath("members");
  const members = new Map<string, Summary>();
  for (const [id, raw] of Object.entries(readObject(fields.members ?? {}, place))) {
    readName(id, place.item(id));
    if (byCodePoint(id, from) < 0 || (until !== undefined && byCodePoint(id, until) >= 0)) {
      const end = until === undefined ? "" : ` and below ${show(until)}`;
      fail(place.item(id), `an id that is at least ${show(from)}${end}`, id);
    }
    members.set(id, readSummary(raw, place.item(id)));
  }
  return { from, until, members };
}

function readSummary(raw: unknown, place: JsonPath): Summary {
  if (!Array.isArray(raw) || raw.length !== 3) fail(place, "an incarnation, a number and a sum", raw);
  const incarnation = readIncarnation(raw[0], place.item(0));
  return { incarnation, number: readNumber(raw[1], place.item(1)), sum: readHash(raw[2], place.item(2)) };
}

function readRefusal(fields: Fields): Refusal {
  const word = readName(fields.code, new JsonPath("code"));
  const code = REFUSAL_CODES.find((known) => known === word) ?? "other";
  const message = readText(fields.message, new JsonPath("message"));
  return {
    type: "error",
    ...(fields.id === undefined ? {} : { id: readId(fields) }),
    code,
    message,
    ...reasonOf(fields),
    ...(fields.settings === undefined ? {} : { settings: readSettings(fields.settings) }),
    ...(fields.incarnation === undefined
      ? {}
      : { incarnation: readIncarnation(fields.incarnation, new JsonPath("incarnation")) }),
    ...(fields.ranges === undefined ? {} : { state: readState(fields) }),
    ...proofOf(fields),
  };
}

/** Reads one member's state, which proves the refusal. */
function readState(fields: Fields): MemberDelta {
  const place = new JsonPath("request");
  const { members } = readPartialDelta(fields, readObject(fields.request, place), place);
  const [state, ...others] = members;
  return state && others.length === 0 ? state : fail(new JsonPath("ranges"), "one member", members.length);
}

/** Reads the reason of a block. An unknown reason, of a later version, is ignored. */
function reasonOf({ reason }: Fields): { readonly reason?: BlockReason } {
  if (reason === undefined) return {};
  const word = readName(reason, new JsonPath("reason"));
  const known = BLOCK_REASONS.find((each) => each === word);
  return known === undefined ? {} : { reason: known };
}

function readHello(fields: Fields): Hello {
  return {
    type: "hello",
    id: readId(fields),
    cluster: readName(fields.cluster, new JsonPath("cluster")),
    member: readMember(fields.member),
    incarnation: readIncarnation(fields.incarnation, new JsonPath("incarnation")),
    count: readNumber(fields.count, new JsonPath("count")),
    version: readNumber(fields.version, new JsonPath("version")),
    oldestVersion: readNumber(fields.oldestVersion, new JsonPath("oldestVersion")),
    capabilities: readNames(fields.capabilities ?? [], new JsonPath("capabilities")),
    ...(fields.settings === undefined ? {} : { settings: readSettings(fields.settings) }),
    digest: readHash(fields.digest, new JsonPath("digest")),
    active: readHash(fields.active, new JsonPath("active")),
    ...proofOf(fields),
    ...signatureOf(fields),
  };
}

function readSettings(raw: unknown): SharedSettings {
  const place = new JsonPath("settings");
  const settings = readObject(raw, place);
  const read = (name: keyof SharedSettings) =>
    readWhole(settings[name], place.field(name), { min: 1, max: Number.MAX_SAFE_INTEGER });
  return {
    gossipInterval: read("gossipInterval"),
    heartbeatExpiration: read("heartbeatExpiration"),
    maxKeysPerMember: read("maxKeysPerMember"),
    maxMessageBytes: read("maxMessageBytes"),
    maxStateBytes: read("maxStateBytes"),
  };
}

function signatureOf({ publicKey, signature }: Fields): { publicKey?: string; signature?: string } {
  return {
    ...(publicKey === undefined
      ? {}
      : { publicKey: readName(publicKey, new JsonPath("publicKey"), MAX_SIGNATURE_BYTES) }),
    ...(signature === undefined
      ? {}
      : { signature: readName(signature, new JsonPath("signature"), MAX_SIGNATURE_BYTES) }),
  };
}

function proofOf({ proof }: Fields): { proof?: string } {
  return proof === undefined ? {} : { proof: readName(proof, new JsonPath("proof"), MAX_PROOF_BYTES) };
}

function readMember(raw: unknown): Member {
  const place = new JsonPath("member");
  const member = readObject(raw, place);
  return {
    id: readName(member.id, place.field("id")),
    host: readHost(member.host, place.field("host")),
    port: readWhole(member.port, place.field("port"), { min: 0, max: 65535 }),
    kinds: readKinds(member.kinds ?? [], place.field("kinds")),
    ...(member.url === undefined ? {} : { url: readUrl(member.url, place.field("url")) }),
  };
}

function readKinds(value: unknown, place: JsonPath): readonly string[] {
  const kinds = readNames(value, place);
  return fitKinds(kinds) ? kinds : fail(place, `names of at most ${MAX_KINDS_BYTES} bytes together`, kinds);
}

function readHost(value: unknown, place: JsonPath): string {
  const host = readName(value, place);
  return isHost(host) ? host : fail(place, "a name or an address", host);
}

function readUrl(value: unknown, place: JsonPath): string {
  const url = readName(value, place, MAX_URL_BYTES);
  return isMemberUrl(url)
    ? url
    : fail(place, "a ws: or wss: URL without credentials, query or fragment", url);
}
