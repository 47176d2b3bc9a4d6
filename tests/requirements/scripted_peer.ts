/**
 * A peer that says what a test wants it to say: for what no real gossiper would.
 *
 * @module
 */

import { makeLife } from "../../engine/life.ts";
import type { Delta, Life, MemberDelta } from "../../engine/types.ts";
import type { Connection } from "../../gossiper/cluster.ts";
import { type Gossip, type Hello, type Message, PROTOCOL_VERSION } from "../../gossiper/message.ts";
import type { MemoryTransport } from "../../transport/memory.ts";
import { recordOf, type TestCluster } from "./harness.ts";

/** What a scripted peer answers to a message; `undefined` for nothing. */
export type Answering = (message: Message) => Message | undefined;

/** A peer with a transport of its own that accepts what the members of a cluster dial, and answers by a script. */
export class ScriptedPeer implements AsyncDisposable {
  readonly id: string;
  readonly life: Life;
  /** Answers greetings; to be replaced as the test goes on. */
  greeting: (hello: Hello) => Message | undefined = (hello) => this.hello(hello.id);
  /** Answers everything else; to be replaced as well. */
  answer: Answering = (message) => message.type === "gossip" ? replyTo(message) : undefined;
  /** What it heard, in order. */
  readonly heard: Message[] = [];
  readonly #cluster: TestCluster;
  readonly #transport: MemoryTransport;
  readonly #serving: Promise<void>;

  constructor(cluster: TestCluster, id: string) {
    this.id = id;
    this.#cluster = cluster;
    this.life = makeLife(cluster.runtime.wallMs(), 0.5);
    this.#transport = cluster.network.transport(id, 1);
    this.#serving = this.#serve();
  }

  /** The last message of a type that was heard. */
  last<T extends Message["type"]>(type: T): Extract<Message, { type: T }> | undefined {
    return this.heard.findLast((message): message is Extract<Message, { type: T }> => message.type === type);
  }

  /** Dials a member, greets it, says these things, each after what came before has had its effect, and hangs up. */
  say(to: string, ...messages: readonly Message[]): Promise<void> {
    return this.sayUngreeted(to, this.hello("d1"), ...messages);
  }

  /** A connection to a member, on which nothing was said yet. */
  async dial(to: string): Promise<Connection> {
    const { signal } = new AbortController();
    return await this.#transport.dial(this.#transport.addressOf(recordOf(to)), { signal });
  }

  /** The same as {@linkcode ScriptedPeer.say} without the greeting. */
  async sayUngreeted(to: string, ...messages: readonly Message[]): Promise<void> {
    const connection = await this.dial(to);
    const reading = this.#listen(connection);
    const writer = connection.writable.getWriter();
    for (const message of messages) {
      await writer.write(message);
      await this.#cluster.runtime.settle();
    }
    // A member that has refused has closed the connection itself.
    await writer.close().catch(() => {});
    await reading;
  }

  /** This peer's greeting. */
  hello(id: string): Hello {
    return {
      type: "hello",
      id,
      cluster: "test",
      member: recordOf(this.id),
      life: this.life,
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
        this.heard.push(message);
        const answer = message.type === "hello" ? this.greeting(message) : this.answer(message);
        if (answer) await writer.write(answer);
      }
      await writer.close();
    } catch {
      // The other side has gone; that is its affair.
    }
  }

  async #listen({ readable }: Connection): Promise<void> {
    try {
      for await (const message of readable) this.heard.push(message);
    } catch {
      // How it ends is not what is looked at.
    }
  }
}

/** A delta of these members that is not to be compared. */
export function deltaOf(members: readonly MemberDelta[], options: Partial<Delta> = {}): Delta {
  return { members, digest: "0".repeat(16), active: "0".repeat(16), partial: true, ...options };
}

/** An answer that acknowledges all that was told, and tells nothing. */
export function replyTo({ id }: Gossip, options: { readonly delta?: Partial<Delta> } = {}): Message {
  return { type: "reply", liveness: { count: 0 }, id, delta: deltaOf([], options.delta), holds: new Map() };
}
