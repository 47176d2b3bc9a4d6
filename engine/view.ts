/**
 * All queries of an engine. No query changes anything.
 *
 * @module
 */

import { heartbeatEntry } from "./liveness/heartbeat_entry.ts";
import { ISOLATED_DIVISOR } from "./liveness/isolation.ts";
import type { EngineParts } from "./parts.ts";
import type { UnsignedSnapshot } from "./state/member_state.ts";
import { isPresent } from "./state/stored_entry.ts";
import { signedStateOf } from "./sync/signed_state.ts";
import {
  type BlockedMember,
  type Entry,
  HEARTBEAT_KEY,
  type Incarnation,
  type JsonValue,
  type KnownVersion,
  type MemberDelta,
  type Phase,
  type SignedState,
} from "./types.ts";

/**
 * A peer is silent, and must be asked for an answer, after `heartbeatExpiration` divided by this; later if this member is
 * idle. 4: the peer has time to answer before it expires.
 */
export const SILENT_DIVISOR = 4;
/**
 * While this member is idle, a peer is silent after this number of its turns. An idle member sends one heartbeat in an
 * interval, to each peer in turn, in a new order each time. 2: the longest time between two heartbeats of a peer.
 */
const TURNS = 2;
/** A peer is silent after `heartbeatExpiration` divided by this, if its turns take longer. 2: it has time to answer. */
const LATEST_SILENT_DIVISOR = 2;

/** The amounts that an engine keeps; `docs/ALGORITHM.md` has the limit of each. */
export interface Footprint {
  /** Known members, including this member. */
  readonly members: number;
  /** Keys of all known members, including deleted keys. */
  readonly keys: number;
  /** Deleted keys that are not yet dropped. */
  readonly tombstones: number;
  /** Departed members whose retention still runs. */
  readonly gone: number;
  /** Forgotten members: only id, incarnation and number are left. */
  readonly remembered: number;
  /** The number of pending members, summed over all peers. */
  readonly pending: number;
}

/** The part of this member's knowledge that an active peer is known to have. */
export interface PeerKnowledge {
  /** The sets and deletes of this member without an acknowledgement of the peer. */
  readonly lag: number;
  /** True if the peer is known to have all state of active members that this member has. */
  readonly hasAll: boolean;
}

/** The latest heartbeat of a member, as it arrived here. */
export interface HeartbeatReport {
  readonly count: number;
  /** The time of its arrival on this member's wall clock. */
  readonly wallMs: number;
  /** The time of its arrival on the monotonic clock. */
  readonly monotonicMs: number;
  /** The peer whose message brought it: the member itself or a relay; `undefined` if unknown. */
  readonly peerId: string | undefined;
}

/** The knowledge of one member, for reading. */
export class EngineView {
  readonly #parts: EngineParts;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  /** This member's id. */
  get id(): string {
    return this.#parts.selfId;
  }

  /** This member's present incarnation. */
  get incarnation(): Incarnation {
    return this.#parts.own.incarnation;
  }

  /** The spread of the state. */
  get phase(): Phase {
    return this.#parts.progress.phase;
  }

  /** True if this member knows the members of its cluster, or at least one member (rule E13). */
  get hasMetPeer(): boolean {
    return this.#parts.progress.hasMetPeer;
  }

  /**
   * True if another process with this id proved a later incarnation. This member then neither sends nor accepts gossip.
   * Never true without signing (rule E1).
   */
  get isFenced(): boolean {
    return this.#parts.identity.isFenced;
  }

  /** True if this member has heard no other member for long, although the topology has others (rule L5). */
  get isIsolated(): boolean {
    return this.#parts.isolation.isIsolated;
  }

  /** The digest of the state of all active members (rule E12). */
  get digest(): string {
    return this.#parts.store.digest;
  }

  /** The hash of the active ids. */
  get activeHash(): string {
    return this.#parts.store.activeHash;
  }

  /** The topology without blocked members, this member included. */
  activeIds(): ReadonlySet<string> {
    return this.#parts.store.active;
  }

  /** The active ids without this member's own. The order follows from the calls alone; the array changes with them. */
  activePeers(): readonly string[] {
    return this.#parts.store.peers;
  }

  /** True if an id is in the topology; this member's own always is. */
  isMember(id: string): boolean {
    return this.#parts.membership.isMember(id);
  }

