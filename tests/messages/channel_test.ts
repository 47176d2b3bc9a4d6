import { assertEquals } from "../../deps/std_assert.ts";
import { Channel, maxBytesOf } from "../../messages/channel.ts";
import type { Content } from "../../messages/wire.ts";
import type { LaterMessages } from "../../protocol/outbox.ts";
import type { Session } from "../../protocol/session.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";

const SETTINGS = { gossipRequestTimeout: 500, maxMessageBytes: 1_048_576, maxMessagesPerSecond: 1_000_000 };
/** The bytes that a message has beside its content, as the channel counts them. */
const HEAD = 64;

/** A channel over a session that takes a message only when the test does. */
function stage(settings: Partial<typeof SETTINGS> = {}) {
  const runtime = new VirtualRuntime();
  let later: LaterMessages | undefined;
  let calls = 0;
  const peer = { maySend: true };
  const session = {
    hello: { capabilities: ["messages"], settings: { maxMessageBytes: 1_048_576 } },
    sendLater: (given: LaterMessages) => {
      later = given;
      calls++;
    },
  } as unknown as Session;
  const channel = new Channel({
    session,
    runtime: runtime.machine(),
    maySend: () => peer.maySend,
    settings: { ...SETTINGS, ...settings },
  });
  const take = () => {
    const text = later?.(false)?.text;
    return text === undefined ? undefined : JSON.parse(text) as { number: number; confirm?: boolean };
  };
  const takeAll = () => {
    const all: { number: number; confirm?: boolean }[] = [];
    for (let next = take(); next; next = take()) all.push(next);
    return all;
  };
  return { runtime, channel, peer, take, takeAll, over: () => later?.(true), calls: () => calls };
}

/** A content that counts as so many bytes. */
function contentOf(bytes: number): Content {
  const empty = '"topic":"t","payload":""}';
  const text = empty.replace('""', `"${"x".repeat(Math.max(0, bytes - HEAD - empty.length))}"`);
  return { type: "message", text };
}

/** The outcomes of sends, once microtasks have run. */
async function outcomes(sends: readonly Promise<string>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const send of sends) void send.then((outcome) => counts[outcome] = (counts[outcome] ?? 0) + 1);
  await new Promise((resolve) => setTimeout(resolve, 0));
  return counts;
}

Deno.test("channel: at most sixteen messages are unconfirmed, and every fourth asks for a confirmation (M3)", () => {
  const { channel, takeAll } = stage();
  for (let n = 0; n < 20; n++) void channel.send(contentOf(100));
  const first = takeAll();
  assertEquals(first.map(({ number }) => number), Array.from({ length: 16 }, (_, n) => n + 1));
  assertEquals(first.filter(({ confirm }) => confirm).map(({ number }) => number), [4, 8, 12, 16]);
  channel.taken(3);
  assertEquals(takeAll().map(({ number }) => number), [17, 18, 19]);
  channel.taken(18);
  assertEquals(takeAll().map(({ number }) => number), [20]);
});

Deno.test("channel: at most 128 KiB are unconfirmed, and every 32 KiB ask for a confirmation (M3)", () => {
  const { channel, takeAll } = stage();
  for (let n = 0; n < 9; n++) void channel.send(contentOf(16 * 1_024));
  const sent = takeAll();
  assertEquals(sent.length, 8);
  assertEquals(sent.filter(({ confirm }) => confirm).map(({ number }) => number), [2, 4, 6, 8]);
  channel.taken(8);
  assertEquals(takeAll().length, 1);
});

Deno.test("channel: after two seconds without a confirmation one more message is sent at a time (M3)", async () => {
  const { runtime, channel, takeAll } = stage();
  for (let n = 0; n < 17; n++) void channel.send(contentOf(100));
  assertEquals(takeAll().length, 16);
  await runtime.advance(1_999);
  assertEquals(takeAll(), []);
  await runtime.advance(1);
  void channel.send(contentOf(100));
  assertEquals(
    takeAll(),
    [{ type: "message", number: 17, confirm: true, topic: "t", payload: "x".repeat(11) }] as never,
  );
  channel.taken(17);
  assertEquals(takeAll().length, 1);
});

