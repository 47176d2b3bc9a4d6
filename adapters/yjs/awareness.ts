/**
 * Awareness of Yjs over a cluster: names, cursors and selections of all editors of a document. The state of each client
 * is one entry of its member, and is removed as soon as the member fails or leaves.
 *
 * This module imports neither `yjs` nor `y-protocols`: two copies of Yjs in one program break it. Pass your own.
 *
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { shareAwareness } from "@hearsay/gossip/yjs";
 * import * as protocol from "npm:y-protocols@1.0.7/awareness";
 * import * as Y from "npm:yjs@13.6.33";
 *
 * await using node = await join({ cluster: "editors", listen: { port: 0 } });
 * const doc = new Y.Doc();
 * const awareness = new protocol.Awareness(doc);
 * using shared = shareAwareness(node, awareness, { protocol });
 * awareness.setLocalStateField("user", { name: "Ada" });
 * console.assert(shared.memberOf(doc.clientID) === node.id);
 * doc.destroy();
 * ```
 *
 * @module
 */

import { HearsayError } from "../../common/errors.ts";
import { warn } from "../../common/log.ts";
import { messageOf } from "../../common/error_text.ts";
import { realRuntime, type Runtime } from "../../common/runtime.ts";
import type { GossiperLike } from "../../gossiper/contract.ts";
import { assertOwnKey } from "../../gossiper/validation.ts";
import { assertNone, FUNCTION, integer, optionsOf, rule, RUNTIME, TEXT } from "../../options/rules.ts";
import { LocalState } from "./local_state.ts";
import { RemoteStates } from "./remote_states.ts";

export type { Runtime } from "../../common/runtime.ts";
export type { GossipUpdate } from "../../engine/events.ts";
export type { MemberView, WaitOptions } from "../../gossiper/contract.ts";

/** The parts of a member that this module uses; a node of `join` has them. */
export type AwarenessNode = Pick<
  GossiperLike,
  "id" | "signal" | "setState" | "deleteState" | "watch" | "watchMembers"
>;

/** The clients of a change. */
export interface AwarenessChange {
  /** The ids of clients with a first state. */
  readonly added: readonly number[];
  /** The ids of clients with another state. */
  readonly updated: readonly number[];
  /** The ids of clients without a state. */
  readonly removed: readonly number[];
}

/** The parts of an `Awareness` of `y-protocols` that this module uses. */
export interface AwarenessLike {
  /** The id of this client. */
  readonly clientID: number;
  /** The state of each client. */
  readonly states: ReadonlyMap<number, unknown>;
  /** The clock of each client, and the time of its last update. */
  readonly meta: Map<number, { clock: number; lastUpdated: number }>;
  /** The state of this client. */
  getLocalState(): { [field: string]: unknown } | null;
  /** Sets the state of this client. */
  setLocalState(state: { [field: string]: unknown } | null): void;
  /** Adds a listener. */
  on(name: string, listener: (change: AwarenessChange, origin: unknown) => void): void;
  /** Removes a listener. */
  off(name: string, listener: (change: AwarenessChange, origin: unknown) => void): void;
}

/** The functions of `y-protocols/awareness` that this module uses. */
export interface AwarenessProtocol<A extends AwarenessLike> {
  /** Applies the update of a client. */
  applyAwarenessUpdate(awareness: A, update: Uint8Array, origin: unknown): void;
  /** Removes the states of clients. */
  removeAwarenessStates(awareness: A, clients: number[], origin: unknown): void;
}

/** Options of {@linkcode shareAwareness}. */
export interface ShareAwarenessOptions<A extends AwarenessLike> {
  /** The module `y-protocols/awareness` (1.0) of your program: `import * as protocol from "y-protocols/awareness"`. */
  readonly protocol: AwarenessProtocol<A>;
  /** The key of the entries; `awareness` by default. Each document needs its own key. */
  readonly key?: string;
  /**
   * The most changes of the own state that are sent in a second, from 1 to 1,000; 20 by default. The latest state is
   * always sent. Lower: cursors move in steps. Higher: each change is a message to all members.
   */
  readonly maxPerSecond?: number;
  /**
   * The most bytes of a state as JSON, from 64 to 1,048,576; 16,384 by default. A larger state is neither sent nor
   * shown. All members need the same limit.
   */
  readonly maxBytes?: number;
  /**
   * Called with a `HearsayError` when a state is too large or cannot be sent, or when a member's value under the key is
   * no awareness state. Called again only after a success in between. By default a line is logged.
   */
  readonly onError?: (error: unknown) => void;
  /** Clock and timers; the real ones by default. */
  readonly runtime?: Runtime;
}

