/**
 * What is remembered of each peer so that it is told all that it lacks, and nothing twice (rules E5, E6): the
 * serials of the changes that it holds, and the members that are an exception to these.
 *
 * @module
 */

import type { MemberState } from "../state/member_state.ts";
import { ChangeRanges } from "./change_ranges.ts";
import type { Incarnation, KnownVersion } from "../types.ts";

/**
 * How many waiting members are remembered over all peers, for each member that may be known: as many peers
 * as one round brings at the defaults, three each way, may lack everything. Where more would wait, the peers
 * told longest ago are taken to be up to date: what they lack they say themselves, by a gap or by their digest.
 */
export const PENDING_PER_MEMBER = 6;

/** A member of which a peer lacks something, or could not be told all, whatever changes it is known to hold. */
export interface PendingMember {
  /** The life that `after` is a number of. */
  readonly incarnation: Incarnation;
  /** Up to where the peer is taken to hold it. */
  readonly after: number;
  /** Whether the peer itself said so, and it was less than supposed. */
  readonly gap: boolean;
  /** Whether nothing less than a reset will do; the parts of it up to `after` have arrived. */
  readonly reset: boolean;
  /** The member's floor when the first part was sent: once it is higher, what a part said may be forgotten. */
  readonly floor: number;
  /** How often in a row the peer took less of it than it was sent. */
  readonly refusals: number;
  /** By the monotonic clock, when it may be sent again. */
  readonly notBeforeMs: number;
}

/** Of a member that waits for another reason. */
export const NOT_REFUSED: Pick<PendingMember, "refusals" | "notBeforeMs"> = {
  refusals: 0,
  notBeforeMs: -Infinity,
};

const NONE: ReadonlyMap<string, PendingMember> = new Map();
/** Of most peers of a large cluster there is none: an empty map for each takes more room than all else of it. */
const NO_PUSHES: ReadonlyMap<string, KnownVersion> = new Map();
/** The most members whose push to one peer is remembered. A push that is forgotten is sent again by a round. */
const MAX_PUSHED = 1_024;

/** What is remembered of one peer. */
export class PeerMemory {
  readonly id: string;
  /** The life that the peer was last heard in. */
  incarnation: Incarnation | undefined;
  /** How often it was sent everything anew in this life, whatever it had acknowledged. */
  resends = 0; // mutant replace-value: counts are only compared with counts, so any start is as good.
  /** The changes that it is known to hold, but for the members that wait. */
  readonly changes: ChangeRanges = new ChangeRanges();
  /** The name of this member's state that the peer was last sent, if it is known to have arrived. */
  sentState: string | undefined;
  /** The name of the peer's state that it last sent. */
  receivedState: string | undefined;
  /** The hash of active members and their lives that the peer is known to have had. */
  incarnationsHash: string | undefined;
  /** The largest message that it takes. */
  maxMessageBytes: number = Infinity;
  /** When it was last heard, by the monotonic clock. */
  heardMs: number = -Infinity;
  /** By member id, in the order in which they began to wait. */
  pending: ReadonlyMap<string, PendingMember> = NONE;
  /** Whether waiting members were dropped, so that an empty list proves nothing. */
  pendingWasDropped = false;
  /** By member id, the version that was last pushed to the peer and that it has not acknowledged. */
  pushed: ReadonlyMap<string, KnownVersion> = NO_PUSHES;
  /** Up to which number the peer is known to hold this member's own state, with nothing left out of it. */
  ackedOwnNumber = 0;
  /** Whose turn it is where not all find room. */
  slot: number | undefined;
  /** Whose heartbeat comes first in the next message, where the peer is unversioned. */
  heartbeatTurn = 0;
  /** Whether somebody found no room in the last message. */
  lastMessageWasFull = false;
  /** Whether somebody was left out of the last message because the peer refused to take more of it. */
  heldBack = false;
  /** Whether the one whose turn it was found none, and comes first in the next. */
  roundRobinFirst = false;
  /** How often in a row the digests differed with nothing left to send. */
  mismatches = 0;
  /** The pair of states, this member's and the peer's, that last differed so. */
  differing: string | undefined;
  /** The pair of states that a full comparison was last begun for. */
  tried: string | undefined;
  /** Whether a full comparison is under way. */
  comparing = false;
  /** How many members it had compared here, since that time by the monotonic clock. */
  compared = 0;
  comparedSinceMs: number = -Infinity;

  constructor(id: string) {
    this.id = id;
  }

  /** Notes that a member was pushed to the peer up to a number. */
  recordPush(id: string, version: KnownVersion): void {
    if (this.pushed === NO_PUSHES) this.pushed = new Map();
    const pushed = this.pushed as Map<string, KnownVersion>;
    pushed.delete(id);
    pushed.set(id, version);
    if (pushed.size > MAX_PUSHED) pushed.delete(pushed.keys().next().value!);
  }

