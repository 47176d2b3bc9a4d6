/**
 * Discovery compatible with protoactor-go's `etcd` provider.
 *
 * @module
 */

import type { Discovery, DiscoveryContext, Member } from "../contracts/cluster.ts";
import { assertNone, optionsOf, TEXT } from "../options/rules.ts";
import { duration } from "../discovery/checks.ts";
import { ETCD_RULES, type EtcdOptions } from "../discovery/etcd/client.ts";
import { EtcdMembership } from "../discovery/etcd/membership.ts";
import { readMember } from "../discovery/member_record.ts";

/** Options of {@linkcode protoactorEtcd}. */
export interface ProtoactorEtcdOptions extends EtcdOptions {
  /** The prefix of all keys; `/protoactor` by default. */
  readonly baseKey?: string;
  /**
   * How long a silent member is still listed, in milliseconds; 3,000 by default, as in protoactor-go. A Go
   * member never accepts an id again that was unlisted for a moment. Choose more if members can pause for
   * some seconds.
   */
  readonly leaseTtl?: number;
  /** Milliseconds between two complete reads, in addition to the watch; 60,000 by default. */
  readonly resyncInterval?: number;
}

const OPTIONS = optionsOf<ProtoactorEtcdOptions>({
  ...ETCD_RULES,
  baseKey: TEXT,
  leaseTtl: duration({ leastMs: 1_000 }),
  resyncInterval: duration(),
});

/** A member in etcd: protoactor-go's `Node`, with the names of its JSON. */
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
 * Registers this member in etcd at `/protoactor/<cluster>/<cluster>@<id>` under a lease, like protoactor-go's
 * `etcd` provider, and lists the other members there.
 *
 * In etcd and in its topology, protoactor-go uses `<cluster>@<id>` as a member's id; in gossip and elsewhere
 * it uses `<id>`. This library always uses `<id>`. As in protoactor-go, a member leaves the topology as soon
 * as its key is gone.
 *
 * @example
 * ```ts
 * import { protoactorEtcd } from "@hearsay/gossip/protoactor-discovery";
 *
 * const discovery = protoactorEtcd({ endpoints: ["http://127.0.0.1:2379"] });
 * console.assert(!discovery.openMembership);
 * ```
 *
 * @throws {ConfigurationError} naming every fault in the options, such as an endpoint without a scheme.
 */
export function protoactorEtcd(options: ProtoactorEtcdOptions = {}): Discovery {
  assertNone(OPTIONS("protoactorEtcd", options));
  return {
    openMembership: false,
    run: (context, running) => new EtcdMembership(membershipOf(options, context), context).run(running),
  };
}

function membershipOf(options: ProtoactorEtcdOptions, { self, cluster }: DiscoveryContext) {
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

/** Reads a node; undefined if it is invalid or not alive. */
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
