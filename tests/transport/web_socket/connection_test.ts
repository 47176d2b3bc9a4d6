import { assert, assertEquals, assertRejects } from "../../../deps/std_assert.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../../../common/errors.ts";
import type { Message } from "../../../protocol/message.ts";
import { WebSocketTransport } from "../../../transport/web_socket/web_socket.ts";
import { SILENT_MS } from "../../../transport/web_socket/connection.ts";
import { encode, PING_TEXT, PONG_TEXT } from "../../../protocol/codec.ts";
import { Disposer, OPTIONS, pair, take } from "./transports.ts";
import { RawPeer } from "./raw_peer.ts";
import { fake, LIMITS, settled } from "./fake_socket.ts";
import { ACK, ackOf, messageOf, readAll } from "./messages.ts";

// ---- messages

Deno.test("connection: messages pass both ways, in order (P2)", async () => {
  await using two = await pair();
  for (const [from, to] of [[two.dialed, two.accepted], [two.accepted, two.dialed]] as const) {
    const writer = from.writable.getWriter();
    const reader = to.readable.getReader();
    for (let id = 0; id < 20; id++) await writer.write(ackOf(id));
    for (let id = 0; id < 20; id++) assertEquals((await reader.read()).value, ackOf(id));
  }
});

Deno.test("connection: a message of the largest size passes both ways (P2)", async () => {
  await using two = await pair();
  for (const [from, to] of [[two.dialed, two.accepted], [two.accepted, two.dialed]] as const) {
    const message = messageOf(OPTIONS.maxMessageBytes, "ü");
    await from.writable.getWriter().write(message);
    assertEquals((await to.readable.getReader().read()).value, message);
  }
});

Deno.test("connection: a message too large to receive closes with 4413, with the same reason on both sides (P2)", async () => {
  await using two = await pair({ dialer: { maxMessageBytes: 100_000 } });
  const reading = two.accepted.readable.getReader().read();
  await two.dialed.writable.getWriter().write(messageOf(OPTIONS.maxMessageBytes + 1));
  const error = await assertRejects(() => reading, ConnectionClosed);
  assertEquals(error.closeCode, CLOSE.tooLarge);
  const info = { code: 4413, reason: "A message is larger than 65536 bytes." };
  assertEquals(await two.accepted.closed, info);
  assertEquals(await two.dialed.closed, info);
});

Deno.test("connection: a message too large to send is not sent, and closes with 4413 (P2)", async () => {
  const { socket, connection } = fake();
  const writing = connection.writable.getWriter().write(messageOf(LIMITS.maxMessageBytes + 1));
  const error = await assertRejects(
    () => writing,
    HearsayError,
    "must have at most 65536 bytes. Nothing was sent",
  );
  assertEquals(error.code, "too_large");
  assertEquals(socket.sent, []);
  assertEquals(socket.closes.map(({ code }) => code), [4413]);
  socket.over(4413);
  await connection.closed;
});

Deno.test("connection: text that is no message errors the readable and closes with 4400 (P2)", async () => {
  await using server = new Disposer(new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } }));
  for (
    const [opcode, text] of [[1, "hello"], [1, '{"type":"ack"}'], [2, '{"type":"ack","id":"1"}']] as const
  ) {
    const { peer } = await RawPeer.dial(server.transport.address!);
    using _peer = peer;
    const accepted = await take(server.transport);
    await peer.sendFrame(opcode, text);
    const error = await assertRejects(() => accepted.readable.getReader().read(), ConnectionClosed);
    assertEquals(error.closeCode, 4400);
    const frame = await peer.readFrame();
    assertEquals([frame.opcode, frame.code, frame.text], [8, 4400, error.message]);
    await peer.sendFrame(8, new Uint8Array([17, 48]));
    assertEquals(await accepted.closed, { code: 4400, reason: error.message });
  }
});

Deno.test("connection: a message of an unknown type is delivered, since the session knows the peer's capabilities (P7)", () => {
  const { socket, connection } = fake();
  socket.receive('{"type":"whisper"}');
  assertEquals(socket.closes, []);
  return connection.readable.getReader().read()
    .then(({ value }) =>
      assertEquals(value, { type: "unknown", name: "whisper", fields: { type: "whisper" } })
    );
});

Deno.test("connection: a close reason is cut to the 123 bytes of a frame, between characters (P6)", async () => {
  const { socket, connection } = fake();
  const closing = connection.writable.abort(new ConnectionClosed(4400, "a" + "ü".repeat(100)));
  assertEquals(socket.closes, [{ code: 4400, reason: "a" + "ü".repeat(61) }]);
  socket.over(4400);
  await closing;
});

Deno.test("connection: more messages than maxMessagesPerSecond, pings included, close with 4413 before they are parsed (P2)", async () => {
  const { socket, connection, runtime } = fake();
  for (let count = 0; count < 1_000; count++) socket.receive(PING_TEXT);
  assertEquals(socket.closes, []);
  // Some time may have passed.
  for (let count = 0; count < 100; count++) socket.receive(PING_TEXT);
  assertEquals(socket.closes, [{ code: 4413, reason: "A peer may send at most 1000 messages per second." }]);
  await assertRejects(() => readAll(connection.readable), ConnectionClosed);
  runtime.fire(LIMITS.closeTimeout);
});

