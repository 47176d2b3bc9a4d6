/**
 * A leader by gossip: at most one among members that hear each other. It is not a lock.
 *
 * @module
 */

import type { WaitOptions } from "../gossiper/contract.ts";
import { assertOptions, SIGNAL } from "../options/rules.ts";
import type { UnknownReason } from "./agreement.ts";
import type { RoleNode } from "./candidates.ts";
import { assertLeaderOptions, type RoleOptions } from "./options.ts";
import { type KeyAnswer, Role } from "./role.ts";

/** The leader as this member knows it. */
export type LeaderAnswer =
  | {
    /** The type of the answer: this member cannot say which member leads. */
    readonly state: "unknown";
    /**
     * `ended`: the member leaves, or the role has ended here. `few`: fewer than `atLeast` candidates are alive.
     * `identity`: another process uses this member's id. `isolated`: this member hears no other. `stalled`: this process
     * stood still. `suspected`: the leader may have crashed. `unheard`: too few candidates were heard within `heardWithin`.
     * `unsettled`: the candidates changed, or do not agree yet.
     */
    readonly reason: UnknownReason;
  }
  | {
    /** The type of the answer: the candidates agree. */
    readonly state: "known";
    /** The id of the leader. */
    readonly leader: string;
    /** Rises with each agreement, so that each new leader has a higher epoch. */
    readonly epoch: number;
    /** True if this member leads. */
    readonly isSelf: boolean;
  };

/** A role with one owner. */
export interface Leader extends Disposable {
  /** The name of the role. */
  readonly name: string;
  /** The answer at this moment. Read it again after each wait. */
  readonly current: LeaderAnswer;
  /**
   * Emits the present answer, then each new answer. The epoch may rise while the leader stays. When the role ends, the
   * stream ends after a last answer, `unknown` with `ended`. It ends at once when the signal is aborted.
   */
  watch(options?: WaitOptions): ReadableStream<LeaderAnswer>;
}

/**
 * Takes part in the election of a leader, or follows it if this member is no candidate. Each candidate must call it with
 * equal options. Dispose of the result to step down; the member's end and `signal` do so too.
 *
 * The leader is the first candidate by rendezvous hashing over the candidates that agree. A member with the kind
 * `weight:3` is chosen three times as often as a member without a weight. A member with `weight:0` is never chosen.
 *
 * **It is not a lock.** Two members may lead at once when they do not hear each other.
 *
 * @throws {ConfigurationError} if an option is invalid.
 * @throws {HearsayError} with code `invalid_configuration` if the role is in use at this member, and `stopped` if the
 * member leaves.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { leader } from "@hearsay/gossip/roles";
 *
 * await using node = await join({ cluster: "orders", listen: { port: 0 } });
 * using role = leader(node, { atLeast: 1, settle: 100 });
 * for await (const now of role.watch()) {
 *   if (now.state === "unknown") continue;
 *   console.assert(now.isSelf && now.leader === node.id && now.epoch === 1);
 *   break;
 * }
 * ```
 */
export function leader(node: RoleNode, options: RoleOptions): Leader {
  assertLeaderOptions(options);
  const role = new Role(node, { options, type: "leader", replicas: 1 });
  return {
    name: role.name,
    get current() {
      return answerOf(role.answer(role.name));
    },
    watch(wait = {}) {
      assertOptions<WaitOptions>(wait, { signal: SIGNAL });
      return role.watch([role.name], { ...wait, itemOf: answerOf, keyOf: () => role.name });
    },
    [Symbol.dispose]: () => role.end(),
  };
}

function answerOf(answer: KeyAnswer): LeaderAnswer {
  if (answer.state === "unknown") return Object.freeze({ state: answer.state, reason: answer.reason });
  const { state, owners, epoch, isOwner } = answer;
  return Object.freeze({ state, leader: owners[0]!, epoch, isSelf: isOwner });
}
