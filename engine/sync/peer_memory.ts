/**
 * The record of each peer, so that a peer gets every entry that it lacks, and gets no entry twice (rules E5, E6).
 *
 * @module
 */

import type { MemberState } from "../state/member_state.ts";
import { ENVELOPE_BYTES } from "../state/size.ts";
import type { Incarnation, KnownVersion } from "../types.ts";
import { ChangeRanges } from "./change_ranges.ts";
import { PeerComparison } from "./peer_comparison.ts";
import { PeerTotals } from "./peer_totals.ts";
import { mustBeginAgain, type PendingMember, PendingMembers } from "./pending_members.ts";

/**
 * The most pending members over all peers, for each of `maxMembers`. 6: with the defaults a member exchanges with six
 * peers in a round, three by its own requests, and each peer may lack everything. Beyond the limit, the peers used
 * longest ago are assumed to be up to date. Their reports of gaps, or their digests, show the difference.
 */
export const PENDING_PER_MEMBER = 6;

/** Shared by all peers without pushes. In a large cluster, separate empty maps would take most of the memory. */
const NO_PUSHES: ReadonlyMap<string, KnownVersion> = new Map();
/** The most members whose push to one peer is recorded. A round sends the entries of an unrecorded push again. */
const MAX_PUSHED = 1_024;

/** The facts to record once the peer has acknowledged a message. */
export interface SendRecord {
  /** The next slot of the round-robin. */
  readonly slot: number | undefined;
  /** True if the next member in round-robin order found no room, and is to come first. */
  readonly roundRobinFirst: boolean;
  /** True if entries had to be left out. */
  readonly partial: boolean;
  /** The changes that the acknowledgement covers, except for pending members. */
  readonly changes: SerialRange;
}

/** A range of serials: above `after`, up to `upTo`. */
export type SerialRange = readonly [after: number, upTo: number];

/** The record of one peer. */
export class PeerMemory {
  readonly id: string;
  /** The acknowledged changes, except for pending members. */
  readonly changes: ChangeRanges = new ChangeRanges();
  /** The members with other missing entries. */
  readonly pending: PendingMembers;
  readonly comparison: PeerComparison;

  #incarnation: Incarnation | undefined;
  #resends = 0; // mutant replace-value: counts are only compared for equality, so any start is as good.
  #maxMessageBytes = Infinity;
  #heardMs = -Infinity;
  #ackedStateName: string | undefined;
  #receivedStateName: string | undefined;
  #incarnationsHash: string | undefined;
  /** By member id: the version of the last push without an acknowledgement. */
  #pushed = NO_PUSHES;
  #ackedOwnNumber = 0;
  #slot: number | undefined;
  #heartbeatTurn = 0;
  #lastMessageWasFull = false;
  #roundRobinFirst = false;

  constructor(id: string, totals: PeerTotals) {
    this.id = id;
    this.pending = new PendingMembers(totals);
    this.comparison = new PeerComparison(totals);
  }

  /** The incarnation of the last handshake; `undefined` if a later incarnation was known at that time. */
  get incarnation(): Incarnation | undefined {
    return this.#incarnation;
  }

  /** The number of times that all state was sent again in this incarnation, in spite of acknowledgements. */
  get resends(): number {
    return this.#resends;
  }

  /** The peer's limit for messages. */
  get maxMessageBytes(): number {
    return this.#maxMessageBytes;
  }

  /** The time of the monotonic clock when the peer was last heard. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /** The name of this member's state in the last acknowledgement. */
  get ackedStateName(): string | undefined {
    return this.#ackedStateName;
  }

  /** The name of the peer's state in its last message. */
  get receivedStateName(): string | undefined {
    return this.#receivedStateName;
  }

  /** The peer's hash over active members and their incarnations, if it is known. */
  get incarnationsHash(): string | undefined {
    return this.#incarnationsHash;
  }

  /** The pushes without an acknowledgement, by member id. */
  get pushed(): ReadonlyMap<string, KnownVersion> {
    return this.#pushed;
  }

  /** The peer has this member's own state up to this number, with nothing left out. */
  get ackedOwnNumber(): number {
    return this.#ackedOwnNumber;
  }

  /** The next slot in round-robin order; `undefined` before the first message with a slot. */
  get slot(): number | undefined {
    return this.#slot;
  }

  /** True if the last message had no room for all changes. */
  get lastMessageWasFull(): boolean {
    return this.#lastMessageWasFull;
  }

  /** True if the next member in round-robin order must come first: it was left out of the last acknowledged message. */
  get roundRobinFirst(): boolean {
    return this.#roundRobinFirst;
  }

