/**
 * The tests that every transport must pass.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "../../deps/std_assert.ts";
import type { CloseInfo, Connection, Transport } from "../../contracts/cluster.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../../common/errors.ts";
import type { Message, Refusal } from "../../protocol/message.ts";
import { everyMessage, LIFE, refusal, sized } from "./messages.ts";
import { assertCode, readAll, readOne, send, stateOf, within } from "./streams.ts";

/** The `maxMessageBytes` of both transports of a pair. */
export const CONTRACT_MAX_MESSAGE_BYTES = 64 * 1024;

/** Two transports; `a` can dial `b` at this address. */
export interface TransportPair extends AsyncDisposable {
  readonly a: Transport;
  readonly b: Transport;
  readonly addressOfB: string;
}

/** A write of this many milliseconds is waiting for the peer to read. */
const STALL_MS = 250;
/** A peer that does not read must be detected before this many bytes are under way. */
const MOST_UNREAD_BYTES = 64 * 1024 * 1024;

const never = new AbortController().signal;

/** Registers the tests for one transport; `makePair` uses {@linkcode CONTRACT_MAX_MESSAGE_BYTES}. */
export function transportContract(name: string, makePair: () => Promise<TransportPair>): void {
  const test = (title: string, run: (pair: TransportPair) => Promise<void>) => {
    Deno.test(`${name}: ${title}`, async () => {
      await using pair = await makePair();
      await run(pair);
    });
  };

  test("a dial becomes a connection at both ends", async (pair) => {
    const taking = readOne(pair.b.incoming);
    const [near, far] = [await dial(pair), await taking];
    for (const end of [near, far]) {
      assertEquals(typeof end.remote, "string");
      assertInstanceOf(end.readable, ReadableStream);
      assertInstanceOf(end.writable, WritableStream);
      assertEquals(await stateOf(end.closed), "pending");
    }
  });

  test("every dial becomes a separate connection", async (pair) => {
    const one = await connect(pair);
    const two = await connect(pair);
    await send(one.near, refusal("one"));
    await send(two.near, refusal("two"));
    assertEquals(await readOne(two.far.readable), refusal("two"));
    assertEquals(await readOne(one.far.readable), refusal("one"));
    await within(one.near.writable.abort());
    await within(one.far.closed);
    await send(two.far, refusal("still open"));
    assertEquals(await readOne(two.near.readable), refusal("still open"));
  });

  test("a message of every type arrives equal, and shares no object with the sent message (P2)", async (pair) => {
    const { near, far } = await connect(pair);
    for (const [from, to] of [[near, far], [far, near]] as const) {
      for (const message of everyMessage()) {
        await send(from, message);
        const received = await readOne(to.readable);
        assertEquals(received, message);
        assert(received !== message);
        if (received.type === "gossip" && message.type === "gossip") {
          assert(received.delta.members[0]!.entries !== message.delta.members[0]!.entries);
        }
      }
    }
  });

  test("a message that is changed after it was sent arrives as it was sent", async (pair) => {
    const { near, far } = await connect(pair);
    const holds = new Map([["a", { incarnation: LIFE, number: 1 }]]);
    await send(near, { type: "ack", id: "1", holds });
    holds.clear();
    const received = await readOne(far.readable);
    assertEquals(received, {
      type: "ack",
      id: "1",
      holds: new Map([["a", { incarnation: LIFE, number: 1 }]]),
    });
  });

  test("messages keep their order, with both directions at work at once", async (pair) => {
    const { near, far } = await connect(pair);
    const texts = (from: string) =>
      Array.from({ length: 300 }, (_, n) => `${from} ${n} ${"x".repeat(n * 7)}`);
    const sendAll = async (end: Connection, all: string[]) => {
      const writer = end.writable.getWriter();
      for (const text of all) await writer.write(refusal(text));
      writer.releaseLock();
    };
    const receiveAll = async (end: Connection, count: number) => {
      const reader = end.readable.getReader();
      const received: string[] = [];
      while (received.length < count) received.push(((await reader.read()).value as Refusal).message);
      return received;
    };
    const [fromNear, fromFar] = [texts("near"), texts("far")];
    const [atFar, atNear] = await within(Promise.all([
      receiveAll(far, fromNear.length),
      receiveAll(near, fromFar.length),
      sendAll(near, fromNear),
      sendAll(far, fromFar),
    ]));
    assertEquals(atFar, fromNear);
    assertEquals(atNear, fromFar);
  });

  test("a close of writable closes both ends with 1000, after the sent messages (P6)", async (pair) => {
    for (const [from, to] of await bothWays(pair)) {
      await send(from, refusal("last"));
      await within(from.writable.close());
      assertEquals(await readAll(to.readable), [refusal("last")]);
      assertEquals((await within(to.closed)).code, CLOSE.done);
      assertEquals((await within(from.closed)).code, CLOSE.done);
      assertEquals(await readAll(from.readable), []);
      await assertRejects(() => within(send(to, refusal("too late"))));
    }
  });

  test("an abort of writable closes both ends with its code and reason, after the sent messages (P6)", async (pair) => {
    for (const [from, to] of await bothWays(pair)) {
      await send(from, refusal("last"));
      await within(from.writable.abort(new ConnectionClosed(CLOSE.secondConnection, "one too many")));
      assertEquals(await readAll(to.readable), [refusal("last")]);
      const info: CloseInfo = { code: CLOSE.secondConnection, reason: "one too many" };
      assertEquals(await within(to.closed), info);
      assertEquals(await within(from.closed), info);
      await assertRejects(() => within(send(to, refusal("too late"))));
      await assertRejects(() => within(send(from, refusal("too late"))));
    }
  });

  test("a cancel of readable closes both ends with its code and reason (P6)", async (pair) => {
    for (const [from, to] of await bothWays(pair)) {
      await within(from.readable.cancel(new ConnectionClosed(CLOSE.refused, "not you")));
      const info: CloseInfo = { code: CLOSE.refused, reason: "not you" };
      assertEquals(await within(to.closed), info);
      assertEquals(await within(from.closed), info);
      assertEquals(await readAll(to.readable), []);
      await assertRejects(() => within(send(from, refusal("too late"))));
    }
  });

  test("a cancel of readable without a reason closes with 1000 (P6)", async (pair) => {
    for (const [from, to] of await bothWays(pair)) {
      await within(from.readable.cancel());
      assertEquals((await within(to.closed)).code, CLOSE.done);
    }
  });

  test("an end that goes away closes with 4001 if it dialed, and with 1001 if it accepted (P6)", async (pair) => {
    for (const code of [CLOSE.goingAway, CLOSE.goingAwayDialer]) {
      const [[near, far], [farToo, nearToo]] = await bothWays(pair);
      await within(near.writable.abort(new ConnectionClosed(code, "bye")));
      assertEquals((await within(far.closed)).code, CLOSE.goingAwayDialer);
      await within(farToo.writable.abort(new ConnectionClosed(code, "bye")));
      assertEquals((await within(nearToo.closed)).code, CLOSE.goingAway);
    }
  });

  test("an abort of a stream for another reason closes as going away (P6)", async (pair) => {
    for (const [from, to] of await bothWays(pair)) {
      await within(from.writable.abort(new HearsayError("timeout", "It took too long.")));
      const { code } = await within(to.closed);
      assert(code === CLOSE.goingAway || code === CLOSE.goingAwayDialer, `${code}`);
    }
  });

  test("a second close, in any way, changes nothing (P6)", async (pair) => {
    for (const [from, to] of await bothWays(pair)) {
      const first = new ConnectionClosed(CLOSE.refused, "first");
      const second = new ConnectionClosed(CLOSE.invalid, "second");
      await within(from.writable.abort(first));
      await within(from.writable.abort(second));
      await within(from.readable.cancel(second));
      assertEquals((await within(to.closed)).reason, "first");
      assertEquals((await within(from.closed)).reason, "first");
      await within(to.readable.cancel(second));
      assertEquals((await within(to.closed)).reason, "first");
    }
  });

  test("a pipe whose signal is aborted closes the connection", async (pair) => {
    const { near, far } = await connect(pair);
    const controller = new AbortController();
    const echo = new TransformStream<Message, Message>();
    const piping = near.readable.pipeThrough(echo, { signal: controller.signal })
      .pipeTo(near.writable, { signal: controller.signal });
    await send(far, refusal("echo"));
    assertEquals(await readOne(far.readable), refusal("echo"));
    const piped = assertRejects(() => piping, ConnectionClosed, "enough");
    controller.abort(new ConnectionClosed(CLOSE.refused, "enough"));
    await within(piped);
    assertEquals((await within(far.closed)).code, CLOSE.refused);
  });

  test("a dial whose signal is aborted rejects with its reason", async (pair) => {
    const controller = new AbortController();
    const dialing = pair.a.dial(pair.addressOfB, { signal: controller.signal });
    const reason = new Error("enough");
    controller.abort(reason);
    assertStrictEquals(await within(assertRejects(() => dialing)), reason);
    const again = pair.a.dial(pair.addressOfB, { signal: controller.signal });
    assertStrictEquals(await within(assertRejects(() => again)), reason);
  });

  test("a signal that is aborted after the dial leaves the connection open", async (pair) => {
    const controller = new AbortController();
    const taking = readOne(pair.b.incoming);
    const near = await within(pair.a.dial(pair.addressOfB, { signal: controller.signal }));
    const far = await taking;
    controller.abort();
    await send(near, refusal("open"));
    assertEquals(await readOne(far.readable), refusal("open"));
  });

  test("a dial of an unused address rejects", async (pair) => {
    const address = pair.a.addressOf({ id: "nobody", host: "127.0.0.1", port: 1, kinds: [] });
    await assertCode("connection", pair.a.dial(address, { signal: never }));
    await assertCode("connection", pair.a.dial("no address", { signal: never }));
  });

  test("a closed transport has closed its connections, and refuses to dial (R9.4)", async (pair) => {
    const [[near, far]] = await bothWays(pair);
    await within(pair.a.close());
    assertEquals((await within(near.closed)).code, CLOSE.goingAwayDialer);
    assertEquals((await within(far.closed)).code, CLOSE.goingAwayDialer);
    assertEquals(await readAll(near.readable), []);
    assertEquals(await readAll(far.readable), []);
    assertEquals(await readAll(pair.a.incoming), []);
    await assertCode("stopped", pair.a.dial(pair.addressOfB, { signal: never }));
    await within(pair.a.close());
  });

  test("a closed transport accepts no connection (R9.3, R9.4)", async (pair) => {
    const { near, far } = await connect(pair);
    const untaken = await dial(pair);
    await within(Promise.all([pair.b.close(), pair.b.close()]));
    for (const end of [near, far, untaken]) {
      assertEquals((await within(end.closed)).code, CLOSE.goingAway);
    }
    await assertCode("connection", pair.a.dial(pair.addressOfB, { signal: never }));
  });

  test("a cancel of incoming refuses later connections, and keeps open connections (R9.3)", async (pair) => {
    const { near, far } = await connect(pair);
    await within(pair.b.incoming.cancel());
    await assertCode("connection", pair.a.dial(pair.addressOfB, { signal: never }));
    await send(near, refusal("open"));
    assertEquals(await readOne(far.readable), refusal("open"));
  });

  test("a message of the largest size arrives (E7, P2)", async (pair) => {
    const { near, far } = await connect(pair);
    for (const [from, to] of [[near, far], [far, near]] as const) {
      for (const character of ["x", "é", "😀"]) {
        const message = sized(CONTRACT_MAX_MESSAGE_BYTES, character);
        const sent = send(from, message);
        assertEquals(await readOne(to.readable), message);
        await within(sent);
      }
    }
  });

  test("a message that is one byte too large is refused by its sender, and closes with 4413 (E7, P2)", async (pair) => {
    for (const [from, to] of await bothWays(pair)) {
      await send(from, refusal("before"));
      await assertCode("too_large", send(from, sized(CONTRACT_MAX_MESSAGE_BYTES + 1, "é")));
      // A failed write errors the stream, so that its connection cannot be used any more.
      assertEquals((await within(from.closed)).code, CLOSE.tooLarge);
      assertEquals((await within(to.closed)).code, CLOSE.tooLarge);
      assertEquals(await readAll(to.readable), [refusal("before")]);
    }
  });

  test("a peer that does not read makes writes wait, or is closed, before memory fills up", async (pair) => {
    for (const [from, to] of await bothWays(pair)) {
      const writer = from.writable.getWriter();
      const message = sized(CONTRACT_MAX_MESSAGE_BYTES, "x");
      const { written, state, last } = await writeUntilStalled(writer, message);
      assert(written * CONTRACT_MAX_MESSAGE_BYTES < MOST_UNREAD_BYTES, `${written} writes did not wait`);
      if (state === "rejected") {
        // The writer may see only that the connection broke.
        assertEquals((await within(to.closed)).code, CLOSE.tooLarge);
        await within(from.closed);
        continue;
      }
      const reader = to.readable.getReader();
      if (!(await readsAll(reader, { count: written + 1, message }))) {
        // The writer still waited while the receiver was already closing.
        assertEquals((await within(to.closed)).code, CLOSE.tooLarge);
        await within(Promise.allSettled([last, from.closed]));
        continue;
      }
      await within(last);
      await within(writer.abort());
      await within(to.closed);
    }
  });

  test("a write that waits for its peer does not delay the close (R9.4)", async (pair) => {
    const [[near]] = await bothWays(pair);
    const writer = near.writable.getWriter();
    const { last } = await writeUntilStalled(writer, sized(CONTRACT_MAX_MESSAGE_BYTES, "x"));
    await within(pair.a.close());
    await within(near.closed);
    await within(last.catch(() => {}));
    await within(assertRejects(() => writer.closed));
  });
}

