/**
 * The network of a simulation. It loses, repeats, delays and reorders messages, and separates processes.
 *
 * @module
 */

import type { Chance } from "./chaos_chance.ts";
import type { Connection, Node } from "./chaos_processes.ts";
import { type Faults, INTERVAL_MS } from "./chaos_setting.ts";
import type { Timeline } from "./chaos_timeline.ts";

/** A message of one process to another, or a timer of a process as a message to itself. */
export interface Message {
  /** Its text in the trace. */
  readonly what: () => string;
  readonly from: Node;
  readonly to: Node;
  /** True if it still counts when the connection is over. */
  readonly isTimeless?: boolean;
  readonly deliver: () => void;
}

/** A message under way. */
interface Sent extends Message {
  readonly connection: Connection;
  atMs: number;
}

/** All messages under way. */
export class Network {
  readonly #timeline: Timeline;
  readonly #chance: Chance;
  #faults: Faults;
  readonly #sent: Sent[] = [];
  /** The side of a partition by id; without an entry 0. */
  readonly #sides = new Map<string, number>();

  constructor(parts: { readonly timeline: Timeline; readonly chance: Chance; readonly faults: Faults }) {
    this.#timeline = parts.timeline;
    this.#chance = parts.chance;
    this.#faults = parts.faults;
  }

  get faults(): Faults {
    return this.#faults;
  }

  /** Ends all faults. Messages still under way arrive soon. */
  calm(): void {
    this.#faults = { loss: 0, repeat: 0, delay: 5, trouble: 0 };
    this.unite();
    for (const sent of this.#sent) sent.atMs = Math.min(sent.atMs, this.#timeline.nowMs + 5 * INTERVAL_MS);
  }

  /** Puts each of these processes on one of two sides; no message passes between them. */
  partition(ids: Iterable<string>): void {
    for (const id of ids) this.#sides.set(id, this.#chance.happens(0.5) ? 1 : 2);
    this.#timeline.note(() => `partition ${[...this.#sides].map(([id, side]) => `${id}:${side}`).join(" ")}`);
  }

  /** Ends all partitions. */
  unite(): void {
    this.#sides.clear();
  }

  /** Sends a message, unless it is lost. */
  send(connection: Connection, message: Message): void {
    const { from, to } = message;
    if (!this.#isLinked(from, to) || this.#chance.happens(this.#faults.loss)) {
      this.#timeline.note(() => `${from.id} → ${to.id} ${message.what()} is lost`);
      return;
    }
    const slow = this.#chance.happens(0.1) ? 20 : 1;
    const delayMs = 1 + Math.floor(this.#chance.next() * this.#faults.delay * slow);
    this.#sent.push({ ...message, connection, atMs: this.#timeline.nowMs + delayMs });
  }

  /** Sets a timer of a process, as a message to itself. */
  setTimer(connection: Connection, timer: { node: Node; atMs: number; what: () => string; act: () => void }) {
    const { node, atMs, what, act } = timer;
    this.#sent.push({ what, from: node, to: node, connection, isTimeless: true, atMs, deliver: act });
  }

  /** The first message that arrives before this time, as a call that delivers it. */
  nextBefore(ms: number): { readonly atMs: number; readonly act: () => void } | undefined {
    let next: Sent | undefined;
    for (const sent of this.#sent) if (sent.atMs < (next?.atMs ?? ms)) next = sent;
    return next && { atMs: next.atMs, act: () => this.#deliver(next) };
  }

  #deliver(sent: Sent): void {
    if (this.#chance.happens(this.#faults.repeat)) {
      sent.atMs = this.#timeline.nowMs + 1 + this.#chance.below(500);
    } else this.#sent.splice(this.#sent.indexOf(sent), 1);
    const { from, to, connection, isTimeless, what } = sent;
    if (!to.isAlive || !(connection.isOpen || isTimeless)) return;
    this.#timeline.note(() => `${from.id} → ${to.id} ${what()}`);
    sent.deliver();
  }

  #isLinked(one: Node, other: Node): boolean {
    return (this.#sides.get(one.id) ?? 0) === (this.#sides.get(other.id) ?? 0);
  }
}
