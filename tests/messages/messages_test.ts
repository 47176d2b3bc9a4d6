import { assert, assertEquals, assertLess, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { insightOf } from "../../gossiper/gossiper.ts";
import { messagesOf } from "../../messages/messages.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";
import { ScriptedPeer } from "../requirements/scripted_peer.ts";
import { collect, talking } from "./cluster.ts";

Deno.test("broadcast: reaches every active member once, with the id of its sender (M1, M2)", async () => {
  const { cluster, of } = await talking(["a", "b", "c"]);
  await using _ = cluster;
  const received = ["a", "b", "c"].map((id) => collect(of(id), "t"));
  const { sent, skipped } = await cluster.finish(of("a").broadcast("t", { n: 1 }));
  await cluster.advance(100);
  assertEquals([[...sent].sort(), skipped], [["b", "c"], []]);
  assertEquals(received, [[], [{ payload: { n: 1 }, memberId: "a" }], [{
    payload: { n: 1 },
    memberId: "a",
  }]]);
});

Deno.test("broadcast: with includeSelf this member's own subscribers receive it too (M1)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const own = collect(of("a"), "t");
  const { sent } = await cluster.finish(of("a").broadcast("t", 1, { includeSelf: true }));
  await cluster.advance(100);
  assertEquals([sent, own], [["a", "b"], [{ payload: 1, memberId: "a" }]]);
});

Deno.test("broadcast: with includeSelf own subscribers receive it before the slowest member, and in order (M1)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const own = collect<number>(of("a"), "t");
  cluster.network.pause(memoryAddress("b", 1));
  const aborting = new AbortController();
  const slow = Array.from(
    { length: 20 },
    (_, n) => of("a").broadcast("t", n, { includeSelf: true, timeout: 60_000, ...aborting }),
  );
  const recalled = Promise.allSettled(slow);
  await cluster.advance(10);
  assertEquals(own.map(({ payload }) => payload), Array.from({ length: 20 }, (_, n) => n));
  aborting.abort(new TypeError("recalled"));
  await cluster.finish(recalled);
  await cluster.advance(100);
  assertEquals(own.length, 20);
  cluster.network.resume(memoryAddress("b", 1));
});

Deno.test("broadcast: a message that the network repeats, or delays past a later message, is received once or never (M1)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const received = collect<number>(of("b"), "t");
  cluster.network.setFaults({ duplicate: 0.5, reorder: 0.3, reorderMs: 50 });
  for (let n = 0; n < 200; n++) {
    await cluster.finish(of("a").broadcast("t", n));
    await cluster.advance(5);
  }
  cluster.network.clearFaults();
  await cluster.advance(1_000);
  const numbers = received.map(({ payload }) => payload);
  assertEquals(numbers, [...new Set(numbers)].sort((one, other) => one - other));
  assertLess(100, numbers.length);
  assertLess(numbers.length, 201);
});

Deno.test("broadcast: a member that does not use messages is sent no message, and is reported (M5)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  const [a, c] = ["a", "c"].map((id) => messagesOf(cluster.of(id).gossiper));
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(2_000);
  const received = collect(c!, "t");
  const result = await cluster.finish(a!.broadcast("t", 1));
  await cluster.advance(100);
  assertEquals(result, { sent: ["c"], skipped: [{ memberId: "b", reason: "unsupported" }] });
  assertEquals(received.length, 1);
  assertEquals(cluster.sentBy("a", "message", { to: "b" }), []);
});

Deno.test("broadcast: a member that begins to use messages on an open connection is sent the next message (M5)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const a = messagesOf(cluster.of("a").gossiper);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(2_000);
  assertEquals((await cluster.finish(a.broadcast("t", 1))).sent, []);
  const received = collect(messagesOf(cluster.of("b").gossiper), "t");
  await cluster.advance(100);
  assertEquals((await cluster.finish(a.broadcast("t", 2))).sent, ["b"]);
  await cluster.advance(100);
  assertEquals(received.map(({ payload }) => payload), [2]);
});

