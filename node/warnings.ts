/**
 * The sentences about events that need a person. `join` and `logTo` log the same sentences.
 *
 * @module
 */

import type { AddressShared, Alone, EventOf, SeedFailed, SelfUnreachable } from "../contracts/events.ts";
import { errorText, messageOf } from "../common/error_text.ts";
import type { Runtime } from "../common/runtime.ts";
import { describeDifference } from "../protocol/shared_settings.ts";

/** The most seeds in one line. */
const MAX_SEEDS = 8;

/** The events with a sentence in this module. */
export const WARNINGS = [
  "AddressShared",
  "Alone",
  "CallbackFailed",
  "ClientRefused",
  "ConflictDetected",
  "DiscoveryFailed",
  "HandshakeRefused",
  "Isolated",
  "SeedFailed",
  "SelfBlocked",
  "SelfUnreachable",
  "SettingsDiffer",
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
}

/**
 * The sentence about an event; `undefined` if the event needs no person. Ids and errors in the sentence are not escaped
 * yet.
 */
export function warningOf(
  event: Warning,
  member: Pick<LoggedMember, "id" | "cluster" | "path">,
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
      const isOwnId = event.memberId === member.id && event.reason === "identity";
      return isOwnId ? idInUse(member) : undefined;
    }
    case "DiscoveryFailed": {
      const failed = `${event.source} failed: ${withoutDot(messageOf(event.error))}`;
      return `${failed}. It is asked again, and the members that it named last stay.`;
    }
    case "HandshakeRefused":
      return `the peer ${JSON.stringify(event.peerId)} was refused (${event.code}): ${event.reason}`;
    case "Isolated":
      return `${
        nameOf(member)
      } hears no other member, although it knows some. It keeps trying; look at the network ` +
        "between them. The event `Rejoined` follows when it hears one.";
    case "SeedFailed":
      return seedFailed(event);
    case "SelfBlocked":
      return event.reason === "identity" ? fenced(member) : undefined;
    case "SelfUnreachable":
      return unreachable(event, member);
    case "SettingsDiffer":
      return event.isRefused ? settingsDiffer(event) : undefined;
  }
}

/** A member as the subject of a sentence. */
export function nameOf({ id, cluster }: Pick<LoggedMember, "id" | "cluster">): string {
  return `${JSON.stringify(id)} of cluster ${JSON.stringify(cluster)}`;
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

/** A sentence without its final dot, as part of another sentence. */
export function withoutDot(sentence: string): string {
  return sentence.replace(/\.$/, "");
}
