/**
 * Whom to tell what, and what each peer is known to hold (rules E4 to E7 and E12).
 *
 * @module
 */

import type { ConvergenceTracker } from "../convergence.ts";
import type { EngineEvent } from "../events.ts";
import { isUnversioned, NO_INCARNATION } from "../incarnation.ts";
import { byCodePoint } from "../state/murmur3.ts";
import { withHeartbeatEntries } from "../liveness/entries_for_unversioned.ts";
import type { Membership } from "../membership/membership.ts";
import type { MemberState } from "../state/member_state.ts";
import { DeltaPlanner, type SendRecord } from "./delta_planner.ts";
import { NOT_REFUSED, type PeerMemories, type PeerMemory, type PendingMember } from "./peer_memory.ts";
import { deltaBytes, maxPulled, select, selectInOrder } from "./selection.ts";
import { ENVELOPE_BYTES, versionBytes, versionsBytes } from "../state/size.ts";
import type { SortedMembers } from "../state/sorted_members.ts";
import { stateName, type Store } from "../state/store.ts";
import type {
  Delta,
  Incarnation,
  KnownVersion,
  KnownVersions,
  MemberDelta,
  MemberSet,
  PartialDelta,
  Summary,
  SummaryPart,
} from "../types.ts";

/** The most members in one part of a comparison. 1,000: some 150 KB. */
const MAX_SUMMARY_MEMBERS = 1_000;
/**
 * How many members a peer may have compared in a `gossipInterval`, however few there are; else twice as many as there are.
 * A peer that keeps to the protocol compares all at most once in that time, after two exchanges.
 */
const MIN_COMPARED = 64;
/** The most that a member takes in it: an id of 256 bytes that needs escapes, a life, a number and a sum. */
const MAX_SUMMARY_BYTES = 600;
/** Asking takes at most one in so many bytes of a message: what is to be told comes first. */
const PULL_SHARE = 8;
/** What is said of a member of which nothing is held: every life is later. */
const NO_VERSION: KnownVersion = { incarnation: NO_INCARNATION, number: 0 };

/** A delta that was handed out, kept by whoever sent it until it is acknowledged. Opaque. */
export interface Sent {
  readonly peerId: string;
  readonly peerIncarnation: Incarnation | undefined;
  /** How often the peer had been sent everything anew. */
  readonly resends: number;
  /** By member id: where the delta of that member started and ended, as positions. */
  readonly members: ReadonlyMap<string, SentSpan>;
  /** What is to be remembered once the peer has taken this. */
  readonly record: SendRecord;
  /** The name of the sender's state. */
  readonly state: string;
  /** What the message takes, but for its envelope and its liveness, in bytes. */
  readonly bytes: number;
}

/** What was sent of a member, as positions. */
interface SentSpan {
  readonly incarnation: Incarnation;
  readonly after: number;
  readonly last: number;
  /** Up to where the member was held then: more is to be sent if the last is below it. */
  readonly end: number;
  readonly reset: boolean;
  /** The floor then: see {@linkcode PendingMember}. */
  readonly floor: number;
}

/** News of a peer that is being merged. Opaque. */
export interface Merging {
  readonly peer: PeerMemory;
  /** The latest change before. */
  readonly serial: number;
}

/** The limits of a message, and how often one is sent. */
export interface SyncSettings {
  readonly gossipInterval: number;
  readonly heartbeatExpiration: number;
  readonly gossipMaxSend: number;
  readonly maxMessageBytes: number;
}