  /** The most bytes of entries in a message to the peer, by the lower of both members' limits. */
  roomFor({ maxMessageBytes }: { readonly maxMessageBytes: number }): number {
    return Math.min(maxMessageBytes, this.#maxMessageBytes) - ENVELOPE_BYTES;
  }

  /** The start of the next message, above the last push. If the push was lost, the peer reports a gap. */
  pushedAfter(member: MemberState, after: number): number {
    const pushed = this.#pushed.get(member.id);
    return pushed?.incarnation === member.incarnation ? Math.max(after, pushed.number) : after;
  }

  /** The assumed position of the peer in a member's state, or in the parts of a reset. */
  assumedVersion(member: MemberState): { readonly after: number; readonly reset: boolean } {
    const pending = this.pending.get(member.id);
    if (!pending) return { after: member.ackedVersion(this), reset: false };
    if (pending.incarnation !== member.incarnation) return { after: 0, reset: false };
    const { after, reset } = pending;
    return { after: reset && mustBeginAgain(pending, member.floor) ? 0 : after, reset };
  }

  /** A handshake. A push on the last connection may be lost. */
  recordHello(
    { incarnation, maxMessageBytes }: {
      readonly incarnation: Incarnation | undefined;
      readonly maxMessageBytes: number;
    },
  ): void {
    this.#incarnation = incarnation;
    this.#maxMessageBytes = maxMessageBytes;
    this.forgetPushes();
  }

  recordHeard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** The peer sent the name of its state. */
  recordState(stateName: string, nowMs: number): void {
    this.#receivedStateName = stateName;
    this.#heardMs = nowMs;
  }

  /** The peer has lost some of its last state. */
  forgetState(): void {
    this.#receivedStateName = undefined;
  }

  recordIncarnationsHash(hash: string | undefined): void {
    this.#incarnationsHash = hash;
  }

  /** A message was put together. */
  recordSent({ isFull }: { readonly isFull: boolean }): void {
    this.#lastMessageWasFull = isFull;
  }

  /** The peer acknowledged a message; `stateName` is the name of this member's state when the message was sent. */
  recordDelivered(stateName: string, { changes, slot, roundRobinFirst }: SendRecord): void {
    this.#ackedStateName = stateName;
    this.changes.add(...changes);
    if (slot !== undefined) this.#slot = Math.max(this.#slot ?? 0, slot);
    this.#roundRobinFirst = roundRobinFirst;
  }

  /** The peer has this member's own state up to a number. */
  recordOwnAck(number: number): void {
    this.#ackedOwnNumber = Math.max(this.#ackedOwnNumber, number);
  }

  /** The peer has this member's own state at most up to this number. */
  limitOwnAck(number: number): void {
    this.#ackedOwnNumber = Math.min(this.#ackedOwnNumber, number);
  }

  /** A member was pushed to the peer up to a number. */
  recordPush(id: string, version: KnownVersion): void {
    if (this.#pushed === NO_PUSHES) this.#pushed = new Map();
    const pushed = this.#pushed as Map<string, KnownVersion>;
    pushed.delete(id);
    pushed.set(id, version);
    if (pushed.size > MAX_PUSHED) pushed.delete(pushed.keys().next().value!);
  }

  /** The last push of a member arrived, or may be lost. */
  forgetPush(id: string): void {
    if (!this.#pushed.has(id)) return;
    (this.#pushed as Map<string, KnownVersion>).delete(id);
    if (this.#pushed.size === 0) this.#pushed = NO_PUSHES;
  }

  /** Every push arrived, or may be lost. */
  forgetPushes(): void {
    this.#pushed = NO_PUSHES;
  }

  /** Takes the next index among `peers` for the heartbeats to an unversioned peer. */
  takeHeartbeatTurn(peers: number): number {
    return this.#heartbeatTurn++ % peers;
  }

  /** A memory of the same peer without its acknowledgements, so that all state is sent again. */
  withoutAcks(totals: PeerTotals): PeerMemory {
    const peer = new PeerMemory(this.id, totals);
    peer.#incarnation = this.#incarnation;
    peer.#maxMessageBytes = this.#maxMessageBytes;
    peer.#heartbeatTurn = this.#heartbeatTurn;
    peer.#heardMs = this.#heardMs;
    peer.#resends = this.#resends + 1;
    return peer;
  }
}

/** The memories of all peers, within one limit. */
export class PeerMemories {
  /** The peer used longest ago comes first. */
  readonly #peers = new Map<string, PeerMemory>();
  readonly #totals = new PeerTotals();
  readonly #limit: number;

  /** Limits the number of pending members over all peers. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** True while a peer has a gap that is not filled yet, or a comparison with a peer is under way. */
  get inRepair(): boolean {
    return this.#totals.inRepair;
  }

  /** The number of pending members over all peers. */
  get pendingCount(): number {
    return this.#totals.pending;
  }

  peers(): Iterable<PeerMemory> {
    return this.#peers.values();
  }

  peek(id: string): PeerMemory | undefined {
    return this.#peers.get(id);
  }

  /** The memory of a peer, as the newest. A peer without one gets one. */
  touch(id: string): PeerMemory {
    const peer = this.#peers.get(id) ?? new PeerMemory(id, this.#totals);
    this.#peers.delete(id);
    this.#peers.set(id, peer);
    return peer;
  }

  forget(id: string): void {
    const peer = this.#peers.get(id);
    if (!peer) return;
    peer.pending.drop();
    peer.comparison.stop();
    this.#peers.delete(id);
  }

  /** Forgets the acknowledgements of a peer, so that all state is sent to it again. */
  forgetAcks(id: string): void {
    const peer = this.#peers.get(id);
    if (!peer) return;
    this.forget(id);
    this.#peers.set(id, peer.withoutAcks(this.#totals));
  }

  /** Called when the peer gets no gossip for now: its repairs no longer count as under way. */
  suspend(id: string): void {
    const peer = this.#peers.get(id);
    if (!peer) return;
    peer.comparison.stop();
    peer.pending.endGaps();
  }

  /** Records a member as pending. A member that is pending already keeps its place in the order. */
  addPending(peer: PeerMemory, memberId: string, pending: PendingMember): void {
    peer.pending.set(memberId, pending);
    if (this.#totals.pending > this.#limit) this.#makeRoom(peer);
  }

  #makeRoom(current: PeerMemory): void {
    for (const peer of this.#peers.values()) {
      if (this.#totals.pending <= this.#limit) return;
      if (peer !== current) peer.pending.drop();
    }
    // This peer alone exceeds the limit. Its latest pending members are dropped, so that the others keep their turn.
    current.pending.dropBeyond(this.#limit);
  }
}
