/**
 * Encodes messages (rules P2, P3). Entries are concatenated from strings: each value keeps its JSON text, so the text
 * is created only once.
 *
 * @module
 */

import {
  type Delta,
  isTombstone,
  type KnownVersions,
  type Liveness,
  type MemberDelta,
  type MemberDeltas,
  type SentEntry,
  type SummaryPart,
} from "../engine/types.ts";
import type { Gossip, Message, Push, Refusal, Reply } from "./message.ts";
import { anyText } from "./any_value.ts";

/** Encodes a message as JSON text. */
export function messageText(message: Message): string {
  switch (message.type) {
    case "gossip":
      return gossipText(message);
    case "heartbeat":
      return `{"type":"heartbeat",${livenessText(message.liveness)}}`;
    case "suspect": {
      const { memberId, incarnation, count, isAlive } = message;
      const alive = isAlive ? `,"alive":true` : "";
      return `{"type":"suspect","member":${
        quote(memberId)
      },"incarnation":"${incarnation}","count":${count}${alive}}`;
    }
    case "push":
      return pushText(message);
    case "reply":
      return replyText(message);
    case "ack":
      return `{"type":"ack","id":${quote(message.id)}${holdsText(message.holds)}}`;
    case "reconcile":
      return `{"type":"reconcile","id":${quote(message.id)}${partText(message.part)}}`;
    case "error":
      return refusalText(message);
    case "hello":
      // A `hello` has the same fields in memory and on the wire; undefined fields are omitted.
      return JSON.stringify(message);
    case "unknown":
      return message.text ?? `{"type":${quote(message.name)}}`;
  }
}

function gossipText(message: Gossip): string {
  const state = stateText(message.delta);
  const rest = deltaText(message.delta) + `,${livenessText(message.liveness)}` +
    (message.holds ? holdsText(message.holds) : "");
  const request = `{"memberId":${quote(message.memberId)}${state && `,${state}`}}`;
  return `{"type":"gossip","id":${quote(message.id)},"request":${request}${rest}}`;
}

function replyText(message: Reply): string {
  const response = `{${stateText(message.delta)}}`;
  const rest = deltaText(message.delta) + `,${livenessText(message.liveness)}` + holdsText(message.holds);
  return `{"type":"reply","id":${quote(message.id)},"response":${response}${rest}}`;
}

function pushText({ delta, relay }: Push): string {
  return `{"type":"push","request":{${stateText(delta)}}${rangesText(delta)}${relay ? `,"relay":true` : ""}}`;
}

function refusalText({ state, ...fields }: Refusal): string {
  const text = JSON.stringify(fields);
  if (!state) return text;
  const delta = { members: [state] };
  return `${text.slice(0, -1)},"request":{${stateText(delta)}}${rangesText(delta)}}`;
}

/** The field `state` of a GossipRequest or GossipResponse; empty if no member has an entry. */
function stateText(delta: MemberDeltas): string {
  let members = "";
  for (const member of delta.members) {
    if (member.entries.length === 0) continue;
    members += `${members && ","}${quote(member.id)}:{"values":{${entriesText(member)}}}`;
  }
  return members && `"state":{"members":{${members}}}`;
}

function entriesText(member: MemberDelta): string {
  let text = "";
  for (const entry of member.entries) {
    if (text !== "") text += ",";
    text += `${quote(entry.key)}:${entryText(entry)}`;
  }
  return text;
}

function entryText(entry: SentEntry & { readonly timestampMs?: number }): string {
  let text = `{"sequenceNumber":"${entry.number}"`;
  if (entry.renews !== undefined) text += `,"renews":"${entry.renews}"`;
  else if (!isTombstone(entry)) text += `,"value":${anyText(entry)}`;
  if (entry.expiresAfter !== undefined) {
    text += `,"expiresAfterMilliseconds":${entry.expiresAfter}`;
    if (entry.ageMs) text += `,"ageMilliseconds":${Math.trunc(entry.ageMs)}`;
  }
  if (entry.timestampMs) text += `,"localTimestampUnixMilliseconds":"${Math.trunc(entry.timestampMs)}"`;
  return text + "}";
}

/** The sender's heartbeat count, and the counts of other members. */
function livenessText({ count, vector }: Liveness): string {
  if (!vector) return `"count":${count}`;
  const { incarnationsHash: hash, stride, counts } = vector;
  // No field needs an escape: hexadecimal digits, numbers and base64url digits.
  return `"count":${count},"live":{${
    hash ? `"active":"${hash}",` : ""
  }"stride":${stride},"counts":"${counts}"}`;
}

/** The fields of a delta next to the state: ranges, resets, signatures, digests. */
function deltaText(delta: Delta): string {
  return rangesText(delta) +
    `,"digest":"${delta.digest}","active":"${delta.active}"${delta.partial ? `,"partial":true` : ""}` +
    (delta.agreeing === undefined ? "" : `,"agreeing":"${delta.agreeing}"`);
}

/** The range, reset and signature of each member. */
function rangesText(delta: MemberDeltas): string {
  let ranges = "";
  let resets = "";
  let proofs = "";
  for (
    const {
      id,
      incarnation,
      after,
      reset,
      end,
      signature: proof,
      count = 0,
      ackedByAll: settled = 0,
      entries,
    } of delta.members
  ) {
    const quoted = quote(id);
    const rest = settled > 0 ? `,${count},${settled}` : count > 0 ? `,${count}` : "";
    ranges += `${ranges && ","}${quoted}:["${incarnation}",${after}${rest}]`;
    if (reset) resets += `${resets && ","}${quoted}:${end ?? entries.at(-1)?.number ?? after}`;
    if (proof !== undefined) proofs += `${proofs && ","}${quoted}:${quote(proof)}`;
  }
  return (ranges && `,"ranges":{${ranges}}`) + (resets && `,"resets":{${resets}}`) +
    (proofs && `,"signatures":{${proofs}}`);
}

function holdsText(holds: KnownVersions): string {
  let text = "";
  for (const [id, hold] of holds) text += `${text && ","}${quote(id)}:["${hold.incarnation}",${hold.number}]`;
  return text && `,"holds":{${text}}`;
}

function partText(part: SummaryPart): string {
  let members = "";
  for (const [id, { incarnation, number, sum }] of part.members) {
    members += `${members && ","}${quote(id)}:["${incarnation}",${number},"${sum}"]`;
  }
  const until = part.until === undefined ? "" : `,"until":${quote(part.until)}`;
  return `,"from":${quote(part.from)}${until},"members":{${members}}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
