/**
 * Which members are alive, as far as heartbeats tell (rules L1 to L4 in `docs/ALGORITHM.md`).
 *
 * A member counts its intervals. The count is no state: it has no entry and no sequence number, and a later life begins
 * at 0. A member hears the counts of others directly, with each of their messages, and through vectors that any member
 * sends, in which a count is one digit.
 *
 * @module
 */

import { digitAt, DIGITS } from "./base64_digits.ts";
import type { EngineEvent } from "../events.ts";
import type { Membership } from "../membership/membership.ts";
import type { MemberState } from "../state/member_state.ts";
import type { Store } from "../state/store.ts";
import type { Suspicions } from "./suspicions.ts";
import { HEARTBEAT_KEY, type Instant, type JsonValue, type Liveness, type LivenessVector } from "../types.ts";

/** A digit has 64 values; a difference of more than half of them is one backwards. */
const DIGIT_VALUES = 64;
/**
 * How many digits the expiration is divided into. 12: a digit wraps after about five expirations, so that a
 * member that was suspended for less than one cannot pass off an old count for a new one. More: it wraps sooner. Fewer: a
 * count that is passed on is older.
 */
const STEPS_PER_EXPIRATION = 12;
/**
 * How many vectors a member sends in the time of an expiration, at most. 70, with the defaults one a round: a count
 * then reaches 10,000 members in some 22 vectors, well before it expires. Fewer: living members of large clusters expire.
 * More: traffic, a digit a member each.
 */
const VECTORS_PER_EXPIRATION = 70;
const UNKNOWN = ".";
const TAG_DIGITS = 4;
/** What one tagged count takes. */
const TAGGED_DIGITS = TAG_DIGITS + 1;
/**
 * By how many digits a count may be above what its owner says before it is lowered. 4, a third of an expiration: a
 * message that was overtaken lowers nothing, and a false count of a peer hides true ones for no longer than that.
 */
const MOST_AHEAD = 4;
/** A vector takes at most one in so many bytes of a message. */
const VECTOR_SHARE = 4;

/** What {@linkcode Heartbeats} is set to; durations in milliseconds. */
export interface HeartbeatSettings {
  readonly gossipInterval: number;
  readonly heartbeatExpiration: number;
  readonly maxMessageBytes: number;
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
  /** Whether vectors of others are believed, see rule L4. */
  readonly #trustsVectors: boolean;
  #isObserved = false;
  #lastVectorMs = -Infinity;
  /** Where the next vector begins that has no room for all. */
  #cursor = 0;
  /** What was heard up to then may be older than it seems, and is not passed on. */
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

  /** Emits an event for each count, or none: these events are many, and only a listener needs them. */
  observe(isObserved: boolean): void {
    this.#isObserved = isObserved;
  }

  /** Counts this member's own interval. */
  count(own: MemberState, now: Instant): void {
    this.#raise(own, own.heartbeatCount + 1, now);
  }

  /** To be called once an interval. */
  tick(now: Instant): void {
    this.noteTime(now);
    this.#lastTick = now;
  }

