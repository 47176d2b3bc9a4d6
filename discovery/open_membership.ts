/**
 * Discovery by handshakes: sends a handshake to each of some addresses, and learns of the other members by
 * gossip.
 *
 * @module
 */

import { GRACEFULLY_LEFT_KEY, MEMBER_KEY } from "../engine/types.ts";
import { canonicalAddress } from "../common/canonical_address.ts";
import {
  type Discovery,
  type DiscoveryContext,
  isDialable,
  type Member,
  type SeedStatus,
} from "../contracts/cluster.ts";
import { printable } from "../common/printable.ts";
import { reasonOf, ReportOnce } from "../common/report_once.ts";
import { Semaphore } from "../common/semaphore.ts";
import { isSameMember, MemberList } from "./member_list.ts";
import { readMember } from "./member_record.ts";

/**
 * The most handshakes at once. 8: even with a thousand addresses, the first answers bring the rest of the
 * members.
 */
export const MAX_HANDSHAKES = 8;
/** The most addresses of a source; the first ones count. */
export const MAX_ADDRESSES = 1_024;
/** Milliseconds before the place of a finished handshake is reused, if more wait than there are places. */
const HELD_MS = 1_000;
/**
 * The interval, in milliseconds, in which on average one of the addresses that led to this member or to an
 * active one is dialed again. A load balancer may lead to another member then. 30 s: separate clusters merge
 * within two minutes. Lower: more dials without a new member. Higher: clusters stay separate for longer.
 */
const REDIAL_MS = 30_000;
/**
 * How long the address of a blocked member is dialed at short intervals, in milliseconds. 30 s: longer than
 * most programs take to restart. Lower: a process that restarts slowly is found later. Higher: more dials
 * without an answer.
 */
const RETURN_MS = 30_000;
/**
 * The longest delay, in milliseconds, between these dials, so that a restarted process is found within 2 s.
 */
const RETURN_INTERVAL_MS = 1_000;
/**
 * How many members dial the address of a blocked member, on average, in a cluster of any size; one is enough.
 */
const RETURN_DIALLERS = 8;
/** How long the addresses of a name are tried before the name itself, in milliseconds. */
const LAST_RESORT_MS = 1_000;
/**
 * The most addresses of blocked members that are dialed at once, in addition to the addresses of a source.
 */
const MAX_RETURNS = 16;
/**
 * Members of the list that are published per millisecond: the list of 10 members at most once in a millisecond, that of
 * 1,000 once in 100. A list costs in proportion to its length, and each new record of a peer causes one. Higher: a peer
 * that changes its record with every message occupies a large cluster. Lower: in a large cluster that starts, members are
 * known later.
 */
const PUBLISHED_PER_MS = 10;
/** The longest pause, in milliseconds, between two lists. */
const MAX_PAUSE_MS = 100;

/** Passed to a source of addresses. */
export interface AddressSink {
  /**
   * Replaces the addresses to dial. The keys of `lastResorts` are dialed too, but only while none of the
   * addresses that they map to has a member.
   */
  readonly found: (
    addresses: readonly string[],
    lastResorts?: ReadonlyMap<string, readonly string[]>,
  ) => void;
  readonly signal: AbortSignal;
}

/**
 * A discovery whose members are learned through handshakes. `find` passes addresses on until its signal is
 * aborted, and must not reject.
 */
export function openMembership(
  find: (site: DiscoveryContext, finding: AddressSink) => Promise<void>,
): Discovery {
  return {
    openMembership: true,
    run: (site, { signal }) => new OpenMembership(site, signal).run(find),
  };
}

/**
 * How long a member is alone before it emits `Alone`, in milliseconds: longer than other members take to
 * start.
 */
const ALONE_MS = 10_000;
/** The longest reason in a {@linkcode SeedStatus}, in UTF-16 units. */
const MAX_REASON_LENGTH = 300;

/** An address to dial, and its state. */
interface SeedAddress {
  readonly address: string;
  readonly ending: AbortController;
  /** The id of the last member that answered. */
  memberThere: string | undefined;
  /** Consecutive dials that reached no other member. */
  failures: number;
  /** The end of the time in which a restarted member is expected there, by the monotonic clock. */
  expectedUntilMs: number;
  /** Ends the delay before the next dial. */
  wake: () => void;
  /** By the wall clock; `nextAttemptMs` too. */
  lastAttemptMs: number | null;
  nextAttemptMs: number | null;
  outcome: Pick<SeedStatus, "outcome" | "memberId" | "reason">;
}

