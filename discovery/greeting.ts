/**
 * Membership by greeting: a member greets whoever is at some addresses, and learns of the others by gossip.
 *
 * @module
 */

import { GRACEFULLY_LEFT_KEY, MEMBER_KEY } from "../engine/types.ts";
import type { Discovery, DiscoverySite, Member } from "../gossiper/cluster.ts";
import { sleep } from "../gossiper/runtime.ts";
import { reasonOf, ToldReasons } from "../gossiper/told_reasons.ts";
import { Gate } from "./gate.ts";
import { MemberList } from "./member_list.ts";
import { readMember } from "./member_record.ts";

/** How many addresses are greeted at once: with a thousand of them, the first few bring the news of the rest. */
export const MAX_GREETINGS = 8;
/** How many addresses are taken from a source; more are left out, in the order in which it names them. */
export const MAX_ADDRESSES = 1_024;
/** How long, in milliseconds, a place among the greetings is held where more wait than there are places. */
const HELD_MS = 1_000;

/** What looks for addresses is given. */
export interface Finding {
  /** Tells all addresses that there are now; those told before and not now are greeted no more. */
  readonly found: (addresses: readonly string[]) => void;
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
  /** Who is known to be where, as the members say themselves. */
  #idAt: ReadonlyMap<string, string> = new Map();
  /** What is greeted, or was found to be this member's own, by address, and how to end that. */
  readonly #greeting = new Map<string, AbortController>();
  readonly #tasks = new Set<Promise<void>>();
  #cancelPublishing: (() => void) | undefined;

  constructor(site: DiscoverySite, signal: AbortSignal) {
    this.#site = site;
    this.#signal = signal;
    this.#list = new MemberList(site);
    this.#gate = new Gate({ places: MAX_GREETINGS, heldMs: HELD_MS, runtime: site.runtime });
  }

  async run(find: (site: DiscoverySite, finding: Finding) => Promise<void>): Promise<void> {
    const signal = this.#signal;
    this.#publish();
    try {
      await Promise.all([
        this.#followGreetings(),
        this.#followRecords(),
        this.#followDepartures(),
        this.#followForgetting(),
        find(this.#site, { found: (addresses) => this.#greetAll(addresses), signal }),
      ]);
      await Promise.all(this.#tasks);
    } finally {
      this.#cancelPublishing?.();
    }
  }

  /** Whoever was greeted is here now, whatever was said of an earlier life. */
  async #followGreetings(): Promise<void> {
    for await (const member of this.#site.greeted) {
      this.#greeted.set(member.id, member);
      this.#left.delete(member.id);
      this.#publishSoon();
    }
  }

  async #followRecords(): Promise<void> {
    for await (const { memberId, value, deleted } of this.#site.watch(MEMBER_KEY)) {
      const record = deleted ? undefined : readMember(value);
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

  async #followForgetting(): Promise<void> {
    const { eventStream } = this.#site;
    for await (const event of eventStream.subscribe("MemberForgotten", { signal: this.#signal })) {
      if (event.type !== "MemberForgotten") continue;
      this.#greeted.delete(event.memberId);
      this.#records.delete(event.memberId);
      this.#left.delete(event.memberId);
      this.#publishSoon();
    }
  }

  /** Publishes what came together at one moment at once: a first gossip may bring a thousand members. */
  #publishSoon(): void {
    this.#cancelPublishing ??= this.#site.runtime.setTimer(0, () => {
      this.#cancelPublishing = undefined;
      this.#publish();
    });
  }

  #publish(): void {
    const byId = new Map([...this.#greeted, ...this.#records]);
    for (const id of this.#left) byId.delete(id);
    const members = [...byId.values()];
    this.#idAt = new Map(members.map((member) => [this.#site.addressOf(member), member.id]));
    this.#list.publish(members);
  }

  #greetAll(addresses: readonly string[]): void {
    if (this.#signal.aborted) return;
    const wanted = new Set(addresses.slice(0, MAX_ADDRESSES));
    for (const [address, ending] of this.#greeting) {
      if (wanted.has(address)) continue;
      ending.abort();
      this.#greeting.delete(address);
      this.#told.forget(address);
    }
    for (const address of wanted) {
      if (this.#greeting.has(address)) continue;
      const ending = new AbortController();
      this.#greeting.set(address, ending);
      const signal = AbortSignal.any([this.#signal, ending.signal]);
      const task = this.#greetUntilActive(address, signal).finally(() => this.#tasks.delete(task));
      this.#tasks.add(task);
    }
  }

  /** Greets whoever is at an address, and again whenever nobody who is active is there. */
  async #greetUntilActive(address: string, signal: AbortSignal): Promise<void> {
    const { self, runtime, blockedProbeInterval } = this.#site;
    let whoIsThere: string | undefined;
    for (let failures = 0; !signal.aborted;) {
      if (!this.#isActive(whoIsThere)) {
        const met = await this.#greet(address, signal);
        if (met === self.id || signal.aborted) return;
        whoIsThere = met ?? whoIsThere;
        failures = met === undefined ? failures + 1 : 0;
      }
      const delayMs = this.#hasContact ? blockedProbeInterval : this.#site.retryDelay(failures);
      if (delayMs === Infinity) return;
      await sleep(runtime, delayMs, { signal }).catch(() => {});
    }
  }

  /** Who answers at an address, or is known by then to be there; where nobody does, why is told once. */
  async #greet(address: string, signal: AbortSignal): Promise<string | undefined> {
    const known = () => this.#idAt.get(address);
    // A few are greeted whatever anybody says of them: a member might lie about where it is.
    const areMany = () => this.#greeting.size > MAX_GREETINGS;
    try {
      const met = await this.#gate.pass(() => this.#site.greet(address, { signal }), {
        signal,
        unless: () => areMany() && this.#isActive(known()),
      });
      this.#told.forget(address);
      return met?.id ?? known();
    } catch (error) {
      if (signal.aborted) return undefined;
      // An address may lead nowhere; that is what the next attempt is for.
      this.#tell(address, error);
      return undefined;
    }
  }

  #tell(address: string, error: unknown): void {
    const reason = reasonOf(error);
    if (!this.#told.isNews(address, reason)) return;
    this.#told.add(address, reason);
    this.#site.eventStream.publish({ type: "SeedFailed", address, error });
  }

  #isActive(id: string | undefined): boolean {
    return id !== undefined && this.#site.activeIds().has(id);
  }

  get #hasContact(): boolean {
    return this.#greeted.size > 0;
  }
}
