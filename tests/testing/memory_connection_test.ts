import { assertEquals, assertInstanceOf } from "../../deps/std_assert.ts";
import { ConnectionClosed } from "../../common/errors.ts";
import { WINDOW_BYTES, WINDOW_MESSAGES } from "../../testing/memory_link.ts";
import { stateOf, World } from "./memory_pair.ts";

Deno.test("memory network: an end whose peer is gone without notice closes with code 0 when it next sends", async () => {
  await using world = await World.make();
  const { runtime, network, near, far } = world;
  network.setFaults({ hang: true });
  near.close();
  await runtime.settle();
  network.heal();
  await runtime.settle();
  assertEquals(far.ended, undefined);
  far.send("unread");
  await runtime.settle();
  assertEquals(far.ended, { code: 0, reason: "The connection broke." });
});

Deno.test("memory network: after a peer breaks the protocol, `readable` errors and the connection closes with 4400 or 4413 (P2, P6)", async () => {
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

Deno.test("memory network: a writer waits as soon as its window is full, until the peer reads", async () => {
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
