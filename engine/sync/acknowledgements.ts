/**
 * Each peer's state as this member knows it: by acknowledgements, by received entries and by reports (rules E4 to E6).
 *
 * @module
 */

import { isUnversioned } from "../incarnation.ts";
import type { MemberState } from "../state/member_state.ts";
import type { Store } from "../state/store.ts";
import type { KnownVersion, KnownVersions, MemberDelta, MemberDeltas } from "../types.ts";
import type { AgreeingPeers } from "./agreeing_peers.ts";
import type { PeerMemories, PeerMemory } from "./peer_memory.ts";
import { mustBeginAgain, NOT_REFUSED, type PendingMember } from "./pending_members.ts";
import { type SentSpan, spanOf } from "./span.ts";

/** The times of the backoff for refused members, in milliseconds. */
export interface AckSettings {
  readonly gossipInterval: number;
  readonly heartbeatExpiration: number;
}

/** Records the known version of each member on each peer. */
export class Acknowledgements {
  readonly #settings: AckSettings;
  readonly #selfId: string;
  readonly #store: Store;
  readonly #memories: PeerMemories;
  readonly #agreeing: AgreeingPeers;
  readonly #signs: boolean;

  constructor(
    settings: AckSettings,
    context: {
      readonly selfId: string;
      readonly store: Store;
      readonly memories: PeerMemories;
      readonly agreeing: AgreeingPeers;
      readonly signs: boolean;
    },
  ) {
    this.#settings = settings;
    this.#selfId = context.selfId;
    this.#store = context.store;
    this.#memories = context.memories;
    this.#agreeing = context.agreeing;
    this.#signs = context.signs;
  }

