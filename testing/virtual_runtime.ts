/**
 * Time and random numbers under the control of a test.
 *
 * @module
 */

import { setImmediate } from "../deps/node_timers.ts";
import type { Runtime } from "../common/runtime.ts";
import { seededRandom } from "./memory_random.ts";

/** The most timers that run at one moment of virtual time. More timers mean an endless loop. */
const MAX_TIMERS_AT_ONCE = 100_000;

/** The start of a {@linkcode VirtualRuntime}. */
export interface VirtualRuntimeOptions {
  /** Equal seeds give equal random numbers; 1 by default. */
  readonly seed?: number;
  /** The wall clock at the start, in Unix milliseconds; 1,700,000,000,000 by default. */
  readonly wallMs?: number;
}

/**
 * A runtime whose time passes only when a test says so. Timers run one after another, by their time and then in the
 * order in which they were set. Between two timers, all work on promises and streams goes as far as it can without
 * time.
 */
export class VirtualRuntime implements Runtime {
  readonly #timers = new TimerHeap();
  readonly #random: () => number;
  #wallOffsetMs: number;
  #nowMs = 0;
  #moving = false;
  #atOnce = 0;

  /** Makes a clock at 0. */
  constructor(options: VirtualRuntimeOptions = {}) {
    this.#random = seededRandom(options.seed ?? 1);
    this.#wallOffsetMs = options.wallMs ?? 1_700_000_000_000;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  random(): number {
    return this.#random();
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = this.#timers.add(this.#nowMs + Math.max(0, delayMs || 0), callback);
    return () => this.#timers.cancel(timer);
  }

  /** The number of set timers. If timers are left at the end of a test, some part of the program still runs. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Steps the wall clock, either way. Timers and the monotonic clock do not notice. */
  stepWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** Makes a machine that shares this time, with its own random numbers. Its wall clock may be wrong. */
  machine(options: MachineOptions = {}): Machine {
    const random = seededRandom(options.seed ?? Math.trunc(this.#random() * 2 ** 32));
    const { wallMs = this.wallMs(), rate = 1 } = options;
    return new Machine(this, { random, wallMs, rate });
  }

  /** Lets everything go as far as it can without time. */
  settle(): Promise<void> {
    // Promises and Web Streams settle in microtasks, all of which run before the next turn.
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets a number of milliseconds pass. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await this.#move(async () => {
      while (this.#runNext(untilMs)) await this.settle();
      this.#nowMs = untilMs;
    });
  }

  /**
   * Lets time pass from timer to timer until the condition is true; resolves with the number of milliseconds. Rejects
   * if the condition is not true within `withinMs`, or if no timer is left that could make it true.
   */
  async runUntil(condition: () => boolean, options: { readonly withinMs: number }): Promise<number> {
    const startMs = this.#nowMs;
    await this.#move(async () => {
      while (!condition()) {
        if (!this.#runNext(startMs + options.withinMs)) {
          const why = this.#timers.size === 0 ? "no timer is left" : "the time is up";
          throw new Error(`It did not come true within ${options.withinMs} virtual ms: ${why}. ${condition}`);
        }
        await this.settle();
      }
    });
    return this.#nowMs - startMs;
  }

  async #move(run: () => Promise<void>): Promise<void> {
    if (this.#moving) throw new Error("Time passes already: await the call before.");
    this.#moving = true;
    try {
      await this.settle();
      await run();
    } finally {
      this.#moving = false;
    }
  }

  /** Runs the next timer, unless it is due later. */
  #runNext(untilMs: number): boolean {
    const timer = this.#timers.takeUntil(untilMs);
    if (timer === undefined) return false;
    this.#atOnce = timer.atMs > this.#nowMs ? 0 : this.#atOnce + 1;
    if (this.#atOnce > MAX_TIMERS_AT_ONCE) throw new Error("Timers go on for ever without time passing.");
    this.#nowMs = timer.atMs;
    timer.callback();
    return true;
  }
}

/** The differences of a {@linkcode Machine} from others. */
export interface MachineOptions extends VirtualRuntimeOptions {
  /** The speed of its clocks: their milliseconds in one millisecond of the shared time; 1 by default. */
  readonly rate?: number;
}

/**
 * A machine among several that share a {@linkcode VirtualRuntime}'s time. Its clocks may be wrong, and it may freeze.
 * It stands for a machine with a single process.
 */
export class Machine implements Runtime {
  readonly #time: VirtualRuntime;
  readonly #random: () => number;
  readonly #rate: number;
  readonly #timers = new Set<() => void>();
  #wallOffsetMs: number;
  /** Timers that became due while the machine was frozen, in order. They can still be canceled. */
  readonly #due = new Set<() => void>();
  #frozen: PromiseWithResolvers<void> | undefined;
  #isDead = false;

