/**
 * The members in a dashboard's data.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import { incarnationStartMs, isUnversioned } from "../../engine/incarnation.ts";
import type { BlockReason } from "../../engine/types.ts";
import type { EngineView } from "../../engine/view.ts";
import type { MemberView } from "../../gossiper/contract.ts";
import { MAX_ID_LENGTH, MAX_MEMBERS } from "./limits.ts";

/** A member as the page shows it. Texts are printable. */
export interface MemberRow {
  readonly id: string;
  readonly isSelf: boolean;
  readonly status: MemberView["status"];
  /** The reason of its block by this member; `null` if it is not blocked. */
  readonly reason: BlockReason | null;
  /** The time of its block by this member's wall clock; `null` if it is not blocked. */
  readonly sinceMs: number | null;
  readonly address: string | null;
  readonly incarnation: string | null;
  /** The start of the incarnation by the member's own wall clock; `null` if it is not known. */
  readonly startedMs: number | null;
  /** The last heartbeat, and its arrival by this member's wall clock; `null` if none was heard. */
  readonly heartbeat: { readonly count: number; readonly atMs: number } | null;
  /** The sets and deletes of this member without its acknowledgement; `null` unless it is an active peer. */
  readonly lag: number | null;
  /** True if it is known to have all that this member has; `null` unless it is an active peer. */
  readonly hasAll: boolean | null;
}

/** Members in need of attention come first, so that a limit leaves out others. */
const ORDER: readonly MemberView["status"][] = ["suspected", "failed", "alive", "left"];

/** This member, then the others by status and id: at most {@linkcode MAX_MEMBERS}. */
export function shownMembers(members: readonly MemberView[]): readonly MemberView[] {
  const rank = ({ isSelf, status }: MemberView) => isSelf ? -1 : ORDER.indexOf(status);
  return members.toSorted((one, other) => rank(one) - rank(other)).slice(0, MAX_MEMBERS);
}

/** The row of a member. */
export function memberRow(view: EngineView, shown: MemberView): MemberRow {
  const { id, isSelf, status, block, incarnation, member } = shown;
  const heartbeat = view.heartbeatOf(id);
  const knowledge = view.peerKnowledge(id);
  return {
    id: printable(id, MAX_ID_LENGTH),
    isSelf,
    status,
    reason: block?.reason ?? null,
    sinceMs: block?.sinceMs ?? null,
    address: member ? addressOf(member) : null,
    incarnation: incarnation ?? null,
    startedMs: incarnation === undefined || isUnversioned(incarnation)
      ? null
      : incarnationStartMs(incarnation),
    heartbeat: heartbeat ? { count: heartbeat.number, atMs: heartbeat.timestampMs } : null,
    lag: knowledge?.lag ?? null,
    hasAll: knowledge?.hasAll ?? null,
  };
}

function addressOf({ host, port, url }: NonNullable<MemberView["member"]>): string | null {
  if (host === "" && url === undefined) return null;
  return printable(url ?? `${host}:${port}`, MAX_ID_LENGTH);
}
