/**
 * The candidates of a role: living members that take part in the role and have its kind and zone.
 *
 * @module
 */

import type { Explanation } from "../contracts/explanation.ts";
import type { GossiperLike, Snapshot } from "../gossiper/contract.ts";
import { isAlive } from "../gossiper/member_status.ts";
import { hash53, type Ranked } from "./rendezvous.ts";

/** The parts of a member that roles use; a node of `join` has them. */
export type RoleNode =
  & Pick<GossiperLike, "id" | "members" | "signal" | "events" | "watch" | "watchMembers">
  & Pick<GossiperLike, "getState" | "setState" | "deleteState">
  & {
    /** Explains the status of a member. */
    explain(memberId: string): Pick<Explanation, "heartbeat">;
    /** Returns the known state. */
    snapshot(): Pick<Snapshot, "isolated">;
  };

/** A candidate as this member sees it. */
export interface Candidate extends Ranked {
  readonly isSelf: boolean;
  readonly isSuspected: boolean;
  readonly report: Report;
}

/** The value of a role's key: the set of candidates that its member reported last. */
export interface Report {
  /** The number of the report. Each later report of a member has a higher number. */
  readonly epoch: number;
  /** The hash of the candidates; empty before the first report. */
  readonly view: string;
}

/** A set of candidates, in the order of their ids. Equal hashes mean equal sets. */
export interface CandidateSet {
  readonly hash: string;
  readonly candidates: readonly Candidate[];
}

/** The conditions on candidates. */
export interface CandidateFilter {
  readonly kind: string | undefined;
  readonly zone: string | undefined;
}

/**
 * The number of epochs that are accepted even if the wall clock is wrong and shows 1970. In practice no role uses more.
 */
const FIRST_EPOCHS = 2 ** 40;
/** The longest hash in a report that is read. */
const MAX_HASH = 40;
/** The highest weight. With a higher weight the other candidates would get almost no keys. */
const MAX_WEIGHT = 1_000;

/**
 * The candidates at this moment, by this machine's wall clock. An epoch is accepted up to a limit that rises by one
 * each millisecond. So a few milliseconds after a peer claims the highest epoch, higher epochs are free again. With a
 * fixed limit such a claim would use up all epochs, and the role could not go on until all processes start again.
 */
export function candidateSetOf(
  node: RoleNode,
  key: string,
  { wallMs, ...filter }: CandidateFilter & { readonly wallMs: number },
): CandidateSet {
  const reports = node.getState<unknown>(key);
  const candidates: Candidate[] = [];
  const parts: unknown[] = [];
  for (const { id, status, member, isSelf, incarnation } of node.members) {
    if (member === undefined || !isAlive({ status })) continue;
    const report = readReport(reports.get(id)?.value, wallMs);
    const { weight, zone } = weightAndZoneOf(member.kinds);
    if (report === undefined || weight === 0 || !isWanted(member.kinds, filter)) continue;
    candidates.push({ id, weight, zone, isSelf, isSuspected: status === "suspected", report });
    // A restarted process does not remember its reports, so it is another candidate.
    parts.push([id, incarnation, weight, zone]);
  }
  const text = JSON.stringify(parts);
  return { hash: `${hash53(text).toString(36)}-${hash53(text, 1).toString(36)}`, candidates };
}

/** True if a member with these kinds is a candidate, when it takes part. */
export function isWanted(kinds: readonly string[], { kind, zone }: CandidateFilter): boolean {
  return (kind === undefined || kinds.includes(kind)) &&
    (zone === undefined || weightAndZoneOf(kinds).zone === zone);
}

/** The highest epoch in any report, including reports of departed members. */
export function highestEpoch(node: RoleNode, key: string, wallMs: number): number {
  let highest = 0;
  for (const { value } of node.getState<unknown>(key).values()) {
    highest = Math.max(highest, readReport(value, wallMs)?.epoch ?? 0);
  }
  return highest;
}

/** Reads a peer's value; `undefined` if it is no report, or its epoch is above the limit at this time. */
export function readReport(given: unknown, wallMs: number): Report | undefined {
  if (typeof given !== "object" || given === null) return undefined;
  const { epoch, view } = given as { readonly epoch?: unknown; readonly view?: unknown };
  const isEpoch = Number.isSafeInteger(epoch) && (epoch as number) >= 0 &&
    (epoch as number) <= FIRST_EPOCHS + Math.max(0, wallMs);
  if (!isEpoch || typeof view !== "string" || view.length > MAX_HASH) return undefined;
  return { epoch: epoch as number, view };
}

/** The weight and the zone in a member's kinds: `weight:2`, `zone:eu-1`. */
export function weightAndZoneOf(
  kinds: readonly string[],
): { readonly weight: number; readonly zone: string | undefined } {
  const after = (prefix: string) => kinds.find((kind) => kind.startsWith(prefix))?.slice(prefix.length);
  const text = after("weight:") ?? ""; // mutant replace-value 2, drop-fallback: no number either.
  const weight = /^\d+(\.\d+)?$/.test(text) && Number(text) <= MAX_WEIGHT ? Number(text) : 1;
  return { weight, zone: after("zone:") };
}
