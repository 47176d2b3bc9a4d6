import { assertEquals } from "../../../deps/std_assert.ts";
import { MemberMeters } from "../../../operations/metrics/mod.ts";
import { encode, PING_TEXT, PONG_TEXT } from "../../../protocol/codec.ts";
import { messageOf } from "./messages.ts";
import { pair } from "./transports.ts";

Deno.test("meters: every message is counted at both ends, with its kind and its bytes of UTF-8", async () => {
  const [dialer, acceptor] = [new MemberMeters(), new MemberMeters()];
  await using two = await pair({ dialer: { meters: dialer }, acceptor: { meters: acceptor } });
  // Above 1,024 bytes, a dialer sends a ping before the message.
  const messages = [messageOf(200, "ü"), messageOf(3_000, "€")];
  const writer = two.dialed.writable.getWriter();
  const reader = two.accepted.readable.getReader();
  for (const message of messages) {
    await writer.write(message);
    await reader.read();
  }
  await two.accepted.writable.getWriter().write(messageOf(100));
  await two.dialed.readable.getReader().read();

  const bytes = messages.map((message) => new TextEncoder().encode(encode(message)).length);
  assertEquals(bytes, [200, 3_000]);
  assertEquals(dialer.sentTraffic.get("error"), { messages: 2, bytes: 3_200 });
  assertEquals(acceptor.receivedTraffic.get("error"), { messages: 2, bytes: 3_200 });
  assertEquals(acceptor.sentTraffic.get("error"), { messages: 1, bytes: 100 });
  assertEquals(dialer.receivedTraffic.get("error"), { messages: 1, bytes: 100 });
  const [ping, pong] = [PING_TEXT, PONG_TEXT].map((text) => ({ messages: 1, bytes: text.length }));
  assertEquals([dialer.sentTraffic.get("ping"), acceptor.receivedTraffic.get("ping")], [ping, ping]);
  assertEquals([acceptor.sentTraffic.get("pong"), dialer.receivedTraffic.get("pong")], [pong, pong]);
});

Deno.test("meters: a message of an unknown kind is counted without the name that the peer chose", async () => {
  const [dialer, acceptor] = [new MemberMeters(), new MemberMeters()];
  await using two = await pair({ dialer: { meters: dialer }, acceptor: { meters: acceptor } });
  await two.dialed.writable.getWriter().write({ type: "unknown", name: 'evil"} 1\n' });
  await two.accepted.readable.getReader().read();
  assertEquals(acceptor.receivedTraffic.get("unknown")?.messages, 1);
  assertEquals([...acceptor.receivedTraffic.keys()].some((kind) => kind.includes("evil")), false);
});
