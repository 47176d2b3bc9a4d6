/**
 * Discovery by DNS: the addresses of a name, or the places of a service, are greeted.
 *
 * @module
 */

import type { Discovery } from "../gossiper/cluster.ts";
import { addressAt } from "../gossiper/host_names.ts";
import { assertNone, FLAG, optionsOf, PORT, rule } from "../gossiper/options.ts";
import { sleep } from "../gossiper/runtime.ts";
import { duration, NAME_SERVER } from "./checks.ts";
import { addressesOfName, type LookupOptions, type NameServer, servicesOfName } from "./dns_lookup.ts";
import { keepTrying } from "./failures.ts";
import { byGreeting } from "./greeting.ts";

export type { NameServer } from "./dns_lookup.ts";

/** How {@linkcode dns} looks for members. */
export interface DnsOptions {
  /** Where members listen: then the name's A and AAAA records are asked for; without it, its SRV records. */
  readonly port?: number;
  /** Who is asked; the system's name servers by default. */
  readonly nameServer?: NameServer;
  /** How often the name is resolved, in milliseconds; 10,000 by default. */
  readonly interval?: number;
  /** Whether members are dialled by `wss`; false by default. The targets of SRV records are then dialled by name. */
  readonly secure?: boolean;
}

const OPTIONS = optionsOf<DnsOptions>({
  port: PORT,
  nameServer: NAME_SERVER,
  interval: duration(),
  secure: FLAG,
});

const NAME = rule((given) => typeof given === "string" && /^[^\s/:]{1,253}$/.test(given), {
  problem: "is no name",
  allowed: 'a name such as "orders.default.svc.cluster.local"',
});

/**
 * Greets whoever is where a name leads, such as that of a headless service of Kubernetes: with a port all its
 * addresses (A, AAAA), without one all its services (SRV). The name is resolved again from time to time. The
 * members are whoever greeted, or was greeted by, any of them, so that an address that is gone from the records
 * takes nobody out of the cluster: who falls silent is blocked by its heartbeat, as everywhere.
 *
 * Where the name cannot be resolved, or has no records, `DiscoveryFailed` says so, and the addresses known before
 * stay.
 *
 * @example
 * ```ts
 * import { dns } from "./dns.ts";
 *
 * const byAddress = dns("orders.default.svc.cluster.local", { port: 7001 });
 * const byService = dns("_gossip._tcp.orders.default.svc.cluster.local");
 * console.assert(byAddress.byGreeting && byService.byGreeting);
 * ```
 *
 * @throws {ConfigurationError} naming everything in the name and the options that is wrong.
 */
export function dns(name: string, options: DnsOptions = {}): Discovery {
  assertNone([...NAME("dns.name", name), ...OPTIONS("dns", options)]);
  const { interval = 10_000 } = options;
  return byGreeting((site, { found, signal }) => {
    const { runtime } = site;
    return keepTrying(async ({ succeeded }) => {
      for (;;) {
        const { nameServer } = options;
        found(await addressesAt(name, options, { runtime, signal, nameServer }));
        succeeded();
        await sleep(runtime, interval, { signal });
      }
    }, { site, source: `DNS, for ${name}`, signal });
  });
}

async function addressesAt(
  name: string,
  options: DnsOptions,
  lookup: LookupOptions,
): Promise<readonly string[]> {
  const { port, secure = false } = options;
  if (port !== undefined) {
    const addresses = await addressesOfName(name, lookup);
    return addresses.map((host) => addressAt(host, { port, secure }));
  }
  const services = await servicesOfName(name, lookup);
  if (secure) return services.map(({ host, port }) => addressAt(host, { port, secure }));
  const found = await Promise.allSettled(services.map(async ({ host, port }) => {
    const addresses = await addressesOfName(host, lookup);
    return addresses.map((address) => addressAt(address, { port, secure }));
  }));
  const addresses = found.flatMap((outcome) => outcome.status === "fulfilled" ? outcome.value : []);
  // A target that is gone already does not hide the others.
  if (addresses.length > 0) return addresses;
  throw (found[0] as PromiseRejectedResult).reason;
}
