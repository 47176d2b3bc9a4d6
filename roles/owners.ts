/**
 * Owners of keys by gossip, for shards, rooms or topics: at most `replicas` among members that hear each other.
 *
 * @module
 */

import type { WaitOptions } from "../gossiper/contract.ts";
import { assertNone, assertOptions, describeList, rule, SIGNAL } from "../options/rules.ts";
import type { UnknownReason } from "./agreement.ts";
import type { RoleNode } from "./candidates.ts";
import { assertOwnersOptions, type OwnersOptions } from "./options.ts";
import { type KeyAnswer, Role } from "./role.ts";

/** The owners of a key as this member knows them. */
export type OwnersAnswer =
  | {
    /** The type of the answer: this member cannot say which members own the key. */
    readonly state: "unknown";
    /** The reason, as in {@linkcode LeaderAnswer}. */
    readonly reason: UnknownReason;
  }
  | {
    /** The type of the answer: the candidates agree. */
    readonly state: "known";
    /** The ids of the owners, best first: at least one id, and fewer than `replicas` while an owner changes. */
    readonly owners: readonly string[];
    /** Rises with each agreement, so that each change of the owners has a higher epoch. */
    readonly epoch: number;
    /** True if this member is an owner. */
    readonly isOwner: boolean;
  };

/** An answer that changed, with its key. */
export type OwnersChange = OwnersAnswer & {
  /** The key. */
  readonly key: string;
};

/** A role with owners for any key. */
export interface Owners extends Disposable {
  /** The name of the role. */
  readonly name: string;
  /** The owners of a key at this moment. Ask again after each wait. */
  of(key: string): OwnersAnswer;
  /**
   * Emits the present answer for each of at most 4,096 keys, then each new answer. When the role ends, the stream ends
   * after the last answers, `unknown` with `ended`. It ends at once when the signal is aborted.
   */
  watch(keys: readonly string[], options?: WaitOptions): ReadableStream<OwnersChange>;
}

/** The most keys of a watch: each change of the candidates ranks all candidates for each key. */
const MAX_KEYS = 4_096;
const KEY = rule((given) => typeof given === "string", { allowed: "a text" });
const KEYS = rule(
  (given) =>
    Array.isArray(given) && given.length <= MAX_KEYS && given.every((each) => typeof each === "string"),
  { allowed: `a list of at most ${MAX_KEYS.toLocaleString("en-US")} texts`, show: describeList },
);

/**
 * Takes part in the ownership of keys, or follows it if this member is no candidate. Each candidate must call it with equal
 * options. Dispose of the result to give all keys up; the member's end and `signal` do so too.
 *
 * A candidate that comes or goes moves only its own keys, and the answers for all other keys stay known. A member with
 * the kind `weight:3` gets three times as many keys as a member without a weight. With `replicas`, each zone (the kind
 * `zone:eu-1`) gets a second owner only after all zones have one.
 *
 * **It is not a lock.** Two members may own a key at once when they do not hear each other.
 *
 * @throws {ConfigurationError} if an option is invalid.
 * @throws {HearsayError} with code `invalid_configuration` if the role is in use at this member, and `stopped` if the
 * member leaves.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { owners } from "@hearsay/gossip/roles";
 *
 * await using node = await join({ cluster: "orders", listen: { port: 0 } });
 * using role = owners(node, { atLeast: 1, settle: 100 });
 * for await (const { key, ...now } of role.watch(["shard 1", "shard 2"])) {
 *   if (now.state === "unknown") continue;
 *   console.assert(now.isOwner && role.of(key).state === "known");
 *   break;
 * }
 * ```
 */
export function owners(node: RoleNode, options: OwnersOptions): Owners {
  assertOwnersOptions(options);
  const { replicas = 1, ...rest } = options;
  const role = new Role(node, { options: rest, type: "owners", replicas });
  return {
    name: role.name,
    of(key) {
      assertNone(KEY("key", key));
      return answerOf(role.answer(key));
    },
    watch(keys, wait = {}) {
      assertNone(KEYS("keys", keys));
      assertOptions<WaitOptions>(wait, { signal: SIGNAL });
      return role.watch(keys, {
        ...wait,
        itemOf: (answer, key): OwnersChange => Object.freeze({ key, ...answer }),
        keyOf: ({ key }) => key,
      });
    },
    [Symbol.dispose]: () => role.end(),
  };
}

function answerOf(answer: KeyAnswer): OwnersAnswer {
  return Object.freeze(answer);
}
