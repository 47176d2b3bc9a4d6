/**
 * Know which Deno processes are alive and share small facts between them, with no server to run.
 *
 * {@linkcode join} makes this process a member of a cluster. Members gossip: an entry that one member sets reaches all
 * others, a silent member is blocked by all others, and members detect when all of them agree.
 *
 * ```ts
 * import { join } from "@hearsay/gossip";
 *
 * await using one = await join({ cluster: "orders", listen: { port: 0 } });
 * await using two = await join({ cluster: "orders", listen: { port: 0 }, seeds: [one.address] });
 * one.setState("version", "1.4.0");
 * for await (const { memberId, value } of two.watch("version")) {
 *   console.assert(memberId === one.id && value === "1.4.0");
 *   break;
 * }
 * ```
 *
 * @module
 */

export { anyOf } from "./discovery/any_of.ts";
export { dns, type DnsOptions } from "./discovery/dns.ts";
export type { NameServer } from "./discovery/dns_lookup.ts";
export { fixedMembers } from "./discovery/fixed.ts";
export { type SeedOptions, seeds } from "./discovery/seeds.ts";
export type {
  Confirmed,
  ConflictDetected,
  ConsensusLost,
  ConsensusReached,
  Disseminated,
  EngineEvent,
  GossipUpdate,
  Isolated,
  LifeRenewed,
  MemberBlocked,
  MemberFailed,
  MemberForgotten,
  MemberJoined,
  MemberLeft,
  MemberSuspected,
  MemberUnblocked,
  PhaseChanged,
  ReconcilingRequested,
  Rejoined,
  SelfBlocked,
  StateDropped,
  SuspicionEnded,
} from "./engine/events.ts";
export {
  type BlockedMember,
  type BlockReason,
  type Delta,
  type Entry,
  GRACEFULLY_LEFT_KEY,
  HEARTBEAT_KEY,
  type Hold,
  type Holds,
  type JsonValue,
  type Life,
  type Liveness,
  type LivenessVector,
  type MemberDelta,
  type MemberSet,
  type PartialDelta,
  type Phase,
  type SentEntry,
  type Summary,
  type SummaryPart,
  TOPOLOGY_KEY,
} from "./engine/types.ts";
export {
  type CloseInfo,
  type Cluster,
  type ClusterTopology,
  type Connection,
  type Discovery,
  type DiscoverySite,
  isDialable,
  type Member,
  NOWHERE,
  type SeedStatus,
  type Transport,
} from "./gossiper/cluster.ts";
export {
  ConfigurationError,
  type ConfigurationProblem,
  configure,
  DEFAULT_CONFIG,
  type GossiperConfig,
  type PartialConfig,
  presetFor,
} from "./gossiper/configuration.ts";
export type { ConsensusCallbacks, ConsensusExtractor, ConsensusHandle } from "./gossiper/consensus.ts";
export type {
  GossiperClosed,
  GossiperLike,
  GossipKeyValue,
  MemberSnapshot,
  MembersOptions,
  MemberView,
  RoomSnapshot,
  SetStateOptions,
  Snapshot,
  WaitOptions,
} from "./gossiper/contract.ts";
export type { FlushResult } from "./gossiper/departure.ts";
export { ConnectionClosed, type ErrorCode, HearsayError } from "./gossiper/errors.ts";
export {
  type AddressShared,
  type Alone,
  type CallbackFailed,
  type ClientRefused,
  type DiscoveryFailed,
  type EventOf,
  type EventsDropped,
  EventStream,
  type EventStreamOptions,
  type EventType,
  type HearsayEvent,
  type ListenFailed,
  type RequestFailed,
  type SeedFailed,
  type SeedRecovered,
  type SettingsDiffer,
  type SignatureRefused,
  type SubscribeOptions,
} from "./gossiper/event_stream.ts";
export { Gossiper } from "./gossiper/gossiper.ts";
export type {
  Ack,
  Gossip,
  HeartbeatMessage,
  Hello,
  Message,
  Push,
  Reconcile,
  Refusal,
  RefusalCode,
  Reply,
  Suspect,
  UnknownMessage,
} from "./gossiper/message.ts";
export { printable } from "./gossiper/printable.ts";
export { PeerRefused } from "./gossiper/refusal.ts";
export type { SettingDifference, SharedSettings } from "./gossiper/shared_settings.ts";
export type { Signing } from "./gossiper/signing.ts";
export { realRuntime, type Runtime } from "./gossiper/runtime.ts";
export { join, type Node } from "./join.ts";
export type { Endpoint, JoinOptions } from "./join_options.ts";
export type { AuthenticationOptions, SecurityOptions, TlsOptions } from "./join_security.ts";
export {
  type EndingSignal,
  leaveOnSignals,
  type LeaveOnSignalsOptions,
  type Leaving,
  SHUTDOWN_TIMEOUT,
} from "./leave_on_signals.ts";
export type {
  Admitted,
  Authentication,
  ClusterKey,
  Credentials,
  Guard,
  NotAdmitted,
} from "./transport/authentication.ts";
export { type ListenFailure, serve, type ServeOptions, type Server } from "./transport/listening.ts";
export {
  type Authorise,
  type ListenOptions,
  type Refused,
  type RefusedClient,
  WebSocketTransport,
  type WebSocketTransportOptions,
} from "./transport/web_socket.ts";
