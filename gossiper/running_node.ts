/**
 * A gossiper and what was opened for it, as one thing that ends.
 *
 * @module
 */

import type { Member, Transport } from "./cluster.ts";
import type { FlushResult } from "./departure.ts";
import type { EventStream } from "./event_stream.ts";
import type { Gossiper } from "./gossiper.ts";

/** What a {@linkcode RunningNode} is made of. */
export interface RunningNodeParts {
  readonly gossiper: Gossiper;
  readonly member: Member;
  readonly transport: Pick<Transport, "close">;
  readonly eventStream: EventStream;
}

/** A member that takes part: however its gossiper ends, nothing that was opened for it stays open. */
export class RunningNode implements AsyncDisposable {
  readonly gossiper: Gossiper;
  readonly member: Member;
  readonly #over: Promise<void>;

  constructor({ gossiper, member, transport, eventStream }: RunningNodeParts) {
    this.gossiper = gossiper;
    this.member = member;
    gossiper.signal.addEventListener("abort", () => eventStream.end(), { once: true });
    this.#over = gossiper.closed.then(async () => {
      eventStream.end();
      await transport.close();
    });
  }

  get signal(): AbortSignal {
    return this.gossiper.signal;
  }

  async stop(): Promise<FlushResult> {
    const result = await this.gossiper.stop();
    await this.#over;
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gossiper[Symbol.asyncDispose]();
    await this.#over;
  }
}
