/**
 * One role at one member: answers for keys, and streams of their changes.
 *
 * @module
 */

import { ConflatingQueue } from "../common/conflating_queue.ts";
import { HearsayError } from "../common/errors.ts";
import { realRuntime } from "../common/runtime.ts";
import type { WaitOptions } from "../gossiper/contract.ts";
import { Agreement, type UnknownReason } from "./agreement.ts";
import { isWanted, type RoleNode, weightAndZoneOf } from "./candidates.ts";
import { HEARD_WITHIN_MS, type RoleOptions, SETTLE_MS } from "./options.ts";
import { ownersOf } from "./rendezvous.ts";

/** The owners of a key, or the reason why they are unknown. */
export type KeyAnswer =
  | { readonly state: "unknown"; readonly reason: UnknownReason }
  | {
    readonly state: "known";
    readonly owners: readonly string[];
    readonly epoch: number;
    readonly isOwner: boolean;
  };

/** Options of {@linkcode Role.watch}. */
export interface RoleWatch<T> extends WaitOptions {
  /** Makes the item of a stream. */
  readonly itemOf: (answer: KeyAnswer, key: string) => T;
  /** The key of an item: a newer item of a key supersedes an unread item of the same key. */
  readonly keyOf: (item: T) => string;
}

/** A stream of answers. */
interface Watch {
  readonly push: (answer: KeyAnswer, key: string) => void;
  readonly finish: () => void;
  /** The last answer for each key. */
  readonly last: Map<string, string>;
}

/** The most names of roles that one member may have used: the last epoch of each name is kept. */
const MAX_NAMES = 1_000;
/** The roles of each member by key: the last epoch, and whether the role is in use. */
const USED = new WeakMap<RoleNode, Map<string, { epoch: number; isInUse: boolean }>>();

/** Options of a {@linkcode Role}. */
export interface RoleSetup {
  readonly options: RoleOptions;
  /** The name if the options have none. */
  readonly type: "leader" | "owners";
  readonly replicas: number;
}

/** The owners of keys, among the candidates that agree. */
export class Role {
  readonly name: string;
  readonly #node: RoleNode;
  readonly #replicas: number;
  readonly #agreement: Agreement;
  readonly #watches = new Set<Watch>();

  /** Takes part at once, if this member is a candidate. */
  constructor(node: RoleNode, { options, type, replicas }: RoleSetup) {
    const { kind, zone, atLeast, settle = SETTLE_MS, heardWithin = HEARD_WITHIN_MS } = options;
    const { runtime = realRuntime, signal } = options;
    if (node.signal.aborted || signal?.aborted) {
      throw new HearsayError("stopped", "The member leaves, or `signal` is aborted. Nothing was changed.");
    }
    // A zone has the form of its kind, so that the roles of `kind: "eu"` and `zone: "eu"` have two names.
    const parts = [type, kind, zone === undefined ? undefined : `zone:${zone}`];
    this.name = options.name ?? parts.filter((part) => part !== undefined).join("/");
    this.#node = node;
    this.#replicas = replicas;
    const key = `roles.${this.name}`;
    const use = usedBy(node, key);
    const kinds = node.members.find(({ isSelf }) => isSelf)?.member?.kinds ?? [];
    this.#agreement = new Agreement(node, {
      key,
      kind,
      zone,
      atLeast,
      settle,
      heardWithin,
      runtime,
      signal,
      takesPart: isWanted(kinds, { kind, zone }) && weightAndZoneOf(kinds).weight > 0,
      lastEpoch: use.epoch,
      onChange: () => this.#publish(),
    });
    use.isInUse = true;
    this.#onEnd = () => {
      use.isInUse = false;
      use.epoch = this.#agreement.lastEpoch;
    };
  }

  readonly #onEnd: () => void;

  /** The answer for a key at this moment. */
  answer(key: string): KeyAnswer {
    const { trouble, agreed, later, suspected } = this.#agreement;
    if (trouble !== undefined) return { state: "unknown", reason: trouble };
    if (agreed === undefined) return { state: "unknown", reason: "unsettled" };
    const replicas = this.#replicas;
    let owners = ownersOf(key, agreed.candidates, { replicas });
    // If a later set takes the key from an owner, that owner has given the key up, or will when it sees the set.
    for (const { candidates } of later) {
      const still = ownersOf(key, candidates, { replicas });
      owners = owners.filter((id) => still.includes(id));
    }
    if (owners.length === 0) return { state: "unknown", reason: "unsettled" };
    owners = owners.filter((id) => !suspected.has(id));
    if (owners.length === 0) return { state: "unknown", reason: "suspected" };
    return { state: "known", owners, epoch: agreed.epoch, isOwner: owners.includes(this.#node.id) };
  }

  /** Emits the present answer for each key, then each new answer. Ends with the role, after the last answers. */
  watch<T>(keys: readonly string[], { signal, itemOf, keyOf }: RoleWatch<T>): ReadableStream<T> {
    const watch: Watch = {
      push: (answer, key) => queue.push(itemOf(answer, key)),
      finish: () => queue.finish(),
      last: new Map(keys.map((key) => [key, ""])), // mutant replace-value: no answer has this text.
    };
    const queue = new ConflatingQueue<T>({
      keyOf,
      onEnd: () => void this.#watches.delete(watch),
      signal,
    });
    // mutant delete-statement: without it only memory would grow.
    if (signal?.aborted) return queue.readable;
    this.#push(watch);
    if (this.#agreement.trouble === "ended") watch.finish();
    else this.#watches.add(watch);
    return queue.readable;
  }

  /** Gives everything up, and takes part no longer. */
  end(): void {
    this.#agreement.end();
  }

  #publish(): void {
    for (const watch of this.#watches) this.#push(watch);
    // The agreement reports its first change before its constructor returns.
    if (this.#agreement?.trouble !== "ended") return;
    this.#onEnd();
    for (const watch of [...this.#watches]) watch.finish();
  }

  #push({ last, push }: Watch): void {
    for (const [key, before] of last) {
      const answer = this.answer(key);
      const text = JSON.stringify(answer);
      if (text === before) continue;
      last.set(key, text);
      push(answer, key);
    }
  }
}

/** The record of a role's key at a member. Throws if the role is in use. */
function usedBy(node: RoleNode, key: string): { epoch: number; isInUse: boolean } {
  let names = USED.get(node);
  if (names === undefined) USED.set(node, names = new Map());
  let use = names.get(key);
  if (use?.isInUse) {
    throw new HearsayError(
      "invalid_configuration",
      `The role ${
        JSON.stringify(key.slice("roles.".length))
      } is in use at this member; give another \`name\`. ` +
        "Nothing was changed.",
    );
  }
  if (use === undefined) {
    if (names.size >= MAX_NAMES) {
      throw new HearsayError(
        "too_large",
        `A member must have used at most ${MAX_NAMES} names of roles. Nothing was changed.`,
      );
    }
    names.set(key, use = { epoch: 0, isInUse: false });
  }
  return use;
}
