/**
 * All of `join` and `leaveOnSignals`, with the types of their options: `@hearsay/gossip/node`.
 *
 * @module
 */

export type { GossiperLike, MemberSnapshot, PrefixOptions, RoomSnapshot } from "../gossiper/contract.ts";
export { join, Node } from "./join.ts";
export type { Endpoint, JoinOptions } from "./join_options.ts";
export type { ObserverOptions } from "../observer/door.ts";
export type { AuthenticationOptions, SecurityOptions, TlsOptions } from "./join_security.ts";
export {
  type EndingSignal,
  leaveOnSignals,
  type LeaveOnSignalsOptions,
  type Leaving,
  SHUTDOWN_TIMEOUT,
} from "./leave_on_signals.ts";
