/**
 * The sentences about events that need a person. `join` and `logTo` log the same sentences.
 *
 * @module
 */

import type {
  AddressShared,
  Alone,
  EventOf,
  SeedFailed,
  SelfUnreachable,
  SignatureRefused,
} from "../contracts/events.ts";
import type { ConflictDetected, StateDropped } from "../engine/events.ts";
import { errorText, messageOf } from "../common/error_text.ts";
import type { Runtime } from "../common/runtime.ts";
import { describeDifference } from "../protocol/shared_settings.ts";
import { listenFailed } from "../transport/listening.ts";
import type { LastFailures } from "./last_failures.ts";

/** The most seeds in one line. */
const MAX_SEEDS = 8;
/** The longest text of a member in a sentence, in UTF-16 units. */
const MAX_QUOTED = 100;

const SIGNATURE_REASONS: Readonly<Record<SignatureRefused["reason"], string>> = {
  key: "another key is bound to the id",
  signature: "they were changed or forged",
  unsigned: "the signature or the key is missing",
};

/**
 * The events with a sentence in this module. Two other events have the level `warn`: `EventsDropped` is about one
 * subscriber, and the program that declares a typed key handles `InvalidValue`.
 */
export const WARNINGS = [
  "AddressShared",
  "Alone",
  "CallbackFailed",
  "ClientRefused",
  "ConflictDetected",
  "DiscoveryFailed",
  "HandshakeRefused",
  "Isolated",
  "ListenFailed",
  "SeedFailed",
  "SelfBlocked",
  "SelfUnreachable",
  "SettingsDiffer",
  "SignatureRefused",
  "StateDropped",
] as const;

/** An event with a sentence in this module. */
export type Warning = EventOf<typeof WARNINGS[number]>;

/** The member whose events are logged. */
export interface LoggedMember {
  readonly id: string;
  /** The cluster's name. */
  readonly cluster: string;
  readonly heartbeatExpiration: number;
  /** The path of its endpoint, if its address has none. */
  readonly path: string;
  readonly runtime: Runtime;
  /** `members` has the members that it knows, itself among them. */
  readonly node: { readonly members: readonly { readonly id: string; readonly status: string }[] };
  /** Its last failed requests. */
  readonly failures: LastFailures;
}

/** The parts of a member that a sentence needs; a gossiper without `join` lacks the optional ones. */
export type NamedMember =
  & Pick<LoggedMember, "id" | "cluster" | "path">
  & Partial<Pick<LoggedMember, "failures" | "node">>;

/**
 * The sentence about an event; `undefined` if the event needs no person. Ids and errors in the sentence are not escaped
 * yet.
 */
export function warningOf(
  event: Warning,
  member: NamedMember,
): string | undefined {
  switch (event.type) {
    case "AddressShared":
      return addressShared(event, member);
    case "Alone":
      return alone(event, member);
    case "CallbackFailed":
      return `${event.where} threw ${withoutDot(errorText(event.error))}.`;
    case "ClientRefused":
      return `a client at ${event.remote} was refused: ${event.reason}`;
    case "ConflictDetected": {
      if (event.reason === "limit") return conflict(event);
      const isOwnId = event.memberId === member.id && event.reason === "identity";
      return isOwnId ? idInUse(member) : undefined;
    }
    case "DiscoveryFailed": {
      const failed = `${event.source} failed: ${withoutDot(messageOf(event.error))}`;
      const again = event.isFinal ? "not asked again" : "asked again";
      return `${failed}. It is ${again}, and the members that it named last stay.`;
    }
    case "HandshakeRefused":
      return `the peer ${JSON.stringify(event.peerId)} was refused (${event.code}): ${event.reason}`;
    case "Isolated":
      return isolated(member);
    case "ListenFailed":
      return listenFailed(event);
    case "SeedFailed":
      return seedFailed(event);
    case "SelfBlocked":
      return event.reason === "identity" ? fenced(member) : undefined;
    case "SelfUnreachable":
      return unreachable(event, member);
    case "SettingsDiffer":
      return event.isRefused ? settingsDiffer(event) : undefined;
    case "SignatureRefused":
      return signatureRefused(event);
    case "StateDropped":
      return stateDropped(event);
  }
}

/** A member as the subject of a sentence. */
export function nameOf({ id, cluster }: Pick<LoggedMember, "id" | "cluster">): string {
  return `${JSON.stringify(id)} of cluster ${JSON.stringify(cluster)}`;
}

function isolated(member: NamedMember): string {
  const failures = (member.failures?.recent ?? []).map(([peerId, reason]) =>
    `${JSON.stringify(peerId)}: ${withoutDot(reason)}`
  );
  const why = failures.length === 0
    ? "Look at the network between them"
    : `The last failures: ${failures.join("; ")}`;
  return `${nameOf(member)} hears no other member, although it knows some, and keeps trying. ${why}. ` +
    "The event `Rejoined` follows when it hears one.";
}

/** False if a member has forgotten all others. Then it is not isolated, but hears none either (rule L5). */
export function knowsOthers({ id: own, node }: NamedMember): boolean {
  return node?.members.some(({ id, status }) => id !== own && status !== "left") ?? true;
}

