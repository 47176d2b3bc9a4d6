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

export { type ErrorCode, HearsayError } from "./common/errors.ts";
export { printable } from "./common/printable.ts";
export type { Discovery, Member, SeedStatus } from "./contracts/cluster.ts";
export type { Explanation, Spreading } from "./contracts/explanation.ts";
export type { EventOf, HearsayEvent } from "./contracts/event_stream.ts";
export { anyOf } from "./discovery/any_of.ts";
export { dns, type DnsOptions } from "./discovery/dns.ts";
export type { NameServer } from "./discovery/dns_lookup.ts";
export { fixedMembers } from "./discovery/fixed.ts";
export { type SeedOptions, seeds } from "./discovery/seeds.ts";
export type { GossipUpdate } from "./engine/events.ts";
export type { BlockedMember, BlockReason, JsonValue, Phase } from "./engine/types.ts";
export type { ConsensusCallbacks, ConsensusExtractor, ConsensusHandle } from "./gossiper/consensus.ts";
export type {
  GossiperClosed,
  GossipKeyValue,
  MembersOptions,
  MemberView,
  SetStateOptions,
  Snapshot,
  WaitOptions,
} from "./gossiper/contract.ts";
export type { FlushResult } from "./gossiper/departure.ts";
export { Gossiper } from "./gossiper/gossiper.ts";
export { join, type Node } from "./node/join.ts";
export type { JoinOptions } from "./node/join_options.ts";
export type { AuthenticationOptions, TlsOptions } from "./node/join_security.ts";
export { leaveOnSignals, type LeaveOnSignalsOptions } from "./node/leave_on_signals.ts";
export {
  ConfigurationError,
  type ConfigurationProblem,
  configure,
  DEFAULT_CONFIG,
  type GossiperConfig,
  type PartialConfig,
} from "./options/configuration.ts";
export { presetFor } from "./options/preset.ts";
export { serve, type Server } from "./transport/listening.ts";
