/**
 * Discovery by seeds: a member greets any of some addresses, and learns of the others by gossip.
 *
 * @module
 */

import { bracketed } from "../gossiper/host_names.ts";
import type { Discovery, DiscoverySite } from "../gossiper/cluster.ts";
import { assertNone, optionsOf } from "../gossiper/options.ts";
import { sleep } from "../gossiper/runtime.ts";
import { ADDRESSES, duration, NAME_SERVER } from "./checks.ts";
import { addressesOfName, type NameServer } from "./dns_lookup.ts";
import { byGreeting, type Finding } from "./greeting.ts";

/** How the names among {@linkcode seeds} are resolved. */
export interface SeedOptions {
  /** Who is asked for the addresses of a name; the system's name servers by default. */
  readonly nameServer?: NameServer;
  /** How often a name is resolved again, in milliseconds; 30,000 by default. */
  readonly resolveInterval?: number;
}

const OPTIONS = optionsOf<SeedOptions>({ nameServer: NAME_SERVER, resolveInterval: duration() });

/**
 * The members are whoever greeted, or was greeted by, any of them. Seeds need not be up when this member
 * starts, nor be the same for all; this member's own address among them does no harm. Until the first
 * contact all seeds are greeted again and again; after that only those that are not active members, every
 * `blockedProbeInterval`: so that clusters that each started alone find each other.
 *
 * A seed may be a name with many addresses: all of them are greeted, and the name is resolved again from time to
 * time. While nobody is met at its addresses, the name itself is dialled as well: an ingress or a virtual host may answer to
 * nothing else. Without a port an address means 80, or 443 with `wss`, as URLs do. Where it cannot be resolved, and where
 * the process may not dial just any address (`--allow-net` with a list), only the name is dialled. With `wss` an address of
 * a name is shown as `wss://orders.example#10.0.0.5`: connected to is the address, and the certificate has to be the name's.
 *
 * @example
 * ```ts
 * import { seeds } from "./seeds.ts";
 *
 * const discovery = seeds(["ws://127.0.0.1:7001", "ws://127.0.0.1:7002"]);
 * console.assert(discovery.byGreeting);
 * ```
 *
 * @throws {ConfigurationError} naming every address that is none, and everything in the options that is wrong.
 */
export function seeds(addresses: readonly string[], options: SeedOptions = {}): Discovery {
  assertNone([...ADDRESSES("seeds", addresses), ...OPTIONS("seeds", options)]);
  const distinct = [...new Set(addresses)];
  return byGreeting((site, finding) => new Seeds(distinct, { options, site, finding }).run());
}

class Seeds {
  readonly #options: SeedOptions;
  readonly #site: DiscoverySite;
  readonly #finding: Finding;
  /** By seed, the addresses that it leads to. */
  readonly #found: Map<string, readonly string[]>;

  constructor(
    seeds: readonly string[],
    { options, site, finding }: {
      readonly options: SeedOptions;
      readonly site: DiscoverySite;
      readonly finding: Finding;
    },
  ) {
    this.#options = options;
    this.#site = site;
    this.#finding = finding;
    // Until it is known better, a name is an address like any other.
    this.#found = new Map(seeds.map((seed) => [seed, nameIn(seed, options) === undefined ? [seed] : []]));
  }

  async run(): Promise<void> {
    this.#tell();
    await Promise.all([...this.#found.keys()].map((seed) => this.#follow(seed)));
  }

  async #follow(seed: string): Promise<void> {
    const name = nameIn(seed, this.#options);
    if (name === undefined) return;
    const { resolveInterval = 30_000, nameServer } = this.#options;
    const { signal } = this.#finding;
    const { runtime } = this.#site;
    for (let failures = 0; !signal.aborted;) {
      let delayMs = resolveInterval;
      try {
        const addresses = await addressesOfName(name, { runtime, signal, nameServer });
        this.#found.set(seed, addresses.map((address) => replaceHost(seed, address)));
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        failures++;
        // That there is no such name is an answer; without one, it is asked for sooner.
        if (!(error instanceof Deno.errors.NotFound)) delayMs = this.#site.retryDelay(failures);
        // What was found before may still be there; else the system may know the name by another way.
        if (this.#found.get(seed)!.length === 0) this.#found.set(seed, [seed]);
      }
      this.#tell();
      await sleep(runtime, delayMs, { signal }).catch(() => {});
    }
  }

  #tell(): void {
    const addresses = new Set([...this.#found.values()].flat());
    // Where requests are routed by the name that is asked for, nobody answers at an address of it.
    const names = [...this.#found].filter(([seed, found]) => found.length > 0 && !found.includes(seed));
    this.#finding.found([...addresses], new Map(names));
  }
}

/** The name in a seed that is worth resolving; `undefined` where it is to be dialled as it is. */
function nameIn(seed: string, { nameServer }: SeedOptions): string | undefined {
  if (!URL.canParse(seed)) return undefined;
  const { protocol, hostname } = new URL(seed);
  const isAddress = /^[\d.]+$/.test(hostname) || hostname.startsWith("[");
  if (!/^wss?:$/.test(protocol) || isAddress || hostname === "localhost") return undefined;
  // Over TLS a name is dialled at one of its addresses through a tunnel, which listens on loopback.
  const mayExpand = mayDialAnything() || (protocol === "ws:" && nameServer !== undefined);
  return mayExpand ? hostname : undefined;
}

/** Whether resolving a name and dialling what comes of it asks the user for nothing. */
function mayDialAnything(): boolean {
  return Deno.permissions.querySync({ name: "net" }).state === "granted";
}

function replaceHost(seed: string, address: string): string {
  const url = new URL(seed);
  // Its certificate is for the name.
  if (url.protocol === "wss:") return `${seed}#${bracketed(address)}`;
  url.hostname = bracketed(address);
  return url.href.replace(/\/$/, "");
}
