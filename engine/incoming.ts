/**
 * Merges messages of peers: deltas, acknowledgements and liveness.
 *
 * @module
 */

import type { PeerHello } from "./handshakes.ts";
import type { Identity } from "./identity.ts";
import { isFarAhead } from "./incarnation.ts";
import type { Heartbeats } from "./liveness/heartbeats.ts";
import type { Isolation } from "./liveness/isolation.ts";
import type { Store } from "./state/store.ts";
import type { Merge } from "./sync/merge.ts";
import type { PeerMemories } from "./sync/peer_memory.ts";
import { NO_VERSION, type PeerSync, type Sent } from "./sync/peer_sync.ts";
import {
  type Delta,
  type Incarnation,
  type Instant,
  type KnownVersion,
  type KnownVersions,
  type Liveness,
  type MemberDeltas,
  TOPOLOGY_KEY,
} from "./types.ts";

/** The outcome of the signature check of a delta. */
export interface IncomingOptions {
  /**
   * Members whose deltas are refused: the signature is invalid, or the state behind the verification has changed since.
   */
  readonly refused?: ReadonlySet<string>;
  /** Members with a valid signature. With signing on, a claim about this member's own state needs a valid signature. */
  readonly verified?: ReadonlySet<string>;
}

/** The parts of an engine for messages. */
export interface IncomingContext {
  readonly selfId: string;
  readonly signs: boolean;
  readonly store: Store;
  readonly memories: PeerMemories;
  readonly identity: Identity;
  readonly merge: Merge;
  readonly sync: PeerSync;
  readonly heartbeats: Heartbeats;
  readonly isolation: Isolation;
}

/** Applies the messages of peers. */
export class Incoming {
  readonly #parts: IncomingContext;

  constructor(parts: IncomingContext) {
    this.#parts = parts;
  }

  /** Merges a delta of a round, and returns the versions to answer with. */
  applyDelta(peerId: string, delta: Delta, now: Instant, options: IncomingOptions): KnownVersions {
    const { store, sync } = this.#parts;
    const merging = sync.beforeMerge(peerId);
    const merged = this.#mergeMembers(peerId, delta, { ...options, now });
    const { versions } = merged;
    // Without this, a peer that sets no keys would not learn that a later incarnation of it is known (E1).
    if (sync.isOutlived(merging.peer)) {
      const { incarnation, highestNumber: number } = store.log.get(peerId)!;
      versions.set(peerId, { incarnation, number });
    }
    sync.afterMerge(merging, delta, { holds: versions, nowMs: now.monotonicMs });
    this.#afterMerge(merged, options, now);
    return versions;
  }

  /** Merges a pushed delta. A gap in it is left for the next round to report. */
  applyPush(peerId: string, delta: MemberDeltas, now: Instant, options: IncomingOptions): void {
    const { sync } = this.#parts;
    const merging = sync.beforeMerge(peerId);
    const merged = this.#mergeMembers(peerId, delta, { ...options, now });
    sync.recordReceived(merging, delta, merged.versions);
    this.#afterMerge(merged, options, now);
  }

  /** Records an acknowledgement: the peer has all that was sent, except where it reports another version (rule E5). */
  applyAck(sent: Sent, versions: KnownVersions, now: Instant): void {
    const { selfId, signs, store, sync, merge, identity } = this.#parts;
    // Where this member's clock is years late, a true incarnation seems false. The peer has not taken the sent state then
    // either, so it does not agree.
    const reported = new Map(
      [...versions].map(([id, version]) =>
        [id, isFarAhead(version.incarnation, now.wallMs) ? NO_VERSION : version] as const
      ),
    );
    sync.acknowledge(sent, reported, now.monotonicMs);
    for (const [id, version] of reported) {
      const { incarnation } = version;
      if (id === selfId) {
        if (identity.isAhead(version)) identity.beginIncarnationAbove(incarnation, { now });
        // An incarnation without entries is in no delta. Only this report shows that the known incarnation has ended. With
        // signing on, a peer's claim cannot end the incarnation of another member.
      } else if ((!signs || id === sent.peerId) && store.log.get(id)) {
        merge.beginIncarnation(id, incarnation, now);
      }
    }
  }

  /** Applies a peer's own heartbeat count and its vector. The count belongs to the incarnation of the peer's handshake. */
  applyLiveness(
    { id, incarnation }: Pick<PeerHello, "id" | "incarnation">,
    liveness: Liveness,
    now: Instant,
  ): void {
    const { store, memories, sync, heartbeats, isolation } = this.#parts;
    isolation.recordHeard(now);
    sync.recordHeard(id, now.monotonicMs);
    const known = store.log.get(id)?.incarnation ?? incarnation;
    // A count of a later incarnation shows only that the peer lives.
    if (known <= incarnation) heartbeats.applyOwnCount(id, known < incarnation ? 0 : liveness.count, now);
    if (!liveness.vector) return;
    const { incarnationsHash } = liveness.vector;
    // If the peer names members by tags, it does not know that both sides have the same active members.
    memories.peek(id)?.recordIncarnationsHash(incarnationsHash);
    heartbeats.apply(liveness.vector, now, id);
  }

  /**
   * An incarnation more than a year ahead is refused like an invalid signature. The peer may be an honest relay with a
   * clock that is ahead (E2).
   */
  #mergeMembers(
    peerId: string,
    delta: MemberDeltas,
    { refused, now }: { readonly refused?: ReadonlySet<string>; readonly now: Instant },
  ): Merged {
    const { selfId, merge, identity } = this.#parts;
    const versions = new Map<string, KnownVersion>();
    const newTopologies = new Set<string>();
    let newerIncarnation: Incarnation | undefined;
    for (const each of delta.members) {
      const isRefused = refused?.has(each.id) || isFarAhead(each.incarnation, now.wallMs);
      if (isRefused && each.id !== selfId) merge.refuse(each, { versions });
      else if (isRefused) continue;
      else if (each.id === selfId) newerIncarnation = identity.checkOwn(each, versions) ?? newerIncarnation;
      else {
        const topology = this.#topologyNumber(each.id);
        merge.merge(each, { peerId, versions, now });
        if (this.#topologyNumber(each.id) !== topology) newTopologies.add(each.id);
      }
    }
    return { versions, newerIncarnation, newTopologies };
  }

  #afterMerge(
    { newerIncarnation, newTopologies }: Merged,
    { verified }: IncomingOptions,
    now: Instant,
  ): void {
    const { selfId, sync, identity } = this.#parts;
    for (const id of newTopologies) sync.resendAll(id);
    identity.beginIncarnationAbove(newerIncarnation, { isSigned: verified?.has(selfId), now });
  }

  /** The number of a member's last report of its active members. */
  #topologyNumber(id: string): number | undefined {
    return this.#parts.store.log.get(id)?.get(TOPOLOGY_KEY)?.number;
  }
}

/** The outcome of a merge. */
interface Merged {
  /** The versions to answer with, because the peer assumed other versions. */
  readonly versions: Map<string, KnownVersion>;
  /** The peer's incarnation of this member, if it is ahead. */
  readonly newerIncarnation: Incarnation | undefined;
  /**
   * Members with a new report of their active members, from any sender. A relay may be faster than the member, so the
   * member's own delta may bring nothing new.
   */
  readonly newTopologies: ReadonlySet<string>;
}