  /**
   * Notices that this process was suspended. To be called whenever something arrives: after a suspension, what lay in a
   * buffer may arrive, and be answered, before the next interval.
   */
  noteTime(now: Instant): void {
    const before = this.#lastTick;
    if (!before) return;
    // A machine that slept shows it by its wall clock only, a process that was stopped by both.
    const lostMs = Math.max(now.monotonicMs - before.monotonicMs, now.wallMs - before.wallMs);
    if (lostMs > this.#settings.heartbeatExpiration) this.distrust(now);
  }

  /** What was heard so far may be older than it seems: this process was suspended, or others took it to be gone. */
  distrust(now: Instant): void {
    this.#distrustedUpToMs = now.monotonicMs;
  }

  /**
   * A member said its own count: it lives if that is newer (E9). The owner's word always counts, so that a count that is
   * far above it was false.
   */
  applyOwnCount(id: string, count: number, now: Instant): void {
    if (id === this.#selfId) return;
    const state = this.#store.log.get(id);
    // A member that has just started has no count, and a member whose state found no room here lives all the same.
    if (!state || (count === 0 && !state.isUnversioned)) return this.#membership.heartbeat(id, now);
    const isFalse = count < state.heartbeatCount - MOST_AHEAD * this.#stride;
    // An unversioned member has its counts in its entries. That it answers says nothing to the others, who hear no count.
    if (state.isUnversioned || (!isFalse && count <= state.heartbeatCount)) return;
    if (isFalse) state.heartbeatCount = count;
    else this.#raise(state, count, now);
    this.#membership.heartbeat(id, now);
  }

  /** A peer said a count of another member: news if it is higher. */
  applyCount(state: MemberState, count: number, now: Instant): void {
    if (count <= state.heartbeatCount || state.id === this.#selfId) return;
    this.#raise(state, count, now);
    this.#membership.heartbeat(state.id, now);
  }

  /** What to say to a peer that knows of these members and lives; the others' counts only as often as they are due. */
  takeLiveness(own: MemberState, { peerLives, room, nowMs }: {
    readonly peerLives: string | undefined;
    /** The bytes that the message has left. */
    readonly room: number;
    readonly nowMs: number;
  }): Liveness {
    const { heartbeatCount: count } = own;
    const everyMs = this.#settings.heartbeatExpiration / VECTORS_PER_EXPIRATION;
    // Two members learn of each other by their own counts alone.
    if (!this.#trustsVectors || this.#store.active.size <= 2 || nowMs - this.#lastVectorMs < everyMs) {
      return { count };
    }
    this.#lastVectorMs = nowMs;
    return { count, vector: this.#vector(peerLives, room) };
  }

  /** Takes a vector of a peer; one that is about other members than those that are active here says nothing. */
  apply(vector: LivenessVector, now: Instant): void {
    if (!this.#trustsVectors) return;
    const { active, stride, counts } = vector;
    if (active === undefined) return this.#applyTagged(vector, now);
    const { states } = this.#store.sorted;
    if (active !== this.#store.incarnationsHash || counts.length !== states.length) return;
    for (const [index, state] of states.entries()) {
      if (state) this.#applyDigit(state, digitAt(counts, index), { stride, now });
    }
  }

  #applyTagged({ stride, counts }: LivenessVector, now: Instant): void {
    for (let at = 0; at + TAGGED_DIGITS <= counts.length; at += TAGGED_DIGITS) {
      const state = this.#store.sorted.withTag(counts.slice(at, at + TAG_DIGITS));
      if (state) this.#applyDigit(state, digitAt(counts, at + TAG_DIGITS), { stride, now });
    }
  }

  #applyDigit(
    state: MemberState,
    digit: number,
    { stride, now }: { readonly stride: number; readonly now: Instant },
  ): void {
    // Of a member that was never heard a digit says nothing: whole counts come with its state.
    if (digit < 0 || state.heartbeatCount === 0) return;
    const mine = Math.floor(state.heartbeatCount / stride);
    const ahead = (digit - mine % DIGIT_VALUES + DIGIT_VALUES) % DIGIT_VALUES;
    if (ahead > 0 && ahead < DIGIT_VALUES / 2) this.applyCount(state, (mine + ahead) * stride, now);
  }

  #vector(peerLives: string | undefined, left: number): LivenessVector {
    const { sorted } = this.#store;
    const { states } = sorted;
    const active = this.#store.incarnationsHash;
    const room = Math.max(0, Math.min(left, this.#settings.maxMessageBytes / VECTOR_SHARE));
    if (peerLives === active && states.length <= room) {
      return { active, stride: this.#stride, counts: states.map((state) => this.#digit(state)).join("") };
    }
    let counts = "";
    const most = Math.min(states.length, Math.floor(room / TAGGED_DIGITS));
    for (let looked = 0; looked < most; looked++) {
      const state = states[(this.#cursor + looked) % states.length];
      const digit = this.#digit(state);
      // Where two members share a tag, a receiver that knows one of them would take the other's count for its own.
      const isNamed = state !== undefined && sorted.withTag(state.tag) === state;
      if (isNamed && digit !== UNKNOWN) counts += state.tag + digit;
    }
    this.#cursor += most;
    return { stride: this.#stride, counts };
  }

  #digit(state: MemberState | undefined): string {
    if (!state) return UNKNOWN;
    const { heartbeatCount: count, heartbeatMonotonicMs: monotonicMs } = state;
    const isFresh = count > 0 && (state.id === this.#selfId || monotonicMs > this.#distrustedUpToMs);
    return isFresh ? DIGITS[Math.floor(count / this.#stride) % DIGIT_VALUES]! : UNKNOWN;
  }

  #raise(state: MemberState, count: number, now: Instant): void {
    this.#suspicions.restart(state.id, now.monotonicMs);
    state.heartbeatCount = count;
    state.heartbeatWallMs = now.wallMs;
    state.heartbeatMonotonicMs = now.monotonicMs;
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
