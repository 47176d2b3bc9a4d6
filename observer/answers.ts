/**
 * The answers to observers. Each answer reads the member's knowledge, and costs a bounded time.
 *
 * @module
 */

import { bracketed } from "../common/host_names.ts";
import type { Member } from "../contracts/cluster.ts";
import type { MemberView } from "../gossiper/contract.ts";
import { insightOf } from "../gossiper/gossiper.ts";
import { VERSION } from "../common/version.ts";
import type { Observed } from "./door.ts";
import {
  type Facts,
  MAX_LISTED,
  MAX_SNAPSHOT_BYTES,
  type MembersPage,
  type ObservedAmounts,
  type ObservedMember,
  type ObservedValue,
  PAGE_LENGTH,
  PAGE_SIZE,
  plain,
  type RequestFault,
  type ValuesPage,
} from "./protocol.ts";
import type { Asked } from "./session.ts";

/** The longest id and key of a request, in UTF-16 units. */
const MAX_NAME_LENGTH = 1_024;

/** The error for a request that is refused. */
export class RequestRefused extends Error {
  /** The code in the answer. */
  readonly fault: RequestFault;

  constructor(fault: RequestFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

/** Answers a request. */
export function answerTo(
  asked: Asked,
  observed: Observed,
  { maySet }: { readonly maySet: boolean },
): unknown {
  const { node } = observed;
  switch (asked.ask) {
    case "members":
      return membersPage(observed, optionalText(asked, "after"));
    case "member":
      return memberOf(observed, textIn(asked, "memberId"));
    case "values":
      return valuesPage(observed, textIn(asked, "key"), optionalText(asked, "after"));
    case "snapshot":
      return snapshotOf(observed);
    case "explain":
      return node.explain(optionalText(asked, "memberId") ?? node.id);
    case "seenBy": {
      const { seenBy, lacking, ...rest } = node.seenBy(textIn(asked, "key"));
      const shown = { seenBy: seenBy.slice(0, PAGE_SIZE), lacking: lacking.slice(0, PAGE_SIZE) };
      return { ...rest, ...shown, have: seenBy.length, of: seenBy.length + lacking.length };
    }
    case "amounts":
      return amountsOf(observed);
    case "facts":
      return factsOf(observed);
    case "set":
      return set(asked, observed, maySet);
    default:
      throw new RequestRefused("invalid", "`ask` must be a request of this protocol's version.");
  }
}

/**
 * Sets a key of this member. A value belongs to the member that set it, and is gone when that member leaves. So the
 * command cannot join as a member itself: its value would end with the command.
 */
function set(asked: Asked, { node, maySet: memberMay }: Observed, maySet: boolean): object {
  if (!maySet) {
    const reason = memberMay
      ? "This observer's token is for reading only."
      : "This member lets no observer set its keys; `observers: { maySet: true }` would.";
    throw new RequestRefused("forbidden", reason);
  }
  const key = textIn(asked, "key");
  if (asked["value"] === undefined) return { deleted: node.deleteState(key) };
  node.setState(key, asked["value"]);
  return { memberId: node.id, sequenceNumber: node.getState(key).get(node.id)?.sequenceNumber ?? null };
}

function textIn(asked: Asked, name: string): string {
  const text = optionalText(asked, name);
  if (text === undefined) throw new RequestRefused("invalid", `\`${name}\` must be given.`);
  return text;
}

function optionalText(asked: Asked, name: string): string | undefined {
  const text = asked[name];
  if (text === undefined || (typeof text === "string" && text.length <= MAX_NAME_LENGTH)) return text;
  throw new RequestRefused("invalid", `\`${name}\` must be a text of at most ${MAX_NAME_LENGTH} characters.`);
}

function membersPage(observed: Observed, after: string | undefined): MembersPage {
  const all = observed.node.members;
  const begin = beginAfter(all.map(({ id }) => id), after);
  const shown = all.slice(begin, begin + PAGE_SIZE);
  const hasMore = begin + PAGE_SIZE < all.length;
  return {
    members: shown.map((member) => observedMember(observed, member)),
    of: all.length,
    ...(hasMore && { next: shown.at(-1)!.id }),
  };
}

/** The index of the first id of a page. The last id of the former page may be gone. */
function beginAfter(ids: readonly string[], after: string | undefined): number {
  if (after === undefined) return 0;
  const index = ids.indexOf(after);
  if (index >= 0) return index + 1;
  const next = ids.findIndex((id) => id > after);
  return next < 0 ? ids.length : next;
}

function memberOf(observed: Observed, memberId: string): ObservedMember | null {
  const found = observed.node.members.find(({ id }) => id === memberId);
  return found ? observedMember(observed, found) : null;
}

function observedMember({ node }: Observed, view: MemberView): ObservedMember {
  const { id, isSelf, status, block, incarnation, member } = view;
  const { host } = insightOf(node);
  const report = host.view.heartbeatReport(id);
  const knowledge = host.view.peerKnowledge(id);
  return {
    id,
    isSelf,
    status,
    address: member ? addressOf(member) : null,
    kinds: member?.kinds ?? [],
    incarnation: incarnation ?? null,
    block: block ?? null,
    heartbeat: report
      ? { count: report.count, ageMs: Math.max(0, Math.round(host.now().monotonicMs - report.monotonicMs)) }
      : null,
    lacks: knowledge?.lag ?? null,
    hasAll: knowledge?.hasAll ?? null,
  };
}

function addressOf({ host, port, url }: Member): string | null {
  if (url !== undefined) return url;
  return host === "" ? null : `${bracketed(host)}:${port}`;
}

function valuesPage({ node }: Observed, key: string, after: string | undefined): ValuesPage {
  const ids = [...node.getState(key)].sort(([one], [other]) => one < other ? -1 : 1);
  const begin = beginAfter(ids.map(([id]) => id), after);
  const values: ObservedValue[] = [];
  let length = 0;
  for (const [memberId, { value, sequenceNumber, localTimestampUnixMilliseconds }] of ids.slice(begin)) {
    if (values.length >= PAGE_SIZE || length > PAGE_LENGTH) return { values, next: values.at(-1)!.memberId };
    length += JSON.stringify(value).length;
    values.push({ memberId, value, sequenceNumber, localTimestampUnixMilliseconds });
  }
  return { values };
}

function snapshotOf({ node }: Observed): unknown {
  const { host: { view } } = insightOf(node);
  const bytes = view.ownBytes + view.room.bytes;
  if (bytes <= MAX_SNAPSHOT_BYTES) return node.snapshot();
  const limit = `The state must have at most ${MAX_SNAPSHOT_BYTES} bytes for a snapshot; it has ${bytes}.`;
  throw new RequestRefused("too_large", `${limit} Ask for \`members\`, and for the \`values\` of a key.`);
}

function countsOf(node: Observed["node"]): ObservedAmounts["members"] {
  const counts = { alive: 0, suspected: 0, failed: 0, left: 0 };
  for (const { status } of node.members) counts[status]++;
  return counts;
}

function amountsOf({ node, meters, runtime }: Observed): ObservedAmounts {
  const { host: { view } } = insightOf(node);
  const report = meters?.report?.();
  const isHere = (id: string) => view.isMember(id) && view.blockedMember(id)?.reason !== "left";
  return {
    monotonicMs: runtime.monotonicMs(),
    phase: node.phase,
    members: countsOf(node),
    stateBytes: { own: view.ownBytes, others: view.room.bytes },
    amounts: report?.amounts ?? null,
    counts: report
      ? { ...report.counts, peers: report.counts.peers.filter(({ peerId }) => isHere(peerId)) }
      : null,
  };
}

function factsOf(observed: Observed): Facts {
  const { node, config, runtime, hasKeys, signs, troubles } = observed;
  const { host: { view }, cluster } = insightOf(node);
  const explanation = node.explain();
  return {
    version: VERSION,
    cluster,
    self: node.id,
    address: node.address,
    wallMs: runtime.wallMs(),
    phase: node.phase,
    isolated: view.isIsolated,
    fenced: view.isFenced,
    leaving: node.signal.aborted,
    hasKeys,
    signs,
    settings: plain(config) as unknown as Facts["settings"],
    counts: countsOf(node),
    room: view.room,
    observers: observed.observers(),
    blocked: view.blockedMembers().slice(0, MAX_LISTED),
    seeds: (explanation.seeds ?? []).slice(0, MAX_LISTED),
    explanation: { ...explanation, seeds: [] },
    troubles: troubles.all,
  };
}
