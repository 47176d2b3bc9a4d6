/**
 * A barrier: a wait for all active members to finish a step.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { printable } from "../common/printable.ts";
import { deadlineAfter, realRuntime, type Runtime, sleep } from "../common/runtime.ts";
import type { JsonValue } from "../engine/types.ts";
import type { ConsensusHandle } from "../gossiper/consensus.ts";
import type { GossiperLike, WaitOptions } from "../gossiper/contract.ts";
import { isAlive } from "../gossiper/member_status.ts";
import { assertOwnKey } from "../gossiper/validation.ts";
import {
  assertNone,
  brokenBy,
  integer,
  type Rules,
  RUNTIME,
  SIGNAL,
  TEXT,
  unknownNames,
  wholeNumber,
} from "../options/rules.ts";
import type { CheckedNode } from "./consensus.ts";

/** The parts of a member that {@linkcode barrier} uses; a node of `join` has them. */
export type BarrierNode =
  & CheckedNode
  & Pick<GossiperLike, "id" | "members" | "getState" | "setState" | "whenMembers">;

/** Options of a {@linkcode barrier}. */
export interface BarrierOptions extends WaitOptions {
  /** The key under which each member publishes the last step that it has finished. The same at all members. */
  readonly key: string;
  /** The step that this member has finished: a whole number of at least 0. Later steps are greater. */
  readonly step: number;
  /** The longest wait for the others, in milliseconds: from 1 to 2,147,483,647 (24 days). */
  readonly timeout: number;
  /**
   * The least number of active members, with this one; 1 by default. Set it if it is known: a member that joins late, or
   * failed, is not waited for otherwise.
   */
  readonly members?: number;
  /** Clock and timers; the real ones by default. */
  readonly runtime?: Runtime;
}

/** The longest time of a timer. */
const MAX_TIMEOUT = 2 ** 31 - 1;
const OPTIONS: Rules<BarrierOptions> = {
  key: TEXT,
  step: wholeNumber({ least: 0 }),
  timeout: integer({ least: 1, most: MAX_TIMEOUT, unit: "milliseconds" }),
  members: wholeNumber({ least: 1, unit: "members" }),
  runtime: RUNTIME,
  signal: SIGNAL,
};
/** The time between two checks of members that do not count as active, in milliseconds. */
const LOOK_AGAIN_MS = 100; // mutant replace-value: twice the time serves as well.
/** The most ids in the text of an error. */
const MAX_NAMED = 10;

/** The time of a barrier is up. The step of this member stays published. */
export class BarrierTimeout extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "BarrierTimeout";
  /**
   * The ids of the active members that have not finished the step, as far as this member knows, sorted. Empty if this
   * member hears no other, or if all active members have finished the step, but are too few.
   */
  readonly missing: readonly string[];

  /** Makes an error with the ids, and a sentence for people. */
  constructor(message: string, missing: readonly string[]) {
    super("timeout", message);
    this.missing = missing;
  }
}

/**
 * Publishes that this member has finished a step, and waits until all active members have finished it, or a later one.
 * Resolves with the ids of these members, sorted.
 *
 * It is no transaction. It resolves at each member by itself: another member may run into its time limit, fail, or be
 * cut off at that moment. A failed member is not waited for; a member that joins right afterwards was not waited for
 * either. Before the first contact the wait ends at its time limit. After all others left or failed, it passes at once:
 * give `members` if that must not happen.
 *
 * @throws {BarrierTimeout} when the time is up, with the ids of the missing members.
 * @throws {ConfigurationError} if an option is missing, unknown or invalid.
 * @throws {HearsayError} with code `invalid_key`, or `invalid_value` if this member has a value under the key that is
 * not a step; `stopped` when the member begins to leave. An aborted signal rejects with its reason.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { barrier } from "@hearsay/gossip/consensus";
 *
 * await using one = await join({ cluster: "shop", listen: { port: 0 } });
 * await using two = await join({ cluster: "shop", listen: { port: 0 }, seeds: [one.address] });
 * const options = { key: "import", step: 1, members: 2, timeout: 5_000 };
 * const [passed] = await Promise.all([barrier(one, options), barrier(two, options)]);
 * console.assert(passed.includes(two.id));
 * ```
 */
export async function barrier(node: BarrierNode, options: BarrierOptions): Promise<readonly string[]> {
  const known = Object.keys(OPTIONS);
  const required = ["key", "step", "timeout"] as const;
  assertNone([
    ...unknownNames(undefined, options, { known }),
    ...brokenBy<BarrierOptions>(Object(options), { rules: OPTIONS, required }),
  ]);
  const { key, step, timeout, members = 1, runtime = realRuntime, signal: given } = options;
  assertOwnKey(key);
  given?.throwIfAborted();
  publishStep(node, key, step);
  using check = node.registerConsensusCheck(
    key,
    (value) => isStep(value) && value >= step ? true : undefined,
  );
  using deadline = deadlineAfter(runtime, timeout, "The barrier", given ? { signal: given } : {});
  const signal = AbortSignal.any([deadline.signal, node.signal]);
  try {
    for (;;) {
      await node.whenMembers(members, { signal });
      await check.reached({ signal });
      const active = activeIds(node);
      if (check.value !== undefined && active.length >= members && active.includes(node.id)) return active;
      // A member whose id another process uses is not active, although its checks go on.
      await sleep(runtime, LOOK_AGAIN_MS, { signal });
    }
  } catch (error) {
    const isTimeout = error === deadline.signal.reason && error !== given?.reason;
    throw isTimeout ? timeoutOf(node, check, options) : error;
  }
}

/** Publishes a step, unless this member has published a later one. */
function publishStep(node: BarrierNode, key: string, step: number): void {
  const own = node.getState(key).get(node.id);
  if (own !== undefined && !isStep(own.value)) {
    throw new HearsayError(
      "invalid_value",
      `The key ${
        JSON.stringify(key)
      } of a barrier must have a step; this member has another value under it. ` +
        "Use a key of its own. Nothing was changed.",
    );
  }
  if (own === undefined || (own.value as number) < step) node.setState(key, step);
}

function isStep(value: JsonValue): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function activeIds({ members }: BarrierNode): string[] {
  return members.filter(isAlive).map(({ id }) => id);
}

function timeoutOf(
  node: BarrierNode,
  check: ConsensusHandle,
  { key, step, timeout, members = 1 }: BarrierOptions,
): BarrierTimeout {
  const missing = check.dissenters();
  const ids = activeIds(node);
  const active = ids.length;
  const reasons: string[] = [];
  if (!ids.includes(node.id)) reasons.push("another process uses this member's id");
  if (active < members) reasons.push(`${active} of ${members} members are active`);
  if (missing.length > 0) {
    const named = missing.slice(0, MAX_NAMED).map((id) => JSON.stringify(printable(id, 60))).join(", ");
    const more = missing.length > MAX_NAMED ? ` and ${missing.length - MAX_NAMED} more` : "";
    reasons.push(
      `${missing.length} of ${active} active members have not finished step ${step}: ${named}${more}`,
    );
  }
  if (reasons.length === 0) reasons.push("this member hears no other");
  const name = JSON.stringify(printable(key, 60));
  const text = `The barrier ${name} must be passed within ${timeout} ms; ${reasons.join("; ")}.`;
  return new BarrierTimeout(`${text} The step of this member stays published.`, missing);
}