  /** The span of a delta before it is sent. */
  spanSent(delta: MemberDelta): SentSpan {
    const { incarnation, version, signedUpTo, floor, isUnversioned } = this.#store.log.get(delta.id)!;
    const { reset } = delta;
    if (isUnversioned) return { incarnation, after: 0, last: version, end: version, reset, floor };
    // The unsigned part of a state is sent once it is signed.
    return { ...spanOf(delta), end: this.#signs ? signedUpTo : version, reset, floor };
  }

  /** The peer acknowledged a message. A version in its report always wins. */
  recordAcked(
    peer: PeerMemory,
    { members, versions, nowMs }: {
      readonly members: ReadonlyMap<string, SentSpan>;
      readonly versions: KnownVersions;
      readonly nowMs: number;
    },
  ): void {
    for (const [id, { last, ...span }] of members) {
      if (!versions.has(id)) this.#recordAck(peer, id, { ...span, number: last });
    }
    for (const [id, version] of versions) {
      this.#applyReported(peer, id, { version, sent: members.get(id), nowMs });
    }
  }

  /** The peer has the entries of its own message, except for members in this member's report. */
  recordReceived(peer: PeerMemory, delta: MemberDeltas, versions: KnownVersions): void {
    for (const each of delta.members) {
      const { incarnation, last } = spanOf(each);
      const member = this.#store.log.get(each.id);
      if (member?.isUnversioned && isUnversioned(incarnation)) {
        this.#recordUnversioned(peer, member, each.entries);
      } else if (!versions.has(each.id) && each.entries.length > 0) {
        // The peer may have more than this part. Another message brings the rest.
        const end = each.end ?? last;
        this.#recordAck(peer, each.id, {
          ...{ incarnation, after: each.after, number: last },
          reset: each.reset && last === end,
          end: last,
          floor: 0,
        });
      } else if (member && member.incarnation > incarnation && each.id !== peer.id) {
        // The peer sent an earlier incarnation, so it has no entries of the later incarnation, even if it had
        // acknowledged some.
        this.addPending(peer, member, { after: 0 });
      }
    }
  }

  /** Records a member as pending for a peer. */
  addPending(
    peer: PeerMemory,
    member: MemberState,
    pending: Partial<PendingMember> & { after: number },
  ): void {
    const { incarnation } = member;
    // For a peer that gets no gossip, no repair is under way.
    const gap = pending.gap === true && this.#store.active.has(peer.id);
    const defaults = { reset: false, resetEnd: member.version, ...NOT_REFUSED };
    this.#memories.addPending(peer, member.id, { ...defaults, ...pending, incarnation, gap });
  }

  /** True if the peer may lack entries of an active member. */
  isLacking(peer: PeerMemory): boolean {
    const { active, log } = this.#store;
    for (const [id, { gap, reset, incarnation, after }] of peer.pending) {
      const member = log.get(id);
      if (!member || !active.has(id)) continue;
      if (gap || reset || incarnation !== member.incarnation || member.version > after) return true;
    }
    for (const member of log.changes.newestFirst(peer.changes.upTo)) {
      if (active.has(member.id) && !this.#isUpToDate(peer, member)) return true;
    }
    return false;
  }

  /**
   * The peer has all state of the active members. An inactive member becomes pending if the peer may lack entries of
   * it.
   */
  recordUpToDate(peer: PeerMemory): void {
    const { inactive, log } = this.#store;
    for (const id of inactive) {
      const member = log.get(id)!;
      if (!this.#isUpToDate(peer, member)) {
        this.addPending(peer, member, { after: member.ackedVersion(peer) });
      }
    }
    peer.changes.add(0, log.serial);
  }

  /** True if a member has no entries to send, or is pending anyway. */
  #isUpToDate(peer: PeerMemory, member: MemberState): boolean {
    return member.id === peer.id || peer.pending.has(member.id) || member.isAckedBy(peer);
  }

  /** The peer has a member up to a number, as a message to or from the peer shows. */
  #recordAck(
    peer: PeerMemory,
    id: string,
    version: KnownVersion & Pick<SentSpan, "after" | "end" | "reset" | "floor">,
  ): void {
    const member = this.#store.log.get(id);
    if (!member || member.incarnation !== version.incarnation) return;
    const isPart = version.number < version.end;
    // A part lacks the keys that were set again after its end, even if they were first set before it.
    if (id === this.#selfId && !isPart) peer.recordOwnAck(version.number);
    if (peer.pushedAfter(member, 0) <= version.number) peer.forgetPush(id);
    const pending = peer.pending.get(id);
    if (!pending && !isPart) return member.recordAck(peer, version.number);
    // A late acknowledgement does not lower the record, and does not show that a reset has arrived.
    if (pending?.incarnation === version.incarnation) {
      // The first parts of a reset may end below `pending.after`. They still count, because they begin the reset.
      const beginsReset = isPart && version.reset && mustBeginAgain(pending, version.floor);
      const isLate = (pending.reset && !version.reset) || version.number <= pending.after;
      if (isLate && !beginsReset) return;
    }
    peer.pending.delete(id);
    if (isPart) {
      const { number: after, reset, end } = version;
      const resetEnd = pending?.reset && version.after > 0 ? Math.min(pending.resetEnd, end) : end;
      this.addPending(peer, member, { after, reset, resetEnd });
    } else if (version.number < member.version) this.addPending(peer, member, { after: version.number });
    else member.recordAck(peer, version.number);
  }

  /** The peer has these entries of an unversioned member. They are no evidence for its other entries. */
  #recordUnversioned(peer: PeerMemory, member: MemberState, entries: MemberDelta["entries"]): void {
    if (member.id === peer.id) return;
    const assumed = peer.assumedVersion(member).after;
    if (member.isCoveredBy(entries, assumed)) {
      peer.pending.delete(member.id);
      member.recordAck(peer, member.version);
    }
    // The peer sent an earlier entry of a key, so it lacks the later entry, even if it had acknowledged that entry.
    const lacked = entries.flatMap(({ key, number }) => {
      const stored = member.get(key);
      return stored && stored.number > number ? [stored.position] : [];
    });
    const after = Math.min(...lacked) - 1;
    if (after < assumed) this.addPending(peer, member, { after });
  }

  /**
   * A version in a receiver's report replaces the record, but cannot exceed the version in the message that it answers
   * (E5).
   */
  #applyReported(
    peer: PeerMemory,
    id: string,
    { version, sent, nowMs }: {
      readonly version: KnownVersion;
      readonly sent: SentSpan | undefined;
      readonly nowMs: number;
    },
  ): void {
    const member = this.#store.log.get(id);
    peer.forgetPush(id);
    if (!member) return;
    if (version.incarnation > member.incarnation) return peer.pending.delete(id);
    // A number of an unversioned member is no evidence that the entries below it are there.
    const number = version.incarnation === member.incarnation && !member.isUnversioned ? version.number : 0;
    if (number >= (sent?.last ?? member.version)) {
      return sent && this.#recordAck(peer, id, { ...sent, number: sent.last });
    }
    if (!sent && number >= peer.assumedVersion(member).after) return;
    // The peer has lost some of the state that it once reported.
    // mutant delete-statement: its next message names its state; until then it would get the set of agreeing peers in vain.
    peer.forgetState();
    this.#agreeing.record(peer.id, { sent: undefined, reported: undefined });
    if (id === this.#selfId) peer.limitOwnAck(number);
    const gap = sent === undefined || number < sent.after;
    this.addPending(peer, member, {
      after: number,
      gap,
      ...(!gap && this.#afterRefusal(peer.pending.get(id), number, nowMs)),
    });
  }

  /**
   * The backoff of a member of which the peer again accepted no entries, because it has no room. Without the backoff,
   * the member would take a place in the message of every round.
   */
  #afterRefusal(
    before: PendingMember | undefined,
    number: number,
    nowMs: number,
  ): Pick<PendingMember, "refusals" | "notBeforeMs"> {
    // A signature that could not be verified at once is verified with the next message.
    if (this.#signs || number !== before?.after) return NOT_REFUSED;
    const { gossipInterval, heartbeatExpiration } = this.#settings;
    const refusals = before.refusals + 1;
    return { refusals, notBeforeMs: nowMs + Math.min(heartbeatExpiration, gossipInterval * 2 ** refusals) };
  }
}
