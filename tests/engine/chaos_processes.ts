/**
 * The processes of a simulation. Every call of an engine goes through here, so that all invariants are
 * checked after each.
 *
 * @module
 */

import { Engine, type EngineSettings, type WithEvents } from "../../engine/engine.ts";
import type { EngineEvent } from "../../engine/events.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import type { Incarnation, Instant } from "../../engine/types.ts";
import type { Chance } from "./chaos_chance.ts";
import { CHECK_ID, CHECKED_KEY, Oracle, type Process, View } from "./chaos_oracle.ts";
import { INTERVAL_MS, type Setting, SMALLEST_MESSAGE } from "./chaos_setting.ts";
import type { Timeline } from "./chaos_timeline.ts";
import { WALL_START_MS } from "./harness.ts";

/** The delay in milliseconds between a change and its push: within the least time between two pushes of a gossiper. */
const COLLECT_MS = 2;

/** A process, with the memory of its gossiper. */
export interface Node extends Process {
  readonly settings: EngineSettings;
  readonly wallOffsetMs: number;
  readonly monotonicOffsetMs: number;
  /** Connections by the peer's id. */
  readonly connections: Map<string, Connection>;
  nextRoundMs: number;
  /** The time of the next push; `Infinity` without collected changes. */
  nextPushMs: number;
  isLeaving: boolean;
  hasLeft: boolean;
  lastMembers: ReadonlySet<string>;
}

/** Two processes with a handshake, done or under way. */
export interface Connection {
  readonly ends: readonly [Node, Node];
  /** The incarnation in each end's handshake. */
  readonly incarnations: Map<Node, Incarnation>;
  isOpen: boolean;
}

/** All processes that ever ran. */
export class Processes {
  readonly oracle: Oracle;
  readonly all: Node[] = [];
  readonly #timeline: Timeline;
  readonly #chance: Chance;
  readonly #setting: Setting;

  constructor(parts: { readonly timeline: Timeline; readonly chance: Chance; readonly setting: Setting }) {
    this.#timeline = parts.timeline;
    this.#chance = parts.chance;
    this.#setting = parts.setting;
    this.oracle = new Oracle({ cutsDeltas: this.#setting.settings.maxMessageBytes === SMALLEST_MESSAGE });
  }

  /** The running processes. */
  get alive(): Node[] {
    return this.all.filter((node) => node.isAlive);
  }

  /** The running process with this id. */
  current(id: string): Node | undefined {
    return this.all.findLast((node) => node.id === id && node.isAlive);
  }

  /** The present by a process's own clocks. */
  now(node: Pick<Node, "monotonicOffsetMs" | "wallOffsetMs">): Instant {
    return {
      monotonicMs: this.#timeline.nowMs + node.monotonicOffsetMs,
      wallMs: WALL_START_MS + this.#timeline.nowMs + node.wallOffsetMs,
    };
  }

  /** Begins a process, still without a topology. */
  begin(id: string): Node {
    const { settings, openMembership, restartsBack, signed: signs } = this.#setting;
    const monotonicOffsetMs = this.#chance.below(1e6);
    const hours = restartsBack && this.#chance.happens(0.5) ? this.#chance.below(10) : 0;
    const wallOffsetMs = this.#chance.below(1_000) - hours * 3_600_000;
    const now = this.now({ monotonicOffsetMs, wallOffsetMs });
    const incarnation = makeIncarnation(now.wallMs, this.#chance.next());
    const random = this.#chance.next();
    const node: Node = {
      id,
      engine: new Engine(settings, { id, incarnation, now, random, openMembership, signs }),
      heartbeatExpiration: settings.heartbeatExpiration,
      openMembership,
      view: new View(),
      settings,
      wallOffsetMs,
      monotonicOffsetMs,
      connections: new Map(),
      nextRoundMs: this.#timeline.nowMs + this.#chance.below(INTERVAL_MS),
      nextPushMs: Infinity,
      isAlive: true,
      isLeaving: false,
      hasLeft: false,
      lastMembers: new Set(),
    };
    this.all.push(node);
    this.#timeline.note(() => `${id} begins in ${incarnation}`);
    node.engine.observeHeartbeats(true);
    this.call(node, () => node.engine.addCheck(CHECK_ID, CHECKED_KEY, (value) => JSON.stringify(value)));
    return node;
  }

  end(node: Node): void {
    this.#timeline.note(() => `${node.id} ends`);
    node.isAlive = false;
    for (const connection of [...node.connections.values()]) this.close(connection);
  }

  close(connection: Connection): void {
    connection.isOpen = false;
    for (const end of connection.ends) {
      for (const [id, each] of end.connections) if (each === connection) end.connections.delete(id);
    }
  }

  /** Calls an engine, and checks all invariants. */
  call<T>(node: Node, call: () => WithEvents<T>): WithEvents<T> {
    const caused = call();
    this.#noteEvents(node, caused.events);
    this.oracle.witness(node, caused.events, this.now(node));
    this.oracle.check(node, this.all);
    if (this.#setting.pushes && node.engine.view.hasChanges) {
      node.nextPushMs = Math.min(node.nextPushMs, this.#timeline.nowMs + COLLECT_MS);
    }
    return caused;
  }

  #noteEvents(node: Node, events: readonly EngineEvent[]): void {
    for (const event of events) {
      if (event.type === "GossipUpdate" || event.type === "Disseminated") continue;
      this.#timeline.note(() => `  ${node.id}: ${JSON.stringify(event)}`);
    }
  }
}

/** The other end of a connection. */
export function otherEnd({ ends }: Connection, node: Node): Node {
  return ends[0] === node ? ends[1] : ends[0];
}