// ---- ping and pong (P5)

Deno.test("connection: answers a ping at once, and delivers neither ping nor pong (P5)", async () => {
  await using server = new Disposer(new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } }));
  const { peer } = await RawPeer.dial(server.transport.address!);
  using _peer = peer;
  const accepted = await take(server.transport);
  await peer.sendFrame(1, PING_TEXT);
  assertEquals((await peer.readFrame()).text, PONG_TEXT);
  await peer.sendFrame(1, PONG_TEXT);
  await peer.sendFrame(1, encode(ACK));
  assertEquals((await accepted.readable.getReader().read()).value, ACK);
});

Deno.test("connection: the dialer sends a ping just before a message of more than 1,024 bytes and less than 64 KiB (P5)", async () => {
  for (
    const [bytes, filling, pinged] of [
      [1_024, "x", false],
      [1_025, "x", true],
      [1_024, "ü", false],
      [1_025, "ü", true],
      [65_535, "x", true],
      [65_536, "x", false],
    ] as const
  ) {
    const { socket, connection } = fake();
    socket.quick = true;
    const message = messageOf(bytes, filling);
    await connection.writable.getWriter().write(message);
    assertEquals(
      socket.sent,
      [...pinged ? [PING_TEXT] : [], encode(message)],
      `${bytes} bytes of ${filling}`,
    );
  }
});

Deno.test("connection: the side that accepted sends no ping, because its messages do not wait (P5)", async () => {
  const { socket, connection } = fake({ dialed: false });
  socket.quick = true;
  const message = messageOf(5_000);
  await connection.writable.getWriter().write(message);
  assertEquals(socket.sent, [encode(message)]);
});

Deno.test("connection: a peer that sends pings and reads nothing gets no answers above the high-water mark (P5)", () => {
  const { socket } = fake();
  socket.bufferedAmount = LIMITS.highWaterMark + 1;
  socket.receive(PING_TEXT);
  assertEquals(socket.sent, []);
  socket.bufferedAmount = LIMITS.highWaterMark;
  socket.receive(PING_TEXT);
  assertEquals(socket.sent, [PONG_TEXT]);
});

// ---- the high-water mark

Deno.test("connection: a write resolves when at most highWaterMark bytes wait to be sent", async () => {
  const { socket, runtime, connection } = fake();
  const writer = connection.writable.getWriter();
  await writer.write(ACK);
  const writing = writer.write(messageOf(LIMITS.highWaterMark));
  assert(!await settled(writing));
  assertEquals(runtime.set, [SILENT_MS, 10]);
  runtime.fire(10);
  assert(!await settled(writing));
  socket.bufferedAmount = LIMITS.highWaterMark;
  runtime.fire(10);
  await writing;
  assertEquals(runtime.set, [SILENT_MS]);
});

Deno.test("connection: a write that waits for room rejects when the connection ends (P6)", async () => {
  const { socket, runtime, connection } = fake();
  const writing = connection.writable.getWriter().write(messageOf(2 * LIMITS.highWaterMark));
  assert(!await settled(writing));
  socket.over(1001, "bye");
  await assertRejects(() => writing, ConnectionClosed, "The connection to the peer is closed");
  assertEquals(runtime.set, []);
});

Deno.test("connection: an abort ends a write that waits for room at once, with the code of the reason (P6)", async () => {
  const { socket, runtime, connection } = fake();
  const writer = connection.writable.getWriter();
  const writing = writer.write(messageOf(2 * LIMITS.highWaterMark));
  const rejected = assertRejects(() => writing);
  assert(!await settled(writing));
  const aborting = writer.abort(new ConnectionClosed(CLOSE.secondConnection, "a newer one"));
  assertEquals(socket.closes, [{ code: 4409, reason: "a newer one" }]);
  await rejected;
  assertEquals(runtime.set, [LIMITS.closeTimeout]);
  socket.over(4409);
  await aborting;
  assertEquals(runtime.set, []);
});

Deno.test("connection: a write to a socket that ended without notice rejects, and the connection ends in time (P6)", async () => {
  const { socket, runtime, connection } = fake();
  socket.readyState = WebSocket.CLOSED;
  await assertRejects(() => connection.writable.getWriter().write(ACK), ConnectionClosed);
  assertEquals(socket.sent, []);
  runtime.fire(LIMITS.closeTimeout);
  assertEquals((await connection.closed).code, CLOSE.goingAwayDialer);
});

// ---- closing (P6)

Deno.test("connection: a close of the writable closes with 1000, and the peer reads the earlier messages first (P6)", async () => {
  await using two = await pair();
  const writer = two.dialed.writable.getWriter();
  await writer.write(ACK);
  await writer.close();
  assertEquals(await readAll(two.accepted.readable), [ACK]);
  assertEquals(await readAll(two.dialed.readable), []);
  assertEquals(await two.accepted.closed, { code: 1000, reason: "" });
  assertEquals(await two.dialed.closed, { code: 1000, reason: "" });
});