  /** Called by {@linkcode VirtualRuntime.machine}. */
  constructor(
    time: VirtualRuntime,
    options: { readonly random: () => number; readonly wallMs: number; readonly rate: number },
  ) {
    this.#time = time;
    this.#random = options.random;
    this.#rate = options.rate;
    this.#wallOffsetMs = options.wallMs - this.monotonicMs();
  }

  monotonicMs(): number {
    return this.#time.monotonicMs() * this.#rate;
  }

  wallMs(): number {
    return this.monotonicMs() + this.#wallOffsetMs;
  }

  random(): number {
    return this.#random();
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    if (this.#isDead) return () => {};
    const run = () => callback();
    const cancelTimer = this.#time.setTimer(delayMs / this.#rate, () => {
      this.#timers.delete(cancel);
      if (this.#frozen) this.#due.add(run);
      else run();
    });
    const cancel = () => {
      cancelTimer();
      this.#timers.delete(cancel);
      this.#due.delete(run);
    };
    this.#timers.add(cancel);
    return cancel;
  }

  /** The number of set timers, including timers that became due while the machine is frozen. */
  get timers(): number {
    return this.#timers.size + this.#due.size;
  }

  /** Steps this machine's wall clock, either way. */
  stepWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** True while it is frozen. */
  get isFrozen(): boolean {
    return this.#frozen !== undefined;
  }

  /** Freezes, like a process after SIGSTOP: no timer fires, but its clocks advance. */
  freeze(): void {
    this.#frozen ??= Promise.withResolvers();
  }

  /** Resumes: timers that became due meanwhile run now, one after another. */
  thaw(): void {
    if (this.#isDead) return;
    this.#frozen?.resolve();
    this.#frozen = undefined;
    // A timer may cancel another timer, or freeze or kill the machine.
    for (const callback of this.#due) {
      if (this.#frozen) return;
      this.#due.delete(callback);
      callback();
    }
  }

  /** Ends, like a process after SIGKILL: none of its timers ever runs again. */
  kill(): void {
    this.freeze();
    this.#isDead = true;
    for (const cancel of [...this.#timers]) cancel();
    this.#due.clear();
  }

  /** Resolves when the machine resumes; `undefined` if it is not frozen now. */
  awake(): Promise<void> | undefined {
    return this.#frozen?.promise;
  }
}

interface Timer {
  readonly atMs: number;
  readonly order: number;
  /** `undefined` once it ran or was canceled. */
  callback: (() => void) | undefined;
}

/** Timers by time, then by the order of setting: a binary heap. */
class TimerHeap {
  #heap: Timer[] = [];
  #set = 0;
  #canceled = 0;

  get size(): number {
    return this.#heap.length - this.#canceled;
  }

  add(atMs: number, callback: () => void): Timer {
    const timer = { atMs, order: this.#set++, callback };
    this.#heap.push(timer);
    this.#rise(this.#heap.length - 1);
    return timer;
  }

  /** A canceled timer stays in the queue until its time, or until most timers are canceled. */
  cancel(timer: Timer): void {
    if (timer.callback === undefined) return;
    timer.callback = undefined;
    this.#canceled++;
    if (this.#canceled > 1024 && this.#canceled > this.#heap.length / 2) this.#sweep();
  }

  /** Takes the next timer, unless it is due later. */
  takeUntil(untilMs: number): { readonly atMs: number; readonly callback: () => void } | undefined {
    while (this.#heap.length > 0 && this.#heap[0]!.atMs <= untilMs) {
      const timer = this.#takeFirst();
      const { atMs, callback } = timer;
      // From now on a cancel has no effect.
      timer.callback = undefined;
      if (callback !== undefined) return { atMs, callback };
      this.#canceled--;
    }
    return undefined;
  }

  #takeFirst(): Timer {
    const first = this.#heap[0]!;
    const last = this.#heap.pop()!;
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#sink(0);
    }
    return first;
  }

  #sweep(): void {
    this.#heap = this.#heap.filter(({ callback }) => callback !== undefined).sort(byTime);
    this.#canceled = 0;
  }

  #rise(at: number): void {
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (byTime(this.#heap[parent]!, this.#heap[at]!) <= 0) return;
      this.#swap(parent, at);
      at = parent;
    }
  }

  #sink(at: number): void {
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && byTime(this.#heap[child]!, this.#heap[least]!) < 0) least = child;
      }
      if (least === at) return;
      this.#swap(least, at);
      at = least;
    }
  }

  #swap(one: number, other: number): void {
    [this.#heap[one], this.#heap[other]] = [this.#heap[other]!, this.#heap[one]!];
  }
}

function byTime(one: Timer, other: Timer): number {
  return one.atMs - other.atMs || one.order - other.order;
}
