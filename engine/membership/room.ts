/**
 * Makes room where as much is held of other members as may be: state of those known by hearsay alone goes first, and
 * hearsay never takes the place of a member that shook hands (rule E15).
 *
 * @module
 */

import type { EngineEvent } from "../events.ts";
import type { HeldMembers } from "./held_members.ts";
import type { Membership } from "./membership.ts";
import type { Store } from "../state/store.ts";
import type { Instant } from "../types.ts";

/**
 * Up to which share of `maxHeldBytes` the state of a member that shook hands takes the place of any hearsay. A 16th:
 * twice `maxStateBytes` with the defaults. More: one insider with a large state drops more of what others said.
 */
const SHARE = 16;
/** The most members whose refusal is remembered, so that each is told once in a while. */
const MAX_TOLD = 1_024;

/** The limits over all members; durations in milliseconds. */
export interface RoomSettings {
  readonly gossipInterval: number;
  readonly heartbeatExpiration: number;
  readonly maxMembers: number;
  readonly maxHeldBytes: number;
}

/** Which limit over all members was reached. */
export type RoomLimit = "maxHeldBytes" | "maxMembers";

/** Finds places and memory for what is held of other members. */
export class Room {
  readonly #settings: RoomSettings;
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #held: HeldMembers;
  readonly #emit: (event: EngineEvent) => void;
  /** By id, until when the state may not grow: else a state that was dropped for its size would come back at once. */
  readonly #restingUntilMs = new Map<string, number>();
  /** The members whose refusal was told. */
  readonly #told = new Set<string>();
  #toldSinceMs = -Infinity;
  /** No member that is gone for long is looked for before this moment, so that a flood of hearsay costs no searches. */
  #searchAtMs = -Infinity;
  #toldDropMs = -Infinity;
  #last: { readonly memberId: string; readonly limit: RoomLimit } | undefined;
  #dropped = 0;
  #untold = 0;
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

  /** How often a member's state was dropped to make room. */
  get dropped(): number {
    return this.#dropped;
  }

  /** How often there was no room for what a peer sent. */
  get refused(): number {
    return this.#refused;
  }

  /** Whether there is a place for a member of which nothing is held; makes one if another is trusted less. */
  makePlace(id: string, now: Instant): boolean {
    if (this.#store.log.get(id) || this.#store.log.size < this.#settings.maxMembers) return true;
    const isHeld = (other: string) => other !== id && this.#store.log.get(other) !== undefined;
    const victim = this.#held.hasMet(id) ? this.#leastTrusted(isHeld, now) : this.#longGone(now);
    if (victim !== undefined) this.#drop(victim, "maxMembers", now);
    return victim !== undefined;
  }

  /** Makes a place in the topology for a member that shakes hands now; returns the member that lost its own. */
  makePlaceInTopology(now: Instant): string | undefined {
    const victim = this.#leastTrusted((id) => this.#membership.isMember(id), now);
    if (victim !== undefined) this.#drop(victim, "maxMembers", now);
    return victim;
  }

  /** How many bytes the state of a member may take that wants so many; makes room if others are trusted less. */
  makeBytes(id: string, wanted: number, now: Instant): number {
    const { maxHeldBytes } = this.#settings;
    const left = () => maxHeldBytes - this.#held.bytes + this.#held.bytesOf(id);
    if (wanted <= Math.max(left(), this.#held.bytesOf(id))) return wanted;
    if ((this.#restingUntilMs.get(id) ?? -Infinity) > now.monotonicMs) return this.#held.bytesOf(id);
    while (wanted > left()) {
      const victim = this.#largest(id, wanted);
      if (victim === undefined) break;
      this.#rest(victim, now);
      this.#drop(victim, "maxHeldBytes", now);
    }
    return Math.min(wanted, left());
  }

  /** There was no room for what a peer sent of a member; that is told once in a while. */
  noteRefused(memberId: string, peerId: string, { monotonicMs }: Instant): void {
    this.#refused++;
    if (monotonicMs - this.#toldSinceMs >= this.#settings.heartbeatExpiration) {
      this.#told.clear();
      this.#toldSinceMs = monotonicMs;
    }
    if (this.#told.has(memberId) || this.#told.size >= MAX_TOLD) return;
    this.#told.add(memberId);
    this.#emit({ type: "ConflictDetected", memberId, reason: "limit", peerId });
  }

  /** To be called once an interval. */
  tick({ monotonicMs }: Instant): void {
    for (const [id, untilMs] of this.#restingUntilMs) {
      if (untilMs > monotonicMs) break;
      this.#restingUntilMs.delete(id);
    }
    this.#tell(monotonicMs);
  }

  /** Tells the first drop at once, and those of the next `heartbeatExpiration` together. */
  #tell(nowMs: number): void {
    if (this.#last === undefined || nowMs - this.#toldDropMs < this.#settings.heartbeatExpiration) return;
    this.#emit({ type: "StateDropped", ...this.#last, count: this.#untold });
    this.#toldDropMs = nowMs;
    this.#last = undefined;
    this.#untold = 0;
  }

  #drop(memberId: string, limit: RoomLimit, { monotonicMs }: Instant): void {
    const isActive = this.#held.hasMet(memberId) && this.#store.active.has(memberId);
    // It takes part as before, and its state is taken again when there is room.
    if (isActive) this.#store.removeMember(memberId);
    else this.#membership.displace(memberId);
    this.#dropped++;
    this.#untold++;
    this.#last = { memberId, limit };
    this.#tell(monotonicMs);
  }

  #rest(id: string, { monotonicMs }: Instant): void {
    this.#restingUntilMs.delete(id);
    this.#restingUntilMs.set(id, monotonicMs + this.#settings.heartbeatExpiration);
    if (this.#restingUntilMs.size <= this.#settings.maxMembers) return;
    this.#restingUntilMs.delete(this.#restingUntilMs.keys().next().value!);
  }

  /** Whose state has to make room for so many bytes of another's: a larger one, so that no two take turns. */
  #largest(id: string, wanted: number): string | undefined {
    const isMet = this.#held.hasMet(id);
    const isSmall = wanted <= this.#settings.maxHeldBytes / SHARE;
    const above = isMet && isSmall ? 0 : wanted;
    return this.#held.largest({ met: false, above, except: id }) ??
      (isMet ? this.#held.largest({ met: true, above: wanted, except: id }) : undefined);
  }

  /** Who makes a place for a member that shook hands: one that is gone, then hearsay, the newest first, then the departed. */
  #leastTrusted(mayGo: (id: string) => boolean, now: Instant): string | undefined {
    const gone = this.#longGone(now, mayGo);
    if (gone !== undefined) return gone;
    let newest: string | undefined;
    for (const id of this.#held.byHearsay()) if (mayGo(id)) newest = id;
    if (newest !== undefined) return newest;
    for (const id of this.#membership.departures.goneUntil()) if (mayGo(id)) return id;
    return undefined;
  }

  /** A member known by hearsay alone that has not been active for an expiration, and was so first. */
  #longGone(now: Instant, mayGo?: (id: string) => boolean): string | undefined {
    const { monotonicMs } = now;
    if (!mayGo && monotonicMs < this.#searchAtMs) return undefined;
    const { heartbeatExpiration, gossipInterval } = this.#settings;
    for (const id of this.#membership.departures.goneUntil(monotonicMs - heartbeatExpiration)) {
      const isHearsay = this.#held.bytesOf(id) > 0 && !this.#held.hasMet(id);
      if (isHearsay && (mayGo?.(id) ?? true)) return id;
    }
    this.#searchAtMs = monotonicMs + gossipInterval;
    return undefined;
  }
}
