/**
 * The comparison of two states, member by member, if their digests still differ (rule E12).
 *
 * @module
 */

import type { EngineEvent } from "../events.ts";
import { isUnversioned } from "../incarnation.ts";
import { byCodePoint } from "../state/murmur3.ts";
import { nameOfState, type Store } from "../state/store.ts";
import type { Delta, Summary, SummaryPart } from "../types.ts";
import type { Acknowledgements } from "./acknowledgements.ts";
import type { AgreeingPeers } from "./agreeing_peers.ts";
import type { PeerMemories, PeerMemory } from "./peer_memory.ts";

/** The most members in one part of a comparison. 1,000: some 150 KB. */
const MAX_SUMMARY_MEMBERS = 1_000;
/**
 * The least limit of compared members for a peer in a `gossipInterval`; the limit is twice the number of members if
 * that is higher. A peer that keeps to the protocol compares all members at most once in that time, after two
 * exchanges. Without a limit, cheap requests could cause costly answers.
 */
const MIN_COMPARED = 64;
/** The most bytes of one summary: an id of 256 bytes that needs escapes, an incarnation, a number and a sum. */
const MAX_SUMMARY_BYTES = 600;

/** The settings of comparisons. */
export interface ReconciliationSettings {
  /** In milliseconds. */
  readonly gossipInterval: number;
  readonly maxMessageBytes: number;
}

/** Finds missing entries of peers by comparison. */
export class Reconciliation {
  readonly #settings: ReconciliationSettings;
  readonly #selfId: string;
  readonly #store: Store;
  readonly #memories: PeerMemories;
  readonly #acks: Acknowledgements;
  readonly #agreeing: AgreeingPeers;
  readonly #emit: (event: EngineEvent) => void;

  constructor(
    settings: ReconciliationSettings,
    context: {
      readonly selfId: string;
      readonly store: Store;
      readonly memories: PeerMemories;
      readonly acks: Acknowledgements;
      readonly agreeing: AgreeingPeers;
      readonly emit: (event: EngineEvent) => void;
    },
  ) {
    this.#settings = settings;
    this.#selfId = context.selfId;
    this.#store = context.store;
    this.#memories = context.memories;
    this.#acks = context.acks;
    this.#agreeing = context.agreeing;
    this.#emit = context.emit;
  }

  /**
   * Compares the digest of a peer's message. Equal digests mean the same state. Digests that differ twice in a row with
   * nothing left to send make a comparison due.
   */
  applyDigest(peer: PeerMemory, delta: Delta, { isLacking }: { readonly isLacking: boolean }): void {
    const { stateName, activeHash } = this.#store;
    const theirs = nameOfState(delta.digest, delta.active);
    if (theirs === stateName) return this.recordMatch(peer);
    if (delta.partial || isLacking || delta.active !== activeHash) return;
    if (peer.comparison.isUnderWay) return;
    // Different digests prove that the states differ, in spite of any acknowledgement.
    this.#agreeing.record(peer.id, { acknowledged: undefined });
    if (peer.comparison.recordMismatch(`${stateName} ${theirs}`)) {
      this.#emit({ type: "ConflictDetected", memberId: peer.id, reason: "digest", peerId: peer.id });
    }
  }