class OpenMembership {
  readonly #site: DiscoveryContext;
  readonly #signal: AbortSignal;
  readonly #list: MemberList;
  readonly #gate: Semaphore;
  readonly #reported = new ReportOnce();
  /** Records from handshakes. */
  readonly #metMembers = new Map<string, Member>();
  /** Records from gossip; they replace those from handshakes. */
  readonly #records = new Map<string, Member>();
  readonly #left = new Set<string>();
  /** The id of each known member by its canonical address. */
  #idAt: ReadonlyMap<string, string> = new Map();
  /** The addresses of the source. */
  readonly #addresses = new Map<string, SeedAddress>();
  /** The addresses of blocked members, while a restart is expected and the source does not list them. */
  readonly #returns = new Map<string, SeedAddress>();
  #lastResorts: ReadonlyMap<string, readonly string[]> = new Map();
  readonly #tasks = new Set<Promise<void>>();
  /** The address of each record in one form: it costs a URL. */
  readonly #places = new WeakMap<Member, string>();
  #cancelPublishing: (() => void) | undefined;
  /** When the next list may be published, by the monotonic clock. */
  #publishNextMs = -Infinity;
  #cancelAlone: (() => void) | undefined;
  #hasSaidAlone = false;

  constructor(site: DiscoveryContext, signal: AbortSignal) {
    this.#site = site;
    this.#signal = signal;
    this.#list = new MemberList(site);
    this.#gate = new Semaphore({ permits: MAX_HANDSHAKES, heldMs: HELD_MS, runtime: site.runtime });
  }

  async run(find: (site: DiscoveryContext, finding: AddressSink) => Promise<void>): Promise<void> {
    const signal = this.#signal;
    this.#site.reportSeeds(() => this.#seeds);
    this.#publish();
    try {
      await Promise.all([
        this.#followGreetings(),
        this.#followRecords(),
        this.#followDepartures(),
        this.#followMembers(),
        find(this.#site, { found: (...found) => this.#dialAll(...found), signal }),
      ]);
      await Promise.all(this.#tasks);
    } finally {
      this.#cancelPublishing?.();
      this.#cancelAlone?.();
    }
  }

  /** After a handshake a member runs again, even if its earlier incarnation had left. */
  async #followGreetings(): Promise<void> {
    for await (const member of this.#site.metPeers) {
      const known = this.#metMembers.get(member.id);
      if (known && isSameMember(known, member) && !this.#left.has(member.id)) continue;
      this.#metMembers.set(member.id, member);
      this.#left.delete(member.id);
      this.#publishSoon();
    }
  }

  async #followRecords(): Promise<void> {
    for await (const { memberId, value, deleted } of this.#site.watch(MEMBER_KEY)) {
      const record = deleted ? undefined : readMember(value);
      const known = this.#records.get(memberId);
      if (known && record && isSameMember(known, record)) continue;
      // A member may publish only its own record.
      if (record?.id === memberId) this.#records.set(memberId, record);
      else this.#records.delete(memberId);
      this.#publishSoon();
    }
  }

  async #followDepartures(): Promise<void> {
    for await (const { memberId, deleted } of this.#site.watch(GRACEFULLY_LEFT_KEY)) {
      if (deleted) this.#left.delete(memberId);
      else this.#left.add(memberId);
      this.#publishSoon();
    }
  }

