/**
 * The messages of `hearsay.v2`, their JSON codec, and the data in them: `@hearsay/gossip/protocol`. See
 * `docs/PROTOCOL.md`.
 *
 * @module
 */

export type {
  BlockReason,
  Delta,
  Entry,
  Incarnation,
  JsonValue,
  KnownVersion,
  KnownVersions,
  Liveness,
  LivenessVector,
  MemberDelta,
  MemberDeltas,
  MemberSet,
  SentEntry,
  Summary,
  SummaryPart,
} from "../engine/types.ts";
export { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY } from "../engine/types.ts";
export { decode, encode, type Ping, type Pong, type WireLimits } from "./codec.ts";
export type { Member } from "./member.ts";
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
} from "./message.ts";
export type { SettingDifference, SharedSettings } from "./shared_settings.ts";
