/**
 * Detects that another member, or no member, is at this member's address. Several members share an address with `deno
 * serve --parallel`, with workers that mount one handler each, and behind a load balancer's address that several
 * members advertise. A request for one such member may then reach another.
 *
 * @module
 */

import { type Discovery, type DiscoveryContext, isDialable, type Member } from "../contracts/cluster.ts";
import { assertMayConnect } from "../common/permission.ts";
import { sleep } from "../common/runtime.ts";

/**
 * The times, in milliseconds after its start, at which a member dials its own address. If two isolates share the
 * address, each dial reaches either with equal chance. So all six dials of a member miss the other isolate once in 64
 * times. The dials of both members miss once in 4,096 times.
 */
const PROBES_MS = [500, 1_000, 2_000, 4_000, 8_000, 16_000];

/** Options of {@linkcode noticingSharedAddress}. */
export interface SharedAddressOptions {
  /**
   * The time in milliseconds after which a silent member is blocked. A member that stays active for longer is running.
   */
  readonly heartbeatExpiration: number;
  /** True if this member dials its own address and checks the answer. Needed if this member does not listen itself. */
  readonly probes: boolean;
  /**
   * True if another member has dialed this member at its address. The address may be unreachable only from this
   * machine.
   */
  readonly isReached: () => boolean;
}

/**
 * Adds a check of this member's own address to a discovery: emits one `AddressShared` if another member answers there or
 * advertises it, and, with `probes`, one `SelfUnreachable` if no member answers there.
 */
export function noticingSharedAddress(discovery: Discovery, options: SharedAddressOptions): Discovery {
  const { openMembership, members } = discovery;
  return {
    openMembership,
    ...(members && { members }),
    run: async (context, running) => {
      const watch = new SharedAddressWatch(context, { ...options, signal: running.signal });
      await Promise.all([discovery.run(context, running), watch.run()]);
    },
  };
}

class SharedAddressWatch {
  readonly #context: DiscoveryContext;
  readonly #options: SharedAddressOptions;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  /** Members with this member's address. Such a member may be this program's former process. */
  readonly #suspects = new Set<string>();

  constructor(context: DiscoveryContext, options: SharedAddressOptions & { readonly signal: AbortSignal }) {
    this.#context = context;
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#ending.signal]);
  }

  async run(): Promise<void> {
    if (!isDialable(this.#context.self)) return;
    await Promise.all([this.#followMembers(), this.#probe()]);
  }

  async #followMembers(): Promise<void> {
    const { eventStream, self } = this.#context;
    const options = { signal: this.#signal, capacity: 1 };
    const tasks: Promise<void>[] = [];
    for await (const event of eventStream.subscribe("ClusterTopology", options)) {
      if (event.type !== "ClusterTopology") continue;
      // One suspect at a time is enough. When it is gone, the next follows.
      const other = event.members.find((member) => member.id !== self.id && isSamePlace(member, self));
      if (other && this.#suspects.size === 0) tasks.push(this.#suspect(other));
    }
    await Promise.all(tasks);
  }

  /** A process that was killed and started again finds its former id at its address, until that id is blocked. */
  async #suspect({ id }: Member): Promise<void> {
    this.#suspects.add(id);
    const { runtime } = this.#context;
    await sleep(runtime, 1.5 * this.#options.heartbeatExpiration, { signal: this.#signal }).catch(() => {});
    this.#suspects.delete(id);
    if (!this.#signal.aborted && this.#context.activeIds().has(id)) this.#emit(id);
  }

  async #probe(): Promise<void> {
    const { self, runtime } = this.#context;
    if (!this.#options.probes) return;
    const address = this.#context.addressOf(self);
    const startedMs = runtime.monotonicMs();
    let isFound = false;
    let failure: unknown;
    try {
      assertMayConnect(new URL(address));
      for (const afterMs of PROBES_MS) {
        // A dial may have lasted until after the time of the next one.
        const delayMs = Math.max(0, startedMs + afterMs - runtime.monotonicMs());
        await sleep(runtime, delayMs, { signal: this.#signal });
        const met = await this.#context.handshake(address, { signal: this.#signal })
          .catch((error) => void (failure = error));
        if (met && met.id !== self.id) return this.#emit(met.id);
        isFound ||= met !== undefined;
      }
      if (isFound || this.#signal.aborted || this.#options.isReached()) return;
      this.#context.eventStream.publish({ type: "SelfUnreachable", address, error: failure });
    } catch {
      // The discovery ended, or the dial would prompt for a permission.
    }
  }

  #emit(memberId: string): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    const address = this.#context.addressOf(this.#context.self);
    this.#context.eventStream.publish({ type: "AddressShared", address, memberId });
  }
}

/** True if two members advertise equal texts. Members of the same program do so. */
function isSamePlace(one: Member, other: Member): boolean {
  return one.port === other.port && one.host === other.host && one.url === other.url;
}
