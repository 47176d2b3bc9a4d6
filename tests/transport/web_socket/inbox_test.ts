import { assertEquals, assertRejects } from "../../../deps/std_assert.ts";
import { CLOSE, ConnectionClosed } from "../../../common/errors.ts";
import type { Message } from "../../../protocol/message.ts";
import { MAX_UNREAD_LARGEST, MAX_UNREAD_MESSAGES } from "../../../transport/web_socket/inbox.ts";
import { encode } from "../../../protocol/codec.ts";
import { fake, LIMITS } from "./fake_socket.ts";
import { ackOf, messageOf, readAll } from "./messages.ts";

Deno.test("connection: a peer that floods is disconnected with 4413 before its messages fill the memory (P2)", async () => {
  const { socket, connection } = fake();
  for (let id = 0; id < MAX_UNREAD_MESSAGES; id++) socket.receive(encode(ackOf(id)));
  assertEquals(socket.closes, []);
  socket.receive(encode(ackOf("too many")));
  assertEquals(socket.closes, [{ code: 4413, reason: "At most 64 messages may be unread." }]);
  const error = await assertRejects(() => readAll(connection.readable), ConnectionClosed, "may be unread");
  assertEquals(error.closeCode, CLOSE.tooLarge);
  socket.over(4413);
});

Deno.test("connection: the limit of unread messages is lower for large messages (P2)", () => {
  const { socket } = fake();
  const text = encode(messageOf(LIMITS.maxMessageBytes));
  for (let count = 0; count < MAX_UNREAD_LARGEST; count++) socket.receive(text);
  assertEquals(socket.closes, []);
  socket.receive(text);
  assertEquals(socket.closes.map(({ code }) => code), [4413]);
  socket.over(4413);
});

Deno.test("connection: a reader that keeps up receives any number of messages (P2)", async () => {
  const { socket, connection } = fake();
  const reader = connection.readable.getReader();
  for (let id = 0; id < 3 * MAX_UNREAD_MESSAGES; id++) {
    socket.receive(encode(ackOf(id)));
    assertEquals((await reader.read()).value, ackOf(id));
  }
  assertEquals(socket.closes, []);
});

Deno.test("connection: messages that wait for their check count as unread messages, with the same limit (P2)", async () => {
  const look = () => new Promise<Message>(() => {});
  const { signal } = new AbortController();
  const { socket, connection, runtime } = fake({ guard: { incoming: look, outgoing: look, signal } });
  for (let count = 0; count <= MAX_UNREAD_MESSAGES; count++) socket.receive(encode(ackOf(count)));
  assertEquals(socket.closes.map(({ code }) => code), [4413]);
  await assertRejects(() => readAll(connection.readable), ConnectionClosed, "may be unread");
  runtime.fire(LIMITS.closeTimeout);
});
