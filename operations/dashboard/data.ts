/**
 * The data of a dashboard as one document.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import type { Phase } from "../../engine/types.ts";
import { type Gossiper, insightOf } from "../../gossiper/gossiper.ts";
import type { MemberView } from "../../gossiper/contract.ts";
import { MAX_ID_LENGTH } from "./limits.ts";
import { type MemberRow, memberRow, shownMembers } from "./member_rows.ts";
import { type StateQuery, type StateRows, stateRows } from "./state_rows.ts";
import type { PhaseItem, Timeline, TimelineItem } from "./timeline.ts";
import { type KnownViews, knownViews } from "./views.ts";

/** All that the page shows. Texts are printable. */
export interface DashboardData extends KnownViews {
  readonly cluster: string;
  /** The id of the member that shows the page. */
  readonly self: string;
  readonly phase: Phase;
  /** True if this member hears no other, although the topology has others. */
  readonly isolated: boolean;
  /** True once this member has begun to leave. */
  readonly stopped: boolean;
  /** The digest of the state of all active members. */
  readonly digest: string;
  /** The number of known members by status. */
  readonly counts: Readonly<Record<MemberView["status"], number>>;
  /** The number of active members, with this one. */
  readonly active: number;
  /** The number of active members that are known to have all that this member has, with this one. */
  readonly agreeing: number;
  /** The shown members; this member is the first. */
  readonly members: readonly MemberRow[];
  readonly state: StateRows;
  /** `events` and `phases` are recorded since this time, in Unix milliseconds. */
  readonly sinceMs: number;
  readonly events: readonly TimelineItem[];
  readonly phases: readonly PhaseItem[];
}

/** The present data. */
export function dataOf(node: Gossiper, timeline: Timeline, query: StateQuery): DashboardData {
  const { host: { view }, cluster } = insightOf(node);
  const all = node.members;
  const members = shownMembers(all);
  const counts = { alive: 0, suspected: 0, failed: 0, left: 0 };
  for (const { status } of all) counts[status]++;
  const peers = view.activePeers();
  const agreeing = peers.filter((id) => view.peerKnowledge(id)!.hasAll).length;
  return {
    cluster: printable(cluster, MAX_ID_LENGTH),
    self: printable(node.id, MAX_ID_LENGTH),
    phase: node.phase,
    isolated: view.isIsolated,
    stopped: node.signal.aborted,
    digest: view.digest,
    counts,
    active: peers.length + 1,
    agreeing: agreeing + 1,
    members: members.map((member) => memberRow(view, member)),
    ...knownViews(view, members),
    state: stateRows(view, members, query),
    sinceMs: timeline.sinceMs,
    events: timeline.events,
    phases: timeline.phases,
  };
}