Deno.test("broadcast: a blocked member is sent no message, and its messages are dropped (M2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { fixed: false });
  const [a, b] = ["a", "b"].map((id) => messagesOf(cluster.of(id).gossiper));
  await cluster.publish(["a", "b"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(2_000);
  const [atA, atB] = [collect(a!, "t"), collect(b!, "t")];
  await cluster.finish(b!.broadcast("t", "before"));
  await cluster.advance(50);
  await cluster.publish(["a", "b"], { blocked: ["b"], to: ["a"] });
  const toBlocked = await cluster.finish(a!.broadcast("t", 1));
  const ofBlocked = await cluster.finish(b!.broadcast("t", 2));
  await cluster.advance(100);
  assertEquals([toBlocked, ofBlocked.sent], [{ sent: [], skipped: [] }, ["b"].slice(1).concat("a")]);
  assertEquals([atA.map(({ payload }) => payload), atB], [["before"], []]);
});

Deno.test("broadcast: a message that waits while its member is blocked is not sent (M2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { fixed: false });
  const [a, b] = ["a", "b"].map((id) => messagesOf(cluster.of(id).gossiper));
  await cluster.publish(["a", "b"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(2_000);
  const received = collect(b!, "t");
  cluster.network.pause(memoryAddress("b", 1));
  const sending = Array.from({ length: 40 }, (_, n) => a!.broadcast("t", n));
  await cluster.advance(10);
  await cluster.publish(["a", "b"], { blocked: ["b"], to: ["a"] });
  cluster.network.resume(memoryAddress("b", 1));
  const results = await cluster.finish(Promise.all(sending));
  await cluster.advance(1_000);
  const reasons = new Set(results.flatMap(({ skipped }) => skipped.map(({ reason }) => reason)));
  assertEquals(reasons, new Set(["blocked"]));
  assertEquals(received.length, results.filter(({ sent }) => sent.length === 1).length);
  assertLess(received.length, 40);
});

Deno.test("broadcast: dials the members without a connection, and reports those that it cannot reach (M1)", async () => {
  const { cluster, of } = await talking(["a", "b", "c"], {
    config: { gossipInterval: 60_000, heartbeatExpiration: 300_000, detectCrashes: false },
  });
  await using _ = cluster;
  const received = collect(of("b"), "t");
  cluster.network.pause(memoryAddress("c", 1));
  cluster.breakConnections("a");
  await cluster.runtime.settle();
  assertEquals(insightOf(cluster.of("a").gossiper).running!.peers.sessions(), []);
  const startMs = cluster.runtime.monotonicMs();
  const { sent, skipped } = await cluster.finish(of("a").broadcast("t", 1, { timeout: 900 }));
  assertEquals([sent, skipped], [["b"], [{ memberId: "c", reason: "unreachable" }]]);
  assertEquals(cluster.runtime.monotonicMs() - startMs, 900);
  await cluster.advance(100);
  assertEquals(received.length, 1);
  cluster.network.resume(memoryAddress("c", 1));
});

Deno.test("broadcast: a member that reads nothing is skipped as congested in time, and the others are not delayed (M3, M4)", async () => {
  const { cluster, of } = await talking(["a", "b", "c"]);
  await using _ = cluster;
  const received = collect(of("c"), "t");
  cluster.network.pause(memoryAddress("b", 1));
  const startMs = cluster.runtime.monotonicMs();
  const results = await cluster.finish(Promise.all(
    Array.from({ length: 100 }, (_, n) => of("a").broadcast("t", n, { timeout: 400 })),
  ));
  assertEquals(cluster.runtime.monotonicMs() - startMs <= 410, true);
  await cluster.advance(500);
  cluster.network.resume(memoryAddress("b", 1));
  assertEquals(received.length, results.filter(({ sent }) => sent.includes("c")).length);
  assertEquals(received.length, 100);
  const toB = results.filter(({ sent }) => sent.includes("b")).length;
  // The window is full, and no message waits longer than its time.
  assertEquals(toB, 16);
  assertEquals(results.flatMap(({ skipped }) => skipped).every(({ reason }) => reason === "congested"), true);
});

Deno.test("broadcast: many large messages delay no heartbeat, round or change by more than one message (M3)", async () => {
  const { cluster, of } = await talking(["a", "b"], { config: { heartbeatExpiration: 2_000 } });
  await using _ = cluster;
  // Slow enough that the messages alone take the connection for longer than a heartbeat may be late.
  const payload = "x".repeat(60_000);
  const received = collect(of("b"), "t");
  const changed: number[] = [];
  const sending: Promise<unknown>[] = [];
  cluster.network.setFaults({ delayMs: 40 });
  for (let round = 0; round < 20; round++) {
    for (let n = 0; n < 12; n++) sending.push(of("a").broadcast("t", payload, { timeout: 5_000 }));
    const startMs = cluster.runtime.monotonicMs();
    cluster.of("a").gossiper.setState("k", round);
    await cluster.runUntil(() => cluster.of("b").value("a", "k") === round);
    changed.push(cluster.runtime.monotonicMs() - startMs);
    await cluster.advance(200);
  }
  assertLess(Math.max(...changed), 100);
  assertEquals(cluster.members.map(({ blocked }) => blocked), [{}, {}]);
  await cluster.finish(Promise.all(sending));
  assertLess(50, received.length);
});

Deno.test("broadcast: a quarter of the peer's message rate is for messages, and the connection stays open (M3)", async () => {
  const { cluster, of } = await talking(["a", "b"], { config: { maxMessagesPerSecond: 400 } });
  await using _ = cluster;
  const received = collect(of("b"), "t");
  const sending: Promise<unknown>[] = [];
  for (let at = 0; at < 4_000; at += 50) {
    for (let n = 0; n < 20; n++) sending.push(of("a").broadcast("t", n, { timeout: 200 }).catch(() => {}));
    await cluster.advance(50);
  }
  await cluster.finish(Promise.all(sending));
  await cluster.advance(100);
  // A second's worth at once, and then 100 in each of the four seconds.
  assertLess(received.length, 540);
  assertLess(400, received.length);
});

Deno.test("broadcast: messages of successive calls arrive in order (M1)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const received = collect<number>(of("b"), "t");
  await cluster.finish(Promise.all(Array.from({ length: 60 }, (_, n) => of("a").broadcast("t", n))));
  await cluster.advance(100);
  assertEquals(received.map(({ payload }) => payload), Array.from({ length: 60 }, (_, n) => n));
});

Deno.test("broadcast: refuses an invalid message, and sends nothing (M4)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const received = collect(of("b"), "t");
  const longest = collect(of("b"), "x".repeat(256));
  const largest = "x".repeat(65_536 - 128 - '"topic":"t","payload":""}'.length);
  assertEquals((await cluster.finish(of("a").broadcast("x".repeat(256), 2))).sent, ["b"]);
  assertEquals((await cluster.finish(of("a").broadcast("t", largest))).sent, ["b"]);
  await assertRejects(() => of("a").broadcast("t", `${largest}x`), HearsayError, "at most 65408 bytes");
  await cluster.advance(50);
  assertEquals([longest.length, received.splice(0).length], [1, 1]);
  const codeOf = (promise: Promise<unknown>) =>
    promise.then(() => "sent", (error) => error instanceof HearsayError ? error.code : error.name);
  const a = of("a");
  assertEquals(await codeOf(a.broadcast("", 1)), "invalid_key");
  assertEquals(await codeOf(a.broadcast("x".repeat(257), 1)), "invalid_key");
  assertEquals(await codeOf(a.broadcast("\ud800", 1)), "invalid_key");
  assertEquals(await codeOf(a.broadcast("t", undefined)), "invalid_value");
  assertEquals(
    (await assertRejects(() => a.broadcast("t", { n: NaN }), HearsayError)).message,
    "A payload must be JSON: value.n must be a JSON value; got the number NaN. Nothing was sent.",
  );
  assertEquals(await codeOf(a.broadcast("t", "x".repeat(65_536))), "too_large");
  assertEquals(
    await codeOf(a.broadcast("t", 1, { signal: AbortSignal.abort(new TypeError()) })),
    "TypeError",
  );
  for (const timeout of [0, 600_001, 1.5]) {
    const error = await assertRejects(() => a.broadcast("t", 1, { timeout }), ConfigurationError);
    assert(error.message.includes("timeout"), error.message);
  }
  await assertRejects(
    () => a.broadcast("t", 1, { includeself: true } as never),
    ConfigurationError,
    "includeSelf",
  );
  const calls = Array.from({ length: 257 }, () => codeOf(a.broadcast("t", 2)));
  assertEquals((await cluster.finish(Promise.all(calls))).filter((code) => code === "busy").length, 1);
  await cluster.advance(1_000);
  assertEquals(received.filter(({ payload }) => payload !== 2), []);
});

