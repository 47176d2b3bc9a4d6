/**
 * Discovery by etcd, for those who run one: each member has a key under a lease.
 *
 * @module
 */

import type { JsonValue } from "../engine/types.ts";
import type { Discovery, DiscoverySite, Member } from "../gossiper/cluster.ts";
import { assertNone, optionsOf, TEXT } from "../gossiper/options.ts";
import { duration } from "./checks.ts";
import { ETCD_RULES, type EtcdOptions } from "./etcd_client.ts";
import { EtcdMembership, type EtcdMembershipOptions } from "./etcd_membership.ts";
import { readMember } from "./member_record.ts";

export type { Discovery } from "../gossiper/cluster.ts";
export type { EtcdOptions } from "./etcd_client.ts";

/** How {@linkcode etcd} finds the members. */
export interface EtcdDiscoveryOptions extends EtcdOptions {
  /** What all keys begin with; `/hearsay` by default. */
  readonly prefix?: string;
  /** How long, in milliseconds, the key of a member that fell silent lasts; 10,000 by default, in whole seconds. */
  readonly leaseTtl?: number;
  /**
   * How long, in milliseconds, a member whose key is gone still counts as one: by default as long as a lease
   * lasts, so that members that register anew (etcd lost its data, or could not be reached) are missed by nobody.
   * Members that leave in good order say so by gossip, whatever is here.
   */
  readonly grace?: number;
  /** How often everything is read anew, in milliseconds, whatever the watch says; 60,000 by default. */
  readonly resyncInterval?: number;
}

const OPTIONS = optionsOf<EtcdDiscoveryOptions>({
  ...ETCD_RULES,
  prefix: TEXT,
  leaseTtl: duration({ leastMs: 1_000 }),
  grace: duration({ leastMs: 0 }),
  resyncInterval: duration(),
});

/**
 * Keeps this member in etcd (3.4 or later, by its HTTP/JSON gateway) at `/hearsay/<cluster>/<id>` under a lease,
 * and takes for members whoever else is there; whoever is not is refused. Where etcd cannot be reached,
 * `DiscoveryFailed` says so, gossip goes on with the members known last, and this member registers as soon as it
 * can.
 *
 * @example
 * ```ts
 * import { etcd } from "@hearsay/gossip/etcd";
 *
 * const discovery = etcd({ endpoints: ["http://127.0.0.1:2379"] });
 * console.assert(!discovery.byGreeting);
 * ```
 *
 * @throws {ConfigurationError} naming everything in the options that is wrong, such as an endpoint that is no URL.
 */
export function etcd(options: EtcdDiscoveryOptions = {}): Discovery {
  assertNone(OPTIONS("etcd", options));
  return {
    byGreeting: false,
    run: (site, running) => new EtcdMembership(membershipOf(options, site), site).run(running),
  };
}

function membershipOf(
  options: EtcdDiscoveryOptions,
  { self, cluster }: DiscoverySite,
): EtcdMembershipOptions {
  const { prefix: base = "/hearsay", leaseTtl = 10_000, grace = leaseTtl, resyncInterval = 60_000 } = options;
  const { id, host, port, kinds } = self;
  // A name with a slash must not reach into another cluster's keys.
  const prefix = `${base}/${encodeURIComponent(cluster)}/`;
  return {
    etcd: options,
    prefix,
    own: { key: prefix + encodeURIComponent(id), value: JSON.stringify({ id, host, port, kinds }) },
    read: readRecord,
    leaseTtl,
    grace,
    resyncInterval,
  };
}

function readRecord(text: string): Member | undefined {
  try {
    return readMember(JSON.parse(text) as JsonValue);
  } catch {
    return undefined;
  }
}
