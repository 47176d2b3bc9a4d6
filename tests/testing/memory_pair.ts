/**
 * Two in-memory transports with one connection, and what each end received.
 *
 * @module
 */

import { assertEquals } from "../../deps/std_assert.ts";
import type { Connection } from "../../contracts/cluster.ts";
import type { Message, Refusal } from "../../protocol/message.ts";
import { MemoryNetwork, type MemoryTransport, type SentMessage } from "../../testing/memory.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { refusal } from "../conformance/messages.ts";

export const never = new AbortController().signal;

/** A virtual clock that also counts all timers. */
class CountingRuntime extends VirtualRuntime {
  timersSet = 0;

  override setTimer(delayMs: number, callback: () => void): () => void {
    this.timersSet++;
    return super.setTimer(delayMs, callback);
  }
}

/** One end of a connection: its received messages, and its end. */
export class End {
  readonly received: string[] = [];
  ended: { readonly code: number; readonly reason: string } | undefined;
  error: unknown;
  readonly #connection: Connection;
  readonly #writer: WritableStreamDefaultWriter<Message>;

  constructor(connection: Connection, options: { readonly reads?: boolean } = {}) {
    this.#connection = connection;
    this.#writer = connection.writable.getWriter();
    connection.closed.then((info) => this.ended = info);
    if (options.reads ?? true) this.read();
  }

  async write(text: string): Promise<void> {
    await this.#writer.write(refusal(text));
  }

  /** Writes, and ignores the outcome. */
  send(text: string): void {
    this.write(text).catch(() => {});
  }

  close(): void {
    this.#writer.close();
  }

  /** Reads until the end. */
  async read(): Promise<void> {
    try {
      for await (const message of this.#connection.readable) this.received.push((message as Refusal).message);
    } catch (error) {
      this.error = error;
    }
  }
}

/** Two transports with one connection, on a virtual clock. */
export class World implements AsyncDisposable {
  readonly runtime = new CountingRuntime();
  readonly network: MemoryNetwork;
  readonly a: MemoryTransport;
  readonly b: MemoryTransport;
  /** All connections accepted by `b`, `far` first. */
  readonly accepted: End[] = [];
  near!: End;

  private constructor(options: { readonly seed?: number; readonly tap?: (sent: SentMessage) => void }) {
    this.network = new MemoryNetwork({ runtime: this.runtime, ...options });
    this.a = this.network.transport("a", 1);
    this.b = this.network.transport("b", 1);
  }

  static async make(
    options: {
      readonly seed?: number;
      readonly tap?: (sent: SentMessage) => void;
      readonly farReads?: boolean;
    } = {},
  ): Promise<World> {
    const { farReads: reads = true, ...rest } = options;
    const world = new World(rest);
    world.#accept(reads);
    world.near = new End(await world.a.dial(world.b.address, { signal: never }));
    await world.runtime.settle();
    return world;
  }

  get far(): End {
    return this.accepted[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = this.network[Symbol.asyncDispose]();
    await this.runtime.advance(1000);
    await closing;
    assertEquals(this.runtime.timers, 0);
  }

  async #accept(reads: boolean): Promise<void> {
    for await (const connection of this.b.incoming) this.accepted.push(new End(connection, { reads }));
  }
}

/** The present state of a promise. */
export function stateOf(promise: Promise<unknown>): Promise<string> {
  return Promise.race([promise.then(() => "fulfilled", () => "rejected"), pendingSoon()]);
}

async function pendingSoon(): Promise<string> {
  for (let turn = 0; turn < 10; turn++) await null;
  return "pending";
}