Deno.test("broadcast: a payload of exactly the largest size arrives, even with a lower limit of the receiver (M4)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  cluster.make("a");
  cluster.make("b", { config: { maxMessageBytes: 131_072 }, transportBytes: 131_072 });
  for (const id of ["a", "b"]) await cluster.of(id).gossiper.start();
  const [a, b] = ["a", "b"].map((id) => messagesOf(cluster.of(id).gossiper));
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(2_000);
  const received = collect<string>(b!, "t");
  const overhead = '"topic":"t","payload":""}'.length + 64;
  const fits = "x".repeat(131_072 / 16 - overhead);
  assertEquals((await cluster.finish(a!.broadcast("t", fits))).sent, ["b"]);
  const { skipped } = await cluster.finish(a!.broadcast("t", fits + "x"));
  assertEquals(skipped, [{ memberId: "b", reason: "too_large" }]);
  await cluster.advance(100);
  assertEquals(received.map(({ payload }) => payload.length), [fits.length]);
});

Deno.test("messages: messagesOf throws before the start and after the end, and returns the same object for a member (M5)", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  const codeOf = () => {
    try {
      return messagesOf(gossiper) && "made";
    } catch (error) {
      return (error as HearsayError).code;
    }
  };
  assertEquals(codeOf(), "not_started");
  await gossiper.start();
  const messages = messagesOf(gossiper);
  assertEquals(messagesOf(gossiper), messages);
  await cluster.stop("a");
  assertEquals(codeOf(), "stopped");
  assertEquals((await assertRejects(() => messages.broadcast("t", 1), HearsayError)).code, "stopped");
  for (const call of [() => messages.answer("t", () => 1), () => messages.onMessage("t", () => {})]) {
    assertEquals(assertThrows(call, HearsayError).code, "stopped");
  }
  assertEquals(await Array.fromAsync(messages.subscribe("t")), []);
});

