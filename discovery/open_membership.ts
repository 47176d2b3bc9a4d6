/**
 * Discovery by handshakes: sends a handshake to each of some addresses, and learns of the other members by
 * gossip.
 *
 * @module
 */

import { messageOf } from "../common/error_text.ts";
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
import { AloneWatch } from "./alone_watch.ts";
import { LearnedMembers } from "./learned_members.ts";
import { LostMembers } from "./lost_members.ts";
import { ReturningMembers } from "./returning_members.ts";

/**
 * The most handshakes at once. 8: even with a thousand addresses, the first answers bring the rest of the
 * members.
 */
export const MAX_HANDSHAKES = 8;
/** The most addresses of a source. Later addresses are ignored. */
export const MAX_ADDRESSES = 1_024;
/** The pause before the place of a finished handshake is reused, in milliseconds, if handshakes wait for a place. */
const HELD_MS = 1_000;
/**
 * In each such interval, in milliseconds, this member dials on average one address again that led to itself or to an
 * active member. The address may be a load balancer's, and lead to another member this time. 30 s: separate clusters
 * merge within two minutes. Lower: more dials without a new member. Higher: clusters stay separate for longer.
 */
const REDIAL_MS = 30_000;
/**
 * The time for which the address of a blocked member is dialed at short intervals, in milliseconds. 30 s: longer than
 * most programs take to restart. Lower: a process that restarts slowly is found later. Higher: more dials without an
 * answer.
 */
const RETURN_MS = 30_000;
/**
 * The longest delay between dials of a blocked member's address, in milliseconds. 1 s: a restarted process is found
 * within 2 s.
 */
const RETURN_INTERVAL_MS = 1_000;
/**
 * The mean number of members that dial a blocked member's address. 8: one dialer is enough, and by chance no member
 * dials only about once in 3,000 times.
 */
const RETURN_DIALERS = 8;
/** The time for which the addresses of a name are tried before the name itself, in milliseconds. */
const LAST_RESORT_MS = 1_000;
/** Passed to a source of addresses. */
export interface AddressSink {
  /**
   * Replaces the addresses to dial. The keys of `lastResorts` are dialed too, but a key only while no member is at the
   * addresses that it maps to.
   */
  readonly found: (
    addresses: readonly string[],
    lastResorts?: ReadonlyMap<string, readonly string[]>,
  ) => void;
  /** True if a dial has met another member at one of these addresses, and that member is active. */
  readonly isMet: (addresses: readonly string[]) => boolean;
  readonly signal: AbortSignal;
}

/** A source of addresses: passes them to the sink until its signal is aborted. Must not reject. */
export type FindAddresses = (context: DiscoveryContext, sink: AddressSink) => Promise<void>;

/** A discovery whose members are learned through handshakes with the addresses of a source. */
export function openMembership(find: FindAddresses): Discovery {
  return {
    openMembership: true,
    run: (context, { signal }) => new OpenMembership(context, signal).run(find),
  };
}

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
  /** By the wall clock, like `nextAttemptMs`. */
  lastAttemptMs: number | null;
  nextAttemptMs: number | null;
  outcome: Pick<SeedStatus, "outcome" | "memberId" | "reason">;
}

class OpenMembership {
  readonly #context: DiscoveryContext;
  readonly #signal: AbortSignal;
  readonly #members: LearnedMembers;
  readonly #aloneWatch: AloneWatch;
  readonly #permits: Semaphore;
  readonly #reported = new ReportOnce();
  /** The addresses of the source. */
  readonly #addresses = new Map<string, SeedAddress>();
  readonly #returning: ReturningMembers;
  #lastResorts: ReadonlyMap<string, readonly string[]> = new Map();
  readonly #tasks = new Set<Promise<void>>();

