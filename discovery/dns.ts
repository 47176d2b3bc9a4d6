/**
 * Discovery by DNS: resolves a name and sends a handshake to each of its addresses or services.
 *
 * @module
 */

import { assertDeno } from "../common/needs_deno.ts";
import type { Discovery } from "../contracts/cluster.ts";
import { addressAt } from "../common/host_names.ts";
import { assertNone, FLAG, optionsOf, PORT, rule } from "../options/rules.ts";
import { sleep } from "../common/runtime.ts";
import { duration, NAME_SERVER } from "./checks.ts";
import { addressesOfName, type LookupOptions, type NameServer, servicesOfName } from "./dns_lookup.ts";
import { retryForever } from "./failures.ts";
import { openMembership } from "./open_membership.ts";

export type { NameServer } from "./dns_lookup.ts";

/** Options of {@linkcode dns}. */
export interface DnsOptions {
  /**
   * The port of all members. With it, the name's A and AAAA records are resolved; without it, its SRV
   * records.
   */
  readonly port?: number;
  /** The name server to query; by default the name servers of the system. */
  readonly nameServer?: NameServer;
  /** Milliseconds between two queries; 10,000 by default. */
  readonly interval?: number;
  /** Dials members by `wss`; false by default. The targets of SRV records are then dialed by name. */
  readonly secure?: boolean;
}

const OPTIONS = optionsOf<DnsOptions>({
  port: PORT,
  nameServer: NAME_SERVER,
  interval: duration(),
  secure: FLAG,
});

const NAME = rule((given) => typeof given === "string" && /^[^\s/:]{1,253}$/.test(given), {
  problem: "must be a DNS name",
  allowed: 'a name such as "orders.default.svc.cluster.local"',
});

/**
 * Finds members by a DNS name, such as the name of a headless service in Kubernetes. With a port it dials all addresses
 * (A, AAAA) of the name; without a port, all services (SRV). The name is resolved again at each interval. Each dial is
 * a handshake; the other members are learned by gossip. If a record disappears, its member stays until its heartbeats
 * stop.
 *
 * If the query fails, or the name has no records, `DiscoveryFailed` is emitted and the previous addresses
 * stay.
 *
 * @example
 * ```ts
 * import { dns } from "@hearsay/gossip";
 *
 * const byAddress = dns("orders.default.svc.cluster.local", { port: 7001 });
 * const byService = dns("_gossip._tcp.orders.default.svc.cluster.local");
 * console.assert(byAddress.openMembership && byService.openMembership);
 * ```
 *
 * @throws {ConfigurationError} naming every fault in the name and the options.
 */
export function dns(name: string, options: DnsOptions = {}): Discovery {
  assertNone([...NAME("dns.name", name), ...OPTIONS("dns", options)]);
  assertDeno("dns", "give `seeds` a name");
  const { interval = 10_000 } = options;
  return openMembership((context, { found, signal }) => {
    const { runtime } = context;
    return retryForever(async ({ succeeded }) => {
      for (;;) {
        const { nameServer } = options;
        found(await addressesAt(name, options, { runtime, signal, nameServer }));
        succeeded();
        await sleep(runtime, interval, { signal });
      }
    }, { context, source: `DNS name ${name}`, signal });
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
  // A target whose name has no more addresses must not hide the other targets.
  if (addresses.length > 0) return addresses;
  throw (found[0] as PromiseRejectedResult).reason;
}
