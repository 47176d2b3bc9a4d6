/**
 * The engine: the gossip protocol without its messages. Pure, synchronous and deterministic: it reads no clock, draws
 * no random number and does no I/O. Equal calls have an equal outcome, bit for bit. A call returns the events that it
 * causes.
 *
 * @module
 */

import { ConsensusCheck, type ConsensusReader } from "./consensus.ts";
import type { HelloRejection, PeerHello } from "./handshakes.ts";
import { isFarAhead, isUnversioned, NO_INCARNATION } from "./incarnation.ts";
import type { IncomingOptions } from "./incoming.ts";
import type { OwnValue } from "./own_state.ts";
import { type EngineParts, type EngineSettings, type EngineStart, makeParts } from "./parts.ts";
import type { NewTopology } from "./membership/membership.ts";
import type { UnsignedSnapshot } from "./state/member_state.ts";
import { ENVELOPE_BYTES } from "./state/size.ts";
import type { Sent } from "./sync/peer_sync.ts";
import type { Changes, WithEvents } from "./transactions.ts";
import type {
  BlockReason,
  Delta,
  Incarnation,
  Instant,
  KnownVersions,
  Liveness,
  MemberDeltas,
  SummaryPart,
} from "./types.ts";
import { EngineView } from "./view.ts";

export type { HelloRejection } from "./handshakes.ts";
export type { EngineSettings, EngineStart } from "./parts.ts";
export type { Sent } from "./sync/peer_sync.ts";
export type { Changes, WithEvents } from "./transactions.ts";

const NO_VERSIONS: KnownVersions = new Map();

/** One member's knowledge of its cluster. */
export class Engine {
  /** The queries. */
  readonly view: EngineView;
  readonly #parts: EngineParts;