  constructor(context: DiscoveryContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
    this.#aloneWatch = new AloneWatch(context, () => this.#seedStatuses);
    this.#members = new LearnedMembers(context, { onPublished: () => this.#aloneWatch.check() });
    this.#returning = new ReturningMembers(context, {
      forMs: RETURN_MS,
      intervalMs: RETURN_INTERVAL_MS,
      dialed: this.#addresses,
      signal,
    });
    this.#permits = new Semaphore({ permits: MAX_HANDSHAKES, heldMs: HELD_MS, runtime: context.runtime });
  }

  async run(find: FindAddresses): Promise<void> {
    const signal = this.#signal;
    this.#context.reportSeeds(() => this.#seedStatuses);
    try {
      await Promise.all([
        this.#members.follow({ signal }),
        this.#followBlocked(),
        new LostMembers(this.#context, { members: this.#members, dialed: this.#addresses }).follow({
          signal,
        }),
        find(this.#context, {
          found: (...found) => this.#dialAll(...found),
          isMet: (addresses) =>
            addresses.some((address) => this.#isActive(this.#addresses.get(address)?.memberThere)),
          signal,
        }),
      ]);
      await Promise.all([...this.#tasks, this.#returning.settled()]);
    } finally {
      this.#aloneWatch.stop();
    }
  }

  async #followBlocked(): Promise<void> {
    const blocked = this.#context.eventStream.subscribe("MemberBlocked", { signal: this.#signal });
    for await (const { memberId } of blocked) this.#expectBack(memberId);
  }

  get #seedStatuses(): SeedStatus[] {
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
      const seed = seedAt(address);
      // A seed may start later than the members that dial it.
      seed.expectedUntilMs = this.#context.runtime.monotonicMs() + RETURN_MS;
      this.#addresses.set(address, seed);
      this.#run(seed);
    }
  }

  /**
   * Dials a blocked member's address more often. A process that restarts there, under any id, may know no
   * other member.
   */
  #expectBack(id: string): void {
    const { runtime } = this.#context;
    const active = this.#context.activeIds().size;
    const member = this.#members.recordOf(id);
    const address = member && isDialable(member) ? this.#context.addressOf(member) : undefined;
    const canonical = address && canonicalAddress(address);
    const isDrawn = runtime.random() * active < RETURN_DIALERS;
    for (const seed of this.#addresses.values()) {
      const wasThere = seed.memberThere === id || canonicalAddress(seed.address) === canonical;
      if (wasThere && isDrawn) seed.expectedUntilMs = runtime.monotonicMs() + RETURN_MS;
      // A lone member needs every seed again.
      if (!wasThere && active > 1) continue;
      seed.failures = 1;
      seed.wake();
    }
    if (address !== undefined && canonical !== this.#ownAddress && isDrawn) this.#returning.expectAt(address);
  }

  #run(seed: SeedAddress): void {
    const signal = AbortSignal.any([this.#signal, seed.ending.signal]);
    signal.addEventListener("abort", () => seed.wake(), { once: true });
    const task = this.#keepDialing(seed, signal).finally(() => {
      // Otherwise the member's signal would keep the listener.
      seed.ending.abort();
      this.#tasks.delete(task);
    });
    this.#tasks.add(task);
  }

  /** Dials an address repeatedly: rarely if an active member is there, otherwise often. */
  async #keepDialing(seed: SeedAddress, signal: AbortSignal): Promise<void> {
    // Try the other addresses first. If a member is at such an address, the last resort is not needed.
    if (this.#lastResorts.has(seed.address)) await this.#rest(seed, LAST_RESORT_MS);
    while (!signal.aborted) {
      if (this.#isDue(seed)) {
        const met = await this.#handshake(seed, signal);
        seed.memberThere = met ?? seed.memberThere;
        seed.failures = met === undefined || met === this.#context.self.id ? seed.failures + 1 : 0;
        this.#aloneWatch.check();
      } else if (this.#isThere(seed.memberThere) && this.#members.idAt(seed.address) === seed.memberThere) {
        // The member may have returned by another way than this dial.
        this.#noteMet(seed, seed.memberThere!);
      }
      if (!signal.aborted) await this.#rest(seed, this.#delayFor(seed));
    }
  }

  /** True if the address may lead to another member than at the last dial. */
  #isDue({ address, memberThere }: SeedAddress): boolean {
    const instead = this.#lastResorts.get(address) ?? [];
    if (instead.some((other) => this.#isThere(this.#addresses.get(other)?.memberThere))) return false;
    if (!this.#isThere(memberThere)) return true;
    // The member's own record has this address, so no load balancer is behind it.
    const isCertain = memberThere !== this.#context.self.id &&
      this.#members.idAt(address) === memberThere;
    if (isCertain) return false;
    return this.#aloneWatch.isAlone || this.#context.runtime.random() * this.#addresses.size < 1;
  }

  #delayFor({ address, memberThere, failures, expectedUntilMs }: SeedAddress): number {
    const { runtime, retryDelay, blockedProbeInterval } = this.#context;
    const isOwn = memberThere === this.#context.self.id && canonicalAddress(address) === this.#ownAddress;
    const mayRest = isOwn || this.#isThere(memberThere) && !this.#aloneWatch.isAlone;
    // Random, so that members that started together do not dial together.
    if (mayRest) return Math.min(REDIAL_MS, blockedProbeInterval) * (0.5 + runtime.random() / 2);
    const delayMs = retryDelay(failures);
    return runtime.monotonicMs() < expectedUntilMs ? Math.min(delayMs, RETURN_INTERVAL_MS) : delayMs;
  }

  /** Waits for `delayMs`, or until `wake` is called. */
  async #rest(seed: SeedAddress, delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#context.runtime.setTimer(delayMs, resolve);
    seed.wake = resolve;
    seed.nextAttemptMs = this.#context.runtime.wallMs() + Math.ceil(delayMs);
    await promise;
    cancel();
  }

  /**
   * Dials an address. Returns the id of the member that answers, or the id of a member that is known to be there.
   * Reports each reason of a failure once.
   */
  async #handshake(seed: SeedAddress, signal: AbortSignal): Promise<string | undefined> {
    const { address } = seed;
    const known = () => this.#members.idAt(address);
    // A few addresses are always dialed, because a member might publish a false address.
    const areMany = () => this.#addresses.size > MAX_HANDSHAKES;
    try {
      seed.nextAttemptMs = null;
      const met = await this.#permits.run(() => this.#dial(seed, signal), {
        signal,
        unless: () => areMany() && this.#isActive(known()),
      });
      const id = met?.id ?? known();
      if (id === undefined) return undefined;
      this.#noteMet(seed, id);
      return id;
    } catch (error) {
      if (signal.aborted) return undefined;
      // A failure is normal; the next attempt follows.
      seed.outcome = { outcome: "failed", memberId: null, reason: textOf(error) };
      this.#report(address, error);
      return undefined;
    }
  }

  #dial(seed: SeedAddress, signal: AbortSignal): Promise<Member> {
    seed.lastAttemptMs = this.#context.runtime.wallMs();
    return this.#context.handshake(seed.address, { signal });
  }

  #noteMet(seed: SeedAddress, id: string): void {
    seed.outcome = { outcome: id === this.#context.self.id ? "self" : "met", memberId: id, reason: null };
    this.#recovered(seed.address, id);
  }

  #recovered(address: string, memberId?: string): void {
    if (!this.#reported.forget(address)) return;
    this.#context.eventStream.publish({
      type: "SeedRecovered",
      address,
      ...(memberId !== undefined && { memberId }),
    });
  }

  #report(address: string, error: unknown): void {
    if (!this.#reported.claim(address, reasonOf(error))) return;
    this.#context.eventStream.publish({ type: "SeedFailed", address, error });
  }

  #isActive(id: string | undefined): boolean {
    return id !== undefined && this.#context.activeIds().has(id);
  }

  /** True for this member and for active members. */
  #isThere(id: string | undefined): boolean {
    return id === this.#context.self.id || this.#isActive(id);
  }

  get #ownAddress(): string | undefined {
    const { self } = this.#context;
    return isDialable(self) ? this.#members.canonicalAddressOf(self) : undefined;
  }
}

function seedAt(address: string): SeedAddress {
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
  return printable(messageOf(error)).slice(0, MAX_REASON_LENGTH)
    .toWellFormed();
}
