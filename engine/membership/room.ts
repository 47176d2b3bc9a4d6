/**
 * Makes room for other members' state at its limits. State of members known only by hearsay is dropped first, and such
 * a member never replaces a member that shook hands (rule E15).
 *
 * @module
 */

import type { EngineEvent } from "../events.ts";
import type { HeldMembers } from "./held_members.ts";
import type { Membership } from "./membership.ts";
import type { Store } from "../state/store.ts";
import type { Instant } from "../types.ts";

/**
 * The state of a member that shook hands replaces any state known by hearsay if it takes at most `maxHeldBytes` divided
 * by this number. 16: with the defaults that is twice `maxStateBytes`. Lower: a hostile member with a large state
 * displaces more states of others.
 */
const SHARE = 16;
/**
 * The most members with a recorded refusal, so that each refusal is emitted once in an expiration. 1,024: bounds the
 * memory.
 */
const MAX_REPORTED = 1_024;

/** The limits over all members; durations in milliseconds. */
export interface RoomSettings {
  readonly gossipInterval: number;
  readonly heartbeatExpiration: number;
  readonly maxMembers: number;
  readonly maxHeldBytes: number;
}

/** The limit that was reached. */
export type RoomLimit = "maxHeldBytes" | "maxMembers";

/** Finds places and memory for other members' state. */
export class Room {
  readonly #settings: RoomSettings;
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #held: HeldMembers;
  readonly #emit: (event: EngineEvent) => void;
  /**
   * By member id, the time until which the state must not grow. Otherwise a state that was dropped for its size would
   * return at once.
   */
  readonly #restingUntilMs = new Map<string, number>();
  /** The members with an emitted refusal. */
  readonly #reported = new Set<string>();
  #reportsSinceMs = -Infinity;
  /** The next search for a departed member may start at this time, so that a flood of hearsay costs no searches. */
  #searchAtMs = -Infinity;
  #dropReportedMs = -Infinity;
  #last: { readonly memberId: string; readonly limit: RoomLimit } | undefined;
  #dropped = 0;
  #unreported = 0;
  #refused = 0;

  constructor(
    settings: RoomSettings,
    context: {
      readonly store: Store;
      readonly membership: Membership;
      readonly held: HeldMembers;
      readonly emit: (event: EngineEvent) => void;
    },
  ) {
    this.#settings = settings;
    this.#store = context.store;
    this.#membership = context.membership;
    this.#held = context.held;
    this.#emit = context.emit;
  }

  /** The number of states dropped to make room. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The number of deltas refused for lack of room. */
  get refused(): number {
    return this.#refused;
  }