Deno.test("channel: at most 256 messages and 1 MiB wait, and a sent or dropped message makes room (M4)", async () => {
  const many = stage();
  const small = Array.from({ length: 257 }, () => many.channel.send(contentOf(100)));
  assertEquals(await outcomes(small), { congested: 1 });
  many.takeAll();
  assertEquals(await outcomes([...small, many.channel.send(contentOf(100))]), { congested: 1, sent: 16 });
  const large = stage();
  const sends = Array.from({ length: 17 }, () => large.channel.send(contentOf(65_536)));
  assertEquals(await outcomes(sends), { congested: 1 });
  large.takeAll();
  assertEquals(await outcomes([...sends, large.channel.send(contentOf(65_536))]), { congested: 1, sent: 2 });
  large.over();
  assertEquals(await outcomes(sends), { congested: 1, sent: 2, disconnected: 14 });
});

Deno.test("channel: a message may have at most 64 KiB, and at most a sixteenth of the lower maxMessageBytes (M4)", async () => {
  assertEquals([maxBytesOf(undefined, 2 ** 20), maxBytesOf(2 ** 30, 2 ** 30)], [65_536, 65_536]);
  assertEquals([maxBytesOf(32_768, 65_536), maxBytesOf(65_536, 32_768)], [2_048, 2_048]);
  const { channel, takeAll } = stage();
  const sends = [channel.send(contentOf(65_536)), channel.send(contentOf(65_537))];
  takeAll();
  assertEquals(await outcomes(sends), { sent: 1, too_large: 1 });
});

Deno.test("channel: a small message costs one token of the rate, 1 KiB two and 64 KiB four, and further messages wait (M3)", async () => {
  for (const [bytes, atOnce, later] of [[1_023, 40, 4], [1_024, 20, 2], [65_536, 10, 1]] as const) {
    const { runtime, channel, takeAll, over } = stage({ maxMessagesPerSecond: 160 });
    let sent = 0;
    const send = () => {
      for (let n = 0; n < 15; n++) void channel.send(contentOf(bytes));
      for (let more = takeAll(); more.length > 0; more = takeAll()) {
        sent += more.length;
        channel.taken(Infinity);
      }
    };
    for (let times = 0; times < 5; times++) send();
    assertEquals(sent, atOnce, `${bytes} bytes`);
    // A fortieth of a second for each token.
    await runtime.advance(100);
    send();
    assertEquals(sent, atOnce + later, `${bytes} bytes`);
    over();
  }
});

Deno.test("channel: all messages to a member that is blocked meanwhile are dropped, in order (M2)", async () => {
  const { channel, peer, take, takeAll } = stage();
  const sends = Array.from({ length: 3 }, () => channel.send(contentOf(100)));
  assertEquals(take()!.number, 1);
  peer.maySend = false;
  assertEquals(take(), undefined);
  assertEquals(await outcomes(sends), { sent: 1, blocked: 2 });
  peer.maySend = true;
  void channel.send(contentOf(100));
  assertEquals(takeAll().map(({ number }) => number), [2]);
});

Deno.test("channel: a confirmation is sent first, once for all messages that asked for it, with the highest number (M3)", () => {
  const { channel, take } = stage();
  void channel.send(contentOf(100));
  assertEquals([
    channel.receive({ number: 4, confirm: true }),
    channel.receive({ number: 3, confirm: true }),
    channel.receive({ number: 4, confirm: false }),
    channel.receive({ number: 6, confirm: true }),
  ], [true, false, false, true]);
  assertEquals(take(), { type: "taken", number: 6 } as never);
  assertEquals(take()!.number, 1);
});

Deno.test("channel: the end settles all waiting messages, calls back once, and cancels the timer (M4)", async () => {
  const { runtime, channel, takeAll, over } = stage({ maxMessagesPerSecond: 32 });
  let ends = 0;
  channel.onOver(() => ends++);
  channel.onOver(() => ends += 10)();
  const sends = Array.from({ length: 12 }, () => channel.send(contentOf(100)));
  assertEquals(takeAll().length, 8);
  assertEquals(runtime.timers, 1);
  over();
  over();
  assertEquals([await outcomes(sends), ends, runtime.timers], [{ sent: 8, disconnected: 4 }, 1, 0]);
  channel.onOver(() => ends++);
  assertEquals(ends, 2);
});
