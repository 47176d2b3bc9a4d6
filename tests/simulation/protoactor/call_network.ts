/**
 * Calls of protoactor's remoting in virtual time, with faults. A stream keeps its order, and its letters are lost
 * together with the stream. Letters from and to members of protoactor can also be lost alone, because protoactor-go
 * loses them while a stream opens or after it broke.
 *
 * @module
 */

import type { Call, Calls } from "../../../protoactor/transport/call.ts";
import { HEARSAY_ACTOR } from "../../../protoactor/transport/hearsay_frames.ts";
import { readLetters, readRemoteMessage } from "../../../protoactor/transport/letters.ts";
import type { VirtualRuntime } from "../../../testing/virtual_runtime.ts";

/** A network for all calls between the members of a test. */
export class CallNetwork {
  /** The probability that a letter is lost, from 0 to 1. */
  loss = 0;
  /** The longest delay of a message, in milliseconds. */
  delayMs = 5;
  readonly #runtime: VirtualRuntime;
  readonly #listeners = new Map<string, (call: Call) => void>();
  readonly #lines = new Set<Line>();
  readonly #sides = new Map<string, number>();
  #ports = 0;

  constructor(runtime: VirtualRuntime) {
    this.#runtime = runtime;
  }

  /** The `Calls` of the member at an address (`host:port`). */
  of(address: string): Calls {
    return {
      open: (to) => this.#open(address, to),
      listen: ({ onCall }) => {
        this.#listeners.set(address, onCall);
        const close = () => {
          this.unplug(address);
          return Promise.resolve();
        };
        return Promise.resolve({ port: Number(address.split(":")[1]), close });
      },
    };
  }

  /** An unused address. */
  nextAddress(): string {
    return `127.0.0.1:${++this.#ports}`;
  }

  /** Removes the listener of an address and breaks all calls with it. */
  unplug(address: string): void {
    this.#listeners.delete(address);
    for (const line of this.#lines) if (line.ends.includes(address)) line.breakOff();
  }

  /** Breaks calls between members on different sides, and refuses new ones. An empty map heals the partition. */
  partition(sides: ReadonlyMap<string, number>): void {
    this.#sides.clear();
    for (const [address, side] of sides) this.#sides.set(address, side);
    for (const line of this.#lines) if (!this.#isLinked(...line.ends)) line.breakOff();
  }

  /** Breaks each open call with this probability. */
  breakSome(chance: number): void {
    for (const line of this.#lines) if (this.#runtime.random() < chance) line.breakOff();
  }

  #open(from: string, to: string): Call {
    const line = new Line([from, to], {
      runtime: this.#runtime,
      delay: () => 1 + this.#runtime.random() * this.delayMs,
      isLost: (bytes) => this.#runtime.random() < this.loss && isLosable(bytes),
      onOver: () => this.#lines.delete(line),
    });
    this.#lines.add(line);
    this.#runtime.setTimer(1, () => {
      const onCall = this.#listeners.get(to);
      if (onCall && this.#isLinked(from, to)) onCall(line.far);
      else line.breakOff();
    });
    return line.near;
  }

  #isLinked(one: string, other: string): boolean {
    return (this.#sides.get(one) ?? 0) === (this.#sides.get(other) ?? 0);
  }
}

function isLosable(bytes: Uint8Array): boolean {
  const { messageBatch } = readRemoteMessage(bytes);
  return messageBatch !== undefined && messageBatch !== null &&
    readLetters(messageBatch).every(({ target }) => target.id !== HEARSAY_ACTOR);
}

interface LineOptions {
  readonly runtime: VirtualRuntime;
  readonly delay: () => number;
  readonly isLost: (bytes: Uint8Array) => boolean;
  readonly onOver: () => void;
}

/** One call with both of its ends. */
class Line {
  readonly near: Call;
  readonly far: Call;
  readonly ends: readonly [string, string];
  readonly #options: LineOptions;
  readonly #ways: readonly [Way, Way];

  constructor(ends: readonly [string, string], options: LineOptions) {
    this.ends = ends;
    this.#options = options;
    this.#ways = [new Way(options), new Way(options)];
    const [there, back] = this.#ways;
    const cancel = () => this.breakOff();
    this.near = { readable: back.readable, writable: there.writable(cancel), remote: ends[1], cancel };
    this.far = { readable: there.readable, writable: back.writable(cancel), remote: ends[0], cancel };
  }

  breakOff(): void {
    for (const way of this.#ways) way.breakOff();
    this.#options.onOver();
  }
}

/** One direction of a call. */
class Way {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #options: LineOptions;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #lastMs = 0;
  #isOver = false;

  constructor(options: LineOptions) {
    this.#options = options;
    this.readable = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#isOver = true;
      },
    });
  }

  writable(cancel: () => void): WritableStream<Uint8Array> {
    return new WritableStream({
      write: (bytes) => {
        if (this.#isOver) throw new Error("The call has ended.");
        if (this.#options.isLost(bytes)) return;
        this.#later(() => this.#controller.enqueue(bytes.slice()));
      },
      close: () =>
        this.#later(() => {
          this.#isOver = true;
          this.#controller.close();
        }),
      abort: cancel,
    });
  }

  breakOff(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#controller.error(new Error("The call broke."));
  }

  #later(action: () => void): void {
    const { runtime, delay } = this.#options;
    const atMs = Math.max(this.#lastMs, runtime.monotonicMs() + delay());
    this.#lastMs = atMs;
    runtime.setTimer(atMs - runtime.monotonicMs(), () => {
      if (!this.#isOver) action();
    });
  }
}
