/**
 * Discovery for clusters of protoactor-go, compatible with its providers `automanaged` and `etcd`.
 *
 * ```ts
 * import { autoManaged, protoactorEtcd } from "@hearsay/gossip/protoactor-discovery";
 *
 * const polled = autoManaged({ hosts: ["127.0.0.1:6330", "127.0.0.1:6331"] });
 * const registered = protoactorEtcd({ endpoints: ["http://127.0.0.1:2379"] });
 * console.assert(!polled.openMembership && !registered.openMembership);
 * ```
 *
 * @module
 */

export type { Discovery } from "../contracts/cluster.ts";
export type { EtcdOptions } from "../discovery/etcd/client.ts";
export { AUTO_MANAGE_PORT, autoManaged, type AutoManagedOptions, TOLERATED_MISSES } from "./automanaged.ts";
export { protoactorEtcd, type ProtoactorEtcdOptions } from "./etcd.ts";
