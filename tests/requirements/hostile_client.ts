/**
 * A client with hand-written messages, the messages, and two members that it must not affect.
 *
 * @module
 */

import { assert, assertEquals } from "../../deps/std_assert.ts";
import { PROTOCOL_VERSION } from "../../protocol/message.ts";
import { abortable } from "../../common/runtime.ts";
import { join, type Node } from "../../node/join.ts";

export const CONFIG = { gossipInterval: 50, gossipRequestTimeout: 400, heartbeatExpiration: 5_000 };
export const LIFE = "018bcfe56800-00000001";
export const ZERO = "0".repeat(16);
const BOUND_MS = 5_000;

/** Two honest members, one of them under attack, and proof that neither is affected. */
export class Victims implements AsyncDisposable {
  readonly victim: Node;
  readonly friend: Node;
  #rounds = 0;

  private constructor(victim: Node, friend: Node) {
    this.victim = victim;
    this.friend = friend;
  }

  static async make(config: Partial<typeof CONFIG> = {}): Promise<Victims> {
    const options = { cluster: "honest", listen: { port: 0 }, config: { ...CONFIG, ...config } };
    const victim = await join({ ...options, id: "victim" });
    const friend = await join({ ...options, id: "friend", seeds: [victim.address] });
    const victims = new Victims(victim, friend);
    await victims.assertServed();
    return victims;
  }

  /** State still passes both ways, and no other member became known. */
  async assertServed(known: readonly string[] = []): Promise<void> {
    const round = ++this.#rounds;
    for (const [from, to] of [[this.victim, this.friend], [this.friend, this.victim]] as const) {
      from.setState("round", round);
      const updates = to.watch("round", { signal: AbortSignal.timeout(BOUND_MS) });
      let seen = false;
      for await (const { memberId, value } of updates) {
        seen = memberId === from.member.id && value === round;
        if (seen) break;
      }
      assert(seen, `${to.member.id} does not hear of ${from.member.id} any more`);
      assertEquals(to.blockedMembers, []);
    }
    const ids = this.victim.members.map(({ id }) => id);
    assertEquals(ids, ["friend", ...known, "victim"].sort());
    assertEquals([...this.victim.getState("k").keys()], []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.friend[Symbol.asyncDispose]();
    await this.victim[Symbol.asyncDispose]();
  }
}

/** A client with hand-written wire messages. */
export class Raw {
  readonly socket: WebSocket;
  readonly received: { readonly type: string; readonly [field: string]: unknown }[] = [];
  readonly #closed = Promise.withResolvers<number>();
  #wake = Promise.withResolvers<void>();

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      this.received.push(JSON.parse(data));
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    };
    socket.onclose = ({ code }) => {
      this.#closed.resolve(code);
      this.#wake.resolve();
    };
  }

  static async to({ address }: Node): Promise<Raw> {
    const raw = new Raw(new WebSocket(`${address}/gossip`, "hearsay.v2"));
    const opened = Promise.withResolvers<void>();
    raw.socket.onopen = () => opened.resolve();
    raw.socket.onerror = () => opened.reject(new Error("The socket did not open."));
    await abortable(opened.promise, AbortSignal.timeout(BOUND_MS));
    raw.socket.onerror = null;
    return raw;
  }

  /** A client with a completed handshake under this id. */
  static async greeted(node: Node, id = "raw"): Promise<Raw> {
    const raw = await Raw.to(node);
    raw.say(hello({ member: { id, host: "127.0.0.1", port: 1, kinds: [] } }));
    await raw.hears("hello");
    return raw;
  }

  say(message: unknown): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** The next message of this type. */
  async hears(type: string): Promise<Record<string, unknown>> {
    const signal = AbortSignal.timeout(BOUND_MS);
    for (;;) {
      const index = this.received.findIndex((message) => message.type === type);
      if (index >= 0) return this.received.splice(index, 1)[0]!;
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error(`It was closed without a ${type}.`);
      await abortable(this.#wake.promise, signal);
    }
  }

  /** The other side's close code. */
  async closes(): Promise<number> {
    return await abortable(this.#closed.promise, AbortSignal.timeout(BOUND_MS));
  }

  /** Closes, and waits for the end. */
  async hangUp(): Promise<void> {
    this.socket.close();
    await this.closes();
  }
}

export const SETTINGS = {
  gossipInterval: 300,
  heartbeatExpiration: 20_000,
  maxKeysPerMember: 4_096,
  maxStateBytes: 2 ** 23,
  maxMessageBytes: 1_048_576,
};

export function hello(fields: Record<string, unknown> = {}) {
  return {
    type: "hello",
    id: "d1",
    cluster: "honest",
    member: { id: "raw", host: "127.0.0.1", port: 1 },
    incarnation: LIFE,
    count: 0,
    version: PROTOCOL_VERSION,
    oldestVersion: PROTOCOL_VERSION,
    capabilities: [],

    digest: ZERO,
    active: ZERO,
    ...fields,
  };
}

/** A gossip of one entry `k` of one member; the fields make it invalid. */
export function gossip(
  {
    id = "d2",
    owner = "raw",
    from = "raw",
    number = "1" as unknown,
    incarnation = LIFE,
    value = 1 as unknown,
    after = 0,
  } = {},
) {
  const entry = {
    sequenceNumber: number,
    value: { "@type": "type.googleapis.com/google.protobuf.Value", value },
  };
  const state = { members: Object.fromEntries([[owner, { values: { k: entry } }]]) };
  const ranges = Object.fromEntries([[owner, [incarnation, after]]]);
  return {
    type: "gossip",
    count: 0,
    id,
    request: { memberId: from, state },
    ranges,
    digest: ZERO,
    active: ZERO,
  };
}

/** A push of the same entry. */
export function push(fields: Parameters<typeof gossip>[0] = {}, { relay = true } = {}) {
  const { request: { state }, ranges } = gossip(fields);
  return { type: "push", request: { state }, ranges, relay };
}
