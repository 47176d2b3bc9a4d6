/**
 * All state that is held, and the running values over the active part of it: digest, agreement, consensus
 * (rules E6, E12, E13). Every change of state goes through here, so that none of them can be forgotten.
 *
 * @module
 */

import { Agreement } from "../convergence.ts";
import { ChangeOrder } from "./change_log.ts";
import type { ConsensusCheck } from "../consensus.ts";
import { Sum } from "./digest.ts";
import type { EngineEvent } from "../events.ts";
import { HeldMembers } from "../membership/held_members.ts";
import { type HeldEntry, MemberState } from "./member_state.ts";
import { SortedMembers } from "./sorted_members.ts";
import {
  HEARTBEAT_KEY,
  type Instant,
  isTombstone,
  type JsonValue,
  type Life,
  type SentEntry,
} from "../types.ts";

/** The name of a state that digests compare: its digest and the hash of the ids that are active. */
export function stateName(digest: string, active: string): string {
  return `${digest}/${active}`;
}

/** All state held by one member. */
export class Store {
  readonly order: ChangeOrder = new ChangeOrder();
  readonly agreement: Agreement = new Agreement();
  readonly checks: Map<string, ConsensusCheck> = new Map();
  /** The other members of which something is held, by size and by trust. */
  readonly held: HeldMembers = new HeldMembers();

  readonly #selfId: string;
  readonly #emit: (event: EngineEvent) => void;
  readonly #active = new Set<string>();
  /** Of these something is held, and they are not active. */
  readonly #inactive = new Set<string>();
  /** Of these nothing is held, though they are active; who was asked for longest ago comes first. */
  readonly #unheard = new Set<string>();
  /** The active ids but for this member's own, and the place of each: to draw lots without a copy (rule E6). */
  readonly #peers: string[] = [];
  readonly #places = new Map<string, number>();
  readonly #digest = new Sum();
  readonly #activeHash = new Sum();
  readonly #livesHash = new Sum();
  #named = { digest: "", activeHash: "", state: "" };
  #sorted: SortedMembers | undefined;
  /** Deleted keys that are still told of, the first deleted first. */
  readonly #tombstones = new Map<HeldEntry, { readonly member: MemberState; readonly sinceMs: number }>();

  constructor(selfId: string, emit: (event: EngineEvent) => void) {
    this.#selfId = selfId;
    this.#emit = emit;
  }

  /** The digest of rule E12. */
  get digest(): string {
    return this.#digest.toString();
  }

  /** The hash of the active ids. */
  get activeHash(): string {
    return this.#activeHash.toString();
  }

  /** The name of the state that is held. Kept while it holds: it is compared with every message. */
  get state(): string {
    const { digest, activeHash } = this;
    const named = this.#named;
    if (named.digest === digest && named.activeHash === activeHash) return named.state;
    const state = stateName(digest, activeHash);
    this.#named = { digest, activeHash, state };
    return state;
  }

  /** The hash of the active ids and the lives that are held of them: where two are equal, so is the meaning of an index. */
  get livesHash(): string {
    return this.#livesHash.toString();
  }

  /** The active members in the order of their ids' bytes, where all of them are held. */
  get sorted(): SortedMembers {
    return this.#sorted ??= new SortedMembers(this.#active, this.order);
  }

  /** The ids that are active, this member's own among them. */
  get active(): ReadonlySet<string> {
    return this.#active;
  }

  /** The ids of those of whom something is held though they are not active. */
  get inactive(): ReadonlySet<string> {
    return this.#inactive;
  }

