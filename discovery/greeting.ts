/**
 * Membership by greeting: a member greets whoever is at some addresses, and learns of the others by gossip.
 *
 * @module
 */

import { GRACEFULLY_LEFT_KEY, MEMBER_KEY } from "../engine/types.ts";
import { canonicalAddress } from "../gossiper/canonical_address.ts";
import {
  type Discovery,
  type DiscoverySite,
  isDialable,
  type Member,
  type SeedStatus,
} from "../gossiper/cluster.ts";
import { printable } from "../gossiper/printable.ts";
import { reasonOf, ToldReasons } from "../gossiper/told_reasons.ts";
import { Gate } from "./gate.ts";
import { isSameMember, MemberList } from "./member_list.ts";
import { readMember } from "./member_record.ts";

/** How many addresses are greeted at once: with a thousand of them, the first few bring the news of the rest. */
export const MAX_GREETINGS = 8;
/** How many addresses are taken from a source; more are left out, in the order in which it names them. */
export const MAX_ADDRESSES = 1_024;
/** How long, in milliseconds, a place among the greetings is held where more wait than there are places. */
const HELD_MS = 1_000;
/**
 * How often, in milliseconds, one of the addresses that led to this member or to an active one is dialled again, at most:
 * a balancer may lead elsewhere next time. 30 s: islands merge within a minute or two. Shorter: more dials that find
 * nothing new. Longer: islands stay apart for longer.
 */
const REDIAL_MS = 30_000;
/**
 * For how long, in milliseconds, the address of a member that went is dialled at short intervals. 30 s: longer than most
 * programs take to start again. Shorter: a process that is back later is met later. Longer: more dials of empty addresses.
 */
const RETURN_MS = 30_000;
/** The longest wait, in milliseconds, between these dials, so that a process is met within 2 s after it is back. */
const RETURN_INTERVAL_MS = 1_000;
/** How many members, on average, dial the address of one that went, however many there are: one of them is enough. */
const RETURN_DIALLERS = 8;
/** How long, in milliseconds, the addresses of a name are tried before the name itself. */
const LAST_RESORT_MS = 1_000;
/** How many addresses of members that went are dialled at once, apart from those that a source names. */
const MAX_RETURNS = 16;
/**
 * Of how many members, in a millisecond, the list is made anew. Making it costs by their number, and a peer causes it with
 * each new record. More: a peer that changes its record with every message occupies a large cluster with it. Fewer: in a
 * large cluster that starts, members are known later.
 */
const PUBLISHED_PER_MS = 10;
/** The longest pause, in milliseconds, between two lists. */
const MAX_PAUSE_MS = 100;

/** What looks for addresses is given. */
export interface Finding {
  /**
   * Tells all addresses that there are now; those told before and not now are greeted no more. An address among the
   * `lastResorts` is greeted as well, but only while nobody is met at those that it is mapped to.
   */
  readonly found: (
    addresses: readonly string[],
    lastResorts?: ReadonlyMap<string, readonly string[]>,
  ) => void;
  readonly signal: AbortSignal;
}

/**
 * A discovery whose members are whoever greeted, or was greeted by, any of them. `find` tells where to greet, for
 * as long as its signal lasts; it must not reject.
 */
export function byGreeting(find: (site: DiscoverySite, finding: Finding) => Promise<void>): Discovery {
  return {
    byGreeting: true,
    run: (site, { signal }) => new Greeting(site, signal).run(find),
  };
}

/** How long, in milliseconds, a member is alone before it says so: longer than others take to start with it. */
const ALONE_MS = 10_000;
/** The longest reason in a {@linkcode SeedStatus}, in UTF-16 units. */
const MAX_REASON_LENGTH = 300;

/** An address that is greeted, and what is known of it. */
interface Sought {
  readonly address: string;
  readonly ending: AbortController;
  /** The id of the member that answered last. */
  whoIsThere: string | undefined;
  /** How often in a row nobody else answered. */
  failures: number;
  /** Until when the member that went from there is expected back, by the monotonic clock. */
  expectedUntilMs: number;
  /** Ends the wait for the next greeting. */
  wake: () => void;
  /** By the wall clock. */
  lastAttemptMs: number | null;
  nextAttemptMs: number | null;
  outcome: Pick<SeedStatus, "outcome" | "memberId" | "reason">;
}

