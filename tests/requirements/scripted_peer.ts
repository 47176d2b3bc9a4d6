/**
 * A peer with scripted answers, for messages that no real gossiper would send.
 *
 * @module
 */

import { makeIncarnation } from "../../engine/incarnation.ts";
import type { Delta, Incarnation, MemberDelta, Summary, SummaryPart } from "../../engine/types.ts";
import type { Connection } from "../../contracts/cluster.ts";
import { type Gossip, type Hello, type Message, PROTOCOL_VERSION } from "../../protocol/message.ts";
import type { MemoryTransport } from "../../testing/memory.ts";
import { recordOf, type TestCluster } from "./harness.ts";

/** A scripted peer's answer to a message; `undefined` for none. */
export type Answering = (message: Message) => Message | undefined;

/** A peer with a transport of its own: it accepts dials of cluster members, and answers by a script. */
export class ScriptedPeer implements AsyncDisposable {
  readonly id: string;
  readonly incarnation: Incarnation;
  /** Answers handshakes; a test may replace it. */
  greeting: (hello: Hello) => Message | undefined = (hello) => this.hello(hello.id);
  /** Answers every other message; a test may replace it. */
  answer: Answering = (message) => message.type === "gossip" ? replyTo(message) : undefined;
  /** All received messages, in order. */
  readonly received: Message[] = [];
  readonly #cluster: TestCluster;
  readonly #transport: MemoryTransport;
  readonly #serving: Promise<void>;

  constructor(cluster: TestCluster, id: string) {
    this.id = id;
    this.#cluster = cluster;
    this.incarnation = makeIncarnation(cluster.runtime.wallMs(), 0.5);
    this.#transport = cluster.network.transport(id, 1);
    this.#serving = this.#serve();
  }

  /** The last received message of a type. */
  last<T extends Message["type"]>(type: T): Extract<Message, { type: T }> | undefined {
    return this.received.findLast((message): message is Extract<Message, { type: T }> =>
      message.type === type
    );
  }

  /**
   * Dials a member, sends a handshake and then these messages, each after the effect of the one before, and
   * closes.
   */
  say(to: string, ...messages: readonly Message[]): Promise<void> {
    return this.sayUngreeted(to, this.hello("d1"), ...messages);
  }

  /** A connection to a member, without a handshake. */
  async dial(to: string): Promise<Connection> {
    const { signal } = new AbortController();
    return await this.#transport.dial(this.#transport.addressOf(recordOf(to)), { signal });
  }

  /** Does the same as {@linkcode ScriptedPeer.say}, without a handshake. */
  async sayUngreeted(to: string, ...messages: readonly Message[]): Promise<void> {
    await using _ = await this.#converseWith(to, messages);
  }

  /** Does the same as {@linkcode ScriptedPeer.say}, but closes only at its disposal. */
  stay(to: string, ...messages: readonly Message[]): Promise<AsyncDisposable> {
    return this.#converseWith(to, [this.hello("d1"), ...messages]);
  }

  /** This peer's handshake. */
  hello(id: string): Hello {
    return {
      type: "hello",
      id,
      cluster: "test",
      member: recordOf(this.id),
      incarnation: this.incarnation,
      count: 0,
      version: PROTOCOL_VERSION,
      oldestVersion: 2,
      capabilities: [],
      digest: "0".repeat(16),
      active: "0".repeat(16),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport.close();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const conversations: Promise<void>[] = [];
    for await (const connection of this.#transport.incoming) conversations.push(this.#converse(connection));
    await Promise.all(conversations);
  }

  async #converse({ readable, writable }: Connection): Promise<void> {
    const writer = writable.getWriter();
    writer.closed.catch(() => {});
    try {
      for await (const message of readable) {
        this.received.push(message);
        const answer = message.type === "hello" ? this.greeting(message) : this.answer(message);
        if (answer) await writer.write(answer);
      }
      await writer.close();
    } catch {
      // The other side has gone, which the test permits.
    }
  }

  async #converseWith(to: string, messages: readonly Message[]): Promise<AsyncDisposable> {
    const connection = await this.dial(to);
    const reading = this.#listen(connection);
    const writer = connection.writable.getWriter();
    for (const message of messages) {
      await writer.write(message);
      await this.#cluster.runtime.settle();
    }
    return {
      async [Symbol.asyncDispose]() {
        // A member that has refused has closed the connection itself.
        await writer.close().catch(() => {});
        await reading;
      },
    };
  }

  async #listen({ readable }: Connection): Promise<void> {
    try {
      for await (const message of readable) this.received.push(message);
    } catch {
      // The test does not check how it ends.
    }
  }
}

/** A delta of these members, not to be compared. */
export function deltaOf(members: readonly MemberDelta[], options: Partial<Delta> = {}): Delta {
  return { members, digest: "0".repeat(16), active: "0".repeat(16), partial: true, ...options };
}

/** An answer with an acknowledgement of everything, and no state. */
export function replyTo({ id }: Gossip, options: { readonly delta?: Partial<Delta> } = {}): Message {
  return { type: "reply", liveness: { count: 0 }, id, delta: deltaOf([], options.delta), holds: new Map() };
}

/** The part of a comparison with these members. */
export function partOf(members: Record<string, Summary>): SummaryPart {
  return { from: "", until: undefined, members: new Map(Object.entries(members)) };
}