  /** Makes the engine of a member that knows only itself. */
  constructor(settings: EngineSettings, start: EngineStart) {
    this.#parts = makeParts(settings, start);
    this.view = new EngineView(this.#parts);
  }

  /**
   * Sets a key of this member. The value must come from `copyJson`.
   *
   * @throws {RangeError} if the value or the member's state would be larger than a limit allows.
   */
  set(key: string, copy: OwnValue, now: Instant): WithEvents<{ number: number }> {
    return this.#transaction(now, () => ({ number: this.#parts.own.set(key, copy, now) }));
  }

  /** Deletes a key of this member; `number` is undefined if the key has no value. */
  delete(key: string, now: Instant): WithEvents<{ number: number | undefined }> {
    return this.#transaction(now, () => ({ number: this.#parts.own.delete(key, now) }));
  }

  /** Sets the key of a graceful leave (R9.2). */
  leave(now: Instant): WithEvents<{ number: number }> {
    return this.#transaction(now, () => ({ number: this.#parts.own.leave(now) }));
  }

  /** Stores the signature of this member's state; only signed state is sent. */
  attachSignature(snapshot: UnsignedSnapshot, signature: string): WithEvents {
    const { state } = this.#parts.own;
    return this.#transaction(undefined, () => {
      // The incarnation may have been renewed since. Then the signature is useless.
      if (snapshot.state.incarnation === state.incarnation && snapshot.state.number > state.signedUpTo) {
        state.attachSignature(snapshot, signature);
      }
      return {};
    });
  }

  /**
   * Counts an interval (R2.2, R6.1, rule L1). Publishes the statistics of the heartbeat, and this member's view of the
   * topology, if these changed (R6.2, E14).
   */
  countHeartbeat(actorCount: Readonly<Record<string, number>> | undefined, now: Instant): WithEvents {
    const { own, heartbeats } = this.#parts;
    return this.#transaction(now, () => {
      if (actorCount) own.publishStatistics(actorCount, now);
      heartbeats.count(own.state, now);
      own.publishTopology(now);
      return {};
      // After each join every member publishes its topology. The number of pushes would grow with the square of the
      // members.
    }, { passOn: false });
  }

  /** Turns the events for heartbeat counts on or off. There are many such events, and only a listener needs them. */
  observeHeartbeats(isObserved: boolean): void {
    this.#parts.heartbeats.observe(isObserved);
  }

  /**
   * Does the work of an interval: expiry, leaving, forgetting (R2.3, R2.4, E8, E11). If this member's incarnation is more
   * than a year ahead, the clock was wrong at its start and was corrected since: another incarnation begins (E2). Without
   * it, peers would refuse this member until its process ends.
   */
  tick(now: Instant): WithEvents {
    const { identity, isolation, heartbeats, membership, own, room, store, settings } = this.#parts;
    return this.#transaction(now, () => {
      const isFalse = isFarAhead(own.incarnation, now.wallMs);
      identity.beginIncarnationAbove(isFalse ? NO_INCARNATION : undefined, { isSigned: true, now });
      isolation.tick(now);
      heartbeats.tick(now);
      membership.tick(now);
      room.tick(now);
      recordDeletionsAcked(this.#parts);
      store.dropExpiredTombstones(now.monotonicMs, settings.tombstoneRetention);
      for (const key of store.expire(now)) own.delete(key, now);
      return {};
    });
  }

  /** Replaces the topology (R7). */
  setTopology(
    topology: NewTopology,
    now: Instant,
  ): WithEvents {
    const { openMembership, handshakes, membership, progress, store, sync } = this.#parts;
    return this.#transaction(now, () => {
      if (!openMembership) progress.recordMetPeer();
      membership.setTopology(topology, now);
      for (const id of store.peers) sync.resendAll(id);
      handshakes.dropFormerMembers();
      return {};
    });
  }

  /**
   * Blocks a member by hand; `blocked` is false if it was blocked by hand already.
   *
   * @throws {RangeError} if too many ids are blocked by hand. Then nothing is changed.
   */
  block(id: string, now: Instant): WithEvents<{ blocked: boolean }> {
    return this.#transaction(now, () => ({ blocked: this.#parts.membership.blockByHand(id, now) }));
  }

  /** Ends a member's block; a member that left is blocked again at the next interval. */
  unblock(id: string, now: Instant): WithEvents<{ freed: boolean }> {
    return this.#transaction(now, () => ({ freed: this.#parts.membership.unblock(id, now) }));
  }

  /**
   * Removes a member from a full topology, for a process that shakes hands now. `id` is the member that was removed;
   * `undefined` if no member is trusted less than that process.
   */
  makePlaceInTopology(now: Instant): WithEvents<{ id: string | undefined }> {
    return this.#transaction(now, () => ({ id: this.#parts.room.makePlaceInTopology(now) }));
  }

  /**
   * The ids blocked as `expired` or `crashed` with a probe due (rule E10); each is returned once in
   * `blockedProbeInterval`.
   */
  takeDueProbes(now: Instant): string[] {
    return this.#parts.membership.blocks.takeDueProbes(now.monotonicMs);
  }

  /** Suspects an active member of a crash (rule C2). */
  suspect(memberId: string, now: Instant): WithEvents {
    return this.#transaction(now, () => {
      this.#parts.suspicions.add(memberId, now.monotonicMs);
      return {};
    });
  }

  /**
   * Blocks a suspect if no newer heartbeat arrived for `waitMs` (rule C3). `dueInMs` is the rest of the wait: 0 or less if
   * the member is blocked.
   */
  confirmCrash(
    memberId: string,
    { waitMs }: { readonly waitMs: number },
    now: Instant,
  ): WithEvents<{ dueInMs: number }> {
    const { membership, suspicions } = this.#parts;
    return this.#transaction(now, () => {
      const dueInMs = suspicions.dueInMs(memberId, { nowMs: now.monotonicMs, waitMs });
      if (dueInMs <= 0) membership.block(memberId, "crashed", now);
      return { dueInMs };
    });
  }

  /** Ends a suspicion. */
  clearSuspicion(memberId: string): WithEvents {
    return this.#transaction(undefined, () => {
      this.#parts.suspicions.remove(memberId);
      // mutant delete-statement: Transactions.run() spreads the result; undefined adds no fields either.
      return {};
    });
  }

  /**
   * Applies a count of another member that a peer reported. Ignored with signing on: a member then speaks only for itself
   * (rule L4).
   */
  applyCount(memberId: string, count: number, now: Instant, peerId?: string): WithEvents {
    const { heartbeats, identity, signs, store } = this.#parts;
    return this.#transaction(now, () => {
      const state = store.log.get(memberId);
      if (state && !signs && !identity.isFenced) heartbeats.applyCount(state, count, now, peerId);
      return {};
    });
  }

  /**
   * The heartbeat counts for a peer, to send with `sent`. A due vector of other members' counts goes to a single peer.
   */
  takeLiveness(peerId: string, sent?: Sent): Liveness {
    const { heartbeats, memories, own, settings, transactions } = this.#parts;
    const peer = memories.peek(peerId);
    const maxBytes = Math.min(settings.maxMessageBytes, peer?.maxMessageBytes ?? Infinity);
    // An unversioned peer ignores vectors, so a due vector is kept for another peer.
    if (peer?.incarnation !== undefined && isUnversioned(peer.incarnation)) {
      return { count: own.state.heartbeatCount };
    }
    const room = maxBytes - ENVELOPE_BYTES - (sent?.bytes ?? 0);
    return heartbeats.takeLiveness(own.state, {
      peerIncarnations: peer?.incarnationsHash,
      room,
      nowMs: transactions.nowMs,
    });
  }

  /** Applies a peer's heartbeat counts. `peer` is the process that its last handshake on the connection named. */
  applyLiveness(peer: Pick<PeerHello, "id" | "incarnation">, liveness: Liveness, now: Instant): WithEvents {
    const { identity, incoming } = this.#parts;
    return this.#transaction(now, () => {
      if (!identity.isFenced) incoming.applyLiveness(peer, liveness, now);
      return {};
    });
  }

  /** Applies a peer's `hello`, as request or as answer. After a refusal no other message may follow. */
  applyHello(peer: PeerHello, now: Instant): WithEvents<{ refusal: HelloRejection | undefined }> {
    return this.#transaction(now, () => ({ refusal: this.#parts.handshakes.apply(peer, now) }));
  }

  /** A peer reports that it blocks this member; emitted once until the next handshake with the peer. */
  onBlockedBy(peerId: string, reason: BlockReason): WithEvents {
    const { handshakes, transactions } = this.#parts;
    return this.#transaction(undefined, () => {
      handshakes.onBlockedBy(peerId, { reason, nowMs: transactions.nowMs });
      return {};
    });
  }

  /**
   * A peer refused this member, because the peer knows `incarnation` under this member's id. If it is later than the
   * present incarnation, this member begins an incarnation above it (E1). Without this, peers would refuse a member
   * after its clock was set back. With signing on, this happens only if `isSigned`: this member signed a state of that
   * incarnation.
   */
  onNewerIncarnation(
    incarnation: Incarnation,
    now: Instant,
    { isSigned = false }: { readonly isSigned?: boolean } = {},
  ): WithEvents {
    const { identity, own } = this.#parts;
    return this.#transaction(now, () => {
      const isLater = incarnation > own.incarnation && !isFarAhead(incarnation, now.wallMs);
      identity.beginIncarnationAbove(isLater ? incarnation : undefined, { isSigned, now });
      return {};
    });
  }

  /**
   * Plans a delta for a peer (R3.2), to send beside `holds`: first the members that the peer `asked` for. Nothing counts
   * as acknowledged before {@linkcode Engine.handleAck}.
   */
  disseminate(
    peerId: string,
    { holds = NO_VERSIONS, asked = NO_VERSIONS }: {
      readonly holds?: KnownVersions;
      readonly asked?: KnownVersions;
    } = {},
  ): WithEvents<{ delta: Delta; sent: Sent }> {
    const { identity, sync, transactions } = this.#parts;
    const options = { holds, asked, nowMs: transactions.nowMs, silent: identity.isFenced };
    return this.#transaction(undefined, () => sync.disseminate(peerId, options));
  }

  /** Plans a delta that the peer answers; `holds` are the members that the answer must contain. */
  prepareGossip(peerId: string): WithEvents<{ delta: Delta; sent: Sent; holds: KnownVersions }> {
    const { identity, sync } = this.#parts;
    const holds = identity.isFenced ? NO_VERSIONS : sync.membersToPull(peerId);
    return { ...this.disseminate(peerId, { holds }), holds };
  }

  /** Merges a peer's delta (R3.3); `holds` are the versions to answer with. */
  applyIncoming(
    peerId: string,
    delta: Delta,
    now: Instant,
    options: IncomingOptions = {},
  ): WithEvents<{ holds: KnownVersions }> {
    const { identity, incoming } = this.#parts;
    return this.#transaction(now, () => {
      if (identity.isFenced) return { holds: NO_VERSIONS };
      return { holds: incoming.applyDelta(peerId, delta, now, options) };
    });
  }

  /** Merges a pushed delta. With `relay`, changes are passed on. A gap is left for the next round to report. */
  applyPush(
    peerId: string,
    { delta, relay }: { readonly delta: MemberDeltas; readonly relay: boolean },
    now: Instant,
    options: IncomingOptions = {},
  ): WithEvents {
    const { identity, incoming } = this.#parts;
    return this.#transaction(now, () => {
      if (!identity.isFenced) incoming.applyPush(peerId, delta, now, options);
      return {};
    }, { passOn: relay });
  }

  /** The changes of these members, to send to a peer at once. They do not count as acknowledged (rule E5). */
  push(peerId: string, ids: Iterable<string>): WithEvents<{ delta: MemberDeltas }> {
    const { identity, sync, transactions } = this.#parts;
    return this.#transaction(undefined, () => {
      if (identity.isFenced) return { delta: { members: [] } };
      return { delta: { members: sync.push(peerId, ids, transactions.nowMs) } };
    });
  }

  /** Begins the record of a reader, which is no member. No member may have the name. */
  beginReader(
    name: string,
    hello: { readonly incarnation: Incarnation; readonly maxMessageBytes: number },
  ): void {
    this.#parts.readers.begin(name, hello);
  }

  /** Ends the record of a reader. */
  endReader(name: string): void {
    this.#parts.readers.end(name);
  }

  /** The entries that a reader lacks, and the heartbeat counts if it is time to send them. */
  disseminateToReader(
    name: string,
    { asked = NO_VERSIONS, hasVector }: { readonly asked?: KnownVersions; readonly hasVector: boolean },
  ): { delta: Delta; sent: Sent; liveness: Liveness } {
    const { heartbeats, identity, own, readers, settings, transactions } = this.#parts;
    const { nowMs } = transactions;
    const message = readers.disseminate(name, { asked, nowMs, silent: identity.isFenced });
    const room = settings.maxMessageBytes - ENVELOPE_BYTES - message.sent.bytes;
    return { ...message, liveness: heartbeats.livenessForReader(own.state, { room, hasVector, nowMs }) };
  }

  /** The changes of these members for a reader, to send at once. */
  pushToReader(name: string, ids: Iterable<string>): MemberDeltas {
    const { identity, readers, transactions } = this.#parts;
    return { members: identity.isFenced ? [] : readers.push(name, ids, transactions.nowMs) };
  }

  /** A reader reports that it lacks entries that were sent to it. */
  applyReaderReport(sent: Sent, versions: KnownVersions): void {
    const { readers, transactions } = this.#parts;
    readers.applyReport(sent, versions, transactions.nowMs);
  }

  /** The changes since the last call, to send before the next round. */
  takeChanges(): Changes {
    return this.#parts.transactions.takeChanges();
  }

  /** Records a peer's acknowledgement, even if it is late (rule E5). */
  handleAck(sent: Sent, versions: KnownVersions, now: Instant): WithEvents {
    const { identity, incoming } = this.#parts;
    return this.#transaction(now, () => {
      if (!identity.isFenced) incoming.applyAck(sent, versions, now);
      return {};
    });
  }

  /** Begins a comparison with a peer if one is due (rule E12), and returns its parts. */
  requestReconcile(peerId: string): WithEvents<{ parts: readonly SummaryPart[] }> {
    return this.#transaction(undefined, () => ({ parts: this.#parts.sync.reconciliation.request(peerId) }));
  }

  /** Answers a part of a peer's comparison; `part` is `undefined` if the peer compared too many members. */
  answerReconcile(peerId: string, part: SummaryPart): WithEvents<{ part: SummaryPart | undefined }> {
    const { sync, transactions } = this.#parts;
    return this.#transaction(
      undefined,
      () => ({ part: sync.reconciliation.answer(peerId, part, transactions.nowMs) }),
    );
  }

  /** Applies a peer's answer to a part of a comparison. */
  applyReconcile(peerId: string, part: SummaryPart, options: { readonly last: boolean }): WithEvents {
    return this.#transaction(undefined, () => {
      this.#parts.sync.reconciliation.applyAnswer(peerId, part, options);
      return {};
    });
  }

  /** Ends a comparison without an answer. Another comparison begins if the digests still differ. */
  abandonReconcile(peerId: string): WithEvents {
    return this.#transaction(undefined, () => {
      this.#parts.sync.reconciliation.abandon(peerId);
      return {};
    });
  }

  /** Adds a check for one value under a key at all active members (rule E13). */
  addCheck(id: string, key: string, read: ConsensusReader): WithEvents {
    return this.#transaction(undefined, () => {
      this.#parts.store.addCheck(new ConsensusCheck(id, key, read));
      return {};
    });
  }

  /** Removes a check; returns false if there was none. */
  removeCheck(id: string): boolean {
    return this.#parts.store.checks.delete(id);
  }

  #transaction<T>(
    now: Instant | undefined,
    action: () => T,
    options?: { readonly passOn: boolean },
  ): WithEvents<T> {
    return this.#parts.transactions.run(now, action, options);
  }
}

/** A deletion that all active members acknowledged needs no more sending (rule E8). */
function recordDeletionsAcked({ own, progress, store, sync }: EngineParts): void {
  if (store.tombstones === 0) return;
  if (progress.phase === "confirmed") store.recordAllAcked();
  else if (own.state.deletions.size > 0) store.recordAckedByAll(own.state, sync.ownAckedByAll());
}
