/**
 * Discovery by seeds: a member greets any of some addresses, and learns of the others by gossip.
 *
 * @module
 */

import { GRACEFULLY_LEFT_KEY, MEMBER_KEY } from "../engine/types.ts";
import type { Discovery, DiscoverySite, Member } from "../gossiper/cluster.ts";
import { HearsayError } from "../gossiper/errors.ts";
import { sleep } from "../gossiper/runtime.ts";
import { readMember } from "./member_record.ts";

/** How a discovery runs. */
interface RunOptions {
  readonly signal: AbortSignal;
}

/**
 * The members are whoever greeted, or was greeted by, any of them. Seeds need not be up when this member
 * starts, nor be the same for all; this member's own address among them does no harm. Until the first
 * contact all seeds are greeted again and again; after that only those that are not active members, every
 * `blockedProbeInterval`: so that clusters that each started alone find each other.
 *
 * @example
 * ```ts
 * import { seeds } from "./seeds.ts";
 *
 * const discovery = seeds(["ws://127.0.0.1:7001", "ws://127.0.0.1:7002"]);
 * console.assert(discovery.byGreeting);
 * ```
 *
 * @throws {TypeError} where an address is no text, or empty.
 */
export function seeds(addresses: readonly string[]): Discovery {
  for (const address of addresses) {
    if (typeof address === "string" && address !== "") continue;
    throw new TypeError(
      `A seed must be an address, such as "ws://127.0.0.1:7001", and not ${JSON.stringify(address)}.`,
    );
  }
  const distinct = [...new Set(addresses)];
  return {
    byGreeting: true,
    run: (site, options) => new SeedDiscovery(distinct, site).run(options),
  };
}

class SeedDiscovery {
  readonly #addresses: readonly string[];
  readonly #site: DiscoverySite;
  /** As they were in greetings. */
  readonly #greeted = new Map<string, Member>();
  /** As members gossip about themselves. */
  readonly #records = new Map<string, Member>();
  readonly #left = new Set<string>();
  #published = "";
  #cancelPublishing: (() => void) | undefined;

  constructor(addresses: readonly string[], site: DiscoverySite) {
    this.#addresses = addresses;
    this.#site = site;
  }

  async run({ signal }: RunOptions): Promise<void> {
    this.#publish();
    try {
      await Promise.all([
        this.#followGreetings(),
        this.#followRecords(),
        this.#followDepartures(),
        this.#followForgetting(signal),
        ...this.#addresses.map((address) => this.#greetUntilActive(address, signal)),
      ]);
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

  async #followForgetting(signal: AbortSignal): Promise<void> {
    for await (const event of this.#site.eventStream.subscribe("MemberForgotten", { signal })) {
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
    const { self, eventStream } = this.#site;
    const byId = new Map([...this.#greeted, ...this.#records]);
    for (const id of this.#left) byId.delete(id);
    byId.set(self.id, self);
    const members = [...byId.values()].sort((one, other) => one.id < other.id ? -1 : 1);
    const published = JSON.stringify(members);
    if (published === this.#published) return;
    this.#published = published;
    eventStream.publish({ type: "ClusterTopology", members, blocked: [] });
  }

  async #greetUntilActive(address: string, signal: AbortSignal): Promise<void> {
    const { self, runtime, eventStream, blockedProbeInterval } = this.#site;
    let whoIsThere: string | undefined;
    let told: string | undefined;
    for (let failures = 0; !signal.aborted;) {
      if (whoIsThere === undefined || !this.#site.activeIds().has(whoIsThere)) {
        try {
          whoIsThere = (await this.#site.greet(address, { signal })).id;
          if (whoIsThere === self.id) return;
          failures = 0;
          told = undefined;
        } catch (error) {
          if (signal.aborted) return;
          // Seeds may be down; that is what the next attempt is for. Why is told once.
          failures++;
          const reason = error instanceof HearsayError ? error.code : String(error);
          if (reason !== told) eventStream.publish({ type: "SeedFailed", address, error });
          told = reason;
        }
      }
      const delayMs = this.#hasContact ? blockedProbeInterval : this.#site.retryDelay(failures);
      if (delayMs === Infinity) return;
      await sleep(runtime, delayMs, { signal }).catch(() => {});
    }
  }

  get #hasContact(): boolean {
    return this.#greeted.size > 0;
  }
}