/** What is told to peers, and what they are known to hold. */
export class PeerSync {
  readonly #memories: PeerMemories;
  readonly #settings: SyncSettings;
  readonly #selfId: string;
  readonly #signs: boolean;
  readonly #store: Store;
  readonly #planner: DeltaPlanner;
  readonly #emit: (event: EngineEvent) => void;
  /** Who is known to have a state, as it was last sent and changed since. */
  #agreeingSet: { readonly sorted: SortedMembers; readonly state: string; set: MemberSet } | undefined;
  /** The digits of all sets that were taken, so that a member is looked up once for each state. */
  #taken: {
    readonly sorted?: SortedMembers;
    readonly state?: string;
    readonly retractions?: number;
    readonly digits: number[];
  } = { digits: [] };

  constructor(
    settings: SyncSettings,
    context: {
      readonly selfId: string;
      readonly store: Store;
      readonly membership: Membership;
      readonly memories: PeerMemories;
      readonly emit: (event: EngineEvent) => void;
      /** Whether only what is signed is told. */
      readonly signs: boolean;
    },
  ) {
    this.#settings = settings;
    this.#signs = context.signs;
    this.#selfId = context.selfId;
    this.#store = context.store;
    this.#emit = context.emit;
    this.#memories = context.memories;
    this.#planner = new DeltaPlanner({ ...context, places: settings.gossipMaxSend });
  }

  /** The name of the state that this member holds. */
  get state(): string {
    return this.#store.state;
  }

  /** Whether some of this member's own state is not signed yet, so that its digest covers more than it sends. */
  get #isUnsigned(): boolean {
    const own = this.#store.log.get(this.#selfId)!;
    return this.#signs && own.version > own.signedUpTo;
  }

  /** The peer lives in this life; of an earlier one nothing that it held counts. */
  meet(peerId: string, incarnation: Incarnation): PeerMemory {
    const known = this.#memories.peek(peerId);
    if (known && known.incarnation !== incarnation) {
      this.#memories.forget(peerId);
      this.#noteKnown(peerId, { acknowledged: undefined });
    }
    const peer = this.#memories.of(peerId);
    // A push that was under way when the last connection broke may be lost.
    peer.forgetPushes();
    const held = this.#store.log.get(peerId)?.incarnation;
    // A greeting that was long under way, or a process that has yet to learn of that later life: it greets anew.
    // mutant negate-condition 2: Engine.greeted() refuses a greeting in an earlier life than the one that is held.
    peer.incarnation = held !== undefined && held > incarnation ? undefined : incarnation;
    return peer;
  }

  /**
   * Tells an unversioned peer everything anew. When its members change, or this one's, it may have dropped what it held of
   * members that it does not know yet, and says nothing of that. Acknowledgements of earlier messages do not count.
   */
  resendAll(peerId: string): void {
    const known = this.#memories.peek(peerId);
    if (known?.incarnation === undefined || !isUnversioned(known.incarnation)) return;
    this.#memories.forget(peerId);
    const { incarnation, maxMessageBytes, heartbeatTurn, heardMs } = known;
    const resends = known.resends + 1;
    Object.assign(this.#memories.of(peerId), {
      incarnation,
      maxMessageBytes,
      heartbeatTurn,
      heardMs,
      resends,
    });
    this.#noteKnown(peerId, { acknowledged: undefined });
  }

  /** Notes what a peer said of its state, and when. */
  recordState(peer: PeerMemory, { digest, active }: Pick<Delta, "digest" | "active">, nowMs: number): void {
    const { state } = this;
    const received = stateName(digest, active);
    // Of equal texts one is kept for all peers.
    peer.receivedState = received === state ? state : received;
    // The digest covers lives.
    if (received === state) peer.incarnationsHash = this.#store.incarnationsHash;
    // Others are active there: a vector by index would say nothing to it.
    else if (active !== this.#store.activeHash) peer.incarnationsHash = undefined;
    peer.heardMs = nowMs;
    // A sender of an earlier life, as far as others know, says nothing of the later one.
    this.#noteKnown(peer.id, { sent: this.isOutlived(peer) ? undefined : peer.receivedState });
  }

  /** Notes that something of a peer arrived. */
  recordHeard(peerId: string, nowMs: number): void {
    const peer = this.#memories.peek(peerId);
    if (peer) peer.heardMs = nowMs;
  }

  /** Whether others have told of a later life of the peer than the one that it was spoken with. */
  isOutlived(peer: PeerMemory): boolean {
    const held = this.#store.log.get(peer.id)?.incarnation;
    return held !== undefined && peer.incarnation !== undefined && held > peer.incarnation;
  }

  /** Whether both sides know that they have the same state, so that there is nothing to exchange but heartbeats. */
  isQuiet(peerId: string): boolean {
    const peer = this.#memories.peek(peerId);
    return peer !== undefined && peer.sentState === this.state && peer.receivedState === this.state &&
      peer.incarnation !== undefined && !isUnversioned(peer.incarnation) && peer.pending.size === 0 &&
      this.#store.inactive.size === 0;
  }

  /** The members to ask a peer for where not all find room in one message: active ones of which nothing is held. */
  membersToPull(peerId: string): KnownVersions {
    const { gossipMaxSend, maxMessageBytes } = this.#settings;
    const versions = new Map<string, KnownVersion>();
    if (this.#store.active.size <= gossipMaxSend) return versions;
    for (const id of this.#store.takeUnknown(maxPulled(gossipMaxSend))) {
      if (id !== peerId) versions.set(id, NO_VERSION);
    }
    let room = maxMessageBytes / PULL_SHARE;
    return new Map([...versions].filter(([id]) => (room -= versionBytes(id)) >= 0));
  }

  /** What the peer is not known to hold, as much as fits beside what is said of what is held. */
  disseminate(
    peerId: string,
    options: {
      /** What is said beside it of what is held. */
      readonly holds: KnownVersions;
      /** Whom the peer asks for. */
      readonly asked: KnownVersions;
      readonly nowMs: number;
      readonly silent: boolean;
    },
  ): {
    delta: Delta;
    sent: Sent;
  } {
    const peer = this.#memories.of(peerId);
    const news = this.#planner.plan(peer, options);
    const deltas = options.silent ? [] : select(news, {
      members: this.#settings.gossipMaxSend,
      bytes: this.#maxBytes(peer) - versionsBytes(options.holds),
      roundRobinFirst: peer.roundRobinFirst,
    });
    this.#emitDisseminated(peerId, deltas);
    const members = new Map(deltas.map((each) => [each.id, this.#spanSent(each)]));
    const outcome = this.#planner.recordSent(peer, news, members);
    const { incarnation: peerIncarnation, resends: retold } = peer;
    const delta = {
      members: isUnversioned(peer.incarnation ?? "") ? this.#withHeartbeats(peer, deltas) : deltas,
      digest: this.#store.digest,
      active: this.#store.activeHash,
      partial: outcome.partial || options.silent || this.#isUnsigned,
      ...this.#agreeing(peer),
    };
    const bytes = versionsBytes(options.holds) + (delta.agreeing?.length ?? 0) +
      delta.members.reduce((sum, each) => sum + deltaBytes(each), 0);
    return {
      delta,
      sent: { peerId, peerIncarnation, resends: retold, members, record: outcome, state: this.state, bytes },
    };
  }

  /** What changed of these members, to be sent to a peer at once and without an answer. */
  push(peerId: string, ids: Iterable<string>, nowMs: number): MemberDelta[] {
    const peer = this.#memories.of(peerId);
    const changed = this.#planner.toPush(peer, ids, nowMs);
    const deltas = selectInOrder(changed, {
      members: this.#settings.gossipMaxSend,
      bytes: this.#maxBytes(peer),
    });
    for (const delta of deltas) {
      const { incarnation, last: number } = spanOf(delta);
      // A gap shows that a push was lost: an unversioned member has none, and an unversioned peer reports none.
      if (!isUnversioned(incarnation) && !isUnversioned(peer.incarnation ?? NO_INCARNATION)) {
        peer.recordPush(delta.id, { incarnation, number });
      }
    }
    this.#emitDisseminated(peerId, deltas);
    if (!isUnversioned(peer.incarnation ?? "")) return deltas;
    // As state they have other numbers than counts: after such a one the peer would ignore every count below it.
    return withHeartbeatEntries(deltas, {
      members: [],
      // mutant replace-value: no members are offered for any place.
      places: 0,
      stateOf: (id) => this.#store.log.get(id),
    })
      .filter(({ entries }) => entries.length > 0);
  }

  /** The peer holds what was sent to it, but for what it says itself, which always wins. */
  acknowledge(sent: Sent, versions: KnownVersions, nowMs: number): void {
    const peer = this.#memories.peek(sent.peerId);
    // What an earlier life of the peer held, this one may lack.
    if (!peer || peer.incarnation !== sent.peerIncarnation || this.isOutlived(peer)) return;
    // An unversioned peer may have purged it since.
    if (peer.resends !== sent.resends) return;
    const { changes, slot: turn, roundRobinFirst: turnFirst } = sent.record;
    peer.sentState = sent.state;
    peer.changes.add(...changes);
    if (turn !== undefined) peer.slot = Math.max(peer.slot ?? 0, turn);
    peer.roundRobinFirst = turnFirst;
    for (const [id, { last, ...span }] of sent.members) {
      if (!versions.has(id)) this.#recordAck(peer, id, { ...span, number: last });
    }
    for (const [id, version] of versions) {
      this.#applyReportedVersion(peer, id, { hold: version, sent: sent.members.get(id), nowMs });
    }
    this.#updateConvergence(peer);
  }

  /** Before news of a peer is merged. */
  beforeMerge(peerId: string): Merging {
    return { peer: this.#memories.of(peerId), serial: this.#store.log.serial };
  }

  /** After news of a peer was merged: what it told, it holds, and what changed by it need not go back. */
  afterMerge(
    merging: Merging,
    delta: Delta,
    { holds: versions, nowMs }: { readonly holds: KnownVersions; readonly nowMs: number },
  ): void {
    this.recordReceived(merging, delta, versions);
    this.recordState(merging.peer, delta, nowMs);
    this.#applyAgreeing(delta);
    const nothingLeft = this.#updateConvergence(merging.peer);
    // What was not taken is told anew, and until then the digests differ.
    if (versions.size === 0) this.#compareDigests(merging.peer, delta, nothingLeft);
  }

  /** After entries of a peer were merged, whether a digest came with them or not. */
  recordReceived({ peer, serial }: Merging, delta: PartialDelta, versions: KnownVersions): void {
    const { log } = this.#store;
    peer.changes.add(serial, log.serial);
    for (const each of delta.members) {
      const { incarnation, last } = spanOf(each);
      const member = log.get(each.id);
      if (member?.isUnversioned && isUnversioned(incarnation)) {
        this.#recordUnversionedAck(peer, member, each.entries);
      } else if (!versions.has(each.id) && each.entries.length > 0) {
        // It may hold more than this part, and that is told in another.
        const end = each.end ?? last;
        this.#recordAck(peer, each.id, {
          incarnation,
          number: last,
          reset: each.reset && last === end,
          end: last,
          floor: 0,
        });
      } else if (member && member.incarnation > incarnation && each.id !== peer.id) {
        // Whoever tells of an earlier life holds nothing of the later one, whatever was supposed.
        this.#addPending(peer, member, { after: 0 });
      }
    }
  }

  /** The parts of a full comparison that is due with a peer; none where none is. */
  requestReconcile(peerId: string): SummaryPart[] {
    const peer = this.#memories.peek(peerId);
    if (!peer || peer.mismatches < 2 || peer.comparing || peer.tried === peer.differing) return [];
    this.#memories.setComparing(peer, true);
    peer.tried = peer.differing;
    this.#emit({ type: "ReconcilingRequested", peerId });
    const { ids } = this.#store.sorted;
    const most = this.#summaryMembers(peer);
    const parts: SummaryPart[] = [];
    for (let start = 0; start < ids.length; start += most) {
      const from = start === 0 ? "" : ids[start]!;
      const until = ids[start + most];
      parts.push({ from, until, members: this.#summaries(ids.slice(start, start + most)) });
    }
    return parts;
  }

  /** What this member says to a peer's part of a comparison; and what the peer turns out to lack waits for it. */
  answerReconcile(peerId: string, part: SummaryPart, nowMs: number): SummaryPart | undefined {
    const peer = this.#memories.of(peerId);
    const ids = this.#store.sorted.idsFrom(part.from, part.until);
    if (!this.#mayCompare(peer, ids.length, nowMs)) return undefined;
    this.#compareParts(peer, part, ids);
    // What the peer did not list waits for it: to name it as well would make the answer larger than what it answers.
    return { from: part.from, until: part.until, members: this.#summaries(part.members.keys()) };
  }

  /** Whether a peer may have so many members compared now: a comparison costs by their number, and its request does not. */
  #mayCompare(peer: PeerMemory, members: number, nowMs: number): boolean {
    if (nowMs - peer.comparedSinceMs >= this.#settings.gossipInterval) {
      peer.comparedSinceMs = nowMs;
      peer.compared = 0;
    }
    if (peer.compared > Math.max(MIN_COMPARED, 2 * this.#store.sorted.ids.length)) return false;
    peer.compared += Math.max(1, members);
    return true;
  }

  /** A peer's answer to a part of a comparison. */
  applyReconcile(peerId: string, part: SummaryPart, options: { readonly last: boolean }): void {
    const peer = this.#memories.peek(peerId);
    if (!peer?.comparing) return;
    this.#compareParts(peer, part, this.#store.sorted.idsFrom(part.from, part.until));
    if (options.last) this.endReconcile(peerId);
  }

  /** No answer came: nothing was tried. */
  abandonReconcile(peerId: string): void {
    const peer = this.#memories.peek(peerId);
    if (!peer?.comparing) return;
    peer.tried = undefined;
    this.endReconcile(peerId);
  }

  /** A comparison is over. */
  endReconcile(peerId: string): void {
    const peer = this.#memories.peek(peerId);
    if (!peer?.comparing) return;
    this.#memories.setComparing(peer, false);
    peer.mismatches = 0;
    this.#resetPendingDropped(peer);
  }

  /** How many active peers are known to hold this member's own state up to a number. */
  acknowledgedBy(number: number): number {
    let count = 0;
    for (const id of this.#store.active) if (this.isAcknowledgedBy(id, number)) count++;
    return count;
  }

  /** Whether an active peer is known to hold this member's own state up to a number. */
  isAcknowledgedBy(id: string, number: number): boolean {
    if (id === this.#selfId || !this.#store.active.has(id)) return false;
    return this.#ackedOwnNumber(id) >= number;
  }

  /** Up to which number all active peers are known to hold this member's own state. */
  ownAckedByAll(): number {
    let number = this.#store.log.get(this.#selfId)!.version;
    for (const id of this.#store.peers) number = Math.min(number, this.#ackedOwnNumber(id));
    return number;
  }

  #ackedOwnNumber(id: string): number {
    // It has the state that this member has.
    if (this.#store.convergence.agrees(id, this.state)) return Infinity;
    const peer = this.#memories.peek(id);
    // What an earlier life of the peer held, this one may lack.
    return peer && !this.isOutlived(peer) ? peer.ackedOwnNumber : 0;
  }

  /** This member's own state begins anew: what peers held of it counts no more. */
  ownIncarnationRenewed(): void {
    for (const peer of this.#memories.peers()) peer.ackedOwnNumber = 0;
  }

  /** The deltas with heartbeats as entries, of this member and of others in turn. */
  #withHeartbeats(peer: PeerMemory, deltas: readonly MemberDelta[]): MemberDelta[] {
    const { log } = this.#store;
    return withHeartbeatEntries(deltas, {
      members: this.#heartbeatsRoundRobin(peer),
      places: this.#settings.gossipMaxSend,
      stateOf: (id) => log.get(id),
    });
  }

  /** This member, then the other active ones from where the last message to the peer ended. */
  *#heartbeatsRoundRobin(peer: PeerMemory): Iterable<MemberState> {
    const { log, peers } = this.#store;
    yield log.get(this.#selfId)!;
    // mutant move-bound: who comes twice is sent once, and after a whole turn any may be the first of the next.
    for (let looked = 0; looked < peers.length; looked++) {
      const id = peers[peer.heartbeatTurn++ % peers.length]!;
      const state = log.get(id);
      // Of itself a peer knows best (E1).
      if (state && id !== peer.id) yield state;
    }
  }

  /** How many bytes of entries a message to a peer may have: the lower limit of the two holds. */
  #maxBytes(peer: PeerMemory): number {
    return Math.min(this.#settings.maxMessageBytes, peer.maxMessageBytes) - ENVELOPE_BYTES;
  }

  #emitDisseminated(peerId: string, deltas: readonly MemberDelta[]): void {
    if (deltas.length === 0) return;
    const entries = deltas.reduce((count, delta) => count + delta.entries.length, 0);
    this.#emit({ type: "Disseminated", peerId, members: deltas.length, entries });
  }

  #addPending(
    peer: PeerMemory,
    member: MemberState,
    pending: Partial<PendingMember> & { after: number },
  ): void {
    const { incarnation } = member;
    // What a peer lacks that gets no gossip is no repair under way.
    const gap = pending.gap === true && this.#store.active.has(peer.id);
    const defaults = { reset: false, floor: member.floor, ...NOT_REFUSED };
    this.#memories.addPending(peer, member.id, { ...defaults, ...pending, incarnation, gap });
  }

  /** The peer is known to hold a member up to a number that was sent to it, or that it told. */
  #recordAck(
    peer: PeerMemory,
    id: string,
    version: KnownVersion & Pick<SentSpan, "end" | "reset" | "floor">,
  ): void {
    const member = this.#store.log.get(id);
    if (!member || member.incarnation !== version.incarnation) return;
    const isPart = version.number < version.end;
    // A part lacks the keys that were set again beyond its end, whatever their numbers were before.
    if (id === this.#selfId && !isPart) peer.ackedOwnNumber = Math.max(peer.ackedOwnNumber, version.number);
    if (peer.pushedAfter(member, 0) <= version.number) peer.forgetPush(id);
    const pending = peer.pending.get(id);
    if (!pending && !isPart) return member.recordAck(peer, version.number);
    // A late acknowledgement takes nothing back, and of what a reset is to mend it says nothing.
    if (pending?.incarnation === version.incarnation) {
      if ((pending.reset && !version.reset) || version.number <= pending.after) return;
    }
    this.#memories.clearPending(peer, id);
    if (isPart) {
      this.#addPending(peer, member, { after: version.number, reset: version.reset, floor: version.floor });
    } else if (version.number < member.version) this.#addPending(peer, member, { after: version.number });
    else member.recordAck(peer, version.number);
  }

  /** Of a foreign member a peer told what it holds, and nothing of what else it may hold. */
  #recordUnversionedAck(peer: PeerMemory, member: MemberState, delta: MemberDelta["entries"]): void {
    if (member.id === peer.id) return;
    const supposed = peer.assumedVersion(member).after;
    if (member.isCoveredBy(delta, supposed)) {
      this.#memories.clearPending(peer, member.id);
      member.recordAck(peer, member.version);
    }
    // Whoever tells of an earlier entry lacks the one that took its place, whatever was supposed.
    const lacked = delta.flatMap(({ key, number }) => {
      const held = member.get(key);
      return held && held.number > number ? [held.position] : [];
    });
    const after = Math.min(...lacked) - 1;
    if (after < supposed) this.#addPending(peer, member, { after });
  }

  /** Where a delta that is about to be sent starts and ends, as positions. */
  #spanSent(delta: MemberDelta): SentSpan {
    const { incarnation, version: held, signedUpTo: certified, floor, isUnversioned } = this.#store.log.get(
      delta.id,
    )!;
    const { reset } = delta;
    if (isUnversioned) return { incarnation, after: 0, last: held, end: held, reset, floor };
    // Of a state that is not all signed yet the rest follows once it is.
    return { ...spanOf(delta), end: this.#signs ? certified : held, reset, floor };
  }

  /** What the receiver says of itself wins over what was remembered; but it cannot raise it unsent (E5). */
  #applyReportedVersion(
    peer: PeerMemory,
    id: string,
    said: {
      readonly hold: KnownVersion;
      readonly sent: SentSpan | undefined;
      readonly nowMs: number;
    },
  ): void {
    const { hold: version, sent, nowMs } = said;
    const member = this.#store.log.get(id);
    peer.forgetPush(id);
    if (!member) return;
    if (version.incarnation > member.incarnation) return this.#memories.clearPending(peer, id);
    // Of a foreign member numbers say nothing of what lies below.
    const number = version.incarnation === member.incarnation && !member.isUnversioned ? version.number : 0;
    if (number >= (sent?.last ?? member.version)) {
      return sent && this.#recordAck(peer, id, { ...sent, number: sent.last });
    }
    if (!sent && number >= peer.assumedVersion(member).after) return;
    // It has lost some of the state that it once said it has.
    peer.receivedState = undefined;
    this.#noteKnown(peer.id, { sent: undefined, reported: undefined });
    if (id === this.#selfId) peer.ackedOwnNumber = Math.min(peer.ackedOwnNumber, number);
    const gap = sent === undefined || number < sent.after;
    this.#addPending(peer, member, {
      after: number,
      gap,
      ...(!gap && this.#afterRefusal(peer.pending.get(id), number, nowMs)),
    });
  }

  /** The peer took nothing of what it was sent, because more finds no room there: it is sent ever more rarely. */
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

  /** Whether the peer lacks nothing; if so, that is noted as its acknowledgement of this state. */
  #updateConvergence(peer: PeerMemory): boolean {
    // It may have acknowledged this very state, and say now that it lost some of it. Of a process whose life is over a
    // late message says nothing of its successor.
    const isLacking = this.isOutlived(peer) || this.#isLacking(peer);
    if (!isLacking) this.#recordAllAcked(peer);
    if (isLacking) this.#noteKnown(peer.id, { acknowledged: undefined });
    else if (!peer.pendingWasDropped) this.#noteKnown(peer.id, { acknowledged: this.state });
    return !isLacking;
  }

  /** Whether it lacks something of a member that is active. */
  #isLacking(peer: PeerMemory): boolean {
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

  /** It holds everything of active members; an inactive member of which it may lack something waits. */
  #recordAllAcked(peer: PeerMemory): void {
    const { inactive, log } = this.#store;
    for (const id of inactive) {
      const member = log.get(id)!;
      if (!this.#isUpToDate(peer, member)) {
        this.#addPending(peer, member, { after: member.ackedVersion(peer) });
      }
    }
    peer.changes.add(0, log.serial);
  }

  /** Whether nothing of a member is to be sent, but for what waits. */
  #isUpToDate(peer: PeerMemory, member: MemberState): boolean {
    return member.id === peer.id || peer.pending.has(member.id) || member.isAckedBy(peer);
  }

  /** Which members are known to have this state, where not all are: the peer may know of more. */
  #agreeing(peer: PeerMemory): Pick<Delta, "agreeing"> {
    const { convergence: agreement, active } = this.#store;
    const { state } = this;
    // It has another state, so that it knows nothing about this one.
    if (this.#signs || peer.receivedState !== state || active.size <= 2) return {};
    // Not read before: to sort the members anew costs by their number (rule E6).
    const { sorted } = this.#store;
    if (this.#agreeingSet?.sorted !== sorted || this.#agreeingSet.state !== state) {
      const set = sorted.encode((id) => id === this.#selfId || agreement.agrees(id, state));
      this.#agreeingSet = { sorted, state, set };
    }
    return { agreeing: this.#agreeingSet.set };
  }

  /** Notes what a peer is known to hold, also in the set of those that agree. */
  #noteKnown(id: string, known: Parameters<ConvergenceTracker["set"]>[1]): void {
    const { convergence: agreement } = this.#store;
    if (!agreement.set(id, known)) return;
    const encoded = this.#agreeingSet;
    if (encoded?.state !== this.state) this.#agreeingSet = undefined;
    else if (encoded) {
      const isIn = (each: string) => each === this.#selfId || agreement.agrees(each, encoded.state);
      encoded.set = encoded.sorted.encodeAnew(encoded.set, id, isIn);
    }
  }

  /** Takes what a peer with the same state knows of others. Where members sign, nobody speaks for another. */
  #applyAgreeing({ agreeing, digest, active }: Delta): void {
    const { state } = this;
    if (agreeing === undefined || this.#signs || stateName(digest, active) !== state) return;
    const { sorted, convergence: agreement } = this.#store;
    const { retractions } = agreement;
    const before = this.#taken;
    if (before.sorted !== sorted || before.state !== state || before.retractions !== retractions) {
      this.#taken = { sorted, state, retractions, digits: [] };
    }
    for (const id of sorted.decode(agreeing, this.#taken.digits)) {
      if (id !== this.#selfId) this.#noteKnown(id, { reported: state });
    }
  }

  /** Equal digests mean the same state; unequal ones, twice in a row with nothing left to send, a repair. */
  #compareDigests(peer: PeerMemory, delta: Delta, nothingLeft: boolean): void {
    const theirs = stateName(delta.digest, delta.active);
    if (theirs === this.state) return this.agreeWith(peer);
    if (delta.partial || !nothingLeft || delta.active !== this.#store.activeHash) return;
    if (peer.comparing) return;
    // That the digests differ proves that something is lacking, whatever was acknowledged.
    this.#noteKnown(peer.id, { acknowledged: undefined });
    const differing = `${this.state} ${theirs}`;
    peer.mismatches = peer.differing === differing ? peer.mismatches + 1 : 1;
    peer.differing = differing;
    // A comparison of just these states did not help: nothing will, until something changes.
    if (peer.tried !== differing) return;
    if (peer.mismatches === 1) {
      this.#emit({ type: "ConflictDetected", memberId: peer.id, reason: "digest", peerId: peer.id });
    }
  }

  /** The digests match, so the peer has all state of active members. */
  agreeWith(peer: PeerMemory): void {
    peer.mismatches = 0;
    peer.differing = undefined;
    peer.tried = undefined;
    this.#resetPendingDropped(peer);
    this.#memories.setComparing(peer, false);
    this.#noteKnown(peer.id, { acknowledged: this.state });
    this.#recordAllAcked(peer);
    peer.forgetPushes();
    peer.ackedOwnNumber = Math.max(peer.ackedOwnNumber, this.#store.log.get(this.#selfId)!.version);
    for (const id of peer.pending.keys()) {
      if (!this.#store.log.get(id) || this.#store.active.has(id)) this.#memories.clearPending(peer, id);
    }
  }

  /** Of active members it is known again what the peer holds; of others, who may be active later, nothing said so. */
  #resetPendingDropped(peer: PeerMemory): void {
    if (this.#store.inactive.size === 0) peer.pendingWasDropped = false;
  }

  /** How many members a part of a comparison may have, so that the answer, twice as long, fits into a message. */
  #summaryMembers(peer: PeerMemory): number {
    return Math.min(MAX_SUMMARY_MEMBERS, Math.floor(this.#maxBytes(peer) / (2 * MAX_SUMMARY_BYTES)));
  }

  #summaries(ids: Iterable<string>): Map<string, Summary> {
    const summaries = new Map<string, Summary>();
    for (const id of ids) {
      const member = this.#store.log.get(id);
      if (!member) continue;
      summaries.set(id, {
        incarnation: member.incarnation,
        number: member.highestNumber,
        sum: `${member.sum}`,
      });
    }
    return summaries;
  }

  /** Finds what the peer lacks of the members in the range of its part, and lets that wait. */
  #compareParts(peer: PeerMemory, part: SummaryPart, ids: readonly string[]): void {
    for (const [id, summary] of this.#summaries(ids)) {
      const member = this.#store.log.get(id)!;
      const lacking = id === peer.id ? undefined : this.#lacking(peer, id, summary, part.members.get(id));
      if (lacking) this.#addPending(peer, member, { ...lacking, gap: true });
    }
  }

  /** What the peer lacks of one member, by both summaries (E12). */
  #lacking(
    peer: PeerMemory,
    id: string,
    mine: Summary,
    theirs: Summary | undefined,
  ): { after: number; reset: boolean } | undefined {
    if (!theirs || mine.incarnation > theirs.incarnation) return { after: 0, reset: false };
    if (mine.incarnation < theirs.incarnation) return undefined;
    // Each may lack something, and nothing is lost by what is told twice.
    if (isUnversioned(mine.incarnation)) {
      return mine.sum === theirs.sum ? undefined : { after: 0, reset: true };
    }
    if (mine.number > theirs.number) return { after: theirs.number, reset: false };
    if (mine.number < theirs.number || mine.sum === theirs.sum) return undefined;
    const mineToSend = id === this.#selfId || byCodePoint(this.#selfId, peer.id) < 0;
    return mineToSend ? { after: 0, reset: true } : undefined;
  }
}

/** What a delta of a member says of a life: from where, to where. Of a foreign member, the highest number. */
export function spanOf(delta: MemberDelta): { incarnation: Incarnation; after: number; last: number } {
  return {
    incarnation: delta.incarnation,
    after: delta.after,
    last: delta.entries.at(-1)?.number ?? delta.after,
  };
}