Deno.test("connection: an abort or a cancel with a ConnectionClosed closes with the code of that error, from either side (P6)", async () => {
  for (const side of ["dialed", "accepted"] as const) {
    for (const by of ["abort", "cancel"] as const) {
      await using two = await pair();
      const reason = new ConnectionClosed(CLOSE.refused, "another cluster");
      if (by === "abort") await two[side].writable.abort(reason);
      else await two[side].readable.cancel(reason);
      const info = { code: 4403, reason: "another cluster" };
      assertEquals(await two.dialed.closed, info);
      assertEquals(await two.accepted.closed, info);
    }
  }
});

Deno.test("connection: going away closes with 1001 from the side that accepted, and with 4001 from the dialer (P6)", async () => {
  for (const [closer, other, code] of [["server", "dialed", 1001], ["client", "accepted", 4001]] as const) {
    await using two = await pair();
    const reading = readAll(two[other].readable);
    await two[closer].close();
    assertEquals(await two[other].closed, { code, reason: "This member has stopped." });
    assertEquals(await reading, []);
    await assertRejects(() => two[other].writable.getWriter().write(ACK), ConnectionClosed);
  }
});

Deno.test("connection: a code that this side may not send becomes the code of going away (P6)", () => {
  for (
    const [dialed, given, sent] of [
      [true, 1000, 1000],
      [true, 1001, 4001],
      [true, 1011, 4001],
      [true, 2999, 4001],
      [true, 3000, 3000],
      [true, 4999, 4999],
      [true, 5000, 4001],
      [false, 1001, 1001],
      [false, 4001, 1001],
      [false, 1006, 1001],
      [false, 4413, 4413],
    ] as const
  ) {
    const { socket, connection } = fake({ dialed });
    void connection.close(given, "");
    assertEquals(socket.closes[0]?.code, sent, `${given}`);
    socket.over(sent);
  }
});

Deno.test("connection: an abort for another reason closes as going away, and a cancel without a reason closes normally (P6)", async () => {
  const stopped = fake();
  const aborting = stopped.connection.writable.abort(new HearsayError("stopped", "It has stopped."));
  assertEquals(stopped.socket.closes, [{ code: 4001, reason: "It has stopped." }]);
  stopped.socket.over(4001);
  await aborting;
  const done = fake();
  const canceling = done.connection.readable.cancel();
  assertEquals(done.socket.closes, [{ code: 1000, reason: "" }]);
  done.socket.over(1000);
  await canceling;
});

Deno.test("connection: a second close, by either side, changes nothing (P6)", async () => {
  const { socket, runtime, connection } = fake();
  void connection.close(CLOSE.refused, "first");
  void connection.close(CLOSE.invalid, "second");
  assertEquals(socket.closes, [{ code: 4403, reason: "first" }]);
  assertEquals(runtime.set, [LIMITS.closeTimeout]);
  socket.over(1005);
  socket.over(0);
  assertEquals(await connection.closed, { code: 4403, reason: "first" });
  assertEquals(await connection.close(CLOSE.done, ""), { code: 4403, reason: "first" });
  assertEquals(runtime.set, []);
  assertEquals(socket.closes.length, 1);
});

Deno.test("connection: received messages can be read after the peer closed (P6)", async () => {
  const { socket, connection } = fake();
  socket.receive(encode(ackOf(1)));
  socket.receive(encode(ackOf(2)));
  socket.over(1000);
  assertEquals(await readAll(connection.readable), [ackOf(1), ackOf(2)]);
});

Deno.test("connection: delivers a message whose check ends only after the peer has closed (P6)", async () => {
  const { promise: looking, resolve: letThrough } = Promise.withResolvers<void>();
  const look = async (message: Message) => {
    await looking;
    return message;
  };
  const { signal } = new AbortController();
  const { socket, connection } = fake({ guard: { incoming: look, outgoing: look, signal } });
  socket.receive(encode(ackOf(1)));
  socket.receive(encode(ackOf(2)));
  socket.over(4403, "refused");
  letThrough();
  assertEquals(await readAll(connection.readable), [ackOf(1), ackOf(2)]);
  assertEquals(await connection.closed, { code: 4403, reason: "refused" });
});

Deno.test("connection: messages after this side's close are neither delivered nor answered (P6)", async () => {
  const { socket, connection } = fake();
  void connection.close(CLOSE.done, "");
  socket.receive(encode(ACK));
  socket.receive(PING_TEXT);
  socket.receive("not JSON");
  socket.over(1000);
  assertEquals(await readAll(connection.readable), []);
  assertEquals(socket.sent, []);
});

Deno.test("connection: a broken connection has code 0, and its readable errors (P6)", async () => {
  await using server = new Disposer(new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } }));
  const { peer } = await RawPeer.dial(server.transport.address!);
  const accepted = await take(server.transport);
  const reading = assertRejects(() => accepted.readable.getReader().read(), ConnectionClosed);
  peer.tcp.close();
  const { code, reason } = await accepted.closed;
  assertEquals(code, 0);
  assert(reason.length > 0);
  assertEquals((await reading).closeCode, 0);
});
