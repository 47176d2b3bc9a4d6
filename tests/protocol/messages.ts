/**
 * Messages as objects and as JSON, valid and refused.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import {
  type Delta,
  type JsonValue,
  type Liveness,
  type MemberDelta,
  type SentEntry,
  TYPE,
} from "../../engine/types.ts";
import { ConnectionClosed } from "../../common/errors.ts";
import type { Gossip, Hello, Message } from "../../protocol/message.ts";
import { decode, type Ping, type Pong } from "../../protocol/codec.ts";

const LIMITS = { maxMessageBytes: 1_048_576 };
/** The incarnation of every member in these messages. */
export const LIFE = "0190f3a1b2c3-0badcafe";
export const DIGEST = "0123456789abcdef";
export const ACTIVE = "fedcba9876543210";
/** The beginning of the type URLs of protobuf. */
export const ANY = "type.googleapis.com/";

export function read(text: string | object): Message | Ping | Pong {
  return decode(typeof text === "string" ? text : JSON.stringify(text), LIMITS);
}

export function entry(key: string, number: number, value: JsonValue, type: string = TYPE.value): SentEntry {
  return { key, number, type, value, json: JSON.stringify(value) };
}

export function memberDelta(
  id: string,
  entries: readonly SentEntry[],
  rest: Partial<MemberDelta> = {},
): MemberDelta {
  return { id, incarnation: LIFE, after: 0, reset: false, entries, ...rest };
}

export function delta(members: readonly MemberDelta[], partial: boolean = false): Delta {
  return { members, digest: DIGEST, active: ACTIVE, partial };
}

export function gossip(members: readonly MemberDelta[], liveness: Liveness = { count: 0 }): Gossip {
  return { type: "gossip", liveness, id: "7", memberId: "a", delta: delta(members) };
}

/** The wire form of a gossip with `raw` as its only entry, under key `k` of member `x`. */
export function gossipOf(raw: unknown, rest: object = {}): object {
  return gossipWith({ x: { values: { k: raw } } }, { ranges: { x: [LIFE, 0] }, ...rest });
}

/** The wire form of a gossip with these members and more fields. */
export function gossipWith(members: unknown, rest: object): object {
  const request = { memberId: "a", state: { members } };
  return {
    type: "gossip",
    count: 0,
    id: "7",
    request,
    digest: DIGEST,
    active: ACTIVE,
    ...rest,
  };
}

/** The one entry read from a gossip of {@linkcode gossipOf}. */
export function entryOf(raw: unknown): SentEntry {
  const message = read(gossipOf(raw));
  assert(message.type === "gossip");
  return message.delta.members[0]!.entries[0]!;
}

/** Asserts that a message is refused with this sentence and this close code. */
export function refused(text: string | object, sentence: string | RegExp, code: number = 4400): void {
  const error = assertThrows(() => read(text), ConnectionClosed);
  assertEquals(error.closeCode, code);
  if (typeof sentence === "string") assertStringIncludes(error.message, sentence);
  else assertMatch(error.message, sentence);
}

export const HELLO: Hello = {
  type: "hello",
  id: "1",
  cluster: "orders",
  member: { id: "a", host: "127.0.0.1", port: 7001, kinds: ["cart"] },
  incarnation: LIFE,
  count: 7,
  version: 2,
  oldestVersion: 2,
  capabilities: ["zip"],
  settings: {
    gossipInterval: 300,
    heartbeatExpiration: 20_000,
    maxKeysPerMember: 4_096,
    maxMessageBytes: 1_048_576,
    maxStateBytes: 2 ** 23,
  },
  digest: DIGEST,
  active: ACTIVE,
};

/** Names that are special to JavaScript or to JSON. */
export const HOSTILE = [
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "toString",
  "0",
  "\u0000",
  '"],"',
  "\u{1F600}",
];

/** A change of a valid message, and the expected sentence. */
export type Wrong = readonly [change: object, sentence: string];

/** The path of the entry of {@linkcode gossipOf} in an error. */
export const AT = 'request.state.members["x"].values["k"]';
