/**
 * What a member knows, and whom to tell what: the whole of the gossip protocol but for its messages. Pure,
 * synchronous and deterministic: it reads no clock, draws no random number, does no I/O; the same calls have
 * the same outcome, bit for bit. Every call that changes something returns the events that it caused.
 *
 * @module
 */

import { ConsensusCheck, type ConsensusReader } from "./consensus.ts";
import type { EngineEvent } from "./events.ts";
import { PeerSync, type Sent, type SyncSettings } from "./sync/peer_sync.ts";
import { endsWithIncarnation } from "./membership/block_list.ts";
import { incarnationAbove, isFarAhead, isUnversioned } from "./incarnation.ts";
import { deepFreeze, utf8Length } from "./json.ts";
import { signedStateOf } from "./sync/signed_state.ts";
import { heartbeatEntry } from "./liveness/entries_for_unversioned.ts";
import { Heartbeats, type HeartbeatSettings } from "./liveness/heartbeats.ts";
import type { MemberState, UnsignedSnapshot } from "./state/member_state.ts";
import { Merge, type MergeSettings } from "./sync/merge.ts";
import { Suspicions } from "./liveness/suspicions.ts";
import { Membership, type MembershipSettings } from "./membership/membership.ts";
import { topologyHash } from "./state/murmur3.ts";
import { PeerMemories, PENDING_PER_MEMBER } from "./sync/peer_memory.ts";
import { spanOf } from "./sync/span.ts";
import { Random } from "./random.ts";
import { Renewals } from "./membership/renewals.ts";
import { Room, type RoomSettings } from "./membership/room.ts";
import { entryBytes, ENVELOPE_BYTES, memberBytes, signatureBytes } from "./state/size.ts";
import { Store } from "./state/store.ts";
import {
  type BlockedMember,
  type BlockReason,
  type Delta,
  type Entry,
  GRACEFULLY_LEFT_KEY,
  HEARTBEAT_KEY,
  type Incarnation,
  type Instant,
  isTombstone,
  type JsonValue,
  type KnownVersion,
  type KnownVersions,
  type Liveness,
  MEMBER_KEY,
  type MemberDelta,
  type PartialDelta,
  type Phase,
  type SentEntry,
  type SignedState,
  SIGNING_KEY,
  type SummaryPart,
  TOPOLOGY_KEY,
  TYPE,
} from "./types.ts";

export type { Sent } from "./sync/peer_sync.ts";
export type { UnsignedSnapshot as Draft } from "./state/member_state.ts";

/** The most blocked ids that a member publishes (rule E14). */
const MAX_PUBLISHED_BLOCKED = 50;
/** The most bytes of them: an id may have 256, and the smallest message 16 KiB. */
const MAX_PUBLISHED_BYTES = 2_048;
/** A peer is asked for an answer if it was not heard for an expiration divided by this, so that it has time to answer. */
const SILENT_SHARE = 4;
/** A member is isolated if it hears nobody, and not idle if it hears one member no more, for an expiration over this. */
const ISOLATED_SHARE = 3;
/**
 * The most members whose changes wait to be pushed. 1,024: more than a burst brings within the few milliseconds of
 * collecting. What is left out is for the rounds.
 */
const MAX_CHANGES = 1_024;
const NONE: KnownVersions = new Map();

/** What the engine is set to; durations in milliseconds. */
export interface EngineSettings
  extends SyncSettings, HeartbeatSettings, MembershipSettings, MergeSettings, RoomSettings {
  readonly tombstoneRetention: number;
}

/** Who the engine is, and what it starts from. */
export interface EngineStart {
  readonly id: string;
  readonly incarnation: Incarnation;
  readonly now: Instant;
  /** A number of at least 0 and less than 1, from which every later draw follows. */
  readonly random: number;
  /** Whether peers are found by greeting: then before the first contact nobody agrees with nobody. */
  readonly openMembership: boolean;
  /** Whether who else belongs to the cluster is yet to be told: until then nobody agrees with nobody either. */
  readonly awaitsTopology?: boolean;
  /**
   * Whether members sign what they set: then this one's state is told as far as it is {@linkcode Engine.attachSignature}'d,
   * and of another's later life only what it says itself, or has signed, is believed.
   */
  readonly signs?: boolean;
}

/** How much an engine keeps, as numbers; `docs/ALGORITHM.md` says what limits each. */
export interface Footprint {
  /** Members of which something is held, this one among them. */
  readonly members: number;
  /** Keys of all of these, those deleted included. */
  readonly keys: number;
  /** Deleted keys that are yet to be forgotten. */
  readonly tombstones: number;
  /** Members whose retention is running, since they are gone. */
  readonly gone: number;
  /** Members of which only id, life and number are left. */
  readonly remembered: number;
  /** Members that wait to be told, over all peers. */
  readonly pending: number;
}

/** What a call returned, and the events that it caused, in order. */
export type WithEvents<T = unknown> = T & { readonly events: readonly EngineEvent[] };

/** Which members' state changed and is to be sent before the next round. */
export interface Changes {
  /** Whether this member's own state changed. */
  readonly own: boolean;
  /** Other members whose state changed here and is to be passed on. */
  readonly others: ReadonlySet<string>;
}

/** Why a peer's greeting is refused. */
export type HelloRejection = "blocked" | "id_conflict" | "invalid";

/** One member's knowledge of its cluster. */
export class Engine {
  readonly #settings: EngineSettings;
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #sync: PeerSync;
  readonly #room: Room;
  readonly #merge: Merge;
  readonly #heartbeats: Heartbeats;
  readonly #suspicions = new Suspicions();
  /** When any other member was last heard itself. */
  #heardMs: number;
  #isIsolated = false;
  /** When {@linkcode Engine.tick} was last called. */
  #tickedMs: number;
  readonly #memories: PeerMemories;
  readonly #random: Random;
  readonly #id: string;
  #self: MemberState;
  #events: EngineEvent[] = [];
  #nowMs: number;
  readonly #openMembership: boolean;
  readonly #signs: boolean;
  #hasMetPeer: boolean;
  #phase: Phase = "diffusing";
  #isFenced = false;
  readonly #renewals: Renewals;
  /** Peers that say that this member is blocked. */
  readonly #blockedBy = new Set<string>();
  /** Changes that were not yet handed out by {@linkcode Engine.takeChanges}. */
  #changes = { own: false, others: new Set<string>() };
  #publishedTopology = "";

