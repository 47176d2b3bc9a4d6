/**
 * The troubles of a simulation: changes of state and topology, crashes, departures, stalls and partitions.
 *
 * @module
 */

import { copyJson } from "../../engine/json.ts";
import type { Chance } from "./chaos_chance.ts";
import type { Network } from "./chaos_network.ts";
import type { Node, Processes } from "./chaos_processes.ts";
import type { Timeline } from "./chaos_timeline.ts";
import type { Topologies } from "./chaos_topologies.ts";

/** The most running processes when one begins again. */
const MOST_PROCESSES = 12;

/** Does one thing at a time to a process. */
export class Trouble {
  readonly #timeline: Timeline;
  readonly #chance: Chance;
  readonly #network: Network;
  readonly #processes: Processes;
  readonly #topologies: Topologies;
  readonly #begin: (id: string) => void;

  constructor(parts: {
    readonly timeline: Timeline;
    readonly chance: Chance;
    readonly network: Network;
    readonly processes: Processes;
    readonly topologies: Topologies;
    /** Begins a process with the present topology. */
    readonly begin: (id: string) => void;
  }) {
    this.#timeline = parts.timeline;
    this.#chance = parts.chance;
    this.#network = parts.network;
    this.#processes = parts.processes;
    this.#topologies = parts.topologies;
    this.#begin = parts.begin;
  }

  /** Causes one trouble. Half of them are changes of state. */
  cause(): void {
    const node = this.#chance.pick(this.#processes.alive);
    if (!node) return this.#begin(`n${this.#processes.all.length}`);
    const act = this.#chance.pick<() => void>([
      ...Array.from({ length: 12 }, () => () => this.#change(node)),
      () => this.#network.partition(this.#topologies.members),
      () => this.#network.partition(this.#topologies.members),
      () => this.#network.unite(),
      () => this.#network.unite(),
      () => this.#crash(node),
      () => this.#leave(node),
      () => void (node.nextRoundMs = this.#timeline.nowMs + this.#chance.pick([300, 1_000, 5_000])),
      () => this.#changeTopology(node),
      () => this.#changeTopology(node),
      () => {
        const blocked = node.engine.view.blockedMembers()[0];
        if (!blocked) return;
        this.#processes.call(node, () => node.engine.unblock(blocked.id, this.#processes.now(node)));
      },
    ]);
    act();
  }

  #change(node: Node): void {
    const key = `k${this.#chance.below(4)}`;
    const { engine } = node;
    if (this.#chance.happens(0.3)) {
      this.#timeline.note(() => `${node.id} deletes ${key}`);
      this.#processes.call(node, () => engine.delete(key, this.#processes.now(node)));
      return;
    }
    const value = this.#chance.happens(0.1) ? "x".repeat(1_500) : this.#chance.below(3);
    try {
      this.#processes.call(node, () => engine.set(key, copyJson(value), this.#processes.now(node)));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }

  #crash(node: Node): void {
    this.#processes.end(node);
    if (this.#chance.happens(0.3)) return;
    if (this.#chance.happens(0.7)) return this.#begin(node.id);
    const { members } = this.#topologies;
    members.delete(node.id);
    const id = `n${this.#processes.all.length}`;
    members.add(id);
    this.#begin(id);
    this.#topologies.announce();
  }

  #leave(node: Node): void {
    if (node.isLeaving) return;
    this.#timeline.note(() => `${node.id} leaves`);
    node.isLeaving = true;
    node.hasLeft = true;
    this.#processes.call(node, () => node.engine.leave(this.#processes.now(node)));
    node.nextRoundMs = this.#timeline.nowMs;
  }

  #changeTopology(node: Node): void {
    const { members, blocked } = this.#topologies;
    this.#chance.pick<() => void>([
      () => members.delete(node.id),
      () => members.add(node.id),
      () => members.add(node.id),
      () => blocked.add(node.id),
      () => blocked.clear(),
      () => {
        const { id } = this.#chance.pick(this.#processes.all);
        const hasRoom = this.#processes.alive.length < MOST_PROCESSES;
        if (!this.#processes.current(id) && hasRoom) this.#begin(id);
      },
    ])();
    this.#topologies.announce();
  }
}