  async #followMembers(): Promise<void> {
    const types = ["MemberBlocked", "MemberForgotten"] as const;
    for await (const event of this.#site.eventStream.subscribe(types, { signal: this.#signal })) {
      if (event.type === "MemberBlocked") this.#expectBack(event.memberId);
      if (event.type !== "MemberForgotten") continue;
      this.#metMembers.delete(event.memberId);
      this.#records.delete(event.memberId);
      this.#left.delete(event.memberId);
      this.#publishSoon();
    }
  }

  /** Publishes once for all changes at one moment: the first gossip may bring a thousand members. */
  #publishSoon(): void {
    const { runtime } = this.#site;
    const delayMs = Math.max(0, this.#publishNextMs - runtime.monotonicMs());
    this.#cancelPublishing ??= runtime.setTimer(delayMs, () => {
      this.#cancelPublishing = undefined;
      this.#publish();
    });
  }

  #publish(): void {
    const byId = new Map([...this.#metMembers, ...this.#records]);
    for (const id of this.#left) byId.delete(id);
    const members = [...byId.values()];
    const pauseMs = Math.min(MAX_PAUSE_MS, Math.floor(members.length / PUBLISHED_PER_MS));
    this.#publishNextMs = this.#site.runtime.monotonicMs() + pauseMs;
    this.#idAt = new Map(members.map((member) => [this.#placeOf(member), member.id]));
    this.#list.publish(members);
    this.#watchAlone();
  }

  /** Emits `Alone` once, after `ALONE_MS` without another member, if a seed has failed. */
  #watchAlone(): void {
    if (!this.#isAlone) {
      this.#hasSaidAlone = false;
      this.#cancelAlone?.();
      this.#cancelAlone = undefined;
    } else if (!this.#hasSaidAlone && !this.#signal.aborted) {
      this.#cancelAlone ??= this.#site.runtime.setTimer(ALONE_MS, () => {
        this.#cancelAlone = undefined;
        const seeds = this.#seeds;
        if (!this.#isAlone || !seeds.some(({ outcome }) => outcome === "failed")) return;
        this.#hasSaidAlone = true;
        this.#site.eventStream.publish({ type: "Alone", seeds });
      });
    }
  }

  get #seeds(): SeedStatus[] {
    return [...this.#addresses.values()].map(({ address, lastAttemptMs, nextAttemptMs, outcome }) => ({
      address,
      lastAttemptUnixMilliseconds: lastAttemptMs,
      ...outcome,
      nextAttemptUnixMilliseconds: nextAttemptMs,
    }));
  }

  #dialAll(...[addresses, lastResorts = new Map()]: Parameters<AddressSink["found"]>): void {
    if (this.#signal.aborted) return;
    this.#lastResorts = lastResorts;
    const wanted = new Set([...addresses, ...lastResorts.keys()].slice(0, MAX_ADDRESSES));
    for (const [address, { ending }] of this.#addresses) {
      if (wanted.has(address)) continue;
      ending.abort();
      this.#addresses.delete(address);
      this.#recovered(address);
    }
    for (const address of wanted) {
      if (this.#addresses.has(address)) continue;
      const sought = soughtAt(address);
      this.#addresses.set(address, sought);
      this.#run(sought, (signal) => this.#keepGreeting(sought, signal));
    }
  }

  /**
   * Dials a blocked member's address more often. A process that restarts there, under any id, may know no
   * other member.
   */
  #expectBack(id: string): void {
    const { runtime } = this.#site;
    const active = this.#site.activeIds().size;
    const member = this.#records.get(id) ?? this.#metMembers.get(id);
    const address = member && isDialable(member) ? this.#site.addressOf(member) : undefined;
    const place = address && canonicalAddress(address);
    const isDrawn = runtime.random() * active < RETURN_DIALLERS;
    for (const sought of this.#addresses.values()) {
      const wasThere = sought.memberThere === id || canonicalAddress(sought.address) === place;
      if (wasThere && isDrawn) sought.expectedUntilMs = runtime.monotonicMs() + RETURN_MS;
      // A lone member needs every seed again.
      if (!wasThere && active > 1) continue;
      sought.failures = 1;
      sought.wake();
    }
    if (address === undefined || place === this.#ownPlace || !isDrawn) return;
    if (this.#addresses.has(address) || this.#returns.has(address) || this.#returns.size >= MAX_RETURNS) {
      return;
    }
    const sought = soughtAt(address);
    sought.expectedUntilMs = runtime.monotonicMs() + RETURN_MS;
    this.#returns.set(address, sought);
    this.#run(sought, (signal) => this.#awaitReturn(sought, signal));
  }

  #run(sought: SeedAddress, action: (signal: AbortSignal) => Promise<void>): void {
    const signal = AbortSignal.any([this.#signal, sought.ending.signal]);
    signal.addEventListener("abort", () => sought.wake(), { once: true });
    const task = action(signal).finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  /** Dials an address repeatedly: often without another member there, rarely with an active one. */
  async #keepGreeting(sought: SeedAddress, signal: AbortSignal): Promise<void> {
    // Try the other addresses first; if one has a member, the last resort is not needed.
    if (this.#lastResorts.has(sought.address)) await this.#rest(sought, LAST_RESORT_MS);
    while (!signal.aborted) {
      if (this.#isToGreet(sought)) {
        const met = await this.#handshake(sought, signal);
        sought.memberThere = met ?? sought.memberThere;
        sought.failures = met === undefined || met === this.#site.self.id ? sought.failures + 1 : 0;
      }
      if (!signal.aborted) await this.#rest(sought, this.#delayFor(sought));
    }
  }

  /** Dials the address of a blocked member until a member answers or the time is over. */
  async #awaitReturn(sought: SeedAddress, signal: AbortSignal): Promise<void> {
    const { address } = sought;
    const isOver = () =>
      signal.aborted || this.#addresses.has(address) || this.#isActive(sought.memberThere) ||
      this.#site.runtime.monotonicMs() >= sought.expectedUntilMs;
    for (sought.failures = 1; !isOver(); sought.failures++) {
      await this.#rest(sought, this.#delayFor(sought));
      if (isOver()) break;
      const met = await this.#site.handshake(address, { signal }).catch(() => undefined);
      sought.memberThere = met?.id;
    }
    this.#returns.delete(address);
  }

  /** True if another member than the last one may be at the address. */
  #isToGreet({ address, memberThere }: SeedAddress): boolean {
    const instead = this.#lastResorts.get(address) ?? [];
    if (instead.some((other) => this.#isThere(this.#addresses.get(other)?.memberThere))) return false;
    if (!this.#isThere(memberThere)) return true;
    // The member's own record has this address, so no load balancer is behind it.
    const isCertain = memberThere !== this.#site.self.id &&
      this.#idAt.get(canonicalAddress(address)) === memberThere;
    if (isCertain) return false;
    return this.#isAlone || this.#site.runtime.random() * this.#addresses.size < 1;
  }

  #delayFor({ address, memberThere, failures, expectedUntilMs }: SeedAddress): number {
    const { runtime, retryDelay, blockedProbeInterval } = this.#site;
    const isOwn = memberThere === this.#site.self.id && canonicalAddress(address) === this.#ownPlace;
    const mayRest = isOwn || this.#isThere(memberThere) && !this.#isAlone;
    // Random, so that members that started together do not dial together.
    if (mayRest) return Math.min(REDIAL_MS, blockedProbeInterval) * (0.5 + runtime.random() / 2);
    const delayMs = retryDelay(failures);
    return runtime.monotonicMs() < expectedUntilMs ? Math.min(delayMs, RETURN_INTERVAL_MS) : delayMs;
  }

  /** Waits for `delayMs`, or until `wake` is called. */
  async #rest(sought: SeedAddress, delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#site.runtime.setTimer(delayMs, resolve);
    sought.wake = resolve;
    sought.nextAttemptMs = this.#site.runtime.wallMs() + Math.ceil(delayMs);
    await promise;
    cancel();
  }

  /**
   * Dials an address. Returns the id of the member that answers, or that is already known to be there.
   * Reports each reason of a failure once.
   */
  async #handshake(sought: SeedAddress, signal: AbortSignal): Promise<string | undefined> {
    const { address } = sought;
    const known = () => this.#idAt.get(canonicalAddress(address));
    // A few addresses are always dialed, because a member might publish a false address.
    const areMany = () => this.#addresses.size > MAX_HANDSHAKES;
    try {
      sought.nextAttemptMs = null;
      const met = await this.#gate.run(() => this.#dial(sought, signal), {
        signal,
        unless: () => areMany() && this.#isActive(known()),
      });
      const id = met?.id ?? known();
      if (id === undefined) return undefined;
      sought.outcome = { outcome: id === this.#site.self.id ? "self" : "met", memberId: id, reason: null };
      this.#recovered(address, id);
      return id;
    } catch (error) {
      if (signal.aborted) return undefined;
      // A failure is normal; the next attempt follows.
      sought.outcome = { outcome: "failed", memberId: null, reason: textOf(error) };
      this.#report(address, error);
      return undefined;
    }
  }

  #dial(sought: SeedAddress, signal: AbortSignal): Promise<Member> {
    sought.lastAttemptMs = this.#site.runtime.wallMs();
    return this.#site.handshake(sought.address, { signal });
  }

  #recovered(address: string, memberId?: string): void {
    if (!this.#reported.forget(address)) return;
    this.#site.eventStream.publish({
      type: "SeedRecovered",
      address,
      ...(memberId !== undefined && { memberId }),
    });
  }

  #report(address: string, error: unknown): void {
    this.#watchAlone();
    const reason = reasonOf(error);
    if (!this.#reported.shouldReport(address, reason)) return;
    this.#reported.add(address, reason);
    this.#site.eventStream.publish({ type: "SeedFailed", address, error });
  }

  #isActive(id: string | undefined): boolean {
    return id !== undefined && this.#site.activeIds().has(id);
  }

  /** True for this member and active ones. */
  #isThere(id: string | undefined): boolean {
    return id === this.#site.self.id || this.#isActive(id);
  }

  get #isAlone(): boolean {
    return this.#site.activeIds().size <= 1;
  }

  get #ownPlace(): string | undefined {
    return isDialable(this.#site.self) ? this.#placeOf(this.#site.self) : undefined;
  }

  /** The canonical address of a member. */
  #placeOf(member: Member): string {
    let place = this.#places.get(member);
    if (place === undefined) {
      this.#places.set(member, place = canonicalAddress(this.#site.addressOf(member)));
    }
    return place;
  }
}

function soughtAt(address: string): SeedAddress {
  const ending = new AbortController();
  return {
    address,
    ending,
    memberThere: undefined,
    failures: 0,
    expectedUntilMs: -Infinity,
    wake: () => {},
    lastAttemptMs: null,
    nextAttemptMs: null,
    outcome: { outcome: "pending", memberId: null, reason: null },
  };
}

/** An error's text on one line; it may come from a peer. */
function textOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error)).slice(0, MAX_REASON_LENGTH)
    .toWellFormed();
}
