/**
 * The promise of `setStateRequest`: when it resolves, other members have the value.
 *
 * @module
 */

import type { Process } from "../process.ts";
import type { CheckContext } from "./check_context.ts";

interface Awaited {
  readonly owner: string;
  /** Processes that received the value, or a later one of the owner. */
  readonly holders: Set<Process>;
}

/** Values of requests that wait, each with the processes that have it. */
export class AwaitedValues {
  readonly #context: CheckContext;
  readonly #awaited = new Map<number, Awaited>();

  constructor(context: CheckContext) {
    this.#context = context;
  }

  /** Records from now on which processes receive this value of a process, or a later one. */
  await(process: Process, value: number): void {
    this.#awaited.set(value, { owner: process.id, holders: new Set() });
  }

  /** Records that a process received a value of an owner. */
  record(process: Process, received: { readonly owner: string; readonly value: number }): void {
    for (const [value, { owner, holders }] of this.#awaited) {
      if (owner === received.owner && value <= received.value) holders.add(process);
    }
  }

  /** Checks a resolved request. */
  check(
    process: Process,
    { value, acknowledgedBy }: { readonly value: number; readonly acknowledgedBy: number | "all" },
  ): void {
    const { holders } = this.#awaited.get(value)!;
    this.#awaited.delete(value);
    if (acknowledgedBy === "all") return this.#checkAll(process, { value, holders });
    if (holders.size >= acknowledgedBy) return;
    this.#context.fail(
      process,
      `awaited ${value} must be at ${acknowledgedBy} members, and is at ${holders.size}`,
    );
  }

  #checkAll(
    process: Process,
    { value, holders }: { readonly value: number; readonly holders: ReadonlySet<Process> },
  ): void {
    const observation = this.#context.of(process);
    const holderIds = new Set([...holders].map(({ id }) => id));
    for (const member of process.gossiper.members) {
      const peer = this.#context.activePeer(process, member);
      if (peer === undefined || holders.has(peer)) continue;
      // It became active at this moment, after the promise resolved; or the next process of its id became known.
      if (observation.hasJustBecomeActive(member.id)) continue;
      if (holderIds.has(member.id) && observation.wasJustUpdated(member.id)) continue;
      this.#context.fail(process, `awaited ${value} must be at all members, and ${member.id} lacks it`);
    }
  }
}
