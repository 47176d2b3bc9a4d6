/**
 * Decides when a memory writes its file: soon after a change, but seldom, and at the end.
 *
 * @module
 */

import type { DiscoveryContext, Member } from "../../contracts/cluster.ts";
import { Failures } from "../failures.ts";

/** The wait for further changes before a write, in milliseconds, because the first contact brings many members. */
const GATHER_MS = 1_000;
/** The time before a file is tried again after a failure, in milliseconds. */
const RETRY_MS = 60_000;
/** The longest wait for the last write, in milliseconds: a disk that hangs must not keep a member from leaving. */
const LAST_WRITE_MS = 1_000;

/** Options of a {@linkcode Writer}. */
export interface WriterOptions {
  /** The file, for events. */
  readonly source: string;
  /** The least time between two writes, in milliseconds. */
  readonly interval: number;
  /** The longest time between two writes, in milliseconds. */
  readonly longestInterval: number;
  /** Writes the active peers, if that is needed; rejects if it failed. */
  readonly write: (active: readonly Member[]) => Promise<void>;
}

/** Calls `write` after changes. */
export class Writer {
  readonly #context: DiscoveryContext;
  readonly #options: WriterOptions;
  readonly #failures: Failures;
  #members: readonly Member[] = [];
  #writing: Promise<void> = Promise.resolve();
  #cancel: () => void = () => {};
  /** The time of the next write, by the monotonic clock. */
  #nextMs = Infinity;
  #lastMs = -Infinity;
  #isOver = false;

  constructor(context: DiscoveryContext, options: WriterOptions) {
    this.#context = context;
    this.#options = options;
    this.#failures = new Failures(context, options.source);
  }

  /** Publishes a failure. */
  failed(error: unknown): void {
    this.#failures.failed(error);
  }

  /** Writes after changes until the signal is aborted, then once more. */
  async follow(signal: AbortSignal): Promise<void> {
    const events = this.#context.eventStream.subscribe(["ClusterTopology", "MemberJoined"], { signal });
    for await (const event of events) {
      if (event.type === "ClusterTopology") this.#members = event.members;
      const { interval } = this.#options;
      const earliestMs = this.#lastMs + interval - this.#context.runtime.monotonicMs();
      this.#writeIn(Math.max(Math.min(GATHER_MS, interval), earliestMs));
    }
    this.#isOver = true;
    this.#cancel();
    await this.#boundedly(this.#write());
  }

  #writeIn(delayMs: number): void {
    const { runtime } = this.#context;
    const atMs = runtime.monotonicMs() + delayMs;
    if (this.#isOver || atMs >= this.#nextMs) return;
    this.#cancel();
    this.#nextMs = atMs;
    this.#cancel = runtime.setTimer(delayMs, () => void this.#write());
  }

  #write(): Promise<void> {
    this.#nextMs = Infinity;
    // One write after another, because all writes use the same temporary file.
    return this.#writing = this.#writing.then(() => this.#writeOnce());
  }

  async #writeOnce(): Promise<void> {
    const { self, runtime } = this.#context;
    const activeIds = this.#context.activeIds();
    const { write, longestInterval } = this.#options;
    try {
      await write(this.#members.filter(({ id }) => id !== self.id && activeIds.has(id)));
      this.#failures.succeeded();
      this.#lastMs = runtime.monotonicMs();
      this.#writeIn(longestInterval);
    } catch (error) {
      this.#failures.failed(error);
      this.#lastMs = runtime.monotonicMs() + RETRY_MS - this.#options.interval;
      this.#writeIn(RETRY_MS);
    }
  }

  async #boundedly(writing: Promise<void>): Promise<void> {
    const timeUp = Promise.withResolvers<void>();
    const cancel = this.#context.runtime.setTimer(LAST_WRITE_MS, timeUp.resolve);
    await Promise.race([writing, timeUp.promise]);
    cancel();
  }
}
