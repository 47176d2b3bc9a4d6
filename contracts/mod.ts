/**
 * The interfaces of the exchangeable parts, and all events: `@hearsay/gossip/contracts`. Use it to write a transport, a
 * discovery or a signature scheme, or to put the parts together yourself.
 *
 * @module
 */

export { ConnectionClosed } from "../common/errors.ts";
export { realRuntime, type Runtime } from "../common/runtime.ts";
export type * from "../engine/events.ts";
export type { RefusalCode } from "../protocol/message.ts";
export type { SettingDifference, SharedSettings } from "../protocol/shared_settings.ts";
export { PeerRefused } from "../protocol/refusal.ts";
export type * from "./authentication.ts";
export {
  type CloseInfo,
  type Cluster,
  type ClusterTopology,
  type Connection,
  type Discovery,
  type DiscoveryContext,
  isDialable,
  type ListedMember,
  type Member,
  NOWHERE,
  type SeedStatus,
  type Transport,
} from "./cluster.ts";
export * from "./event_stream.ts";
export type * from "./explanation.ts";
export type {
  Amounts,
  BlockEnd,
  Counted,
  Counts,
  DepartureEnd,
  Durations,
  ExchangeEnd,
  ExchangeOutcome,
  MeteredMember,
  MeterReport,
  Meters,
  ReceivedPush,
  SentPush,
  SpreadShare,
} from "./meters.ts";
export type { Signing, SigningKeyPair } from "./signing.ts";