  /** Makes a place for a new member, if another member is trusted less. Returns false if there is no place. */
  makePlace(id: string, now: Instant): boolean {
    if (this.#store.log.get(id) || this.#store.log.size < this.#settings.maxMembers) return true;
    const isHeld = (other: string) => other !== id && this.#store.log.get(other) !== undefined;
    const victim = this.#held.hasMet(id) ? this.#leastTrusted(isHeld, now) : this.#searchLongGone(now);
    if (victim !== undefined) this.#drop(victim, "maxMembers", now);
    return victim !== undefined;
  }

  /** Makes a place in the topology for a process that shakes hands now; returns the member that was removed. */
  makePlaceInTopology(now: Instant): string | undefined {
    const victim = this.#leastTrusted((id) => this.#membership.isMember(id), now);
    if (victim !== undefined) this.#drop(victim, "maxMembers", now);
    return victim;
  }

  /** Makes room for a state, if other states are trusted less. Returns the bytes that it may take, at most `wanted`. */
  makeBytes(id: string, wanted: number, now: Instant): number {
    const { maxHeldBytes } = this.#settings;
    const left = () => maxHeldBytes - this.#held.bytes + this.#held.bytesOf(id);
    if (wanted <= left()) return wanted;
    // mutant drop-fallback: a comparison with undefined is false, too; the type needs the fallback.
    if ((this.#restingUntilMs.get(id) ?? -Infinity) > now.monotonicMs) return this.#held.bytesOf(id);
    while (wanted > left()) {
      const victim = this.#largest(id, wanted);
      if (victim === undefined) break;
      this.#rest(victim, now);
      this.#drop(victim, "maxHeldBytes", now);
    }
    return Math.min(wanted, left());
  }

  /** Records a delta that was refused for lack of room; emits one conflict per member in an expiration. */
  noteRefused(memberId: string, peerId: string, { monotonicMs }: Instant): void {
    this.#refused++;
    if (monotonicMs - this.#reportsSinceMs >= this.#settings.heartbeatExpiration) {
      this.#reported.clear();
      this.#reportsSinceMs = monotonicMs;
    }
    if (this.#reported.has(memberId) || this.#reported.size >= MAX_REPORTED) return;
    this.#reported.add(memberId);
    this.#emit({ type: "ConflictDetected", memberId, reason: "limit", peerId });
  }

  /** Must be called once an interval. */
  tick({ monotonicMs }: Instant): void {
    for (const [id, untilMs] of this.#restingUntilMs) {
      if (untilMs > monotonicMs) break;
      this.#restingUntilMs.delete(id);
    }
    this.#reportDrops(monotonicMs);
  }

  /** Emits the first drop at once, and all drops of the next `heartbeatExpiration` together. */
  #reportDrops(nowMs: number): void {
    if (this.#last === undefined || nowMs - this.#dropReportedMs < this.#settings.heartbeatExpiration) return;
    this.#emit({ type: "StateDropped", ...this.#last, count: this.#unreported });
    this.#dropReportedMs = nowMs;
    this.#last = undefined;
    this.#unreported = 0;
  }

  #drop(memberId: string, limit: RoomLimit, { monotonicMs }: Instant): void {
    const isActive = this.#held.hasMet(memberId) && this.#store.active.has(memberId);
    if (isActive) this.#empty(memberId);
    else this.#membership.displace(memberId);
    this.#dropped++;
    this.#unreported++;
    this.#last = { memberId, limit };
    this.#reportDrops(monotonicMs);
  }

  /**
   * Drops the state of a member that stays active. Its state is accepted again when there is room, but no state of an
   * earlier incarnation.
   */
  #empty(id: string): void {
    const { incarnation } = this.#store.log.get(id)!;
    this.#store.removeMember(id);
    this.#membership.departures.remember(id, { incarnation, number: 0 });
  }

  #rest(id: string, { monotonicMs }: Instant): void {
    this.#restingUntilMs.delete(id);
    this.#restingUntilMs.set(id, monotonicMs + this.#settings.heartbeatExpiration);
    if (this.#restingUntilMs.size <= this.#settings.maxMembers) return;
    this.#restingUntilMs.delete(this.#restingUntilMs.keys().next().value!);
  }

  /**
   * The state to drop for the bytes of another state: a larger state, so that two states do not replace each other in
   * turn.
   */
  #largest(id: string, wanted: number): string | undefined {
    const isMet = this.#held.hasMet(id);
    const isSmall = wanted <= this.#settings.maxHeldBytes / SHARE;
    const above = isMet && isSmall ? 0 : wanted;
    return this.#held.largest({ met: false, above, except: id }) ??
      (isMet ? this.#held.largest({ met: true, above: wanted, except: id }) : undefined);
  }

  /**
   * The member to remove for a member that shook hands: a long-departed member, otherwise the newest member known by
   * hearsay, otherwise any departed member.
   */
  #leastTrusted(mayGo: (id: string) => boolean, now: Instant): string | undefined {
    const gone = this.#searchLongGone(now, mayGo);
    if (gone !== undefined) return gone;
    let newest: string | undefined;
    for (const id of this.#held.byHearsay()) if (mayGo(id)) newest = id;
    if (newest !== undefined) return newest;
    for (const id of this.#membership.departures.goneUntil()) if (mayGo(id)) return id;
    return undefined;
  }

  /** The first departed member that is known only by hearsay and has not been active for an expiration. */
  #searchLongGone(now: Instant, mayGo?: (id: string) => boolean): string | undefined {
    const { monotonicMs } = now;
    if (!mayGo && monotonicMs < this.#searchAtMs) return undefined;
    const { heartbeatExpiration, gossipInterval } = this.#settings;
    for (const id of this.#membership.departures.goneUntil(monotonicMs - heartbeatExpiration)) {
      // mutant replace-value: a held state has more than one byte.
      const isHearsay = this.#held.bytesOf(id) > 0 && !this.#held.hasMet(id);
      if (isHearsay && (mayGo?.(id) ?? true)) return id;
    }
    this.#searchAtMs = monotonicMs + gossipInterval;
    return undefined;
  }
}
