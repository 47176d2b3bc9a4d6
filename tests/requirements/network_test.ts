import { assert, assertEquals, assertInstanceOf } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "./harness.ts";

const IDS = Array.from({ length: 12 }, (_, index) => `m${`${index}`.padStart(2, "0")}`);

/** The members in a message. */
function membersIn(text: string): string[] {
  const message = JSON.parse(text);
  return Object.keys((message.request ?? message.response).state?.members ?? {});
}

Deno.test("request: has the entries that the peer lacks; the answer acknowledges them and has the entries that the requester lacks (R8.1, R8.2)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const [a, b] = [cluster.make("a"), cluster.make("b")];
  a.gossiper.setState("k", "of a");
  b.gossiper.setState("k", "of b");
  await a.gossiper.start();
  await b.gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(a.values("k"), { a: "of a", b: "of b" });
  assertEquals(b.values("k"), { a: "of a", b: "of b" });
  const gossip = cluster.sent.find(({ type }) => type === "gossip")!;
  const reply = cluster.sent.find(({ type }) => type === "reply")!;
  assertEquals(membersIn(gossip.text), ["a"]);
  assertEquals(membersIn(reply.text), ["b"]);
  assertEquals(JSON.parse(reply.text).id, JSON.parse(gossip.text).id);
});

Deno.test("gossipRequestTimeout: a request that takes longer fails with a timeout, and no sooner (R8.3, R8.4)", async () => {
  const config = { gossipRequestTimeout: 900, gossipInterval: 300 };
  await using cluster = await TestCluster.started(["a", "b"], { config });
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(1_000);
  // All messages to b hang; open connections stay open.
  cluster.network.setFaults({ hang: true }, { to: memoryAddress("b", 1) });
  const before = cluster.sentBy("a", "gossip").length;
  // A change causes a request; an idle round sends a heartbeat, which has no answer.
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.sentBy("a", "gossip").length > before);
  const sentMs = cluster.runtime.monotonicMs();
  await cluster.advance(899);
  assertEquals(cluster.of("a").emitted("RequestFailed"), []);
  await cluster.advance(2);
  const [failed] = cluster.of("a").emitted("RequestFailed");
  assertEquals(failed?.peerId, "b");
  assertInstanceOf(failed?.error, HearsayError);
  assertEquals(failed.error.code, "timeout");
  assert(cluster.runtime.monotonicMs() - sentMs <= 901);
  cluster.network.heal();
});

Deno.test("dial: a dial of an unused address fails within the request timeout, and affects no other peer (R8.3)", async () => {
  await using cluster = new TestCluster(["a", "b", "gone"]);
  for (const member of [cluster.make("b"), cluster.make("a")]) await member.gossiper.start();
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.of("b").value("a", "k") === 1, { withinMs: 2_000 });
  await cluster.advance(2_000);
  assertEquals(
    new Set(cluster.of("a").emitted("RequestFailed").map(({ peerId }) => peerId)),
    new Set(["gone"]),
  );
});

for (const gossipFanOut of [1, 3, 5]) {
  Deno.test(`gossipFanOut: each round sends to ${gossipFanOut} distinct peers at once (R8.5)`, async () => {
    await using cluster = await TestCluster.started(IDS, { config: { gossipFanOut } });
    await cluster.advance(3_000);
    const fromMs = cluster.runtime.monotonicMs();
    for (let value = 0; value < 20; value++) {
      await cluster.advance(150);
      for (const id of IDS) cluster.of(id).gossiper.setState("k", value);
      await cluster.advance(150);
    }
    for (const id of IDS) {
      const rounds = Map.groupBy(
        cluster.gossipedBy(id).filter(({ atMs }) => atMs > fromMs),
        ({ atMs }) => atMs,
      );
      assertEquals(rounds.size, 20);
      for (const round of rounds.values()) {
        assertEquals(new Set(round.map(({ to }) => to)).size, gossipFanOut);
        assertEquals(round.length, gossipFanOut);
      }
    }
  });
}

for (const gossipMaxSend of [1, 2, 5]) {
  Deno.test(`gossipMaxSend: a message has at most ${gossipMaxSend} member states, and every state reaches every member (R8.6)`, async () => {
    await using cluster = await TestCluster.started(IDS, { config: { gossipMaxSend } });
    for (const id of IDS) cluster.of(id).gossiper.setState("k", id);
    await cluster.runUntil(() =>
      IDS.every((id) => Object.keys(cluster.of(id).values("k")).length === IDS.length)
    );
    const sizes = cluster.sent.filter(({ type }) => type === "gossip" || type === "reply")
      .map(({ text }) => membersIn(text).length);
    assertEquals(Math.max(...sizes), gossipMaxSend);
    await cluster.advance(20_000);
    assertEquals(IDS.map((id) => cluster.of(id).blocked), IDS.map(() => ({})));
  });
}
