/**
 * Discovery by etcd: each member has a key under a lease.
 *
 * @module
 */

import { assertDeno } from "../../common/needs_deno.ts";
import type { JsonValue } from "../../engine/types.ts";
import type { Discovery, DiscoveryContext, Member } from "../../contracts/cluster.ts";
import { assertNone, optionsOf, TEXT } from "../../options/rules.ts";
import { duration } from "../checks.ts";
import { ETCD_RULES, type EtcdOptions } from "./client.ts";
import { EtcdMembership, type EtcdMembershipOptions } from "./membership.ts";
import { readMember } from "../member_record.ts";

export type { Discovery } from "../../contracts/cluster.ts";
export type { EtcdOptions } from "./client.ts";

/** Options of {@linkcode etcd}. */
export interface EtcdDiscoveryOptions extends EtcdOptions {
  /** The prefix of all keys; `/hearsay` by default. */
  readonly prefix?: string;
  /** The time to live of a silent member's key, in milliseconds; 10,000 by default, rounded up to seconds. */
  readonly leaseTtl?: number;
  /**
   * The time for which a member is still listed after its key is gone, in milliseconds; `leaseTtl` by default. So
   * members that must register again, after etcd lost its data or was unreachable, stay in the topology meanwhile. A
   * member that leaves gracefully leaves by gossip, without this delay.
   */
  readonly grace?: number;
  /** Milliseconds between two complete reads, in addition to the watch; 60,000 by default. */
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
 * Registers this member in etcd (3.4 or later, by its HTTP/JSON gateway) at `/hearsay/<cluster>/<id>` under a
 * lease, and lists the other members there. Peers without a key are refused. If etcd is unreachable,
 * `DiscoveryFailed` is emitted, gossip continues with the last known members, and this member registers as
 * soon as etcd answers.
 *
 * @example
 * ```ts
 * import { etcd } from "@hearsay/gossip/etcd";
 *
 * const discovery = etcd({ endpoints: ["http://127.0.0.1:2379"] });
 * console.assert(!discovery.openMembership);
 * ```
 *
 * @throws {ConfigurationError} naming every fault in the options, such as an endpoint without a scheme.
 */
export function etcd(options: EtcdDiscoveryOptions = {}): Discovery {
  assertNone(OPTIONS("etcd", options));
  assertDeno("etcd", "use `seeds`");
  return {
    openMembership: false,
    run: (context, running) => new EtcdMembership(membershipOf(options, context), context).run(running),
  };
}

function membershipOf(
  options: EtcdDiscoveryOptions,
  { self, cluster }: DiscoveryContext,
): EtcdMembershipOptions {
  const { prefix: base = "/hearsay", leaseTtl = 10_000, grace = leaseTtl, resyncInterval = 60_000 } = options;
  const { id, host, port, kinds, url } = self;
  // Encoded, so that a cluster name with a slash cannot reach the keys of another cluster.
  const prefix = `${base}/${encodeURIComponent(cluster)}/`;
  return {
    etcd: options,
    prefix,
    own: {
      key: prefix + encodeURIComponent(id),
      value: JSON.stringify({ id, host, port, kinds, ...(url !== undefined && { url }) }),
    },
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
