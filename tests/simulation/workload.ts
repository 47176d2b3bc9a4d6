/**
 * The changes that members make to their own state during the fault phase.
 *
 * @module
 */

import { HearsayError } from "../../common/errors.ts";
import { ENVELOPE_BYTES } from "../../engine/state/size.ts";
import { BRIEF_KEYS } from "./invariants/expected_state.ts";
import type { InvariantChecker } from "./invariants/invariant_checker.ts";
import { AWAITED_KEY, CHECKED_KEY, type Process } from "./process.ts";
import type { Run } from "./run.ts";

/** The keys of random changes; few, so that changes of one key meet. */
const KEYS = ["a", "b", "c", "__proto__", "κλειδί"];
/** The most requests that wait at a time. 3: each takes room in the state. */
const MAX_PENDING = 3;
/** The largest `maxMessageBytes` of a run with large values. 64 KiB: values of half a megabyte would slow the run. */
const MAX_FILLED_BYTES = 64 * 1_024;

/** Options of a {@linkcode Workload}. */
export interface WorkloadOptions {
  readonly checker: InvariantChecker;
  /** The newest version that is rolled out. */
  readonly version: () => number;
}

/** Draws changes, with values that are never repeated. */
export class Workload {
  readonly #run: Run;
  readonly #options: WorkloadOptions;
  readonly #pending = new Set<Promise<void>>();
  #values = 0;

  constructor(run: Run, options: WorkloadOptions) {
    this.#run = run;
    this.#options = options;
  }

  /** True while a `setStateRequest` waits for acknowledgements. */
  get isWaiting(): boolean {
    return this.#pending.size > 0;
  }

  /** One member sets or deletes a key. */
  change(): void {
    const { processes, random: { main } } = this.#run;
    const process = processes.draw(main, (each) => each.isRunning && !each.machine.isFrozen);
    if (!process) return;
    const { gossiper } = process;
    const change = main.weighted(
      [[6, "set"], [2, "delete"], [1, "await"], [1, "version"], [2, "brief"]] as const,
    );
    const key = main.pick(KEYS);
    // The state may already contain a large value.
    unlessTooLarge(() => {
      if (change === "delete") gossiper.deleteState(key);
      else if (change === "version") gossiper.setState(CHECKED_KEY, this.#options.version());
      else if (change === "await") this.#request(process);
      else if (change === "brief") this.#setBrief(process);
      else gossiper.setState(key, this.#value());
    });
  }

  /** A member sets a value that takes much of the largest possible state. */
  setLarge({ id, gossiper }: Process): void {
    const { scenario: { config }, record, random: { main } } = this.#run;
    if (config.maxMessageBytes > MAX_FILLED_BYTES) return;
    const share = main.between(0.2, 0.95);
    const mostBytes = config.maxMessageBytes / 2 - ENVELOPE_BYTES;
    unlessTooLarge(() => {
      gossiper.setState("large", "x".repeat(Math.floor(share * mostBytes)));
      record.log(id, `sets ${Math.round(share * 100)} % of the largest state`);
      record.count("large value");
    });
  }

  /** A member sets or deletes many keys: its state then takes several messages of the smallest size. */
  changeMany({ id, gossiper }: Process): void {
    const { record, random: { main } } = this.#run;
    const count = main.whole(60, 150);
    const isToDelete = main.chance(0.4);
    for (let key = 0; key < count; key++) {
      const value = isToDelete ? undefined : this.#value();
      // The entries of a map may have taken the room.
      unlessTooLarge(() => {
        if (isToDelete) gossiper.deleteState(`many ${key}`);
        else gossiper.setState(`many ${key}`, value);
      });
    }
    record.log(id, `${isToDelete ? "deletes" : "sets"} ${count} keys`);
    record.count("many keys");
  }

  /** A member sets a value and waits until others have it, for half of the fault phase at most. */
  #request(process: Process): void {
    const { scenario, processes, timeline, record, random: { main } } = this.#run;
    const { checker } = this.#options;
    const value = ++this.#values;
    const acknowledgedBy = main.pick([1, 2, "all"] as const);
    if (this.#pending.size >= MAX_PENDING) return;
    checker.await(process, value);
    const controller = new AbortController();
    const { signal } = controller;
    const giveUp = timeline.later(scenario.faultPhaseMs / 2, () => controller.abort());
    const waiting = process.gossiper.setStateRequest(AWAITED_KEY, value, { acknowledgedBy, signal }).then(
      () => {
        // A peer with a later incarnation, of another process of the id, counts as having the state for a moment: until
        // this process begins an incarnation above it, with the value, or has left.
        if (process.isOver || processes.hasOverlapped(process.id)) return;
        checker.checkPromise(process, { value, acknowledgedBy });
      },
    ).catch((error) => {
      // An aborted request, or one of a stopped member, promised nothing.
      const isGone = error instanceof HearsayError && ["stopped", "too_large"].includes(error.code);
      if (!isGone && !signal.aborted) record.fail(process, `setStateRequest failed: ${error}`);
    }).finally(() => {
      giveUp();
      this.#pending.delete(waiting);
    });
    this.#pending.add(waiting);
  }

  /** Sets a value that expires, or renews the present one. */
  #setBrief(process: Process): void {
    const { random: { main }, record } = this.#run;
    const { id, gossiper } = process;
    const key = main.pick(BRIEF_KEYS);
    const lifetimeMs = main.whole(300, 8_000);
    const present = gossiper.getState(key).get(id)?.value;
    const value = present !== undefined && main.chance(0.6) ? present : this.#value();
    record.count(value === present ? "renewed value" : "expiring value");
    this.#options.checker.lifetimes.recordSet(process, { key, value, lifetimeMs });
    gossiper.setState(key, value, { expiresAfter: lifetimeMs });
  }

  /** Deletes the values that would expire. */
  endBrief({ gossiper }: Process): void {
    for (const key of BRIEF_KEYS) gossiper.deleteState(key);
  }

  #value(): unknown {
    const number = ++this.#values;
    return this.#run.random.main.pick<unknown>([number, `${number}`, [number, null], {
      "__proto__": number,
      "𝄞": "\u0000",
    }]);
  }
}

/** Makes a change, unless the state is too large for it. Returns `true` if it was made. */
export function unlessTooLarge(change: () => void): boolean {
  try {
    change();
    return true;
  } catch (error) {
    if (!(error instanceof HearsayError && error.code === "too_large")) throw error;
    return false;
  }
}