  /** The ids of so many active members of whom nothing is held, each in its turn. */
  takeUnheard(most: number): string[] {
    const ids = [...this.#unheard.values().take(most)];
    for (const id of ids) this.#unheard.delete(id);
    for (const id of ids) this.#unheard.add(id);
    return ids;
  }

  /** The ids of the active peers, in no order that means anything. It changes with the next call. */
  get peers(): readonly string[] {
    return this.#peers;
  }

  /** The number of tombstones kept. */
  get tombstones(): number {
    return this.#tombstones.size;
  }

  /** Counts a member as active from now on. */
  activate(id: string): void {
    if (this.#active.has(id)) return;
    this.#active.add(id);
    this.#inactive.delete(id);
    this.#activeHash.add(id);
    this.#changeLife(id, { add: true });
    if (id !== this.#selfId) {
      this.agreement.add(id);
      this.#places.set(id, this.#peers.push(id) - 1);
    }
    const member = this.order.get(id);
    if (!member) return void this.#unheard.add(id);
    this.#digest.addSum(member.sum);
    for (const check of this.checks.values()) check.note(id, member.live(check.key)?.value);
  }

  /** No longer counts a member as active. */
  deactivate(id: string): void {
    if (!this.#active.delete(id)) return;
    this.#unheard.delete(id);
    this.#activeHash.remove(id);
    this.#changeLife(id, { add: false });
    this.agreement.remove(id);
    this.#removePeer(id);
    const member = this.order.get(id);
    if (member) this.#digest.removeSum(member.sum);
    if (member) this.#inactive.add(id);
    for (const check of this.checks.values()) check.note(id, undefined);
  }

  /** Begins to evaluate a check. */
  addCheck(check: ConsensusCheck): void {
    this.checks.set(check.id, check);
    for (const id of this.#active) check.note(id, this.order.get(id)?.live(check.key)?.value);
  }

  /** Holds a life of a member of which nothing was held. */
  hold(id: string, life: Life): MemberState {
    const member = new MemberState(id, life);
    const isActive = this.#active.has(id);
    if (isActive) this.#changeLife(id, { add: false });
    this.order.hold(member);
    // mutant delete-statement: #changeLife() does the same for those that are active, and no others are sorted.
    this.#sorted = undefined;
    if (isActive) this.#changeLife(id, { add: true });
    this.#unheard.delete(id);
    if (!isActive) this.#inactive.add(id);
    return member;
  }

  /**
   * Sets or deletes keys of a member that is held, in rising order of number, all above its others; of a foreign
   * member, each above the one of the same key.
   */
  put(member: MemberState, entries: readonly SentEntry[], now: Instant): void {
    const active = this.#active.has(member.id);
    // The digest follows once for all entries: each step would cost as much as the entry itself.
    if (active) this.#digest.removeSum(member.sum);
    for (const entry of entries) {
      const before = member.live(entry.key);
      this.#place(member, entry, now);
      if (!isTombstone(entry) || before) this.#emitUpdate(member.id, entry, entry.value);
      this.#noteValue(member.id, entry.key, entry.value);
    }
    if (active) this.#digest.addSum(member.sum);
    this.#noteSize(member);
  }

  /**
   * Holds these entries of a member in place of all that was held: another life, or a reset of the same one.
   * What they leave out is gone, and is told as deleted.
   */
  replace(
    before: MemberState,
    entries: readonly SentEntry[],
    options: { readonly life: Life; readonly floor: number; readonly now: Instant },
  ): MemberState {
    const { life, floor, now } = options;
    const active = this.#active.has(before.id);
    if (active) this.#digest.removeSum(before.sum);
    const member = this.hold(before.id, life);
    for (const entry of entries) {
      const old = before.live(entry.key);
      const unchanged = life === before.life && old?.number === entry.number && old.json === entry.json &&
        old.type === entry.type;
      // What was merged before is not merged anew (R5.4).
      this.#place(member, entry, unchanged ? { ...now, wallMs: old.timestampMs } : now);
      if (!unchanged && (!isTombstone(entry) || old)) this.#emitUpdate(member.id, entry, entry.value);
      this.#noteValue(member.id, entry.key, entry.value);
    }
    // A serial of its own, also where nothing is set.
    if (entries.length === 0) this.order.next();
    member.raiseFloor({ number: floor, serial: this.order.serial });
    if (life === before.life) {
      member.heartbeatCount = before.heartbeatCount;
      member.heartbeatWallMs = before.heartbeatWallMs;
      member.heartbeatMonotonicMs = before.heartbeatMonotonicMs;
      member.settled = before.settled;
    }
    if (active) this.#digest.addSum(member.sum);
    this.#noteSize(member);
    this.#bury(before);
    this.order.changed(member);
    for (const old of before.entries()) {
      if (isTombstone(old) || member.get(old.key)) continue;
      this.#emitUpdate(member.id, old, undefined);
      this.#noteValue(member.id, old.key, undefined);
    }
    return member;
  }

  /** Holds nothing of a member any more. */
  drop(id: string): void {
    const member = this.order.get(id);
    if (!member) return;
    const isActive = this.#active.has(id);
    if (isActive) this.#digest.removeSum(member.sum);
    if (isActive) this.#changeLife(id, { add: false });
    this.order.drop(id);
    // mutant delete-statement: as in hold().
    this.#sorted = undefined;
    if (isActive) this.#changeLife(id, { add: true });
    this.#inactive.delete(id);
    if (isActive) this.#unheard.add(id);
    this.held.remove(id);
    this.#bury(member);
    for (const entry of member.entries()) {
      if (isTombstone(entry)) continue;
      this.#emitUpdate(id, entry, undefined);
      this.#noteValue(id, entry.key, undefined);
    }
  }

  /** Forgets the tombstones that are old enough (rule E8). */
  forgetTombstones(nowMs: number, retentionMs: number): void {
    for (const [tombstone, { member, sinceMs }] of this.#tombstones) {
      if (nowMs - sinceMs < retentionMs) return;
      this.#tombstones.delete(tombstone);
      // A member's latest entry says up to where it is held: it is looked at again later. Of a foreign member
      // nothing but the tombstone itself keeps an older value from coming back.
      const isLatest = tombstone.number === member.held;
      if (isLatest || member.isForeign) this.#tombstones.set(tombstone, { member, sinceMs: nowMs });
      else member.forget(tombstone);
    }
  }

  /** All active members hold a member up to a number: older deletions need not be told any more (rule E8). */
  settle(member: MemberState, number: number): void {
    const settled = Math.min(number, member.held);
    // mutant move-bound: settled as far as before, what was the latest entry then may go a little sooner.
    if (member.isForeign || settled <= member.settled) return;
    member.settled = settled;
    for (const tombstone of member.deletions) {
      if (tombstone.number > settled) return;
      // The latest entry says up to where the member is held.
      if (tombstone.number === member.held) return;
      this.#tombstones.delete(tombstone);
      member.forget(tombstone);
    }
  }

  /** All active members have the same state. */
  settleAll(): void {
    const members = new Set([...this.#tombstones.values()].map(({ member }) => member));
    for (const member of members) if (this.#active.has(member.id)) this.settle(member, member.held);
  }

  #place(member: MemberState, entry: SentEntry, now: Instant): void {
    const { key, number, type, value, json } = entry;
    const serial = this.order.next();
    const before = member.get(key);
    // Else a key that is set and deleted without end would leave a tombstone each time.
    if (before) this.#tombstones.delete(before);
    const held = member.put({ key, number, type, value, json, timestampMs: now.wallMs }, serial);
    if (isTombstone(held)) this.#tombstones.set(held, { member, sinceMs: now.monotonicMs });
    this.order.changed(member);
  }

  /** A member's own state has limits of its own. Deletions that are forgotten are counted with the next change. */
  #noteSize(member: MemberState): void {
    if (member.id !== this.#selfId) this.held.update(member);
  }

  /** Of what is no longer held no tombstones are kept either. */
  #bury(member: MemberState): void {
    for (const entry of member.entries()) {
      if (isTombstone(entry)) this.#tombstones.delete(member.get(entry.key)!);
    }
  }

  #noteValue(id: string, key: string, value: JsonValue | undefined): void {
    if (this.checks.size === 0 || !this.#active.has(id)) return;
    for (const check of this.checks.values()) if (check.key === key) check.note(id, value);
  }

  /** A member became active or ceased to be, or is held in another life. */
  #changeLife(id: string, { add }: { readonly add: boolean }): void {
    // mutant drop-fallback: join() writes undefined as "" too; the type needs it.
    const fields = [id, this.order.get(id)?.life ?? ""];
    if (add) this.#livesHash.add(...fields);
    else this.#livesHash.remove(...fields);
    this.#sorted = undefined;
  }

  /** The heartbeat is an entry of its statistics alone: its events follow the count, see `Heartbeats`. */
  #emitUpdate(memberId: string, entry: SentEntry, value: JsonValue | undefined): void {
    if (entry.key === HEARTBEAT_KEY && value !== undefined) return;
    const { key, number: sequenceNumber } = entry;
    this.#emit({ type: "GossipUpdate", memberId, key, value, sequenceNumber, deleted: value === undefined });
  }

  /** The last takes the place of the one that goes. */
  #removePeer(id: string): void {
    const place = this.#places.get(id);
    if (place === undefined) return;
    // mutant delete-statement: a place left behind is read by nothing, and only takes memory.
    this.#places.delete(id);
    const last = this.#peers.pop()!;
    if (last === id) return;
    this.#peers[place] = last;
    this.#places.set(last, place);
  }
}
