/**
 * A cluster of engines under random faults. The network loses, repeats, delays and reorders; processes crash,
 * leave, stall and return; clocks are set back; views of the topology differ. All of it follows from one
 * seed.
 *
 * @module
 */

import { Chance } from "./chaos_chance.ts";
import { Exchanges } from "./chaos_exchanges.ts";
import { Handshakes } from "./chaos_handshakes.ts";
import { Network } from "./chaos_network.ts";
import type { Oracle } from "./chaos_oracle.ts";
import { type Node, Processes } from "./chaos_processes.ts";
import { Pushes } from "./chaos_pushes.ts";
import { drawSetting, INTERVAL_MS, type Setting } from "./chaos_setting.ts";
import { Signatures } from "./chaos_signatures.ts";
import { Timeline } from "./chaos_timeline.ts";
import { Topologies } from "./chaos_topologies.ts";
import { Trouble } from "./chaos_trouble.ts";

/** A cluster under random faults. */
export class World {
  readonly #timeline = new Timeline();
  readonly #chance: Chance;
  readonly #setting: Setting;
  readonly #network: Network;
  readonly #processes: Processes;
  readonly #topologies: Topologies;
  readonly #signatures: Signatures;
  readonly #handshakes: Handshakes;
  readonly #exchanges: Exchanges;
  readonly #pushes: Pushes;
  readonly #trouble: Trouble;

  constructor(seed: number, { signed = false }: { readonly signed?: boolean } = {}) {
    const timeline = this.#timeline;
    const chance = this.#chance = new Chance(seed / 2 ** 32);
    for (let each = 0; each < 8; each++) chance.next();
    const setting = this.#setting = drawSetting(chance, { signed });
    const network = this.#network = new Network({ timeline, chance, faults: setting.faults });
    const processes = this.#processes = new Processes({ timeline, chance, setting });
    const topologies = this.#topologies = new Topologies({ timeline, chance, processes });
    const signatures = this.#signatures = new Signatures({ seed, timeline, network, processes, setting });
    const handshakes = this.#handshakes = new Handshakes({
      ...{ timeline, network, processes, signatures, setting },
    });
    const exchanges = this.#exchanges = new Exchanges({
      ...{ timeline, network, processes, signatures, handshakes, setting },
    });
    this.#pushes = new Pushes({ chance, network, processes, signatures, exchanges });
    const begin = (id: string) => this.#begin(id);
    this.#trouble = new Trouble({ timeline, chance, network, processes, topologies, begin });
    for (let index = 0; index < setting.size; index++) topologies.members.add(`m${index}`);
    for (const id of topologies.members) begin(id);
  }

  get oracle(): Oracle {
    return this.#processes.oracle;
  }

  /** A line for each thing that happened. */
  get trace(): readonly (() => string)[] {
    return this.#timeline.lines;
  }

  /** The running processes. */
  get alive(): Node[] {
    return this.#processes.alive;
  }

  /** The description of this world in an error. */
  get setting(): string {
    const { settings, openMembership, pushes } = this.#setting;
    return JSON.stringify({ ...settings, ...this.#network.faults, openMembership, pushes });
  }

  /** The longest time until convergence. */
  get recoveryMs(): number {
    const { heartbeatExpiration, blockedProbeInterval, gossipMaxSend } = this.#setting.settings;
    const spread = Math.ceil(2 * this.#topologies.members.size / gossipMaxSend) * 6 + 30;
    // An old heartbeat that comes by a longer way may free the dead once more.
    return 2 * heartbeatExpiration + 2 * blockedProbeInterval + spread * INTERVAL_MS;
  }

  /** Runs with faults for this time. */
  rage(forMs: number): void {
    this.#runUntil(this.#timeline.nowMs + forMs, () => {
      if (this.#chance.happens(this.#network.faults.trouble)) this.#trouble.cause();
    });
  }

  /** Ends all faults; every process gets the one topology. */
  calm(): void {
    const { members, blocked } = this.#topologies;
    this.#network.calm();
    blocked.clear();
    for (const node of this.alive) if (node.isLeaving || node.engine.view.isFenced) this.#processes.end(node);
    if (this.alive.length === 0) this.#begin("late");
    // The dead may still be listed: they expire.
    for (const id of [...members]) {
      if (!this.#processes.current(id) && this.#chance.happens(0.5)) members.delete(id);
    }
    for (const { id } of this.alive) members.add(id);
    this.#timeline.note(() => "calm");
    for (const node of this.alive) {
      node.nextRoundMs = Math.min(node.nextRoundMs, this.#timeline.nowMs + INTERVAL_MS);
      this.#topologies.forget(node);
      this.#topologies.give(node);
    }
  }

  /** Advances time without faults. */
  rest(forMs: number): void {
    this.#runUntil(this.#timeline.nowMs + forMs, () => {});
  }

  #begin(id: string): void {
    this.#topologies.give(this.#processes.begin(id));
  }

  #runUntil(endMs: number, between: () => void): void {
    while (this.#timeline.nowMs < endMs) {
      this.#step(endMs);
      between();
    }
  }

  /** Advances to the next round, push, message or topology before the end, and does it. */
  #step(endMs: number): void {
    let atMs = endMs;
    let act = () => {};
    for (const node of this.alive) {
      if (node.nextRoundMs < atMs) [atMs, act] = [node.nextRoundMs, () => this.#round(node)];
      if (node.nextPushMs < atMs) [atMs, act] = [node.nextPushMs, () => this.#pushes.push(node)];
    }
    for (const source of [this.#network, this.#topologies]) {
      const next = source.nextBefore(atMs);
      if (next) ({ atMs, act } = next);
    }
    this.#timeline.advanceTo(atMs);
    act();
  }

  #round(node: Node): void {
    const { engine } = node;
    const processes = this.#processes;
    node.nextRoundMs = this.#timeline.nowMs + INTERVAL_MS;
    processes.call(node, () => engine.countHeartbeat({}, processes.now(node)));
    processes.call(node, () => engine.tick(processes.now(node)));
    this.#signatures.sign(node);
    if (engine.view.isFenced) return;
    for (const id of engine.takeDueProbes(processes.now(node))) this.#handshakes.greet(node, id, () => {});
    const peers = this.#chance.shuffled(engine.view.activePeers());
    const fanOut = node.isLeaving ? 3 : 1 + this.#chance.below(3);
    for (const id of peers.slice(0, fanOut)) this.#exchanges.gossip(node, id);
    if (node.isLeaving && this.#chance.happens(0.4)) processes.end(node);
  }
}
