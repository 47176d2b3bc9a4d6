import { assert, assertEquals, assertLess, assertNotEquals, assertThrows } from "../../deps/std_assert.ts";
import { CLOSE } from "../../common/errors.ts";
import { realRuntime } from "../../common/runtime.ts";
import { type LinkFaults, MemoryNetwork } from "../../testing/memory.ts";
import { End, never, stateOf, World } from "./memory_pair.ts";

Deno.test("memory network: a fixed delay delays dials, messages and closes for exactly that long", async () => {
  await using world = await World.make();
  const { runtime, network, a, b } = world;
  network.setFaults({ delayMs: 10 }, { from: a.address, to: b.address });
  network.setFaults({ delayMs: 5 }, { from: b.address, to: a.address });
  const dialing = a.dial(b.address, { signal: never });
  await runtime.advance(9);
  assertEquals(world.accepted.length, 1);
  await runtime.advance(1);
  assertEquals(world.accepted.length, 2);
  assertEquals(await stateOf(dialing), "pending");
  await runtime.advance(5);
  const near = new End(await dialing);
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

Deno.test("memory network: random delays keep the order, and have the configured mean, tail and limit", async () => {
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

Deno.test("memory network: loses messages at random, in one direction only, and loses no close", async () => {
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

Deno.test("memory network: only the most specific of several rules applies", async () => {
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
