/**
 * Calls of protoactor's remoting without a network: in virtual time, with what may go wrong. A stream keeps its order
 * and loses nothing but with itself; yet letters to and from members of protoactor may be lost alone, as they are
 * there while a stream is being opened or has just broken.
 *
 * @module
 */

import type { Call, Calls } from "../../../transport/protoactor/call.ts";
import { HEARSAY_ACTOR } from "../../../transport/protoactor/hearsay_frames.ts";
import { readLetters, readRemoteMessage } from "../../../transport/protoactor/letters.ts";
import type { VirtualRuntime } from "../../virtual_runtime.ts";

/** All calls between the members of a test. */
export class CallNetwork {
  /** The chance that a letter is lost. */
  loss = 0;
  /** The longest that a message is under way, in milliseconds. */
  delayMs = 5;
  readonly #runtime: VirtualRuntime;
  readonly #listeners = new Map<string, (call: Call) => void>();
  readonly #lines = new Set<Line>();
  readonly #sides = new Map<string, number>();
  #ports = 0;

  constructor(runtime: VirtualRuntime) {
    this.#runtime = runtime;
  }

  /** How the member at an address (`host:port`) makes and answers calls. */
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

  /** An address that nobody has yet. */
  nextAddress(): string {
    return `127.0.0.1:${++this.#ports}`;
  }

  /** Nobody is at the address any more, and no call with it is open. */
  unplug(address: string): void {
    this.#listeners.delete(address);
    for (const line of this.#lines) if (line.ends.includes(address)) line.breakOff();
  }

  /** Lets only members on the same side reach each other; calls between others break. Without sides, all do. */
  partition(sides: ReadonlyMap<string, number>): void {
    this.#sides.clear();
    for (const [address, side] of sides) this.#sides.set(address, side);
    for (const line of this.#lines) if (!this.#isLinked(...line.ends)) line.breakOff();
  }

  /** Breaks every call that is open between some two members. */
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

/** One call, seen from both ends. */
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
        if (this.#isOver) throw new Error("The call is over.");
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