  /** The last push of a member arrived, or may be lost. */
  forgetPush(id: string): void {
    if (!this.pushed.has(id)) return;
    (this.pushed as Map<string, KnownVersion>).delete(id);
    if (this.pushed.size === 0) this.pushed = NO_PUSHES;
  }

  /** Every push arrived, or may be lost. */
  forgetPushes(): void {
    this.pushed = NO_PUSHES;
  }

  /**
   * Up to which position the next message may start after: what was pushed is not sent again. If the push was lost,
   * the peer reports a gap.
   */
  pushedAfter(member: MemberState, after: number): number {
    const pushed = this.pushed.get(member.id);
    return pushed?.incarnation === member.incarnation ? Math.max(after, pushed.number) : after;
  }

  /** Up to which position it is taken to hold a member, or the parts of a reset to have arrived. */
  assumedVersion(member: MemberState): { readonly after: number; readonly reset: boolean } {
    const pending = this.pending.get(member.id);
    if (!pending) return { after: member.ackedVersion(this), reset: false };
    if (pending.incarnation !== member.incarnation) return { after: 0, reset: false };
    const { after, reset, floor } = pending;
    return { after: reset && after < member.floor && floor < member.floor ? 0 : after, reset };
  }
}

/** The memories of all peers, within one limit. */
export class PeerMemories {
  /** The peer told longest ago comes first. */
  readonly #peers = new Map<string, PeerMemory>();
  readonly #limit: number;
  #pendingCount = 0;
  #gaps = 0;
  #comparing = 0;

  /** Makes memories of at most so many waiting members. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether some peer reported a gap that is not yet filled, or is being compared with. */
  get inRepair(): boolean {
    return this.#gaps + this.#comparing > 0;
  }

  /** The number of waiting members over all peers. */
  get pendingCount(): number {
    return this.#pendingCount;
  }

  /** The memories of all peers. */
  peers(): Iterable<PeerMemory> {
    return this.#peers.values();
  }

  peek(id: string): PeerMemory | undefined {
    return this.#peers.get(id);
  }

  /** The memory of a peer that is being spoken with; made where there is none. */
  of(id: string): PeerMemory {
    const peer = this.#peers.get(id) ?? new PeerMemory(id);
    this.#peers.delete(id);
    this.#peers.set(id, peer);
    return peer;
  }

  forget(id: string): void {
    const peer = this.#peers.get(id);
    if (!peer) return;
    this.#clear(peer);
    this.setComparing(peer, false);
    this.#peers.delete(id);
  }

  /** The peer gets no gossip for now: no repair of it is under way. */
  suspend(id: string): void {
    const peer = this.#peers.get(id);
    if (!peer) return;
    this.setComparing(peer, false);
    for (const [memberId, pending] of peer.pending) {
      this.addPending(peer, memberId, { ...pending, gap: false });
    }
  }

  /** Lets a member wait, at the place that it already has or last. */
  addPending(peer: PeerMemory, memberId: string, pending: PendingMember): void {
    this.#count(peer.pending.get(memberId), -1);
    this.#own(peer).set(memberId, pending);
    this.#count(pending, 1);
    if (this.#pendingCount > this.#limit) this.#makeRoom(peer);
  }

  /** The peer lacks nothing of a member any more. */
  clearPending(peer: PeerMemory, memberId: string): void {
    this.#count(peer.pending.get(memberId), -1);
    if (peer.pending.has(memberId)) this.#own(peer).delete(memberId);
  }

  /** Begins or ends a full comparison. */
  setComparing(peer: PeerMemory, comparing: boolean): void {
    if (peer.comparing !== comparing) this.#comparing += comparing ? 1 : -1;
    peer.comparing = comparing;
  }

  /** A list of the peer's own: of most peers nobody ever waits. */
  #own(peer: PeerMemory): Map<string, PendingMember> {
    if (peer.pending === NONE) peer.pending = new Map();
    return peer.pending as Map<string, PendingMember>;
  }

  #count(pending: PendingMember | undefined, change: 1 | -1): void {
    if (!pending) return;
    this.#pendingCount += change;
    if (pending.gap) this.#gaps += change;
  }

  #clear(peer: PeerMemory): void {
    for (const pending of peer.pending.values()) this.#count(pending, -1);
    if (peer.pending.size > 0) peer.pendingWasDropped = true;
    peer.pending = NONE;
  }

  #makeRoom(speaking: PeerMemory): void {
    for (const peer of this.#peers.values()) {
      if (this.#pendingCount <= this.#limit) return;
      if (peer !== speaking) this.#clear(peer);
    }
    // One peer alone exceeds the limit: those that began to wait last go, so that the order stays fair.
    for (const memberId of [...speaking.pending.keys()].slice(this.#limit)) {
      this.clearPending(speaking, memberId);
    }
    speaking.pendingWasDropped = true;
  }
}
