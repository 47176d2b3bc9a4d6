/**
 * Discovery as protoactor-go's `etcd` provider does it.
 *
 * @module
 */

import type { Discovery, DiscoverySite, Member } from "../gossiper/cluster.ts";
import { assertNone, optionsOf, TEXT } from "../gossiper/options.ts";
import { duration } from "./checks.ts";
import { ETCD_RULES, type EtcdOptions } from "./etcd_client.ts";
import { EtcdMembership } from "./etcd_membership.ts";
import { readMember } from "./member_record.ts";

/** How {@linkcode protoactorEtcd} finds the members. */
export interface ProtoactorEtcdOptions extends EtcdOptions {
  /** What all keys begin with; `/protoactor` by default. */
  readonly baseKey?: string;
  /**
   * How long, in milliseconds, a member that fell silent is still listed: 3,000 by default, which is
   * protoactor-go's own. A protoactor-go member never takes an id back that was not listed for a moment, so give
   * more where a pause of some seconds is nothing unusual.
   */
  readonly leaseTtl?: number;
  /** How often everything is read anew, in milliseconds, whatever the watch says; 60,000 by default. */
  readonly resyncInterval?: number;
}

const OPTIONS = optionsOf<ProtoactorEtcdOptions>({
  ...ETCD_RULES,
  baseKey: TEXT,
  leaseTtl: duration({ leastMs: 1_000 }),
  resyncInterval: duration(),
});

/** A member in etcd: `Node`, whose names are those of the JSON. */
interface Node {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly kinds: readonly string[];
  readonly alive: boolean;
}

/**
 * Keeps this member in etcd at `/protoactor/<cluster>/<cluster>@<id>` under a lease, as protoactor-go's `etcd`
 * provider does, and takes for members whoever else is there.
 *
 * In etcd, and in its topology, protoactor-go calls a member `<cluster>@<id>`; in its gossip and everywhere else,
 * `<id>`. Here it is `<id>` throughout. A member is dropped as soon as its key is gone, as it is there.
 *
 * @example
 * ```ts
 * import { protoactorEtcd } from "@hearsay/gossip/protoactor-discovery";
 *
 * const discovery = protoactorEtcd({ endpoints: ["http://127.0.0.1:2379"] });
 * console.assert(!discovery.byGreeting);
 * ```
 *
 * @throws {ConfigurationError} naming everything in the options that is wrong, such as an endpoint that is no URL.
 */
export function protoactorEtcd(options: ProtoactorEtcdOptions = {}): Discovery {
  assertNone(OPTIONS("protoactorEtcd", options));
  return {
    byGreeting: false,
    run: (site, running) => new EtcdMembership(membershipOf(options, site), site).run(running),
  };
}

function membershipOf(options: ProtoactorEtcdOptions, { self, cluster }: DiscoverySite) {
  const { baseKey = "/protoactor", leaseTtl = 3_000, resyncInterval = 60_000 } = options;
  const { host, port, kinds } = self;
  const name = `${cluster}@${self.id}`;
  const node: Node = { id: name, name, host, address: host, port, kinds, alive: true };
  const prefix = `${baseKey}/${cluster}/`;
  return {
    etcd: options,
    prefix,
    own: { key: prefix + name, value: JSON.stringify(node) },
    read: (value: string) => readNode(value, cluster),
    leaseTtl,
    grace: 0,
    resyncInterval,
  };
}

/** The member that a node stands for; none where it says that it is not alive, or is no node. */
function readNode(text: string, cluster: string): Member | undefined {
  let node: Partial<Record<keyof Node, unknown>> | null;
  try {
    node = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof node !== "object" || node === null || node.alive !== true) return undefined;
  const { id, host, address, port, kinds } = node;
  if (typeof id !== "string") return undefined;
  return readMember({
    id: id.startsWith(`${cluster}@`) ? id.slice(cluster.length + 1) : id,
    host: (host || address || null) as string | null,
    port: (port ?? null) as number | null,
    kinds: (kinds ?? []) as string[],
  });
}