/** Reads this many equal messages; false if the receiving end closes because of their number. */
async function readsAll(
  reader: ReadableStreamDefaultReader<Message>,
  expected: { readonly count: number; readonly message: Message },
): Promise<boolean> {
  for (let n = 0; n < expected.count; n++) {
    try {
      assertEquals((await within(reader.read())).value, expected.message);
    } catch (error) {
      if (error instanceof ConnectionClosed && error.closeCode === CLOSE.tooLarge) return false;
      throw error;
    }
  }
  return true;
}

/** Both ends of a new connection. */
async function connect(pair: TransportPair): Promise<{ near: Connection; far: Connection }> {
  const taking = readOne(pair.b.incoming);
  const near = await dial(pair);
  return { near, far: await taking };
}

/** Two connections, for a test from the dialer's end and from the acceptor's. */
async function bothWays(pair: TransportPair): Promise<[[Connection, Connection], [Connection, Connection]]> {
  const one = await connect(pair);
  const two = await connect(pair);
  return [[one.near, one.far], [two.far, two.near]];
}

function dial(pair: TransportPair): Promise<Connection> {
  return within(pair.a.dial(pair.addressOfB, { signal: never }));
}

/** Writes until a write waits or fails; returns that promise inside, not awaited. */
async function writeUntilStalled(
  writer: WritableStreamDefaultWriter<Message>,
  message: Message,
): Promise<{ written: number; state: string; last: Promise<void> }> {
  const most = MOST_UNREAD_BYTES / CONTRACT_MAX_MESSAGE_BYTES;
  let written = 0;
  for (;;) {
    const last = writer.write(message);
    last.catch(() => {});
    const state = await stateOf(last, STALL_MS);
    if (state !== "fulfilled" || written === most) return { written, state, last };
    written++;
  }
}