  /** The ids of all members with known state. */
  memberIds(): Iterable<string> {
    return [...this.#parts.store.log.members()].map((member) => member.id);
  }

  /** Reason and time of a member's block; `undefined` if it is not blocked. */
  blockedMember(id: string): BlockedMember | undefined {
    return this.#parts.membership.blocks.get(id);
  }

  /** All blocked members, in the order of their blocks. */
  blockedMembers(): BlockedMember[] {
    const { blocks } = this.#parts.membership;
    return blocks.ids().map((id) => blocks.get(id)!);
  }

  /** True if a member is active and suspected of a crash. */
  isSuspected(memberId: string): boolean {
    return this.#parts.suspicions.has(memberId);
  }

  /**
   * True if a peer and this member know that they have the same state, and this member knows the same of all peers.
   * Then only a heartbeat needs to be sent.
   */
  isQuiet(peerId: string): boolean {
    return this.phase === "confirmed" && this.#parts.sync.isQuiet(peerId, this.#parts.transactions.nowMs);
  }

  /**
   * True if a peer was not heard for so long that this member must ask for an answer, because the connection may be
   * dead. While this member is idle, a peer has time for {@linkcode TURNS} of its turns.
   */
  isSilent(peerId: string): boolean {
    const { memories, settings: { gossipInterval, heartbeatExpiration }, transactions } = this.#parts;
    const silentMs = transactions.nowMs - (memories.peek(peerId)?.heardMs ?? -Infinity);
    const turnsMs = this.isIdle ? TURNS * gossipInterval * this.activePeers().length : 0;
    const leastMs = heartbeatExpiration / SILENT_DIVISOR;
    return silentMs > Math.min(Math.max(leastMs, turnsMs), heartbeatExpiration / LATEST_SILENT_DIVISOR);
  }

  /**
   * True if there is nothing to exchange with any peer, and all peers were heard lately. A round then needs to reach
   * only one peer. Never true with signing on, because this member must then hear each member itself (rule L4).
   */
  get isIdle(): boolean {
    const { membership, settings, signs, transactions } = this.#parts;
    if (this.phase !== "confirmed" || signs) return false;
    return membership.longestSilence(transactions.nowMs) <= settings.heartbeatExpiration / ISOLATED_DIVISOR;
  }

  /** True if there are changes to send before the next round. */
  get hasChanges(): boolean {
    return this.#parts.transactions.hasChanges;
  }

  /** The entry of a member's key; `undefined` if it has no value. */
  get(memberId: string, key: string): Entry | undefined {
    if (key === HEARTBEAT_KEY) return this.heartbeatOf(memberId);
    return this.#parts.store.log.get(memberId)?.present(key);
  }

  /** The heartbeat of a member, as an entry with its count as number; `undefined` if no heartbeat was heard. */
  heartbeatOf(memberId: string): Entry | undefined {
    const state = this.#parts.store.log.get(memberId);
    return state && state.heartbeatCount > 0 ? heartbeatEntry(state) : undefined;
  }

  /**
   * The latest heartbeat count of a member, the time of its arrival, and the peer that brought it; `undefined` if no
   * heartbeat was heard.
   */
  heartbeatReport(memberId: string): HeartbeatReport | undefined {
    const state = this.#parts.store.log.get(memberId);
    if (!state || state.heartbeatCount === 0) return undefined;
    const { heartbeatCount: count, heartbeatWallMs: wallMs, heartbeatMonotonicMs: monotonicMs } = state;
    return { count, wallMs, monotonicMs, peerId: state.heartbeatPeerId };
  }

  /** The entries of a key, by member id. */
  state(key: string): Map<string, Entry> {
    const entries = new Map<string, Entry>();
    for (const member of this.#parts.store.log.members()) {
      const entry = this.get(member.id, key);
      if (entry) entries.set(member.id, entry);
    }
    return entries;
  }

  /** The entries of a member that have a value, in rising order of number. */
  entriesOf(memberId: string): readonly Entry[] {
    const member = this.#parts.store.log.get(memberId);
    const live = [...member?.entries() ?? []].filter(isPresent);
    return member?.isUnversioned ? live.sort((one, other) => one.number - other.number) : live;
  }

  /** The entries of a member with a value, and its heartbeat in place of the statistics. */
  shownEntriesOf(memberId: string): readonly Entry[] {
    const heartbeat = this.heartbeatOf(memberId);
    const others = this.entriesOf(memberId).filter(({ key }) => key !== HEARTBEAT_KEY);
    return heartbeat ? [...others, heartbeat] : others;
  }

  /** The number of the last set of one of this member's keys; it changes with a new incarnation. */
  ownNumber(key: string): number | undefined {
    return this.#parts.own.state.present(key)?.number;
  }

  /** This member's own entries with a value and a number above the given one, the newest first. */
  ownEntriesAbove(number: number): Entry[] {
    return [...this.#parts.own.state.entriesAbove(number)].filter(isPresent);
  }

  /** The incarnation of a member with known state. */
  incarnationOf(memberId: string): Incarnation | undefined {
    return this.#parts.store.log.get(memberId)?.incarnation;
  }

  /** The latest known incarnation of a member, even if its state was forgotten. */
  latestIncarnation(memberId: string): Incarnation | undefined {
    return this.#parts.membership.latestIncarnation(memberId);
  }

  /** The known version of a member. For an unversioned member, which may have gaps, its highest number. */
  versionOf(memberId: string): KnownVersion | undefined {
    const member = this.#parts.store.log.get(memberId);
    return member && { incarnation: member.incarnation, number: member.highestNumber };
  }

  /** The number of active peers that acknowledged this member's own state up to a number. */
  acknowledgedBy(number: number): number {
    return this.#parts.sync.acknowledgedBy(number);
  }

  /** True if an active peer acknowledged this member's own state up to a number. */
  isAcknowledgedBy(peerId: string, number: number): boolean {
    return this.#parts.sync.isAcknowledgedBy(peerId, number);
  }

  /** The part of this member's knowledge that an active peer has; `undefined` for any other id. */
  peerKnowledge(peerId: string): PeerKnowledge | undefined {
    const { selfId, own, store, sync } = this.#parts;
    if (peerId === selfId || !store.active.has(peerId)) return undefined;
    const { version } = own.state;
    return {
      lag: version - Math.min(version, sync.ackedOwnNumber(peerId)),
      hasAll: store.convergence.agrees(peerId, store.stateName),
    };
  }

  /** The number up to which an active peer has this member's own state; `Infinity` if the peer has all. */
  ackedOwnNumber(peerId: string): number {
    return this.#parts.sync.ackedOwnNumber(peerId);
  }

  /** The outcome of a consensus check. */
  consensus(id: string): { readonly reached: boolean; readonly value: JsonValue | undefined } {
    const agreed = this.#parts.store.checks.get(id)?.agreed;
    return { reached: agreed !== undefined, value: agreed === undefined ? undefined : JSON.parse(agreed) };
  }

  /** The active members without a value, or with another value than the most common value. */
  dissenters(id: string): string[] {
    const { checks, active } = this.#parts.store;
    return checks.get(id)?.dissenters(active) ?? [];
  }

  /** This member's state, to sign; `undefined` if all of it is signed. */
  unsignedSnapshot(): UnsignedSnapshot | undefined {
    const { state } = this.#parts.own;
    return state.signedUpTo < state.version ? state.unsignedSnapshot() : undefined;
  }

  /** The state of a member after the merge of a delta, to verify; `undefined` if the merge would change nothing. */
  signedStateOf(delta: MemberDelta): SignedState | undefined {
    return signedStateOf(delta, this.#parts.store.log.get(delta.id));
  }

  /**
   * A member's whole signed state, as proof of its incarnation. `undefined` if no signed state is known, or if it exceeds
   * a message: `maxMessageBytes` is the limit of the member that receives the proof, by default the limit in its handshake.
   */
  signedProof(id: string, maxMessageBytes?: number): MemberDelta | undefined {
    return this.#parts.identity.signedProof(id, maxMessageBytes);
  }

  /**
   * True if this member knows a later incarnation of the peer than the peer's handshake had. With signing on, this member
   * must also be able to prove it.
   */
  isOutlived(peerId: string): boolean {
    return this.#parts.identity.isOutlived(peerId);
  }

  /** The amounts to compare with their limits. Costs time in proportion to the members. */
  get footprint(): Footprint {
    const { memories, membership, store } = this.#parts;
    const { log, tombstones } = store;
    const { gone, remembered } = membership.departures;
    let keys = 0;
    for (const member of log.members()) keys += member.size.keys;
    return { members: log.size, keys, tombstones, gone, remembered, pending: memories.pendingCount };
  }

  /** The approximate heap bytes of this member's own state. */
  get ownBytes(): number {
    return this.#parts.own.state.size.heapBytes;
  }

  /**
   * The bytes of other members' state, the number of states `dropped` to make room, and the number of deltas `refused`
   * for lack of room (rule E15).
   */
  get room(): { readonly bytes: number; readonly dropped: number; readonly refused: number } {
    const { dropped, refused } = this.#parts.room;
    return { bytes: this.#parts.store.held.bytes, dropped, refused };
  }
}