Deno.test("broadcast: a waiting message is dropped when this member stops (M1)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  cluster.network.pause(memoryAddress("b", 1));
  const sending = Promise.all(
    Array.from({ length: 20 }, () => of("a").broadcast("t", 1, { timeout: 600_000 })),
  );
  await cluster.advance(10);
  await cluster.stop("a");
  const results = await sending;
  assertEquals(
    new Set(results.flatMap(({ skipped }) => skipped.map(({ reason }) => reason))),
    new Set(["disconnected"]),
  );
  assertEquals(cluster.of("a").runtime.timers, 0);
  cluster.network.resume(memoryAddress("b", 1));
});

Deno.test("broadcast: an abort drops the unsent message, and rejects with its reason (M1)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const received = collect(of("b"), "t");
  cluster.network.pause(memoryAddress("b", 1));
  for (let n = 0; n < 16; n++) await cluster.finish(of("a").broadcast("t", n));
  const controller = new AbortController();
  const sending = of("a").broadcast("t", "recalled", { signal: controller.signal });
  controller.abort(new RangeError("enough"));
  await assertRejects(() => sending, RangeError, "enough");
  cluster.network.resume(memoryAddress("b", 1));
  await cluster.advance(1_000);
  assertEquals(received.length, 16);
});

Deno.test("messages: an invalid message closes the connection with 4400, and the payload of a message without a subscriber is not checked (P2)", async () => {
  await using cluster = new TestCluster(["a", "p"]);
  const { gossiper } = cluster.make("a");
  await gossiper.start();
  const messages = messagesOf(gossiper);
  const received = collect(messages, "t");
  await using peer = new ScriptedPeer(cluster, "p");
  const deep = `${"[".repeat(65)}${"]".repeat(65)}`;
  const say = async (text: string) => {
    const connection = await peer.dial("a");
    const reading = (async () => {
      for await (const _ of connection.readable);
    })().catch(() => {});
    const writer = connection.writable.getWriter();
    await writer.write(peer.hello("d1"));
    await cluster.runtime.settle();
    await writer.write({ type: "unknown", name: "x", text }).catch(() => {});
    await cluster.runtime.settle();
    await writer.close().catch(() => {});
    const { code } = await cluster.finish(connection.closed);
    await reading;
    return code;
  };
  for (
    const text of [
      '{"type":"message","number":-1,"topic":"t","payload":1}',
      '{"type":"message","number":1,"topic":"","payload":1}',
      '{"type":"message","number":1,"topic":5,"payload":1}',
      `{"type":"message","number":1,"topic":"${"x".repeat(257)}","payload":1}`,
      '{"type":"message","number":1,"topic":"t"}',
      `{"type":"message","number":1,"topic":"t","payload":${deep}}`,
      '{"type":"message","number":1,"topic":"t","payload":"\\ud800"}',
      '{"type":"message","number":1,"confirm":1,"topic":"t","payload":1}',
      '{"type":"question","number":1,"id":1,"topic":"t","within":0,"payload":1}',
      '{"type":"question","number":1,"id":1,"topic":"t","within":600001,"payload":1}',
      '{"type":"question","number":1,"topic":"t","within":1,"payload":1}',
      '{"type":"answer","number":1,"payload":1}',
      '{"type":"answer","number":1,"id":1,"error":5}',
      '{"type":"taken"}',
    ]
  ) {
    assertEquals(await say(text), 4400, text);
  }
  assertEquals(received, []);
  const unheard = '{"type":"message","number":1,"topic":"unheard","payload":"\\ud800"}';
  assertEquals(await say(unheard), 1000);
  assertEquals(await say('{"type":"message","number":1,"topic":"t","payload":1,"more":1}'), 1000);
  assertEquals(received, [{ payload: 1, memberId: "p" }]);
});

Deno.test("broadcast: a lost confirmation delays messages for two seconds only (M3)", async () => {
  const { cluster, of } = await talking(["a", "b"]);
  await using _ = cluster;
  const received = collect(of("b"), "t");
  const lost = (text: string) => text.replace('"type":"taken"', '"type":"lost"');
  cluster.network.setFaults({ rewrite: lost }, { from: memoryAddress("b", 1) });
  for (let n = 0; n < 16; n++) await cluster.finish(of("a").broadcast("t", n));
  cluster.network.clearFaults();
  const { skipped } = await cluster.finish(of("a").broadcast("t", 16, { timeout: 1_000 }));
  assertEquals(skipped, [{ memberId: "b", reason: "congested" }]);
  await cluster.advance(1_500);
  const sending = Array.from({ length: 40 }, (_, n) => of("a").broadcast("t", n));
  const results = await cluster.finish(Promise.all(sending));
  assertEquals(results.every(({ sent }) => sent.length === 1), true);
  await cluster.advance(100);
  assertEquals(received.length, 56);
});
