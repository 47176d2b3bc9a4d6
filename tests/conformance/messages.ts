/**
 * A message of every type, and messages of given sizes.
 *
 * @module
 */

import { assertEquals } from "../../deps/std_assert.ts";
import type { Delta } from "../../engine/types.ts";
import type { Message, Refusal } from "../../protocol/message.ts";
import { encode } from "../../protocol/codec.ts";

export const LIFE = "018bcfe56800-0a1b2c3d";
const DIGEST = "00112233445566ff";

export function refusal(message: string): Refusal {
  return { type: "error", code: "busy", message };
}

/** A message of exactly this many bytes, filled with one character. */
export function sized(bytes: number, character: string): Refusal {
  const size = (text: string) => new TextEncoder().encode(text).length;
  const space = bytes - size(encode(refusal("")));
  const filling = character.repeat(Math.floor(space / size(character)));
  const message = refusal(filling + "-".repeat(space - size(filling)));
  assertEquals(size(encode(message)), bytes);
  return message;
}

/** A message of each type: the type check finds a missing one. */
export function everyMessage(): Message[] {
  const delta: Delta = {
    members: [{
      id: "a",
      incarnation: LIFE,
      after: 2,
      reset: false,
      count: 9,
      entries: [
        { key: "gone", number: 3, type: "", value: undefined, json: "" },
        {
          key: "__proto__",
          number: 4,
          type: "google.protobuf.Value",
          value: { deep: [1, null, "é😀"] },
          json: '{"deep":[1,null,"é😀"]}',
        },
      ],
    }, { id: "b", incarnation: LIFE, after: 0, reset: true, end: 0, entries: [] }],
    digest: DIGEST,
    active: DIGEST,
    partial: true,
  };
  const holds = new Map([["__proto__", { incarnation: LIFE, number: 0 }], ["b", {
    incarnation: LIFE,
    number: 2 ** 52,
  }]]);
  const vector = { incarnationsHash: DIGEST, stride: 5, counts: "A-_.z" };
  const summary = { incarnation: LIFE, number: 5, sum: DIGEST };
  const byType: { readonly [Type in Message["type"]]: Extract<Message, { readonly type: Type }> } = {
    hello: {
      type: "hello",
      id: "1",
      cluster: "orders",
      member: { id: "a", host: "127.0.0.1", port: 7001, kinds: ["cart"] },
      incarnation: LIFE,
      count: 8,
      version: 2,
      oldestVersion: 2,
      capabilities: [],
      digest: DIGEST,
      active: DIGEST,
    },
    gossip: { type: "gossip", liveness: { count: 8, vector }, id: "2", memberId: "a", delta },
    reply: {
      type: "reply",
      liveness: { count: 2 ** 52 },
      id: "2",
      delta: { ...delta, agreeing: "-_" },
      holds,
    },
    heartbeat: { type: "heartbeat", liveness: { count: 8, vector: { stride: 1, counts: "abcdA" } } },
    suspect: { type: "suspect", memberId: "b", incarnation: LIFE, count: 7, isAlive: true },
    push: { type: "push", delta: { members: delta.members }, relay: true },
    ack: { type: "ack", id: "2", holds },
    reconcile: {
      type: "reconcile",
      id: "3",
      part: { from: "a", until: "c", members: new Map([["a", summary], ["b", summary]]) },
    },
    error: { type: "error", id: "4", code: "blocked", message: "You are blocked.", reason: "left" },
    unknown: { type: "unknown", name: "of-another-version", fields: { type: "of-another-version" } },
  };
  return Object.values(byType);
}
