import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "../../deps/std_assert.ts";
import type { Connection } from "../../contracts/cluster.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../../common/errors.ts";
import type { Message, Refusal } from "../../protocol/message.ts";
import { realRuntime } from "../../common/runtime.ts";
import {
  type LinkFaults,
  MemoryNetwork,
  type MemoryTransport,
  type SentMessage,
} from "../../testing/memory.ts";
import { WINDOW_BYTES, WINDOW_MESSAGES } from "../../testing/memory_link.ts";
import { MAX_UNACCEPTED } from "../../testing/memory_transport.ts";
import { encode } from "../../protocol/codec.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { CONTRACT_MAX_MESSAGE_BYTES, transportContract } from "../contract/transport.ts";

const never = new AbortController().signal;

for (const [name, delayMs] of [["in memory", 0], ["in memory, with a delay", 3]] as const) {
  transportContract(name, () => {
    const network = new MemoryNetwork({ runtime: realRuntime });
    if (delayMs > 0) network.setFaults({ delayMs: { min: 0, mean: delayMs, max: 10 } });
    const limits = { maxMessageBytes: CONTRACT_MAX_MESSAGE_BYTES };
    const [a, b] = [network.transport("a", 1, limits), network.transport("b", 1, limits)];
    const dispose = () => network[Symbol.asyncDispose]();
    return Promise.resolve({ a, b, addressOfB: b.address, [Symbol.asyncDispose]: dispose });
  });
}

