/**
 * Discovery by seeds: sends a handshake to each of some addresses, and learns of the other members by gossip.
 *
 * @module
 */

import { bracketed } from "../common/host_names.ts";
import type { Discovery, DiscoveryContext } from "../contracts/cluster.ts";
import { assertNone, optionsOf } from "../options/rules.ts";
import { sleep } from "../common/runtime.ts";
import { ADDRESSES, duration, NAME_SERVER } from "./checks.ts";
import { addressesOfName, type NameServer } from "./dns_lookup.ts";
import { type AddressSink, openMembership } from "./open_membership.ts";

/** Options of {@linkcode seeds}. */
export interface SeedOptions {
  /** The name server to query; by default the name servers of the system. */
  readonly nameServer?: NameServer;
  /**
   * The time between two resolutions of a name, in milliseconds; 30,000 by default. Until another member was met at the
   * name's addresses, at most `maxBackoff`.
   */
  readonly resolveInterval?: number;
}

const OPTIONS = optionsOf<SeedOptions>({ nameServer: NAME_SERVER, resolveInterval: duration() });

/**
 * Finds members by the addresses of some members. Each dial is a handshake; the other members are learned by gossip.
 * Seeds need not run when this member starts, and members may have different seeds. This member's own address among the
 * seeds is harmless. Until the first handshake succeeds, all seeds are dialed repeatedly. After that only seeds without
 * an active member are dialed, every `blockedProbeInterval`, so that clusters that started apart find each other.
 *
 * A seed may be a name with many addresses. All addresses are dialed, and the name is resolved again at each interval.
 * While no address has a member, the name itself is dialed too, because an ingress or a virtual host may answer only to
 * its name. Only the name is dialed if it cannot be resolved, or if the process may not dial every address
 * (`--allow-net` with a list). With `wss`, an address of a name is shown as `wss://orders.example#10.0.0.5`: the member
 * connects to the address, and the certificate must be for the name. The default port is 80, or 443 with `wss`.
 *
 * @example
 * ```ts
 * import { seeds } from "@hearsay/gossip";
 *
 * const discovery = seeds(["ws://127.0.0.1:7001", "ws://127.0.0.1:7002"]);
 * console.assert(discovery.openMembership);
 * ```
 *
 * @throws {ConfigurationError} naming every invalid address and every fault in the options.
 */
export function seeds(addresses: readonly string[], options: SeedOptions = {}): Discovery {
  assertNone([...ADDRESSES("seeds", addresses), ...OPTIONS("seeds", options)]);
  const distinct = [...new Set(addresses)];
  return openMembership((context, sink) => new Seeds(distinct, { options, context, sink }).run());
}

class Seeds {
  readonly #options: SeedOptions;
  readonly #context: DiscoveryContext;
  readonly #sink: AddressSink;
  /** The addresses of each seed. */
  readonly #found: Map<string, readonly string[]>;

  constructor(
    seeds: readonly string[],
    { options, context, sink }: {
      readonly options: SeedOptions;
      readonly context: DiscoveryContext;
      readonly sink: AddressSink;
    },
  ) {
    this.#options = options;
    this.#context = context;
    this.#sink = sink;
    // A seed that must be resolved has no addresses yet. Any other seed is its own address.
    this.#found = new Map(seeds.map((seed) => [seed, nameIn(seed, options) === undefined ? [seed] : []]));
  }

  async run(): Promise<void> {
    this.#publish();
    await Promise.all([...this.#found.keys()].map((seed) => this.#follow(seed)));
  }

  async #follow(seed: string): Promise<void> {
    const name = nameIn(seed, this.#options);
    if (name === undefined) return;
    const { resolveInterval = 30_000, nameServer } = this.#options;
    const { signal, isMet } = this.#sink;
    const { runtime } = this.#context;
    for (let failures = 0, unmet = 0; !signal.aborted;) {
      let delayMs = resolveInterval;
      try {
        const addresses = await addressesOfName(name, { runtime, signal, nameServer });
        this.#found.set(seed, addresses.map((address) => replaceHost(seed, address)));
        failures = 0;
        // The name may have moved to another address since.
        unmet = isMet([seed, ...this.#found.get(seed)!]) ? 0 : unmet + 1;
        if (unmet > 0) delayMs = Math.min(resolveInterval, this.#context.retryDelay(unmet));
      } catch (error) {
        if (signal.aborted) return;
        failures++;
        // NotFound is an answer. Without an answer, the next query comes sooner.
        if (!(error instanceof Deno.errors.NotFound)) delayMs = this.#context.retryDelay(failures);
        // Previous addresses may still be right. Without previous addresses, dial the name itself: the system may
        // resolve it in another way.
        if (this.#found.get(seed)!.length === 0) this.#found.set(seed, [seed]);
      }
      this.#publish();
      await sleep(runtime, delayMs, { signal }).catch(() => {});
    }
  }

  #publish(): void {
    const addresses = new Set([...this.#found.values()].flat());
    // A server that routes by host name does not answer to a bare address, so the name is a last resort.
    const names = [...this.#found].filter(([seed, found]) => found.length > 0 && !found.includes(seed));
    this.#sink.found([...addresses], new Map(names));
  }
}

/** The name of a seed, if it should be resolved; `undefined` if the seed is dialed as it is. */
function nameIn(seed: string, { nameServer }: SeedOptions): string | undefined {
  if (!URL.canParse(seed)) return undefined;
  const { protocol, hostname } = new URL(seed);
  const isAddress = /^[\d.]+$/.test(hostname) || hostname.startsWith("[");
  if (!/^wss?:$/.test(protocol) || isAddress || hostname === "localhost") return undefined;
  // Over TLS a name is dialed at one of its addresses through a tunnel, which listens on loopback.
  const mayExpand = mayDialAnything() || (protocol === "ws:" && nameServer !== undefined);
  return mayExpand ? hostname : undefined;
}

/** True if this runtime can resolve a name, and dialing a resolved address does not prompt the user for permission. */
function mayDialAnything(): boolean {
  // Other runtimes than Deno resolve the name themselves when they dial it.
  if (!("Deno" in globalThis)) return false;
  return Deno.permissions.querySync({ name: "net" }).state === "granted";
}

function replaceHost(seed: string, address: string): string {
  const url = new URL(seed);
  // The certificate must be for the name.
  if (url.protocol === "wss:") return `${seed}#${bracketed(address)}`;
  url.hostname = bracketed(address);
  return url.href.replace(/\/$/, "");
}