/** The end of an isolation, as the rest of a sentence about the member. */
export function rejoined(member: NamedMember): string {
  if (knowsOthers(member)) return "is no longer isolated.";
  return "has forgotten all others and is alone. It keeps looking for others.";
}

function idInUse({ id, cluster }: Pick<LoggedMember, "id" | "cluster">): string {
  return `another process uses the id ${JSON.stringify(id)} in the cluster ${
    JSON.stringify(cluster)
  }, and each ` +
    "replaces the state of the other. Stop one of them, or give it another id.";
}

function fenced({ id, cluster }: Pick<LoggedMember, "id" | "cluster">): string {
  const who = `${JSON.stringify(id)} and its key in the cluster ${JSON.stringify(cluster)}`;
  return `another process uses the id ${who}, so this one no longer sends or takes state. Stop it, and join under ` +
    "another id.";
}

function alone({ seeds }: Alone, member: Pick<LoggedMember, "id" | "cluster">): string {
  if (seeds.length > 0 && seeds.every(({ outcome }) => outcome === "self")) {
    const addresses = seeds.slice(0, MAX_SEEDS).map(({ address }) => address).join(", ");
    return `${
      nameOf(member)
    } is alone: all its seeds lead to itself (${addresses}). This is right for the first ` +
      "member of a cluster. Any other member needs the address of another one as a seed.";
  }
  const shown = seeds.slice(0, MAX_SEEDS).map(({ address, reason, outcome }) =>
    reason?.includes(address)
      ? withoutDot(reason)
      : `${address}: ${withoutDot(reason ?? (outcome === "self" ? "this member" : outcome))}`
  );
  const more = seeds.length - shown.length;
  const rest = more > 0 ? `; and ${more} more` : "";
  return `${nameOf(member)} has found no other member for 10 s and keeps trying. ${shown.join("; ")}${rest}`;
}

function seedFailed({ address, error }: SeedFailed): string {
  const why = withoutDot(messageOf(error));
  // Most reasons contain the address already.
  return `no member answered at a seed: ${why.includes(address) ? "" : `${address}: `}${why}.`;
}

function settingsDiffer(event: EventOf<"SettingsDiffer">): string {
  const peer = JSON.stringify(event.peerId);
  return `a setting of ${peer} differs: ${describeDifference(event)}. The peer is refused.`;
}

function signatureRefused({ memberId, peerId, reason }: SignatureRefused): string {
  const of = `entries of ${quoted(memberId)} from ${quoted(peerId)}`;
  return `${of} were refused: ${SIGNATURE_REASONS[reason]}.`;
}

function stateDropped({ memberId, count, limit }: StateDropped): string {
  const states = count === 1 ? "the state of a member" : `the states of ${count} members`;
  return `${states} (last: ${
    quoted(memberId)
  }) made room for others, at the limit ${limit}. Raise it if the ` +
    "cluster is to be this large.";
}

/** The sentence about a conflict, except about another process with the id of this member. */
export function conflict({ memberId, reason, key, sequenceNumber, peerId }: ConflictDetected): string {
  const from = peerId === undefined ? "" : ` (from ${quoted(peerId)})`;
  const about = `of ${quoted(memberId)}${from}`;
  switch (reason) {
    case "identity":
      return `another process seems to use the id ${quoted(memberId)}${from}.`;
    case "value": {
      const entry = key === undefined ? "" : `, under ${quoted(key)}`;
      const number = sequenceNumber === undefined ? "One number" : `The number ${sequenceNumber}`;
      return `two claims about the state ${about} differ. ${number} has two values${entry}.`;
    }
    case "digest":
      return `a full comparison did not make the state ${about} equal.`;
    case "limit":
      if (key !== undefined) {
        return `the map ${about} under ${
          quoted(key)
        } exceeds a limit, and was not sent to members of protoactor-go.`;
      }
      return `a state ${about} was refused, because it would exceed a limit or the room for other states.`;
  }
}

function unreachable(
  { address, error }: SelfUnreachable,
  { id, path: usual }: Pick<LoggedMember, "id" | "path">,
): string {
  const { pathname } = new URL(address);
  const path = pathname === "/" ? usual : pathname;
  const what = `no member answers at ${address}, the address of ${JSON.stringify(id)} itself`;
  return `${what}: ${withoutDot(messageOf(error))}. ` +
    `Mount \`node.handler\` there at ${path}, with the \`info\` of its requests, or correct \`advertise\`.`;
}

function addressShared({ address, memberId }: AddressShared, { id }: Pick<LoggedMember, "id">): string {
  const other = `${JSON.stringify(memberId)} answers there too`;
  return `${
    JSON.stringify(id)
  } is advertised at ${address}, and ${other}. With \`deno serve --parallel\`, with ` +
    "several workers that mount a handler, or behind a load balancer, each member needs an address of its own: " +
    "else requests for one reach another.";
}

/** A text of another member in quotes, cut. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text);
}

/** A sentence without its final dot, as part of another sentence. */
export function withoutDot(sentence: string): string {
  return sentence.replace(/\.$/, "");
}