  /** Begins to know: this member, and nothing of it yet. */
  constructor(settings: EngineSettings, start: EngineStart) {
    this.#settings = settings;
    this.#id = start.id;
    this.#nowMs = start.now.monotonicMs;
    this.#heardMs = start.now.monotonicMs;
    this.#tickedMs = start.now.monotonicMs;
    this.#openMembership = start.openMembership;
    this.#signs = start.signs ?? false;
    this.#hasMetPeer = !start.openMembership && !start.awaitsTopology;
    this.#random = new Random(start.random);
    this.#renewals = new Renewals(settings.heartbeatExpiration);
    const emit = (event: EngineEvent) => void this.#events.push(event);
    const memories = new PeerMemories(PENDING_PER_MEMBER * settings.maxMembers);
    this.#memories = memories;
    this.#store = new Store(start.id, emit);
    this.#membership = new Membership(settings, {
      selfId: start.id,
      store: this.#store,
      memories,
      emit,
      now: start.now,
      openMembership: start.openMembership,
    });
    this.#sync = new PeerSync(settings, {
      selfId: start.id,
      store: this.#store,
      membership: this.#membership,
      memories,
      emit,
      signs: this.#signs,
    });
    this.#heartbeats = new Heartbeats(settings, {
      selfId: start.id,
      store: this.#store,
      membership: this.#membership,
      emit,
      suspicions: this.#suspicions,
      // Where members sign, nobody speaks for another, and vectors are not signed (rule L4).
      trustsVectors: !this.#signs,
    });
    this.#room = new Room(settings, {
      store: this.#store,
      membership: this.#membership,
      held: this.#store.held,
      emit,
    });
    this.#merge = new Merge(settings, {
      store: this.#store,
      membership: this.#membership,
      room: this.#room,
      heartbeats: this.#heartbeats,
      emit,
      signs: this.#signs,
    });
    this.#self = this.#store.addMember(start.id, start.incarnation);
    this.#store.log.recordChange(this.#self);
  }

  /** This member's id. */
  get id(): string {
    return this.#id;
  }

  /** This member's present life. */
  get incarnation(): Incarnation {
    return this.#self.incarnation;
  }

  /** How far the spreading has come. */
  get phase(): Phase {
    return this.#phase;
  }

  /** The digest of all active state (rule E12). */
  get digest(): string {
    return this.#store.digest;
  }

  /** The hash of the active ids. */
  get active(): string {
    return this.#store.activeHash;
  }

  /** Whether this member knows whom it has to agree with (rule E13). */
  get hasMetPeer(): boolean {
    return this.#hasMetPeer;
  }

  /**
   * Whether another process lives under this id and proved it, so that no gossip is sent or taken any more (rule E1).
   * Only where members sign.
   */
  get isFenced(): boolean {
    return this.#isFenced;
  }

  /**
   * Sets a key of this member. The value was copied by `copyJson`.
   *
   * @throws {RangeError} where the value or the member's whole state would be larger than a limit allows.
   */
  set(
    key: string,
    copy: { readonly value: JsonValue; readonly json: string; readonly type?: string },
    now: Instant,
  ): WithEvents<{ number: number }> {
    return this.#transaction(now, () => ({ number: this.#setOwn(key, copy, now) }));
  }

  /** Deletes a key of this member; `number` is undefined where there was nothing to delete. */
  delete(key: string, now: Instant): WithEvents<{ number: number | undefined }> {
    return this.#transaction(now, () => {
      if (!this.#self.live(key)) return { number: undefined };
      const number = this.#self.version + 1;
      this.#store.put(this.#self, [{ key, number, type: "", value: undefined, json: "" }], now);
      return { number };
    });
  }

  /**
   * Counts an interval (R2.2, R6.1, rule L1). Sets the statistics of the heartbeat, and this member's view of the
   * topology, where these changed (R6.2, E14).
   */
  countHeartbeat(actorCount: Readonly<Record<string, number>> | undefined, now: Instant): WithEvents {
    return this.#transaction(now, () => {
      if (actorCount) this.#setStatistics(actorCount, now);
      this.#heartbeats.count(this.#self, now);
      this.#publishTopology(now);
      return {};
      // Every member publishes its topology after each join: pushed, these would be quadratic in number.
    }, { passOn: false });
  }

  /** Whether the events of heartbeats are emitted: they are many, so only where somebody listens. */
  observeHeartbeats(isObserved: boolean): void {
    this.#heartbeats.isObserved = isObserved;
  }

  /** The heartbeat of a member, as a value of the key of heartbeats; none where nothing was heard of it. */
  heartbeatOf(memberId: string): Entry | undefined {
    const state = this.#store.log.get(memberId);
    return state && state.heartbeatCount > 0 ? heartbeatEntry(state) : undefined;
  }

  /** A peer said another member's count. Where members sign, nobody speaks for another (rule L4). */
  applyCount(memberId: string, count: number, now: Instant): WithEvents {
    return this.#transaction(now, () => {
      const state = this.#store.log.get(memberId);
      if (state && !this.#signs && !this.#isFenced) this.#heartbeats.applyCount(state, count, now);
      return {};
    });
  }

  /** Suspects an active member of having crashed (rule C2). */
  suspect(memberId: string, now: Instant): WithEvents {
    return this.#transaction(now, () => {
      const isNew = this.#store.active.has(memberId) && this.#suspicions.add(memberId, now.monotonicMs);
      if (isNew) this.#events.push({ type: "MemberSuspected", memberId });
      return {};
    });
  }

  /**
   * Blocks a suspect if no newer heartbeat of it arrived for `waitMs` (rule C3). Returns in how many milliseconds that will
   * be the case: 0 or less if it is blocked.
   */
  confirmCrash(
    memberId: string,
    { waitMs }: { readonly waitMs: number },
    now: Instant,
  ): WithEvents<{ dueInMs: number }> {
    return this.#transaction(now, () => {
      const dueInMs = this.#suspicions.dueInMs(memberId, { nowMs: now.monotonicMs, waitMs });
      if (dueInMs <= 0) this.#membership.block(memberId, "crashed", now);
      return { dueInMs };
    });
  }

  /** Suspects a member no longer. */
  clearSuspicion(memberId: string): WithEvents {
    return this.#transaction(undefined, () => {
      this.#endSuspicion(memberId);
      // mutant delete-statement: #act() spreads it, and undefined is spread to as little.
      return {};
    });
  }

  /** True if a member is active and suspected of having crashed. */
  isSuspected(memberId: string): boolean {
    return this.#suspicions.has(memberId) && this.#store.active.has(memberId);
  }

  /** Whether this member has heard of no other for long, although the topology has others (rule L5). */
  get isIsolated(): boolean {
    return this.#isIsolated;
  }

  /** What to say to a peer of who is alive, in the same message as what is `sent`. */
  liveness(peerId: string, sent?: Sent): Liveness {
    const peer = this.#memories.peek(peerId);
    const maxBytes = Math.min(this.#settings.maxMessageBytes, peer?.maxMessageBytes ?? Infinity);
    // An unversioned peer would ignore a vector, which is then better sent to another.
    if (peer?.incarnation !== undefined && isUnversioned(peer.incarnation)) {
      return { count: this.#self.heartbeatCount };
    }
    const room = maxBytes - ENVELOPE_BYTES - (sent?.bytes ?? 0);
    return this.#heartbeats.toSend(this.#self, {
      peerLives: peer?.incarnationsHash,
      room,
      nowMs: this.#nowMs,
    });
  }

  /** A peer said who is alive. */
  applyLiveness(peerId: string, liveness: Liveness, now: Instant): WithEvents {
    return this.#transaction(now, () => {
      if (this.#isFenced) return {};
      this.#recordHeard(now);
      this.#sync.recordHeard(peerId, now.monotonicMs);
      const held = this.incarnationOf(peerId);
      const peer = this.#memories.peek(peerId);
      const incarnation = peer?.incarnation ?? held;
      // A count is of the life that the peer greeted with, and of no other.
      if (held === undefined || held === incarnation) {
        this.#heartbeats.applyOwnCount(peerId, liveness.count, now);
      } else if (incarnation !== undefined && held < incarnation) {
        this.#membership.heartbeat(peerId, now);
      }
      if (!liveness.vector) return {};
      const { active } = liveness.vector;
      // A peer that names members by tags does not know that the two agree on them.
      peer?.recordIncarnationsHash(active);
      this.#heartbeats.apply(liveness.vector, now);
      return {};
    });
  }

  /**
   * Whether a peer and this member know that they have the same state, and this member that all have it: then a
   * heartbeat is all there is to send.
   */
  isQuiet(peerId: string): boolean {
    return this.#phase === "confirmed" && this.#sync.isQuiet(peerId);
  }

  /** Whether a peer was not heard for so long that it is to be asked something: a connection may bring nothing any more. */
  isSilent(peerId: string): boolean {
    const silentMs = this.#nowMs - (this.#memories.peek(peerId)?.heardMs ?? -Infinity);
    return silentMs > this.#settings.heartbeatExpiration / SILENT_SHARE;
  }

  /**
   * Whether nothing is to be exchanged with any peer, and all are heard, so that a round needs to reach one peer only. Where
   * members sign, each is kept alive by its own word, so that a round reaches as many as ever (rule L4).
   */
  get isIdle(): boolean {
    if (this.#phase !== "confirmed" || this.#signs) return false;
    return this.#membership.longestSilence(this.#nowMs) <=
      this.#settings.heartbeatExpiration / ISOLATED_SHARE;
  }

  /** This member's state, to be signed; `undefined` where all of it is. */
  unsignedSnapshot(): UnsignedSnapshot | undefined {
    return this.#self.signedUpTo < this.#self.version ? this.#self.unsignedSnapshot() : undefined;
  }

  /** Tells this much of this member's state from now on, under its signature. */
  attachSignature(draft: UnsignedSnapshot, proof: string): WithEvents {
    return this.#transaction(undefined, () => {
      // A life that was begun meanwhile has nothing of it.
      if (draft.state.incarnation === this.incarnation && draft.state.number > this.#self.signedUpTo) {
        this.#self.attachSignature(draft, proof);
      }
      return {};
    });
  }

  /** What would be held of a member if this were taken, to be verified; `undefined` where nothing would be. */
  signedStateOf(delta: MemberDelta): SignedState | undefined {
    return signedStateOf(delta, this.#store.log.get(delta.id));
  }

  /** Does what time brings, once an interval: expiry, leaving, forgetting (R2.3, R2.4, E8, E11). */
  tick(now: Instant): WithEvents {
    return this.#transaction(now, () => {
      this.#checkIsolation(now);
      this.#heartbeats.tick(now);
      this.#membership.tick(now);
      this.#room.tick(now);
      this.#settleDeletions();
      this.#store.dropExpiredTombstones(now.monotonicMs, this.#settings.tombstoneRetention);
      return {};
    });
  }

  /** Deletions that all active members know of need not be told any more (rule E8). */
  #settleDeletions(): void {
    if (this.#store.tombstones === 0) return;
    if (this.#phase === "confirmed") this.#store.recordAllAcked();
    else if (this.#self.deletions.size > 0) {
      this.#store.recordAckedByAll(this.#self, this.#sync.ownAckedByAll());
    }
  }

  /** Sets the key that says that this member leaves (R9.2). */
  leave(now: Instant): WithEvents<{ number: number }> {
    return this.#transaction(now, () => ({
      number: this.#setOwn(GRACEFULLY_LEFT_KEY, { ...withJson({}), type: TYPE.empty }, now),
    }));
  }

  /** Takes over who belongs to the cluster (R7). */
  setTopology(
    topology: { readonly members: readonly string[]; readonly blocked: readonly string[] },
    now: Instant,
  ): WithEvents {
    return this.#transaction(now, () => {
      if (!this.#openMembership) this.#hasMetPeer = true;
      this.#membership.setTopology(topology, now);
      for (const id of this.#store.peers) this.#sync.resendAll(id);
      for (const id of this.#blockedBy) if (!this.isMember(id)) this.#blockedBy.delete(id);
      return {};
    });
  }

  /** Under which number a member last said that other members are active for it. */
  #topologyNumber(id: string): number | undefined {
    return this.#store.log.get(id)?.get(TOPOLOGY_KEY)?.number;
  }

  /** Whether an id is in the topology; one's own always is. */
  isMember(id: string): boolean {
    return this.#membership.isMember(id);
  }

  /** The ids in the topology that are not blocked, this member's own among them. */
  activeIds(): ReadonlySet<string> {
    return this.#store.active;
  }

  /** The active ids without this member's own, in an order that depends only on what happened; changes with them. */
  activePeers(): readonly string[] {
    return this.#store.peers;
  }

  /** What is known of a member's block, if it is blocked. */
  blockedMember(id: string): BlockedMember | undefined {
    return this.#membership.blocks.get(id);
  }

  /** Everyone who is blocked, the first blocked first. */
  blockedMembers(): BlockedMember[] {
    return this.#membership.blocks.ids().map((id) => this.#membership.blocks.get(id)!);
  }

  /** Frees a member by hand; one that left is blocked anew at the next interval. */
  unblock(id: string, now: Instant): WithEvents<{ freed: boolean }> {
    return this.#transaction(now, () => ({ freed: this.#membership.free(id, now) }));
  }

  /** The ids blocked as expired that are to be greeted now (rule E10); each is named once an interval. */
  dueProbes(now: Instant): string[] {
    return this.#membership.blocks.dueProbes(now.monotonicMs);
  }

  /** A peer says that this member is blocked; that is told once until the peer is greeted again. */
  onBlockedBy(peerId: string, reason: BlockReason): WithEvents {
    return this.#transaction(undefined, () => {
      if (!this.#blockedBy.has(peerId)) this.#events.push({ type: "SelfBlocked", peerId, reason });
      if (this.isMember(peerId)) this.#blockedBy.add(peerId);
      // Others heard nothing of this member for long: it may have been suspended without noticing it.
      if (endsWithIncarnation(reason)) this.#heartbeats.distrust({ monotonicMs: this.#nowMs, wallMs: 0 });
      return {};
    });
  }

  /**
   * A peer that refused this member knows this life of it: above a later one than its own it begins anew (E1).
   * So a member whose clock was set back is heard again where an earlier life of it is known to have left. Where
   * members sign, only a state of that life that this member signed counts.
   */
  reportedIncarnation(
    incarnation: Incarnation,
    now: Instant,
    { isSigned = false }: { readonly isSigned?: boolean } = {},
  ): WithEvents {
    return this.#transaction(now, () => {
      const later = incarnation > this.incarnation && !isFarAhead(incarnation, now.wallMs)
        ? incarnation
        : undefined;
      this.#renewAbove(later, { isSigned, now });
      return {};
    });
  }

  /**
   * Proves the life of a member that is held: its whole state under its signature. Undefined where nothing is held that
   * it signed, or where a message of that size has no room for it: that is what the member itself takes.
   */
  proofOfLife(id: string, maxMessageBytes?: number): MemberDelta | undefined {
    if (!this.#canProve(id, maxMessageBytes)) return undefined;
    return this.#store.log.get(id)!.deltaAfter(0, { reset: true });
  }

  /** The same without the entries. */
  #canProve(id: string, maxMessageBytes = this.#memories.peek(id)?.maxMessageBytes ?? Infinity): boolean {
    const state = this.#store.log.get(id);
    if (!this.#signs || state?.signature === undefined) return false;
    const room = Math.min(maxMessageBytes, this.#settings.maxMessageBytes) - ENVELOPE_BYTES;
    return memberBytes(id) + signatureBytes(id, state.signature) + state.signedBytes <= room;
  }

  /**
   * Whether a later life is held of a peer than the one that it greeted with, so that it is to begin another one above;
   * where members sign, only if that can be proved to it.
   */
  isOutlived(peerId: string): boolean {
    const peer = this.#memories.peek(peerId);
    if (!peer || !this.#sync.isOutlived(peer)) return false;
    return !this.#signs || this.#canProve(peerId);
  }

  /** A peer's greeting came, asked for or answered. A refusal says that nothing may follow. */
  applyHello(
    peer: {
      readonly id: string;
      readonly incarnation: Incarnation;
      readonly digest: string;
      readonly active: string;
      readonly count?: number;
      readonly maxMessageBytes?: number;
    },
    now: Instant,
  ): WithEvents<{ refusal: HelloRejection | undefined }> {
    return this.#transaction(now, () => {
      if (isFarAhead(peer.incarnation, now.wallMs)) return { refusal: "invalid" };
      if (peer.id === this.#id) {
        if (peer.incarnation > this.incarnation) this.#meetDuplicate(peer.incarnation, now);
        return { refusal: "id_conflict" };
      }
      if ((this.latestIncarnation(peer.id) ?? "") > peer.incarnation) {
        // Its clock has stepped back, or another process uses its id: it is to begin above what is known.
        if (!this.#signs || this.#canProve(peer.id, peer.maxMessageBytes)) return { refusal: "id_conflict" };
        // It would not believe this: then its greeting, which is signed and of now, counts for more.
        this.#merge.forgetIncarnation(peer.id, peer.incarnation, now);
      }
      this.#merge.beginIncarnation(peer.id, peer.incarnation, now);
      if (this.#signs && this.#isBack(peer)) this.#membership.newerIncarnation(peer.id, now);
      if (endsWithIncarnation(this.#membership.blocks.reason(peer.id))) this.#membership.free(peer.id, now);
      if (this.#membership.blocks.has(peer.id)) return { refusal: "blocked" };
      this.#hasMetPeer = true;
      this.#recordHeard(now);
      this.#endSuspicion(peer.id);
      this.#membership.met(peer.id, now);
      this.#blockedBy.delete(peer.id);
      this.#heartbeats.applyOwnCount(peer.id, peer.count ?? 0, now);
      this.#sync.recordHello(peer, now.monotonicMs);
      return { refusal: undefined };
    });
  }

  /**
   * What to tell a peer now (R3.2), beside an answer of what is held, those first that the peer `asked` for. Nothing
   * counts as told before {@linkcode Engine.handleAck}.
   */
  disseminate(
    peerId: string,
    { holds: versions = NONE, asked = NONE }: {
      readonly holds?: KnownVersions;
      readonly asked?: KnownVersions;
    } = {},
  ): WithEvents<{ delta: Delta; sent: Sent }> {
    const beside = { holds: versions, asked, nowMs: this.#nowMs, silent: this.#isFenced };
    return this.#transaction(undefined, () => this.#sync.disseminate(peerId, beside));
  }

  /** The same where the peer is to answer: `holds` says whom it is asked for, and what is held of each. */
  prepareGossip(peerId: string): WithEvents<{ delta: Delta; sent: Sent; holds: KnownVersions }> {
    const versions = this.#isFenced ? NONE : this.#sync.membersToPull(peerId);
    return { ...this.disseminate(peerId, { holds: versions }), holds: versions };
  }

  /**
   * Merges what a peer told (R3.3), but for the members that are `refused`; `holds` is to be answered. What is told
   * of this member itself is taken for more than talk, where members sign, if it is among the `verified`. A
   * life more than a year ahead is refused like those; the peer may be an honest relay whose clock is ahead (E2).
   */
  applyIncoming(
    peerId: string,
    delta: Delta,
    now: Instant,
    options: { readonly refused?: ReadonlySet<string>; readonly verified?: ReadonlySet<string> } = {},
  ): WithEvents<{ holds: KnownVersions }> {
    return this.#transaction(now, () => {
      if (this.#isFenced) return { holds: NONE };
      const merging = this.#sync.beforeMerge(peerId);
      const { holds: versions, newerIncarnation, newTopologies } = this.#mergeMembers(peerId, delta, {
        ...options,
        now,
      });
      // Without it the peer would not learn that its life is over for as long as it sets nothing (E1).
      if (this.#sync.isOutlived(merging.peer)) versions.set(peerId, this.versionOf(peerId)!);
      this.#sync.afterMerge(merging, delta, { holds: versions, nowMs: now.monotonicMs });
      for (const id of newTopologies) this.#sync.resendAll(id);
      this.#renewAbove(newerIncarnation, { isSigned: options.verified?.has(this.#id), now });
      return { holds: versions };
    });
  }

  /**
   * Merges entries that a peer pushed. Where `relay` is true, what was news here is to be passed on. A gap is left for
   * the next round to report.
   */
  applyPush(
    peerId: string,
    push: { readonly delta: PartialDelta; readonly relay: boolean },
    now: Instant,
    options: { readonly refused?: ReadonlySet<string>; readonly verified?: ReadonlySet<string> } = {},
  ): WithEvents {
    return this.#transaction(now, () => {
      if (this.#isFenced) return {};
      const { delta } = push;
      const merging = this.#sync.beforeMerge(peerId);
      const { holds: versions, newerIncarnation, newTopologies } = this.#mergeMembers(peerId, delta, {
        ...options,
        now,
      });
      this.#sync.recordReceived(merging, delta, versions);
      for (const id of newTopologies) this.#sync.resendAll(id);
      this.#renewAbove(newerIncarnation, { isSigned: options.verified?.has(this.#id), now });
      return {};
    }, { passOn: push.relay });
  }

  /** What changed of these members, to be sent to a peer at once; it does not count as acknowledged (rule E5). */
  push(peerId: string, ids: Iterable<string>): WithEvents<{ delta: PartialDelta }> {
    return this.#transaction(undefined, () => {
      if (this.#isFenced) return { delta: { members: [] } };
      return { delta: { members: this.#sync.push(peerId, ids, this.#nowMs) } };
    });
  }

  /** Whether there is something to take by {@linkcode Engine.takeChanges}. */
  get hasChanges(): boolean {
    return this.#changes.own || this.#changes.others.size > 0;
  }

  /** The changes since the last call that are to be sent before the next round. */
  takeChanges(): Changes {
    const changes = this.#changes;
    if (this.hasChanges) this.#changes = { own: false, others: new Set() };
    return changes;
  }

  /** A peer acknowledged what was sent, but for what it says it holds instead (rule E5). However late. */
  handleAck(sent: Sent, versions: KnownVersions, now: Instant): WithEvents {
    return this.#transaction(now, () => {
      if (this.#isFenced) return {};
      const credible = new Map(
        [...versions].filter(([, version]) => !isFarAhead(version.incarnation, now.wallMs)),
      );
      this.#sync.acknowledge(sent, credible, now.monotonicMs);
      // A life of which nothing was set yet is told by no delta: only so is it known that the one held is over.
      for (const [id, { incarnation }] of credible) {
        // Where members sign, nobody else can end one's life by saying so.
        if (this.#signs && id !== sent.peerId) continue;
        if (id !== this.#id && this.#store.log.get(id)) this.#merge.beginIncarnation(id, incarnation, now);
      }
      const own = credible.get(this.#id);
      if (own && this.#isAhead(own)) this.#renewAbove(own.incarnation, { now });
      return {};
    });
  }

  /** The parts of a comparison that is due with a peer (rule E12), and begins; none where none is due. */
  requestReconcile(peerId: string): WithEvents<{ parts: readonly SummaryPart[] }> {
    return this.#transaction(undefined, () => ({ parts: this.#sync.reconciliation.request(peerId) }));
  }

  /**
   * Answers a peer's part of a comparison with what is held of the members in it; `undefined` where the peer has had more
   * compared than it needs.
   */
  answerReconcile(peerId: string, part: SummaryPart): WithEvents<{ part: SummaryPart | undefined }> {
    return this.#transaction(
      undefined,
      () => ({ part: this.#sync.reconciliation.answer(peerId, part, this.#nowMs) }),
    );
  }

  /** Takes a peer's answer to a part of a comparison. */
  applyReconcile(peerId: string, part: SummaryPart, options: { readonly last: boolean }): WithEvents {
    return this.#transaction(undefined, () => {
      this.#sync.reconciliation.applyAnswer(peerId, part, options);
      return {};
    });
  }

  /** Ends a comparison to which no answer came; it is begun anew if the digests go on to differ. */
  abandonReconcile(peerId: string): WithEvents {
    return this.#transaction(undefined, () => {
      this.#sync.reconciliation.abandon(peerId);
      return {};
    });
  }

  /** The entry under a key of a member; none where it was deleted. */
  get(memberId: string, key: string): Entry | undefined {
    if (key === HEARTBEAT_KEY) return this.heartbeatOf(memberId);
    return this.#store.log.get(memberId)?.live(key);
  }

  /** The entries under a key, of every member that has one. */
  state(key: string): Map<string, Entry> {
    const entries = new Map<string, Entry>();
    for (const member of this.#store.log.members()) {
      const entry = this.get(member.id, key);
      if (entry) entries.set(member.id, entry);
    }
    return entries;
  }

  /** The ids of all members of which something is held. */
  memberIds(): Iterable<string> {
    return [...this.#store.log.members()].map((member) => member.id);
  }

  /** The entries of a member that have a value, in rising order of number. */
  entriesOf(memberId: string): readonly Entry[] {
    const member = this.#store.log.get(memberId);
    const live = [...member?.entries() ?? []].filter((entry) => !isTombstone(entry));
    return member?.isUnversioned ? live.sort((one, other) => one.number - other.number) : live;
  }

  /** The same with the heartbeat as others see it. */
  shownEntriesOf(memberId: string): readonly Entry[] {
    const heartbeat = this.heartbeatOf(memberId);
    const others = this.entriesOf(memberId).filter(({ key }) => key !== HEARTBEAT_KEY);
    return heartbeat ? [...others, heartbeat] : others;
  }

  /** The life of a member that is held. */
  incarnationOf(memberId: string): Incarnation | undefined {
    return this.#store.log.get(memberId)?.incarnation;
  }

  /** The latest life known of a member: the one held, or else the one remembered of a member forgotten. */
  latestIncarnation(memberId: string): Incarnation | undefined {
    return this.incarnationOf(memberId) ?? this.#membership.departures.memory(memberId)?.incarnation;
  }

  /** How much of a member is held; of a foreign member, which may have holes, the highest number. */
  versionOf(memberId: string): KnownVersion | undefined {
    const member = this.#store.log.get(memberId);
    return member && { incarnation: member.incarnation, number: member.highestNumber };
  }

  /** How much is kept, to be held against its limits. */
  get footprint(): Footprint {
    const { log, tombstones } = this.#store;
    const { gone, remembered } = this.#membership.departures;
    let keys = 0;
    for (const member of log.members()) keys += member.size.keys;
    return { members: log.size, keys, tombstones, gone, remembered, pending: this.#memories.pendingCount };
  }

  /** How much is held of other members, and how often there was no room for more (rule E15). */
  get room(): { readonly bytes: number; readonly dropped: number; readonly refused: number } {
    const { dropped, refused } = this.#room;
    return { bytes: this.#store.held.bytes, dropped, refused };
  }

  /**
   * Makes a place in the topology for a member that shakes hands, where all are taken; `id` is the member that lost its
   * own, `undefined` where each place is of one that is trusted as much.
   */
  makePlace(now: Instant): WithEvents<{ id: string | undefined }> {
    return this.#transaction(now, () => ({ id: this.#room.makePlaceInTopology(now) }));
  }

  /** How many active peers are known to hold this member's own state up to a number. */
  acknowledgedBy(number: number): number {
    return this.#sync.acknowledgedBy(number);
  }

  /** Whether an active peer is known to hold this member's own state up to a number. */
  isAcknowledgedBy(peerId: string, number: number): boolean {
    return this.#sync.isAcknowledgedBy(peerId, number);
  }

  /** The number under which a key of this member was last set; it changes with a renewed life. */
  ownNumber(key: string): number | undefined {
    return this.#self.live(key)?.number;
  }

  /** Begins to evaluate whether all active members have the same value under a key (rule E13). */
  addCheck(id: string, key: string, read: ConsensusReader): WithEvents {
    return this.#transaction(undefined, () => {
      this.#store.addCheck(new ConsensusCheck(id, key, read));
      return {};
    });
  }

  /** Drops a check; returns whether there was one. */
  removeCheck(id: string): boolean {
    return this.#store.checks.delete(id);
  }

  /** What all active members agree on, as a check reads it. */
  consensus(id: string): { readonly reached: boolean; readonly value: JsonValue | undefined } {
    const agreed = this.#store.checks.get(id)?.agreed;
    return { reached: agreed !== undefined, value: agreed === undefined ? undefined : JSON.parse(agreed) };
  }

  /** The active members that have no value, or another than most. */
  dissenters(id: string): string[] {
    return this.#store.checks.get(id)?.dissenters(this.#store.active) ?? [];
  }

  /**
   * Does something, sees what that means for consensus and phase, and hands out the events. With `passOn: false`, a
   * change is left for the rounds to spread.
   */
  #transaction<T>(now: Instant | undefined, action: () => T, { passOn = true } = {}): WithEvents<T> {
    if (now) {
      this.#nowMs = now.monotonicMs;
      this.#heartbeats.noteTime(now);
    }
    const result = action();
    const changed = this.#store.log.takeRecent();
    if (passOn && changed.size > 0) this.#recordChanges(changed);
    this.#finish();
    const events = this.#events;
    this.#events = [];
    return { ...result, events };
  }

  #recordChanges(changed: ReadonlySet<string>): void {
    for (const id of changed) {
      if (id === this.#id) this.#changes.own = true;
      else if (this.#changes.others.size < MAX_CHANGES) this.#changes.others.add(id);
    }
  }

  #mergeMembers(
    peerId: string,
    delta: PartialDelta,
    { refused, now }: { readonly refused?: ReadonlySet<string>; readonly now: Instant },
  ): {
    holds: Map<string, KnownVersion>;
    newerIncarnation: Incarnation | undefined;
    newTopologies: ReadonlySet<string>;
  } {
    const versions = new Map<string, KnownVersion>();
    // Any sender counts: a relay may be faster than the member itself, whose own entry is then no news.
    const newTopologies = new Set<string>();
    let newerIncarnation: Incarnation | undefined;
    for (const each of delta.members) {
      const isRefused = refused?.has(each.id) || isFarAhead(each.incarnation, now.wallMs);
      if (isRefused && each.id !== this.#id) this.#merge.refuse(each, { holds: versions });
      else if (isRefused) continue;
      else if (each.id === this.#id) newerIncarnation = this.#checkOwn(each, versions) ?? newerIncarnation;
      else {
        const topology = this.#topologyNumber(each.id);
        this.#merge.merge(each, { peerId, holds: versions, now });
        if (this.#topologyNumber(each.id) !== topology) newTopologies.add(each.id);
      }
    }
    return { holds: versions, newerIncarnation, newTopologies };
  }

  #finish(): void {
    for (const check of this.#store.checks.values()) {
      const agreed = this.#hasMetPeer && !this.#isIsolated
        ? check.evaluate(this.#store.active.size)
        : undefined;
      if (agreed === check.agreed) continue;
      check.agreed = agreed;
      const { id: checkId, key } = check;
      if (agreed === undefined) this.#events.push({ type: "ConsensusLost", checkId, key });
      else this.#events.push({ type: "ConsensusReached", checkId, key, value: JSON.parse(agreed) });
    }
    const phase = this.#evaluatePhase();
    if (phase === this.#phase) return;
    this.#events.push({ type: "PhaseChanged", from: this.#phase, to: phase });
    this.#phase = phase;
    if (phase === "confirmed") this.#events.push({ type: "Confirmed", digest: this.digest });
  }

  #evaluatePhase(): Phase {
    if (this.#memories.inRepair) return "reconciling";
    const { convergence: agreement } = this.#store;
    const confirmed = this.#hasMetPeer && !this.#isIsolated &&
      agreement.agreeing(this.#sync.state) === agreement.peers;
    return confirmed ? "confirmed" : "diffusing";
  }

  /** The end of the suspicion of a blocked member is no sign of life. */
  #endSuspicion(memberId: string): void {
    if (!this.#suspicions.remove(memberId) || !this.#store.active.has(memberId)) return;
    this.#events.push({ type: "SuspicionEnded", memberId });
  }

  #recordHeard(now: Instant): void {
    this.#heardMs = now.monotonicMs;
    if (!this.#isIsolated) return;
    this.#isIsolated = false;
    this.#events.push({ type: "Rejoined" });
  }

  /** The time in which this process stood still counts for nobody (E9). */
  #checkIsolation(now: Instant): void {
    const { gossipInterval, gossipRequestTimeout, heartbeatExpiration } = this.#settings;
    const longestGap = gossipInterval + gossipRequestTimeout;
    const lostMs = Math.max(0, now.monotonicMs - this.#tickedMs - longestGap);
    this.#tickedMs = now.monotonicMs;
    // A message may have come after the gap and before this call; a moment in the future would put off isolation.
    this.#heardMs = Math.min(this.#heardMs + lostMs, now.monotonicMs);
    // A member that nobody else is with is alone, and not isolated.
    if (!this.#membership.hasOthers) this.#recordHeard(now);
    const mostMs = Math.max(heartbeatExpiration / ISOLATED_SHARE, 2 * longestGap);
    if (this.#isIsolated || now.monotonicMs - this.#heardMs <= mostMs) return;
    this.#isIsolated = true;
    this.#events.push({ type: "Isolated" });
  }

  #setStatistics(actorCount: Readonly<Record<string, number>>, now: Instant): void {
    const isEmpty = Object.keys(actorCount).length === 0;
    const heartbeat: JsonValue = isEmpty ? {} : { actorStatistics: { actorCount } };
    if (this.#self.live(HEARTBEAT_KEY)?.json === JSON.stringify(heartbeat)) return;
    const { json, value } = withJson(heartbeat);
    this.#setOwn(HEARTBEAT_KEY, { json, value, type: TYPE.heartbeat }, now);
  }

  #publishTopology(now: Instant): void {
    const active = this.#store.activeHash;
    if (this.#publishedTopology === active) return;
    this.#publishedTopology = active;
    const blocked = firstThatFit(this.#membership.blocks.ids());
    const { json, value } = withJson({
      topologyHash: topologyHash(this.#store.active),
      ...(blocked.length > 0 && { blocked }),
    });
    this.#setOwn(TOPOLOGY_KEY, { json, value, type: TYPE.topology }, now);
  }

  #setOwn(
    key: string,
    copy: { readonly value: JsonValue; readonly json: string; readonly type?: string },
    now: Instant,
  ): number {
    const entry = { key, number: this.#self.version + 1, type: TYPE.value as string, ...copy };
    // What a member tells of itself is small, and must be told also where the user's state is at its limit.
    if (!isReservedKey(key)) this.#checkSize(entry);
    this.#store.put(this.#self, [entry], now);
    return entry.number;
  }

  /** Refuses to set what would make this member's state larger than the limits allow. */
  #checkSize(entry: SentEntry): void {
    const { maxKeysPerMember, maxMessageBytes, maxStateBytes } = this.#settings;
    const { keys, bytes, sentBytes } = this.#self.sizeWith(entry);
    const share = Math.floor(maxMessageBytes / 2) - ENVELOPE_BYTES - memberBytes(this.#id);
    const refuse = (what: string, limit: string, size: number) => {
      const name = JSON.stringify(entry.key);
      const deleted = this.#self.deletions.size;
      const counted = deleted > 0
        ? ` ${deleted} deleted keys count until all active members know of the deletion.`
        : "";
      throw new RangeError(
        `${what} may ${limit}; with ${name} it would be ${size}. Nothing was changed.${counted}`,
      );
    };
    if (entryBytes(entry) > share) {
      refuse("A value", `take ${share} bytes, half of maxMessageBytes`, entryBytes(entry));
    }
    // A signature covers all of a state, which therefore travels in one message.
    if (this.#signs && sentBytes > share) {
      refuse("The state of a member that signs", `take ${share} bytes, half of maxMessageBytes`, sentBytes);
    }
    if (bytes > maxStateBytes) {
      refuse("The state of a member", `take ${maxStateBytes} bytes, maxStateBytes`, bytes);
    }
    if (keys > maxKeysPerMember) {
      refuse(
        "A member",
        `have ${maxKeysPerMember} keys, its own affairs among them (maxKeysPerMember)`,
        keys,
      );
    }
  }

  /** Whether a peer that left has begun a later life, whose state came before its greeting. */
  #isBack({ id, incarnation }: { readonly id: string; readonly incarnation: Incarnation }): boolean {
    const state = this.#store.log.get(id);
    return this.#membership.blocks.reason(id) === "left" && state?.incarnation === incarnation &&
      state.live(GRACEFULLY_LEFT_KEY) === undefined;
  }

  /** What a peer says of this member is never merged; a later life or number of it is somebody else's (E1). */
  #checkOwn(delta: MemberDelta, versions: Map<string, KnownVersion>): Incarnation | undefined {
    const { incarnation, last: number } = spanOf(delta);
    if (this.#isAhead({ incarnation, number })) return incarnation;
    if (incarnation < this.incarnation) {
      versions.set(this.#id, { incarnation: this.incarnation, number: this.#self.version });
    }
    return undefined;
  }

  #isAhead(own: KnownVersion): boolean {
    return own.incarnation > this.incarnation ||
      (own.incarnation === this.incarnation && own.number > this.#self.version);
  }

  /** A peer knows a later life of this member, or a higher number than its own. That alone never silences it (E1). */
  #renewAbove(
    delta: Incarnation | undefined,
    { isSigned = false, now }: { readonly isSigned?: boolean | undefined; readonly now: Instant },
  ): void {
    if (delta === undefined || this.#isFenced) return;
    // Anybody can say so. Whoever knows of a later life can prove it, see proofOfLife().
    if (this.#signs && !isSigned) return;
    if (this.#renewals.hear(now.monotonicMs)) this.#emitConflict();
    if (this.#renewals.begin(now.monotonicMs)) this.#renewIncarnation(delta, now);
  }

  /** A process under this member's id greeted it in a later life. */
  #meetDuplicate(delta: Incarnation, now: Instant): void {
    // Without signatures anybody can greet under any id.
    if (!this.#signs) return this.#renewAbove(delta, { now });
    if (this.#isFenced || !this.#renewals.meet(now.monotonicMs)) return;
    this.#emitConflict();
    this.#events.push({ type: "SelfBlocked", reason: "identity" });
    this.#isFenced = true;
  }

  #emitConflict(): void {
    this.#events.push({ type: "ConflictDetected", memberId: this.#id, reason: "identity" });
  }

  /** Begins a new life above another one, and sets every key anew in it (E1). */
  #renewIncarnation(delta: Incarnation, now: Instant): void {
    const incarnation = incarnationAbove(delta, now.wallMs, this.#random.next());
    const entries = this.entriesOf(this.#id).map((entry, index) => renumbered(entry, index + 1));
    this.#self = this.#store.replace(this.#self, entries, { incarnation, floor: 0, now });
    this.#heartbeats.count(this.#self, now);
    this.#sync.ownIncarnationRenewed();
    this.#events.push({ type: "IncarnationRenewed", incarnation });
  }
}

function isReservedKey(key: string): boolean {
  return key === HEARTBEAT_KEY || key === TOPOLOGY_KEY || key === GRACEFULLY_LEFT_KEY || key === MEMBER_KEY ||
    key === SIGNING_KEY;
}

/** An entry with another number, and without what its holder noted beside it. */
function renumbered({ key, type, value, json }: SentEntry, number: number): SentEntry {
  return { key, number, type, value, json };
}

/** The first of the ids that fit into what a member may publish about others. */
function firstThatFit(ids: readonly string[]): string[] {
  let bytes = 0;
  return ids.slice(0, MAX_PUBLISHED_BLOCKED).filter((id) => (bytes += utf8Length(id)) <= MAX_PUBLISHED_BYTES);
}

function withJson(value: JsonValue): { readonly value: JsonValue; readonly json: string } {
  return { value: deepFreeze(value), json: JSON.stringify(value) };
}
