/**
 * The invariant of a member that is `confirmed`: every active peer has all state that the member has.
 *
 * @module
 */

import type { MemberSnapshot } from "../../../gossiper/contract.ts";
import type { Process } from "../process.ts";
import type { CheckContext } from "./check_context.ts";
import { type ExpectedState, isState } from "./expected_state.ts";

/** Peers compared with a member that is `confirmed`: to compare all would take most of the run. */
const COMPARED_PEERS = 4;

/** Compares the state of a process with that of some peers, if they are the processes that it knows. */
export function checkConfirmed(process: Process, context: CheckContext): void {
  const mine = process.gossiper.snapshot();
  const peers = mine.members.map((member) => context.activePeer(process, member))
    .filter((peer) => peer !== undefined);
  const chance = COMPARED_PEERS / Math.max(peers.length, COMPARED_PEERS);
  for (const peer of context.options.random.some(peers, chance)) {
    const theirs = new Map(peer.gossiper.snapshot().members.map((member) => [member.id, member]));
    for (const member of mine.members) {
      if (member.status !== "alive" || member.id === peer.id) continue;
      // With different topologies a peer may have acknowledged and forgotten it since (seeds 7016 and 7025).
      if (context.of(peer).hasForgotten(member.id)) continue;
      const other = theirs.get(member.id);
      const lacking = findLacking(member, { other, expected: context.expected });
      if (lacking !== undefined) context.fail(process, `confirmed, but ${peer.id} lacks ${lacking}`);
    }
  }
}

interface Comparison {
  /** This member in the snapshot of the peer. */
  readonly other: MemberSnapshot | undefined;
  readonly expected: ExpectedState;
}

/** The first change of a member that the peer lacks, and that its owner has not replaced. */
function findLacking(member: MemberSnapshot, { other, expected }: Comparison): string | undefined {
  const { id, incarnation, entries } = member;
  if (incarnation === undefined) return undefined;
  if (other?.incarnation !== undefined && other.incarnation > incarnation) return undefined;
  const changes = expected.changesOf(id, incarnation);
  const theirs = other?.incarnation === incarnation ? other.entries : [];
  for (const { key, sequenceNumber } of entries) {
    if (!isState(key) || changes.get(key)?.at(-1)?.number !== sequenceNumber) continue;
    const stored = theirs.find((entry) => entry.key === key);
    if (stored?.sequenceNumber !== sequenceNumber) return `${id} ${key}@${sequenceNumber}`;
  }
  // Snapshots show no deletes. A peer with a later version must not have the deleted key.
  const upTo = Math.max(0, ...entries.map(({ key, sequenceNumber }) => isState(key) ? sequenceNumber : 0));
  for (const { key } of theirs) {
    if (!isState(key) || entries.some((entry) => entry.key === key)) continue;
    const last = changes.get(key)?.at(-1);
    const isDeleted = last !== undefined && last.json === undefined && last.number <= upTo;
    if (isDeleted) return `the deletion of ${id} ${key}@${last.number}`;
  }
  return undefined;
}
