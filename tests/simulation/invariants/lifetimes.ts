/**
 * Invariants of values that expire (rule E16): none ends early, and none is read for long after its end.
 *
 * @module
 */

import type { HearsayEvent } from "../../../contracts/event_stream.ts";
import type { Process } from "../process.ts";
import { type CheckContext, MAX_DRIFT } from "./check_context.ts";
import { isBrief } from "./expected_state.ts";

/** A member reports a delete in the last second of a value as its expiry; the rest is for timers. */
const EARLY_MS = 1_050;
/** Rounds, each with the length of one request, from the end of a value to the end of its reads. */
const LATE_ROUNDS = 4;

/** The most members on the way of a value whose message waited in a broken link. An age does not grow on the way. */
const HOPS = 4;

/** The ends of one value. A clock may drift, and a renewal can be longer or shorter than the first set. */
interface Ends {
  readonly earliestMs: number;
  readonly latestMs: number;
  /** The earliest end of its last set. Its owner goes by that set. */
  readonly ownMs: number;
}

/** Checks values that expire. Times are of the simulation's clock. */
export class Lifetimes {
  readonly #context: CheckContext;
  /** By id, key and value. */
  readonly #ends = new Map<string, Ends>();
  /** The longest time for which suspended processes can have delayed messages: their ages grow no further then. */
  #suspendedMs = 0;

  constructor(context: CheckContext) {
    this.#context = context;
  }

  /** Records a set with a lifetime. */
  recordSet(process: Process, { key, value, lifetimeMs }: {
    readonly key: string;
    readonly value: unknown;
    readonly lifetimeMs: number;
  }): void {
    const name = nameOf(process.id, key, JSON.stringify(value));
    const nowMs = this.#context.options.nowMs();
    const [firstMs, lastMs] = [nowMs + (1 - MAX_DRIFT) * lifetimeMs, nowMs + (1 + MAX_DRIFT) * lifetimeMs];
    const { earliestMs = firstMs, latestMs = lastMs } = this.#ends.get(name) ?? {};
    this.#ends.set(name, {
      earliestMs: Math.min(earliestMs, firstMs),
      // A member that a shorter renewal did not reach reads the value until the longer end.
      latestMs: Math.max(latestMs, lastMs),
      ownMs: firstMs,
    });
  }

  /** True if a value with a lifetime may have ended, by the clock of its owner. */
  isOver(id: string, key: string, json: string): boolean {
    const ends = this.#ends.get(nameOf(id, key, json));
    return ends !== undefined && this.#context.options.nowMs() >= ends.ownMs - EARLY_MS;
  }

  /** Checks that a value has not expired early. */
  checkUpdate(process: Process, update: Extract<HearsayEvent, { type: "GossipUpdate" }>): void {
    const { memberId, key, expired, sequenceNumber: number } = update;
    if (!expired || memberId === process.id) return;
    const nowMs = this.#context.options.nowMs();
    const ends = this.#context.expected.valuesOf(memberId, key).map((json) =>
      this.#ends.get(nameOf(memberId, key, json))?.earliestMs ?? Infinity
    );
    if (ends.some((endMs) => nowMs >= endMs - EARLY_MS)) return;
    this.#context.fail(process, `${memberId} ${key}@${number} expired early`);
  }

  /** Checks that no process reads a value for long after its end. */
  sweep(processes: readonly Process[]): void {
    const suspendedMs = processes.reduce((sum, { frozenMs }) => sum + frozenMs, 0);
    this.#suspendedMs = Math.max(this.#suspendedMs, suspendedMs);
    for (const process of processes) if (process.isRunning && !process.machine.isFrozen) this.#check(process);
  }

  #check(process: Process): void {
    const { nowMs, gossipInterval, gossipRequestTimeout, underWayMs } = this.#context.options;
    const lateMs = HOPS * underWayMs + LATE_ROUNDS * (gossipInterval + gossipRequestTimeout) +
      this.#suspendedMs;
    for (const { id, entries } of process.gossiper.snapshot().members) {
      for (const { key, value } of entries) {
        if (!isBrief(key)) continue;
        const ends = this.#ends.get(nameOf(id, key, JSON.stringify(value)));
        if (ends && nowMs() <= ends.latestMs + lateMs) continue;
        const afterMs = ends === undefined ? "?" : nowMs() - ends.latestMs;
        this.#context.fail(
          process,
          `it reads ${key} of ${id} ${afterMs} ms after its end (${lateMs} allowed)`,
        );
      }
    }
  }
}

function nameOf(id: string, key: string, json: string): string {
  return `${id} ${key} ${json}`;
}