class Greeting {
  readonly #site: DiscoverySite;
  readonly #signal: AbortSignal;
  readonly #list: MemberList;
  readonly #gate: Gate;
  /** By address. */
  readonly #told = new ToldReasons();
  /** As they were in greetings. */
  readonly #greeted = new Map<string, Member>();
  /** As members gossip about themselves. */
  readonly #records = new Map<string, Member>();
  readonly #left = new Set<string>();
  /** Who is known to be where, as the members say themselves; by the one form of an address. */
  #idAt: ReadonlyMap<string, string> = new Map();
  /** What a source named, by address. */
  readonly #greeting = new Map<string, Sought>();
  /** Where members were that went, by address: for as long as they are expected back, and no source names it. */
  readonly #returns = new Map<string, Sought>();
  #lastResorts: ReadonlyMap<string, readonly string[]> = new Map();
  readonly #tasks = new Set<Promise<void>>();
  /** The address of each record in one form: it costs a URL. */
  readonly #places = new WeakMap<Member, string>();
  #cancelPublishing: (() => void) | undefined;
  /** When the list may be made anew, by the monotonic clock. */
  #publishNextMs = -Infinity;
  #cancelAlone: (() => void) | undefined;
  #hasSaidAlone = false;

  constructor(site: DiscoverySite, signal: AbortSignal) {
    this.#site = site;
    this.#signal = signal;
    this.#list = new MemberList(site);
    this.#gate = new Gate({ places: MAX_GREETINGS, heldMs: HELD_MS, runtime: site.runtime });
  }