const OPTIONS = optionsOf<ShareAwarenessOptions<AwarenessLike>>({
  protocol: rule((given) => {
    const { applyAwarenessUpdate, removeAwarenessStates } = Object(given);
    return typeof applyAwarenessUpdate === "function" && typeof removeAwarenessStates === "function";
  }, { allowed: "the module `y-protocols/awareness`" }),
  key: TEXT,
  maxPerSecond: integer({ least: 1, most: 1_000 }),
  maxBytes: integer({ least: 64, most: 1_048_576 }),
  onError: FUNCTION,
  runtime: RUNTIME,
}, ["protocol"]);

/** Awareness that is shared. Disposal removes the states of all others, and this member's entry. */
export interface SharedAwareness extends Disposable {
  /** The id of the member that has a client's state; `undefined` without a state. */
  memberOf(clientId: number): string | undefined;
}

/** The keys in use of each node. */
const keysOf = new WeakMap<AwarenessNode, Set<string>>();

/**
 * Connects an `Awareness` to a member, until it is destroyed, the member leaves, or the result is disposed of. The local
 * state becomes an entry of this member. The states of others are applied to `awareness`, and removed when their member
 * fails, leaves or is forgotten. If the member returns, its state does too.
 *
 * A client belongs to the first living member that names it; others cannot change or remove its state. Yjs alone would
 * send each state again every 15 seconds, and drop a state after 30 seconds. Neither is needed here, because members
 * watch each other. So an idle awareness sends nothing.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { shareAwareness } from "@hearsay/gossip/yjs";
 * import * as protocol from "npm:y-protocols@1.0.7/awareness";
 * import * as Y from "npm:yjs@13.6.33";
 *
 * await using node = await join({ cluster: "editors", listen: { port: 0 } });
 * const awareness = new protocol.Awareness(new Y.Doc());
 * using _shared = shareAwareness(node, awareness, { protocol, key: "awareness/minutes", maxPerSecond: 10 });
 * awareness.destroy();
 * ```
 *
 * @throws {ConfigurationError} naming every fault in the options.
 * @throws {HearsayError} with code `invalid_key` for a key that is invalid or is the gossiper's own, `already_started` if
 * this node shares another awareness under the key, and `stopped` if the node leaves.
 */
export function shareAwareness<A extends AwarenessLike>(
  node: AwarenessNode,
  awareness: A,
  options: ShareAwarenessOptions<A>,
): SharedAwareness {
  assertNone(OPTIONS("options", options));
  const { protocol, key = "awareness", maxPerSecond = 20, maxBytes = 16_384 } = options;
  const { onError = (error) => warn(`Awareness: ${messageOf(error)}`), runtime = realRuntime } = options;
  assertOwnKey(key);
  node.signal.throwIfAborted();
  const keys = keysOf.get(node) ?? new Set();
  keysOf.set(node, keys);
  if (keys.has(key)) {
    const text = `Each awareness of a node must have a \`key\` of its own; ${
      JSON.stringify(key)
    } is in use. Nothing was changed.`;
    throw new HearsayError("already_started", text);
  }
  keys.add(key);
  const shared = { node, awareness, key, maxBytes, onError, runtime };
  const local = new LocalState({ ...shared, intervalMs: 1_000 / maxPerSecond });
  const remote = new RemoteStates({ ...shared, protocol });
  const dispose = () => {
    if (!keys.delete(key)) return;
    node.signal.removeEventListener("abort", dispose);
    awareness.off("destroy", dispose);
    local.stop();
    remote.stop();
  };
  node.signal.addEventListener("abort", dispose, { once: true });
  awareness.on("destroy", dispose);
  return {
    memberOf: (clientId) => clientId === awareness.clientID ? node.id : remote.memberOf(clientId),
    [Symbol.dispose]: dispose,
  };
}