Deno.test("memory network: without a fault everything arrives at once, and no timer is set", async () => {
  await using world = await World.make();
  const { runtime, near, far } = world;
  for (let n = 0; n < 10; n++) near.send(`${n}`);
  await runtime.settle();
  assertEquals(far.received, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  assertEquals([runtime.timersSet, runtime.monotonicMs()], [0, 0]);
});

Deno.test("memory network: counts messages and their bytes in UTF-8, in all and for each direction", async () => {
  const taps: SentMessage[] = [];
  await using world = await World.make({ tap: (sent) => taps.push(sent) });
  const { network, near, far, a, b } = world;
  near.send("é😀");
  near.send("x");
  await world.runtime.settle();
  far.send("reply");
  await world.runtime.settle();
  const size = (text: string) => new TextEncoder().encode(encode(refusal(text))).length;
  const there = { messages: 2, bytes: size("é😀") + size("x"), lost: 0, duplicated: 0 };
  const back = { messages: 1, bytes: size("reply"), lost: 0, duplicated: 0 };
  assertEquals(network.countsBetween(a.address, b.address), there);
  assertEquals(network.countsBetween(b.address, a.address), back);
  assertEquals(network.counts, { ...there, messages: 3, bytes: there.bytes + back.bytes });
  assertEquals(network.countsBetween("memory://c:1", a.address).messages, 0);
  assertEquals(
    taps.map(({ from, to, text }) => [from, to, text]),
    [[a.address, b.address, "é😀"], [a.address, b.address, "x"], [b.address, a.address, "reply"]]
      .map(([from, to, text]) => [from, to, encode(refusal(text!))]),
  );
});

Deno.test("memory network: a fixed delay delays dials, messages and closes for exactly that long", async () => {
  await using world = await World.make();
  const { runtime, network, a, b } = world;
  network.setFaults({ delayMs: 10 }, { from: a.address, to: b.address });
  network.setFaults({ delayMs: 5 }, { from: b.address, to: a.address });
  const dialling = a.dial(b.address, { signal: never });
  await runtime.advance(9);
  assertEquals(world.accepted.length, 1);
  await runtime.advance(1);
  assertEquals(world.accepted.length, 2);
  assertEquals(await stateOf(dialling), "pending");
  await runtime.advance(5);
  const near = new End(await dialling);
  const far = world.accepted[1]!;
  near.send("one");
  await runtime.advance(9.5);
  near.send("two");
  assertEquals(far.received, []);
  await runtime.advance(0.5);
  assertEquals(far.received, ["one"]);
  near.close();
  await runtime.advance(9);
  assertEquals(far.received, ["one"]);
  await runtime.advance(0.5);
  assertEquals([far.received, far.ended], [["one", "two"], undefined]);
  await runtime.advance(0.5);
  assertEquals(far.ended, { code: CLOSE.done, reason: "" });
  assertEquals(runtime.timers, 0);
});

Deno.test("memory network: random delays keep the order, and their mean, tail and limit are the configured ones (E4)", async () => {
  await using world = await World.make();
  const { runtime, network, near, far } = world;
  network.setFaults({ delayMs: { min: 10, mean: 30, max: 100 } });
  const delays: number[] = [];
  for (let n = 0; n < 2000; n++) {
    const sentMs = runtime.monotonicMs();
    near.send(`${n}`);
    await runtime.runUntil(() => far.received.length > n, { withinMs: 200 });
    delays.push(runtime.monotonicMs() - sentMs);
  }
  const mean = delays.reduce((sum, delay) => sum + delay) / delays.length;
  assertLess(Math.abs(mean - 30), 2);
  assert(Math.min(...delays) >= 10 && Math.min(...delays) < 11);
  assertEquals(Math.round(Math.max(...delays)), 100);
  for (let n = 2000; n < 2020; n++) near.send(`${n}`);
  await runtime.advance(200);
  assertEquals(far.received, Array.from({ length: 2020 }, (_, n) => `${n}`));
});

Deno.test("memory network: a message sent when another is due does not overtake it (E4)", async () => {
  await using world = await World.make();
  const { runtime, network, near, far } = world;
  runtime.setTimer(10, () => {
    network.setFaults({});
    near.send("two");
  });
  network.setFaults({ delayMs: 10 });
  near.send("one");
  await runtime.advance(10);
  assertEquals(far.received, ["one", "two"]);
});

Deno.test("memory network: loses messages at random, in one direction only, and never a close (E5)", async () => {
  await using world = await World.make();
  const { runtime, network, near, far, a, b } = world;
  network.setFaults({ loss: 0.3 }, { from: a.address });
  for (let n = 0; n < 1000; n++) {
    near.send(`${n}`);
    far.send(`${n}`);
    await runtime.settle();
  }
  assertEquals(near.received.length, 1000);
  assertLess(Math.abs(far.received.length - 700), 60);
  const { messages, lost } = network.countsBetween(a.address, b.address);
  assertEquals([messages, lost], [1000, 1000 - far.received.length]);
  network.setFaults({ loss: 1 });
  network.setFaults({ loss: 1 }, { from: a.address });
  near.send("lost");
  near.close();
  await runtime.settle();
  assertEquals(far.ended, { code: CLOSE.done, reason: "" });
  assert(!far.received.includes("lost"));
});

Deno.test("memory network: duplicates messages at random", async () => {
  await using world = await World.make();
  const { runtime, network, near, far } = world;
  network.setFaults({ duplicate: 0.25 });
  for (let n = 0; n < 1000; n++) {
    near.send(`${n}`);
    await runtime.settle();
  }
  const twice = far.received.length - 1000;
  assertLess(Math.abs(twice - 250), 60);
  assertEquals(new Set(far.received).size, 1000);
  assertEquals(network.counts.duplicated, twice);
});

Deno.test("memory network: a reordered message is overtaken, but not by the close", async () => {
  await using world = await World.make();
  const { runtime, network, near, far } = world;
  network.setFaults({ reorder: 1, reorderMs: 20 });
  near.send("held");
  await runtime.settle();
  network.setFaults({});
  near.send("later");
  await runtime.settle();
  assertEquals(far.received, ["later"]);
  near.close();
  await runtime.settle();
  assertEquals(far.ended, undefined);
  await runtime.advance(20);
  assertEquals(far.received, ["later", "held"]);
  assertEquals(far.ended, { code: CLOSE.done, reason: "" });
});

Deno.test("memory network: randomly reordered messages all arrive, in another order", async () => {
  await using world = await World.make();
  const { runtime, network, near, far } = world;
  network.setFaults({ reorder: 0.3, delayMs: 1 });
  const sent = Array.from({ length: 200 }, (_, n) => `${n}`);
  for (const text of sent) {
    near.send(text);
    await runtime.advance(5);
  }
  await runtime.advance(51);
  assertNotEquals(far.received, sent);
  assertEquals(far.received.toSorted(), sent.toSorted());
});

Deno.test("memory network: equal seeds make equal faults, and another seed others (R3.1)", async () => {
  const play = async (seed: number) => {
    await using world = await World.make({ seed });
    const { runtime, network, near, far } = world;
    network.setFaults({ loss: 0.2, duplicate: 0.2, reorder: 0.2, delayMs: { min: 1, mean: 10 } });
    for (let n = 0; n < 200; n++) {
      near.send(`${n}`);
      far.send(`${n}`);
      await runtime.advance(3);
    }
    await runtime.advance(1000);
    return [near.received, far.received];
  };
  assertEquals(await play(7), await play(7));
  assertNotEquals(await play(7), await play(8));
});

Deno.test("memory network: of several rules the closest alone applies", async () => {
  await using world = await World.make();
  const { runtime, network, near, far, a, b } = world;
  const arrives = async () => {
    near.send("x");
    await runtime.settle();
    return far.received.splice(0).length === 1;
  };
  network.setFaults({ loss: 1 });
  assert(!await arrives());
  network.setFaults({}, { to: b.address });
  assert(await arrives());
  network.setFaults({ loss: 1 }, { from: a.address });
  assert(!await arrives());
  network.setFaults({}, { from: a.address, to: b.address });
  assert(await arrives());
  network.setFaults({ loss: 1 }, { from: a.address, to: b.address });
  network.setFaults({});
  assert(!await arrives());
});

Deno.test("memory network: a cut breaks open connections with code 0 and refuses dials, until it heals (P6)", async () => {
  await using world = await World.make();
  const { runtime, network, near, far, a, b } = world;
  const c = network.transport("c", 1);
  const other = new End(await a.dial(c.address, { signal: never }));
  network.setFaults({ delayMs: 5 });
  near.send("under way");
  network.cut(b.address, a.address);
  await runtime.settle();
  for (const end of [near, far]) assertEquals(end.ended, { code: 0, reason: "The connection broke." });
  await runtime.advance(10);
  assertEquals(far.received, []);
  assertEquals(other.ended, undefined);
  for (const [from, to] of [[a, b], [b, a]] as const) {
    const refused = assertRejects(() => from.dial(to.address, { signal: never }), HearsayError, "is cut");
    await runtime.advance(5);
    assertEquals((await refused).code, "connection");
  }
  network.heal();
  network.setFaults({});
  await a.dial(b.address, { signal: never });
});

Deno.test("memory network: heal removes every fault and cut in any direction at once", async () => {
  await using world = await World.make();
  const { runtime, network, a, b } = world;
  network.setFaults({ loss: 1 });
  network.setFaults({ hang: true }, { from: a.address });
  network.setFaults({ delayMs: 5_000 }, { from: a.address, to: b.address });
  network.cut(a.address, b.address);
  network.clearFaults();
  const end = new End(await a.dial(b.address, { signal: never }));
  end.send("arrives");
  await runtime.settle();
  assertEquals(world.accepted[1]!.received, ["arrives"]);
});

Deno.test("memory network: a process that stands still learns of a refused dial when it runs again", async () => {
  await using world = await World.make();
  const { runtime, network, a, b } = world;
  network.setFaults({ delayMs: 5 }, { from: a.address });
  const dials = [b.address, "memory://nobody:1"].map((address) => a.dial(address, { signal: never }));
  const refusals = dials.map((dial) => assertRejects(() => dial, HearsayError));
  network.pause(a.address);
  network.cut(a.address, b.address);
  await runtime.advance(1_000);
  for (const dial of dials) assertEquals(await stateOf(dial), "pending");
  network.resume(a.address);
  for (const refusal of refusals) assertEquals((await refusal).code, "connection");
});

Deno.test("memory network: a cut of one direction breaks a connection, also one being opened", async () => {
  await using world = await World.make();
  const { runtime, network, near, far, a, b } = world;
  network.setFaults({ cut: true }, { from: b.address });
  await runtime.settle();
  assertEquals([near.ended?.code, far.ended?.code], [0, 0]);
  await assertRejects(() => a.dial(b.address, { signal: never }), HearsayError, "is cut");
  assertEquals(world.accepted.length, 1);
  network.setFaults({ delayMs: 5 }, { from: b.address });
  const dialling = assertRejects(() => a.dial(b.address, { signal: never }), HearsayError, "is cut");
  await runtime.advance(1);
  network.cut(a.address, b.address);
  await runtime.advance(10);
  await dialling;
  assertEquals(world.accepted[1]!.ended?.code, 0);
});

Deno.test("memory network: a link that hangs delivers nothing, and dials hang until their signal is aborted (R8.3)", async () => {
  await using world = await World.make();
  const { runtime, network, near, far, a, b } = world;
  network.setFaults({ hang: true }, { from: a.address });
  near.send("swallowed");
  far.send("arrives");
  const taking = a.incoming.getReader().read();
  const controller = new AbortController();
  const dials = [a, b].map((from) => {
    const to = from === a ? b : a;
    return from.dial(to.address, { signal: controller.signal });
  });
  const rejections = dials.map((dial) => assertRejects(() => dial));
  await runtime.advance(1000);
  assertEquals([near.received, far.received], [["arrives"], []]);
  for (const dial of dials) assertEquals(await stateOf(dial), "pending");
  const reason = new Error("enough");
  controller.abort(reason);
  for (const rejection of rejections) assertStrictEquals(await rejection, reason);
  assertEquals([world.accepted.length, await stateOf(taking)], [1, "pending"]);
  near.close();
  await runtime.advance(1000);
  assertEquals([near.ended?.code, far.ended], [CLOSE.done, undefined]);
});

Deno.test("memory network: an end whose peer is gone without notice learns it by code 0 when it next sends", async () => {
  await using world = await World.make();
  const { runtime, network, near, far } = world;
  network.setFaults({ hang: true });
  near.close();
  await runtime.settle();
  network.heal();
  await runtime.settle();
  assertEquals(far.ended, undefined);
  far.send("to nobody");
  await runtime.settle();
  assertEquals(far.ended, { code: 0, reason: "The connection broke." });
});

Deno.test("memory network: a peer that breaks the protocol errors readable, and is closed with 4400 or 4413 (P2, P6)", async () => {
  const oversized = JSON.stringify({ type: "ack", id: "x".repeat(2 ** 20) });
  for (const [text, code] of [["no JSON", 4400], ["[]", 4400], [oversized, 4413]] as const) {
    await using world = await World.make({ farReads: false });
    const { runtime, network, near, far, a } = world;
    near.send("unread");
    await runtime.settle();
    network.setFaults({ rewrite: () => text }, { from: a.address });
    near.send("rewritten");
    await runtime.settle();
    assertEquals([near.ended?.code, far.ended?.code], [code, code]);
    far.read();
    await runtime.settle();
    assertInstanceOf(far.error, ConnectionClosed);
    assertEquals(far.error.closeCode, code);
    assertEquals([near.error, far.received], [undefined, []]);
  }
});

Deno.test("memory network: a ping from a peer is never visible above the transport (P5)", async () => {
  await using world = await World.make();
  const { runtime, network, near, far } = world;
  network.setFaults({ rewrite: (text) => text.includes("pong") ? '{"type":"pong"}' : '{"type":"ping"}' });
  for (let n = 0; n < WINDOW_MESSAGES; n++) {
    near.send("ping");
    near.send("pong");
  }
  await runtime.settle();
  network.setFaults({});
  near.send("seen");
  await runtime.settle();
  assertEquals(far.received, ["seen"]);
});

Deno.test("memory network: a writer waits as soon as its window is full, until the peer reads (R8.2)", async () => {
  const large = "x".repeat(WINDOW_BYTES / 4);
  for (const [text, most] of [["x", WINDOW_MESSAGES], [large, 4]] as const) {
    await using world = await World.make({ farReads: false });
    const { runtime, near, far } = world;
    const writes = Array.from({ length: most + 5 }, () => near.write(text));
    await runtime.settle();
    const fulfilled = async () =>
      (await Promise.all(writes.map(stateOf))).filter((state) => state === "fulfilled");
    assertEquals((await fulfilled()).length, most - 1);
    // A waiting writer has sent already; the next message is sent once there is room.
    assertEquals(world.network.counts.messages, most);
    far.read();
    await runtime.settle();
    assertEquals((await fulfilled()).length, most + 5);
    assertEquals(far.received.length, most + 5);
  }
});

Deno.test("memory network: a dial under way ends at once when its transport closes, and both ends learn of it (R9.4)", async () => {
  for (const delayed of ["a", "b"]) {
    await using world = await World.make();
    const { runtime, network, a, b } = world;
    network.setFaults({ delayMs: 10 }, { from: `memory://${delayed}:1` });
    const rejected = assertRejects(() => a.dial(b.address, { signal: never }), HearsayError);
    await runtime.advance(5);
    const closing = a.close();
    await runtime.advance(10);
    await closing;
    assertEquals((await rejected).code, "stopped");
    assertEquals(runtime.timers, 0);
    assertEquals(world.accepted.length, delayed === "a" ? 1 : 2);
    assertEquals(world.accepted[1]?.ended?.code, delayed === "a" ? undefined : 0);
  }
});

Deno.test("memory network: a transport that closes waits for its own messages under way (R9.4)", async () => {
  await using world = await World.make();
  const { runtime, network, near, far, a } = world;
  const before = new End(await a.dial(world.b.address, { signal: never }));
  network.setFaults({ delayMs: 20 });
  before.send("of a connection that is closed already");
  before.close();
  await runtime.settle();
  network.setFaults({ delayMs: 10 });
  near.send("last");
  await runtime.settle();
  const closing = a.close();
  await runtime.advance(19);
  assertEquals(await stateOf(closing), "pending");
  await runtime.advance(1);
  await closing;
  assertEquals(far.received, ["last"]);
  assertEquals(far.ended, { code: CLOSE.goingAwayDialler, reason: "The transport was closed." });
  assertEquals(world.accepted[1]!.received, ["of a connection that is closed already"]);
  assertEquals(runtime.timers, 0);
});

Deno.test("memory network: messages to a transport that closes are dropped (R9.4)", async () => {
  await using world = await World.make();
  const { runtime, network, far, a, b } = world;
  network.setFaults({ delayMs: 500 }, { from: b.address });
  far.send("too late");
  await runtime.settle();
  assertEquals(runtime.timers, 1);
  await a.close();
  assertEquals([runtime.timers, far.ended?.code], [0, CLOSE.goingAwayDialler]);
});

Deno.test("memory network: a dial leaves nothing at its signal, however it ends (R9.4)", async () => {
  await using world = await World.make();
  const { a, b } = world;
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
  await a.dial(b.address, { signal });
  await assertRejects(() => a.dial("memory://nobody:1", { signal }), HearsayError);
  assertEquals(listeners, 0);
});

Deno.test("memory network: faults of a target apply to dials through its load balancer", async () => {
  await using network = new MemoryNetwork({ runtime: realRuntime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const dial = () => a.dial("memory://balancer:1", { signal: never });
  await assertRejects(dial, HearsayError, "no process listens");
  network.balance("memory://balancer:1", [b.address]);
  network.cut(a.address, b.address);
  await assertRejects(dial, HearsayError, "is cut");
  network.heal();
  for (const address of [b.address, "memory://balancer:1"]) {
    network.stopProxy(address);
    await assertRejects(dial, HearsayError, "no process listens");
    network.restoreProxy(address);
  }
  assertEquals((await dial()).remote, b.address);
});

Deno.test("memory network: a member with a url is dialed there", async () => {
  await using network = new MemoryNetwork({ runtime: realRuntime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const address = a.addressOf({ id: "b", host: "nat", port: 1, kinds: [], url: "ws://nat:1/b" });
  assertEquals(address, "ws://nat:1/b");
  network.balance(address, [b.address]);
  assertEquals((await a.dial(address, { signal: never })).remote, b.address);
});

Deno.test("memory network: an address belongs to one transport at a time", async () => {
  const network = new MemoryNetwork({ runtime: realRuntime });
  const first = network.transport("a", 1);
  assertEquals(first.address, "memory://a:1");
  assertEquals(first.addressOf({ id: "b", host: "host", port: 7, kinds: [] }), "memory://host:7");
  assertThrows(() => network.transport("a", 1), HearsayError, "memory://a:1");
  await first.close();
  const second = network.transport("a", 1);
  await first.close();
  const b = network.transport("b", 1);
  await b.dial(second.address, { signal: never });
  await network[Symbol.asyncDispose]();
});

Deno.test("memory network: connections that are not accepted are bounded, and closed when incoming is canceled (R8.2)", async () => {
  await using network = new MemoryNetwork({ runtime: realRuntime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const open = () => a.dial(b.address, { signal: never });
  const connections = await Promise.all(Array.from({ length: MAX_UNACCEPTED }, open));
  const refused = await assertRejects(open, HearsayError);
  assertEquals(refused.code, "connection");
  await b.incoming.cancel();
  for (const { closed } of connections) assertEquals((await closed).code, CLOSE.goingAway);
});

Deno.test("memory network: refuses invalid faults (R12.3)", () => {
  const network = new MemoryNetwork({ runtime: realRuntime });
  const wrong: LinkFaults[] = [
    { loss: -0.1 },
    { duplicate: 1.1 },
    { reorder: NaN },
    { reorderMs: -1 },
    { delayMs: -1 },
    { delayMs: Infinity },
    { delayMs: { min: 2, mean: 1 } },
    { delayMs: { min: 1, mean: 3, max: 2 } },
  ];
  for (const faults of wrong) {
    assertThrows(() => network.setFaults(faults), RangeError, Object.keys(faults)[0]!);
  }
});

/** A virtual clock that also counts all timers. */
class CountingRuntime extends VirtualRuntime {
  timersSet = 0;

  override setTimer(delayMs: number, callback: () => void): () => void {
    this.timersSet++;
    return super.setTimer(delayMs, callback);
  }
}

/** One end of a connection: its received messages, and its end. */
class End {
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
class World implements AsyncDisposable {
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

function refusal(message: string): Refusal {
  return { type: "error", code: "busy", message };
}

/** The present state of a promise. */
function stateOf(promise: Promise<unknown>): Promise<string> {
  return Promise.race([promise.then(() => "fulfilled", () => "rejected"), pendingSoon()]);
}

async function pendingSoon(): Promise<string> {
  for (let turn = 0; turn < 10; turn++) await null;
  return "pending";
}

Deno.test("memory network: messages, dials and closes to a paused address are delayed, and come in order after it", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const { signal } = new AbortController();
  const near = await a.dial(b.address, { signal });
  const far = (await b.incoming.getReader().read()).value!;
  network.pause(b.address);
  const writer = near.writable.getWriter();
  for (const id of ["1", "2"]) await writer.write({ type: "ack", id, holds: new Map() });
  await writer.close();
  let dialled = false;
  const dialling = a.dial(b.address, { signal }).then(() => dialled = true);
  const received: string[] = [];
  const reading = (async () => {
    for await (const message of far.readable) received.push(message.type === "ack" ? message.id : "");
  })();
  await runtime.advance(60_000);
  assertEquals([received, dialled], [[], false]);
  network.resume(b.address);
  await runtime.advance(0);
  assertEquals([received, dialled], [["1", "2"], true]);
  await Promise.all([reading, dialling]);
  assertEquals((await far.closed).code, 1000);
});

Deno.test("memory network: messages from a paused address arrive, and a dial to it ends with its signal", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const near = await a.dial(b.address, { signal: new AbortController().signal });
  const far = (await b.incoming.getReader().read()).value!;
  network.pause(b.address);
  await far.writable.getWriter().write({ type: "ack", id: "1", holds: new Map() });
  assertEquals((await near.readable.getReader().read()).value?.type, "ack");
  const controller = new AbortController();
  const dial = a.dial(b.address, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => dial, Error, "enough");
});

Deno.test("memory network: a cut breaks a paused address's end when it is resumed, and the other end at once", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const near = await a.dial(b.address, { signal: new AbortController().signal });
  const far = (await b.incoming.getReader().read()).value!;
  const over: string[] = [];
  near.closed.then(() => over.push("near"));
  far.closed.then(({ code }) => over.push(`far ${code}`));
  network.pause(b.address);
  network.cut(a.address, b.address);
  network.heal();
  await runtime.advance(1_000);
  assertEquals(over, ["near"]);
  network.resume(b.address);
  await runtime.advance(0);
  assertEquals(over, ["near", "far 0"]);
});

Deno.test("memory network: a connection counts as open at an address until that side ended it or learned that it is over", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  network.setFaults({ delayMs: { min: 10, mean: 10, max: 10 } });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const open = () => [network.openAt(a.address), network.openAt(b.address), network.openAt("memory://c:1")];
  assertEquals(open(), [0, 0, 0]);
  const dialling = a.dial(b.address, { signal: never });
  await runtime.advance(20);
  const near = await dialling;
  assertEquals(open(), [1, 1, 0]);
  await near.writable.close();
  assertEquals(open(), [0, 1, 0]);
  await runtime.advance(10);
  assertEquals(open(), [0, 0, 0]);
});