  async run(find: (site: DiscoverySite, finding: Finding) => Promise<void>): Promise<void> {
    const signal = this.#signal;
    this.#site.reportSeeds(() => this.#seeds);
    this.#publish();
    try {
      await Promise.all([
        this.#followGreetings(),
        this.#followRecords(),
        this.#followDepartures(),
        this.#followMembers(),
        find(this.#site, { found: (...found) => this.#greetAll(...found), signal }),
      ]);
      await Promise.all(this.#tasks);
    } finally {
      this.#cancelPublishing?.();
      this.#cancelAlone?.();
    }
  }

  /** Whoever was greeted is here now, whatever was said of an earlier life. */
  async #followGreetings(): Promise<void> {
    for await (const member of this.#site.greeted) {
      const known = this.#greeted.get(member.id);
      if (known && isSameMember(known, member) && !this.#left.has(member.id)) continue;
      this.#greeted.set(member.id, member);
      this.#left.delete(member.id);
      this.#publishSoon();
    }
  }

  async #followRecords(): Promise<void> {
    for await (const { memberId, value, deleted } of this.#site.watch(MEMBER_KEY)) {
      const record = deleted ? undefined : readMember(value);
      const known = this.#records.get(memberId);
      if (known && record && isSameMember(known, record)) continue;
      // Nobody speaks for another.
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
      this.#greeted.delete(event.memberId);
      this.#records.delete(event.memberId);
      this.#left.delete(event.memberId);
      this.#publishSoon();
    }
  }

  /** Publishes what came together at one moment at once: a first gossip may bring a thousand members. */
  #publishSoon(): void {
    const { runtime } = this.#site;
    const delayMs = Math.max(0, this.#publishNextMs - runtime.monotonicMs());
    this.#cancelPublishing ??= runtime.setTimer(delayMs, () => {
      this.#cancelPublishing = undefined;
      this.#publish();
    });
  }

  #publish(): void {
    const byId = new Map([...this.#greeted, ...this.#records]);
    for (const id of this.#left) byId.delete(id);
    const members = [...byId.values()];
    const pauseMs = Math.min(MAX_PAUSE_MS, Math.floor(members.length / PUBLISHED_PER_MS));
    this.#publishNextMs = this.#site.runtime.monotonicMs() + pauseMs;
    this.#idAt = new Map(members.map((member) => [this.#placeOf(member), member.id]));
    this.#list.publish(members);
    this.#watchAlone();
  }

  /** Says once that this member is alone, when it has been so for long and a seed has failed. */
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
    return [...this.#greeting.values()].map(({ address, lastAttemptMs, nextAttemptMs, outcome }) => ({
      address,
      lastAttemptUnixMilliseconds: lastAttemptMs,
      ...outcome,
      nextAttemptUnixMilliseconds: nextAttemptMs,
    }));
  }

  #greetAll(...[addresses, lastResorts = new Map()]: Parameters<Finding["found"]>): void {
    if (this.#signal.aborted) return;
    this.#lastResorts = lastResorts;
    const wanted = new Set([...addresses, ...lastResorts.keys()].slice(0, MAX_ADDRESSES));
    for (const [address, { ending }] of this.#greeting) {
      if (wanted.has(address)) continue;
      ending.abort();
      this.#greeting.delete(address);
      this.#recovered(address);
    }
    for (const address of wanted) {
      if (this.#greeting.has(address)) continue;
      const sought = soughtAt(address);
      this.#greeting.set(address, sought);
      this.#run(sought, (signal) => this.#keepGreeting(sought, signal));
    }
  }

  /** A member went: whoever starts again at its address, under whatever id, may know of nobody here. */
  #expectBack(id: string): void {
    const { runtime } = this.#site;
    const active = this.#site.activeIds().size;
    const member = this.#records.get(id) ?? this.#greeted.get(id);
    const address = member && isDialable(member) ? this.#site.addressOf(member) : undefined;
    const place = address && canonicalAddress(address);
    const isDrawn = runtime.random() * active < RETURN_DIALLERS;
    for (const sought of this.#greeting.values()) {
      const wasThere = sought.whoIsThere === id || canonicalAddress(sought.address) === place;
      if (wasThere && isDrawn) sought.expectedUntilMs = runtime.monotonicMs() + RETURN_MS;
      // Alone, this member needs whoever it may have left aside.
      if (!wasThere && active > 1) continue;
      sought.failures = 1;
      sought.wake();
    }
    if (address === undefined || place === this.#ownPlace || !isDrawn) return;
    if (this.#greeting.has(address) || this.#returns.has(address) || this.#returns.size >= MAX_RETURNS) {
      return;
    }
    const sought = soughtAt(address);
    sought.expectedUntilMs = runtime.monotonicMs() + RETURN_MS;
    this.#returns.set(address, sought);
    this.#run(sought, (signal) => this.#awaitReturn(sought, signal));
  }

  #run(sought: Sought, action: (signal: AbortSignal) => Promise<void>): void {
    const signal = AbortSignal.any([this.#signal, sought.ending.signal]);
    signal.addEventListener("abort", () => sought.wake(), { once: true });
    const task = action(signal).finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  /** Greets whoever is at an address: often where nobody else is, and seldom where somebody active is. */
  async #keepGreeting(sought: Sought, signal: AbortSignal): Promise<void> {
    // The addresses that may make a last resort needless are tried first.
    if (this.#lastResorts.has(sought.address)) await this.#rest(sought, LAST_RESORT_MS);
    while (!signal.aborted) {
      if (this.#isToGreet(sought)) {
        const met = await this.#greet(sought, signal);
        sought.whoIsThere = met ?? sought.whoIsThere;
        sought.failures = met === undefined || met === this.#site.self.id ? sought.failures + 1 : 0;
      }
      if (!signal.aborted) await this.#rest(sought, this.#delayFor(sought));
    }
  }

  /** Greets whoever is at the address of a member that went, until somebody is there or the time is over. */
  async #awaitReturn(sought: Sought, signal: AbortSignal): Promise<void> {
    const { address } = sought;
    const isOver = () =>
      signal.aborted || this.#greeting.has(address) || this.#isActive(sought.whoIsThere) ||
      this.#site.runtime.monotonicMs() >= sought.expectedUntilMs;
    for (sought.failures = 1; !isOver(); sought.failures++) {
      await this.#rest(sought, this.#delayFor(sought));
      if (isOver()) break;
      const met = await this.#site.greet(address, { signal }).catch(() => undefined);
      sought.whoIsThere = met?.id;
    }
    this.#returns.delete(address);
  }

  /** Whether there may be somebody else at an address than whoever was there last. */
  #isToGreet({ address, whoIsThere }: Sought): boolean {
    const instead = this.#lastResorts.get(address) ?? [];
    if (instead.some((other) => this.#isThere(this.#greeting.get(other)?.whoIsThere))) return false;
    if (!this.#isThere(whoIsThere)) return true;
    // Another member answered where it says that it is: no balancer leads there.
    const isCertain = whoIsThere !== this.#site.self.id &&
      this.#idAt.get(canonicalAddress(address)) === whoIsThere;
    if (isCertain) return false;
    return this.#isAlone || this.#site.runtime.random() * this.#greeting.size < 1;
  }

  #delayFor({ address, whoIsThere, failures, expectedUntilMs }: Sought): number {
    const { runtime, retryDelay, blockedProbeInterval } = this.#site;
    const isOwn = whoIsThere === this.#site.self.id && canonicalAddress(address) === this.#ownPlace;
    const mayRest = isOwn || this.#isThere(whoIsThere) && !this.#isAlone;
    // Not all at once, where all started at once.
    if (mayRest) return Math.min(REDIAL_MS, blockedProbeInterval) * (0.5 + runtime.random() / 2);
    const delayMs = retryDelay(failures);
    return runtime.monotonicMs() < expectedUntilMs ? Math.min(delayMs, RETURN_INTERVAL_MS) : delayMs;
  }

  /** Waits so long, or until something has happened at the address. */
  async #rest(sought: Sought, delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#site.runtime.setTimer(delayMs, resolve);
    sought.wake = resolve;
    sought.nextAttemptMs = this.#site.runtime.wallMs() + Math.ceil(delayMs);
    await promise;
    cancel();
  }

  /** Who answers at an address, or is known by then to be there; where nobody does, why is told once. */
  async #greet(sought: Sought, signal: AbortSignal): Promise<string | undefined> {
    const { address } = sought;
    const known = () => this.#idAt.get(canonicalAddress(address));
    // A few are greeted whatever anybody says of them: a member might lie about where it is.
    const areMany = () => this.#greeting.size > MAX_GREETINGS;
    try {
      sought.nextAttemptMs = null;
      const met = await this.#gate.pass(() => this.#dial(sought, signal), {
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
      // An address may lead nowhere; that is what the next attempt is for.
      sought.outcome = { outcome: "failed", memberId: null, reason: textOf(error) };
      this.#tell(address, error);
      return undefined;
    }
  }

  #dial(sought: Sought, signal: AbortSignal): Promise<Member> {
    sought.lastAttemptMs = this.#site.runtime.wallMs();
    return this.#site.greet(sought.address, { signal });
  }

  #recovered(address: string, memberId?: string): void {
    if (!this.#told.forget(address)) return;
    this.#site.eventStream.publish({
      type: "SeedRecovered",
      address,
      ...(memberId !== undefined && { memberId }),
    });
  }

  #tell(address: string, error: unknown): void {
    this.#watchAlone();
    const reason = reasonOf(error);
    if (!this.#told.isNews(address, reason)) return;
    this.#told.add(address, reason);
    this.#site.eventStream.publish({ type: "SeedFailed", address, error });
  }

  #isActive(id: string | undefined): boolean {
    return id !== undefined && this.#site.activeIds().has(id);
  }

  /** Whether this member, or an active one, is known to be there. */
  #isThere(id: string | undefined): boolean {
    return id === this.#site.self.id || this.#isActive(id);
  }

  get #isAlone(): boolean {
    return this.#site.activeIds().size <= 1;
  }

  get #ownPlace(): string | undefined {
    return isDialable(this.#site.self) ? this.#placeOf(this.#site.self) : undefined;
  }

  /** The address of a member, to be compared with others. */
  #placeOf(member: Member): string {
    let place = this.#places.get(member);
    if (place === undefined) {
      this.#places.set(member, place = canonicalAddress(this.#site.addressOf(member)));
    }
    return place;
  }
}

function soughtAt(address: string): Sought {
  const ending = new AbortController();
  return {
    address,
    ending,
    whoIsThere: undefined,
    failures: 0,
    expectedUntilMs: -Infinity,
    wake: () => {},
    lastAttemptMs: null,
    nextAttemptMs: null,
    outcome: { outcome: "pending", memberId: null, reason: null },
  };
}

/** The text of an error, which a peer may have worded, on one line. */
function textOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error)).slice(0, MAX_REASON_LENGTH)
    .toWellFormed();
}
