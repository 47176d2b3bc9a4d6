/**
 * Heartbeats: the proof that members live (rules L1 to L4).
 *
 * A member counts its intervals. The count is not state: it has no entry and no sequence number, and a later
 * incarnation begins at 0. A member receives another member's count with each message of that member. It also receives
 * vectors, from any member, with one digit for each count.
 *
 * @module
 */

import { digitAt, DIGITS } from "./base64_digits.ts";
import type { EngineEvent } from "../events.ts";
import type { Membership } from "../membership/membership.ts";
import type { MemberState } from "../state/member_state.ts";
import type { Store } from "../state/store.ts";
import type { Suspicions } from "./suspicions.ts";
import {
  HEARTBEAT_KEY,
  type Instant,
  type JsonValue,
  type Liveness,
  type LivenessVector,
  MAX_NUMBER,
} from "../types.ts";

/** A digit has 64 values. A difference of 32 or more is a step backwards. */
const DIGIT_VALUES = 64;
/**
 * The steps of a digit in one expiration. 12: a digit wraps after about five expirations. So a process that was
 * suspended for less than an expiration cannot send an old count as new. More: digits wrap sooner. Fewer: counts are
 * older when they are passed on.
 */
const STEPS_PER_EXPIRATION = 12;
/**
 * The most vectors that a member sends in one expiration. 70: with the defaults, one vector in each round. A count then
 * reaches 10,000 members after some 22 rounds, well before it expires. Fewer: living members of large clusters expire.
 * More: each vector costs a digit for each member.
 */
const VECTORS_PER_EXPIRATION = 70;
/**
 * The share of an expiration for which an arrived count is passed on. 1/2: a peer that is up to date takes a digit as newer
 * if the count is older than half of the digit's values, which is 1.3 expirations at the least. Higher: a count that took
 * long to arrive may reach that age. Lower: a member that few members hear expires sooner.
 */
const PASSED_ON_WITHIN = 1 / 2;
const UNKNOWN = ".";
const TAG_DIGITS = 4;
/** The digits of one tagged count. */
const TAGGED_DIGITS = TAG_DIGITS + 1;
/**
 * A stored count is lowered to its owner's count if it is this many digits higher. 4, a third of an expiration: an
 * overtaken message lowers no count, and a peer's false count hides true counts for at most that time.
 */
const MOST_AHEAD = 4;
/** A vector takes at most `maxMessageBytes` divided by this. 4: the rest is for state. */
const VECTOR_DIVISOR = 4;

/** The settings for heartbeats; durations in milliseconds. */
export interface HeartbeatSettings {
  readonly gossipInterval: number;
  readonly heartbeatExpiration: number;
  readonly maxMessageBytes: number;
}

/** The arrival of a vector. */
interface Arrival {
  readonly now: Instant;
  readonly peerId: string | undefined;
}

/** The heartbeats of all members. */
export class Heartbeats {
  readonly #selfId: string;
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #emit: (event: EngineEvent) => void;
  readonly #suspicions: Suspicions;
  readonly #settings: HeartbeatSettings;
  readonly #stride: number;
  /** False with signing on: vectors are not signed (rule L4). */
  readonly #trustsVectors: boolean;
  #isObserved = false;
  #lastVectorMs = -Infinity;
  /** The turn of the first member in the next vector with tags, modulo the number of members. */
  #cursor = 0;
  /** Counts received up to this time may be older than they seem, and are not passed on. */
  #distrustedUpToMs = -Infinity;
  #lastTick: Instant | undefined;

  constructor(settings: HeartbeatSettings, context: {
    readonly selfId: string;
    readonly store: Store;
    readonly membership: Membership;
    readonly emit: (event: EngineEvent) => void;
    readonly suspicions: Suspicions;
    readonly trustsVectors: boolean;
  }) {
    this.#settings = settings;
    this.#selfId = context.selfId;
    this.#store = context.store;
    this.#membership = context.membership;
    this.#emit = context.emit;
    this.#suspicions = context.suspicions;
    this.#trustsVectors = context.trustsVectors;
    const rounds = settings.heartbeatExpiration / settings.gossipInterval;
    this.#stride = Math.max(1, Math.floor(rounds / STEPS_PER_EXPIRATION));
  }

  /** Turns the events for counts on or off. There are many such events, and only a listener needs them. */
  observe(isObserved: boolean): void {
    this.#isObserved = isObserved;
  }