  /** The digests match, so the peer has all state of active members. */
  recordMatch(peer: PeerMemory): void {
    const { active, log, stateName } = this.#store;
    peer.comparison.recordMatch();
    this.#recordComplete(peer);
    this.#agreeing.record(peer.id, { acknowledged: stateName });
    this.#acks.recordUpToDate(peer);
    peer.forgetPushes();
    peer.recordOwnAck(log.get(this.#selfId)!.version);
    for (const id of peer.pending.ids()) {
      if (!log.get(id) || active.has(id)) peer.pending.delete(id);
    }
    peer.pending.endGaps();
  }

  /** Begins a due comparison with a peer, and returns its parts. The list is empty if no comparison is due. */
  request(peerId: string): SummaryPart[] {
    const peer = this.#memories.peek(peerId);
    if (!peer?.comparison.isDue) return [];
    peer.comparison.begin();
    this.#emit({ type: "ReconcilingRequested", peerId });
    const { ids } = this.#store.sorted;
    const most = this.#maxSummaries(peer);
    const parts: SummaryPart[] = [];
    for (let start = 0; start < ids.length; start += most) {
      const from = start === 0 ? "" : ids[start]!;
      const until = ids[start + most];
      parts.push({ from, until, members: this.#summariesOf(ids.slice(start, start + most)) });
    }
    return parts;
  }

  /** Answers a peer's part of a comparison. Returns `undefined` once the peer has had its share of comparisons. */
  answer(peerId: string, part: SummaryPart, nowMs: number): SummaryPart | undefined {
    const peer = this.#memories.touch(peerId);
    const { ids: all } = this.#store.sorted;
    const ids = this.#store.sorted.idsFrom(part.from, part.until);
    // The work of a comparison grows with the number of members. The size of its request does not.
    const most = Math.max(MIN_COMPARED, 2 * all.length);
    const periodMs = this.#settings.gossipInterval;
    if (!peer.comparison.admit(ids.length, { nowMs, periodMs, most })) return undefined;
    this.#compare(peer, part, ids);
    // Members that the peer did not list are pending now. If the answer listed them too, it could be larger than its
    // request.
    return { from: part.from, until: part.until, members: this.#summariesOf(part.members.keys()) };
  }

  /** Merges a peer's answer to a part of a comparison. */
  applyAnswer(peerId: string, part: SummaryPart, { last }: { readonly last: boolean }): void {
    const peer = this.#memories.peek(peerId);
    if (!peer?.comparison.isUnderWay) return;
    this.#compare(peer, part, this.#store.sorted.idsFrom(part.from, part.until));
    if (!last) return;
    peer.comparison.end();
    this.#recordComplete(peer);
  }

  /** Ends a comparison without an answer. */
  abandon(peerId: string): void {
    const peer = this.#memories.peek(peerId);
    if (!peer?.comparison.isUnderWay) return;
    peer.comparison.abandon();
  }

  /**
   * The peer's state of active members is known again. For inactive members it is not, and they may become active
   * later.
   */
  #recordComplete(peer: PeerMemory): void {
    if (this.#store.inactive.size === 0) peer.pending.recordComplete();
  }

  /** The most members in a part. The answer is twice as long, and must fit into a message. */
  #maxSummaries(peer: PeerMemory): number {
    return Math.min(MAX_SUMMARY_MEMBERS, Math.floor(peer.roomFor(this.#settings) / (2 * MAX_SUMMARY_BYTES)));
  }

  #summariesOf(ids: Iterable<string>): Map<string, Summary> {
    const summaries = new Map<string, Summary>();
    for (const id of ids) {
      const member = this.#store.log.get(id);
      if (!member) continue;
      const { incarnation, highestNumber: number, sum } = member;
      summaries.set(id, { incarnation, number, sum: `${sum}` });
    }
    return summaries;
  }

  /** Records the members in the range of a part as pending if the peer lacks entries of them. */
  #compare(peer: PeerMemory, part: SummaryPart, ids: readonly string[]): void {
    for (const [id, summary] of this.#summariesOf(ids)) {
      const lacking = id === peer.id ? undefined : this.#lacking(peer, id, summary, part.members.get(id));
      if (lacking) this.#acks.addPending(peer, this.#store.log.get(id)!, { ...lacking, gap: true });
    }
  }

  /** The part of a member's state that the peer lacks, by both summaries (E12). */
  #lacking(
    peer: PeerMemory,
    id: string,
    mine: Summary,
    theirs: Summary | undefined,
  ): { after: number; reset: boolean } | undefined {
    if (!theirs || mine.incarnation > theirs.incarnation) return { after: 0, reset: false };
    if (mine.incarnation < theirs.incarnation) return undefined;
    // Each side may lack entries. An entry that is sent twice does no harm.
    if (isUnversioned(mine.incarnation)) {
      return mine.sum === theirs.sum ? undefined : { after: 0, reset: true };
    }
    if (mine.number > theirs.number) return { after: theirs.number, reset: false };
    if (mine.number < theirs.number || mine.sum === theirs.sum) return undefined;
    const isMineToSend = id === this.#selfId || byCodePoint(this.#selfId, peer.id) < 0;
    return isMineToSend ? { after: 0, reset: true } : undefined;
  }
}
