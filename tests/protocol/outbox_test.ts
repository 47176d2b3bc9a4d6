import { assertEquals, assertRejects } from "../../deps/std_assert.ts";
import type { Message } from "../../protocol/message.ts";
import { Outbox, OUTBOX_HIGH_WATER } from "../../protocol/outbox.ts";

function makeOutbox() {
  const outbox = new Outbox({ onCancel: () => {} });
  return { outbox, reader: outbox.readable.getReader() };
}

function ack(id: number): Message {
  return { type: "ack", id: `${id}`, holds: new Map() };
}

/** Waits until the stream has pulled. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("outbox: a deferred message is made when the reader takes it, with the values of that moment", async () => {
  const { outbox, reader } = makeOutbox();
  let latest = 1;
  outbox.push(ack(0));
  outbox.push(() => ack(latest));
  await settle();
  assertEquals((await reader.read()).value, ack(0));
  latest = 2;
  assertEquals((await reader.read()).value, ack(2));
});

Deno.test("outbox: no deferred message is made before its turn", async () => {
  const { outbox } = makeOutbox();
  let made = 0;
  outbox.push(() => ack(++made));
  await settle();
  assertEquals(made, 0);
});

Deno.test("outbox: a deferred message with nothing to send is skipped", async () => {
  const { outbox, reader } = makeOutbox();
  outbox.push(() => undefined);
  outbox.push(() => undefined);
  outbox.push(ack(1));
  assertEquals((await reader.read()).value, ack(1));
  const next = reader.read();
  outbox.push(() => undefined);
  outbox.push(ack(2));
  assertEquals((await next).value, ack(2));
});

Deno.test("outbox: deferred messages keep their place among other messages", async () => {
  const { outbox, reader } = makeOutbox();
  for (const id of [0, 2, 4]) {
    outbox.push(() => ack(id));
    outbox.push(ack(id + 1));
  }
  outbox.end();
  const got: Message[] = [];
  for (let next = await reader.read(); !next.done; next = await reader.read()) got.push(next.value);
  assertEquals(got, [0, 1, 2, 3, 4, 5].map(ack));
});

Deno.test("outbox: a deferred message at the end does not keep the stream from closing", async () => {
  const { outbox, reader } = makeOutbox();
  outbox.push(() => undefined);
  outbox.end();
  assertEquals((await reader.read()).done, true);
});

Deno.test("outbox: deferred messages count as waiting, and are dropped when the outbox is aborted", async () => {
  const { outbox, reader } = makeOutbox();
  let made = 0;
  for (let count = 0; count < OUTBOX_HIGH_WATER; count++) {
    assertEquals(outbox.isCongested, false);
    outbox.push(() => ack(++made));
  }
  assertEquals(outbox.isCongested, true);
  outbox.abort(new Error("over"));
  await assertRejects(() => reader.read(), Error, "over");
  outbox.push(() => ack(++made));
  assertEquals(made, 0);
});

Deno.test("outbox: later messages are made one at a time, only while no other message waits, and never after the end (M3)", async () => {
  const { outbox, reader } = makeOutbox();
  const calls: boolean[] = [];
  let left = 2;
  outbox.push(ack(1));
  outbox.pushLater((isOver) => {
    calls.push(isOver);
    return !isOver && left-- > 0 ? { type: "unknown", name: "late" } : undefined;
  });
  outbox.push(ack(2));
  await settle();
  assertEquals(calls, []);
  const types: string[] = [];
  for (let read = 0; read < 3; read++) types.push((await reader.read()).value!.type);
  assertEquals([types, calls], [["ack", "ack", "unknown"], [false]]);
  outbox.push(ack(3));
  assertEquals((await reader.read()).value, ack(3));
  assertEquals((await reader.read()).value!.type, "unknown");
  left = 1;
  outbox.push(ack(4));
  outbox.end();
  assertEquals([(await reader.read()).value, (await reader.read()).done], [ack(4), true]);
  assertEquals([calls.at(-1), left], [true, 1]);
});
