/**
 * The topologies of a simulation: each process receives them in order, at a time of its own.
 *
 * @module
 */

import type { Chance } from "./chaos_chance.ts";
import type { Node, Processes } from "./chaos_processes.ts";
import type { Timeline } from "./chaos_timeline.ts";

/** A topology under way to one process. */
interface Announcement {
  readonly node: Node;
  readonly atMs: number;
  readonly members: readonly string[];
  readonly blocked: readonly string[];
}

/** The present topology, and those under way. */
export class Topologies {
  /** The ids of the present members. */
  readonly members = new Set<string>();
  readonly blocked = new Set<string>();
  readonly #timeline: Timeline;
  readonly #chance: Chance;
  readonly #processes: Processes;
  #announced: Announcement[] = [];

  constructor(
    parts: { readonly timeline: Timeline; readonly chance: Chance; readonly processes: Processes },
  ) {
    this.#timeline = parts.timeline;
    this.#chance = parts.chance;
    this.#processes = parts.processes;
  }

  /** Announces the present topology to every process. */
  announce(): void {
    const [members, blocked] = [[...this.members], [...this.blocked]];
    for (const node of this.#processes.alive) {
      const atMs = this.#timeline.nowMs + this.#chance.below(1_000);
      this.#announced.push({ node, atMs, members, blocked });
    }
  }

  /** Gives the present topology to a process at once. */
  give(node: Node): void {
    this.#apply(node, { members: [...this.members], blocked: [...this.blocked] });
  }

  /** Drops the topologies under way to a process. */
  forget(node: Node): void {
    this.#announced = this.#announced.filter((each) => each.node !== node);
  }

  /** The first announcement that arrives before this time, as a call that applies it. */
  nextBefore(ms: number): { readonly atMs: number; readonly act: () => void } | undefined {
    let next: Announcement | undefined;
    for (const each of this.#announced) if (each.atMs < (next?.atMs ?? ms)) next = each;
    return next && { atMs: next.atMs, act: () => this.#arrive(next.node) };
  }

  #arrive(node: Node): void {
    // One process receives them in order.
    const index = this.#announced.findIndex((each) => each.node === node);
    const [first] = this.#announced.splice(index, 1);
    if (node.isAlive) this.#apply(node, first!);
  }

  #apply(node: Node, topology: Pick<Announcement, "members" | "blocked">): void {
    const now = this.#processes.now(node);
    this.#timeline.note(() => `${node.id} gets topology ${topology.members} blocked ${topology.blocked}`);
    for (const id of topology.members) {
      if (!node.lastMembers.has(id)) node.view.freshAt.set(id, now.monotonicMs);
    }
    node.lastMembers = new Set(topology.members);
    this.#processes.call(node, () => node.engine.setTopology(topology, now));
  }
}
