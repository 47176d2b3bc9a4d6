/**
 * A leader, and owners of keys, without a server: `@hearsay/gossip/roles`. Neither is a lock; for a lock see
 * `@hearsay/gossip/etcd-leader`.
 *
 * @module
 */

export type { UnknownReason } from "./agreement.ts";
export type { RoleNode } from "./candidates.ts";
export { type Leader, leader, type LeaderAnswer } from "./leader.ts";
export type { OwnersOptions, RoleOptions } from "./options.ts";
export { type Owners, owners, type OwnersAnswer, type OwnersChange } from "./owners.ts";