  /** Counts this member's own interval. */
  count(own: MemberState, now: Instant): void {
    this.#raise(own, own.heartbeatCount + 1, now, own.id);
  }

  /** Must be called once an interval. */
  tick(now: Instant): void {
    this.noteTime(now);
    this.#lastTick = now;
  }

  /**
   * Detects a suspension of this process. Must be called for every message. After a suspension, old messages from a
   * buffer may arrive, and be answered, before the next interval.
   */
  noteTime(now: Instant): void {
    const before = this.#lastTick;
    if (!before) return;
    // While a machine sleeps, only the wall clock advances. While a process is stopped, both clocks advance.
    const lostMs = Math.max(now.monotonicMs - before.monotonicMs, now.wallMs - before.wallMs);
    if (lostMs > this.#settings.heartbeatExpiration) this.distrust(now);
  }

  /** Distrusts all counts so far: this process was suspended. */
  distrust(now: Instant): void {
    this.#distrustedUpToMs = now.monotonicMs;
  }

  /**
   * Distrusts all counts so far, because a peer blocked this member as gone. At most once in each step of a digit.
   * Otherwise a hostile peer could keep this member from passing on any count.
   */
  distrustAfterBlock(nowMs: number): void {
    const stepMs = this.#stride * this.#settings.gossipInterval;
    if (nowMs - this.#distrustedUpToMs >= stepMs) this.#distrustedUpToMs = nowMs;
  }

  /**
   * Applies a member's own count: if it is newer, the member lives (E9). A stored count far above the owner's count is
   * false, and is lowered.
   */
  applyOwnCount(id: string, count: number, now: Instant): void {
    if (id === this.#selfId) return;
    const state = this.#store.log.get(id);
    // A new member has no count yet. A member without room for its state here has no count either, but it lives.
    if (!state || (count === 0 && !state.isUnversioned)) return this.#membership.heartbeat(id, now);
    const isFalse = count < state.heartbeatCount - MOST_AHEAD * this.#stride;
    // An unversioned member sends its counts as entries. Its answers have no count to pass on, so they do not keep it
    // alive here either.
    if (state.isUnversioned || (!isFalse && count <= state.heartbeatCount)) return;
    if (isFalse) state.heartbeatCount = count;
    else this.#raise(state, count, now, id);
    this.#membership.heartbeat(id, now);
  }

  /**
   * Stores the count of a handshake. Digits then have a meaning again, if the member was away for long. The count is not
   * passed on, because it does not show that the member hears this one. Without this rule, members that are cut off
   * with the leader of a role would keep it in office by the dials of the others.
   */
  recordHelloCount(id: string, count: number): void {
    const state = this.#store.log.get(id);
    if (state) state.helloCount = Math.max(state.helloCount, count);
  }

  /**
   * Applies a count of a member that a peer reported, if it is higher. A count above the greatest number in a message
   * is false. If this member passed it on, peers would close their connections.
   */
  applyCount(state: MemberState, count: number, now: Instant, peerId?: string): void {
    if (count <= state.heartbeatCount || count > MAX_NUMBER || state.id === this.#selfId) return;
    this.#raise(state, count, now, peerId);
    this.#membership.heartbeat(state.id, now);
  }

  /** The counts to send to a peer. A vector of other members' counts is included only if one is due. */
  takeLiveness(own: MemberState, { peerIncarnations, room, nowMs }: {
    readonly peerIncarnations: string | undefined;
    /** The bytes left in the message. */
    readonly room: number;
    readonly nowMs: number;
  }): Liveness {
    const { heartbeatCount: count } = own;
    const everyMs = this.#settings.heartbeatExpiration / VECTORS_PER_EXPIRATION;
    // A cluster of two members needs no vectors: each member has the other's count.
    if (!this.#trustsVectors || this.#store.active.size <= 2 || nowMs - this.#lastVectorMs < everyMs) {
      return { count };
    }
    this.#lastVectorMs = nowMs;
    return { count, vector: this.#vector(peerIncarnations, room, nowMs) };
  }

  /** The counts to send to a reader. This does not change the time or the content of the next vector to a peer. */
  livenessForReader(own: MemberState, { room, hasVector, nowMs }: {
    /** The bytes left in the message. */
    readonly room: number;
    readonly nowMs: number;
    /** True if a vector is due for this reader. */
    readonly hasVector: boolean;
  }): Liveness {
    const { heartbeatCount: count } = own;
    if (!this.#trustsVectors || !hasVector) return { count };
    const cursor = this.#cursor;
    const vector = this.#vector(undefined, room, nowMs);
    this.#cursor = cursor;
    return { count, vector };
  }

  /** Applies a peer's vector. Ignores a vector about another set of active members. */
  apply(vector: LivenessVector, now: Instant, peerId?: string): void {
    if (!this.#trustsVectors) return;
    const { incarnationsHash, stride, counts } = vector;
    if (incarnationsHash === undefined) return this.#applyTagged(vector, { now, peerId });
    const { states } = this.#store.sorted;
    if (incarnationsHash !== this.#store.incarnationsHash || counts.length !== states.length) return;
    for (const [index, state] of states.entries()) {
      if (state) this.#applyDigit(state, digitAt(counts, index), { stride, now, peerId });
    }
  }

  #applyTagged({ stride, counts }: LivenessVector, arrival: Arrival): void {
    for (let at = 0; at + TAGGED_DIGITS <= counts.length; at += TAGGED_DIGITS) {
      const state = this.#store.sorted.withTag(counts.slice(at, at + TAG_DIGITS));
      if (state) this.#applyDigit(state, digitAt(counts, at + TAG_DIGITS), { stride, ...arrival });
    }
  }

  #applyDigit(
    state: MemberState,
    digit: number,
    { stride, now, peerId }: Arrival & { readonly stride: number },
  ): void {
    // A digit has no meaning without a former count. The first count comes with the member's state.
    const known = Math.max(state.heartbeatCount, state.helloCount);
    if (digit < 0 || known === 0) return;
    const mine = Math.floor(known / stride);
    const ahead = (digit - mine % DIGIT_VALUES + DIGIT_VALUES) % DIGIT_VALUES;
    if (ahead > 0 && ahead < DIGIT_VALUES / 2) this.applyCount(state, (mine + ahead) * stride, now, peerId);
  }

  #vector(peerIncarnations: string | undefined, left: number, nowMs: number): LivenessVector {
    const { sorted } = this.#store;
    const { states } = sorted;
    const { incarnationsHash } = this.#store;
    const room = Math.max(0, Math.min(left, this.#settings.maxMessageBytes / VECTOR_DIVISOR));
    const passedOnMs = PASSED_ON_WITHIN * this.#settings.heartbeatExpiration;
    const sinceMs = Math.max(this.#distrustedUpToMs, nowMs - passedOnMs);
    if (peerIncarnations === incarnationsHash && states.length <= room) {
      return {
        incarnationsHash,
        stride: this.#stride,
        counts: states.map((state) => this.#digit(state, sinceMs)).join(""),
      };
    }
    let counts = "";
    const most = Math.min(states.length, Math.floor(room / TAGGED_DIGITS));
    for (let looked = 0; looked < most; looked++) {
      const state = states[(this.#cursor + looked) % states.length];
      const digit = this.#digit(state, sinceMs);
      // Two members may share a tag. A receiver that knows only the first would apply the count of the second to the
      // first.
      const isNamed = state !== undefined && sorted.withTag(state.tag) === state;
      if (isNamed && digit !== UNKNOWN) counts += state.tag + digit;
    }
    this.#cursor += most;
    return { stride: this.#stride, counts };
  }

  #digit(state: MemberState | undefined, sinceMs: number): string {
    if (!state) return UNKNOWN;
    const { heartbeatCount: count, heartbeatMonotonicMs: arrivedMs } = state;
    const isFresh = count > 0 && (state.id === this.#selfId || arrivedMs > sinceMs);
    return isFresh ? DIGITS[Math.floor(count / this.#stride) % DIGIT_VALUES]! : UNKNOWN;
  }

  #raise(state: MemberState, count: number, now: Instant, peerId: string | undefined): void {
    this.#suspicions.restart(state.id, now.monotonicMs);
    state.heartbeatCount = count;
    state.heartbeatWallMs = now.wallMs;
    state.heartbeatMonotonicMs = now.monotonicMs;
    state.heartbeatPeerId = peerId;
    if (!this.#isObserved) return;
    const value: JsonValue = state.live(HEARTBEAT_KEY)?.value ?? {};
    this.#emit({
      type: "GossipUpdate",
      memberId: state.id,
      key: HEARTBEAT_KEY,
      value,
      sequenceNumber: count,
      deleted: false,
    });
  }
}
