import { assertEquals, assertNotEquals, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { realRuntime } from "../../common/runtime.ts";
import { MemoryNetwork, type SentMessage } from "../../testing/memory.ts";
import { encode } from "../../protocol/codec.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { CONTRACT_MAX_MESSAGE_BYTES, transportContract } from "../conformance/transport.ts";
import { refusal } from "../conformance/messages.ts";
import { End, never, World } from "./memory_pair.ts";

for (const [name, delayMs] of [["in memory", 0], ["in memory, with a delay", 3]] as const) {
  transportContract(name, () => {
    const network = new MemoryNetwork({ runtime: realRuntime });
    if (delayMs > 0) network.setFaults({ delayMs: { min: 0, mean: delayMs, max: 10 } });
    const limits = { maxMessageBytes: CONTRACT_MAX_MESSAGE_BYTES };
    const [a, b] = [network.transport("a", 1, limits), network.transport("b", 1, limits)];
    const dispose = () => network[Symbol.asyncDispose]();
    return Promise.resolve({ a, b, addressOfB: b.address, [Symbol.asyncDispose]: dispose });
  });
}

Deno.test("memory network: without a fault everything arrives at once, and no timer is set", async () => {
  await using world = await World.make();
  const { runtime, near, far } = world;
  for (let n = 0; n < 10; n++) near.send(`${n}`);
  await runtime.settle();
  assertEquals(far.received, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  assertEquals([runtime.timersSet, runtime.monotonicMs()], [0, 0]);
});

Deno.test("memory network: counts messages and their bytes in UTF-8, in total and for each direction", async () => {
  const taps: SentMessage[] = [];
  await using world = await World.make({ tap: (sent) => taps.push(sent) });
  const { network, near, far, a, b } = world;
  near.send("é😀");
  near.send("x");
  await world.runtime.settle();
  far.send("reply");
  await world.runtime.settle();
  const size = (text: string) => new TextEncoder().encode(encode(refusal(text))).length;
  const there = { messages: 2, bytes: size("é😀") + size("x"), lost: 0, duplicated: 0 };
  const back = { messages: 1, bytes: size("reply"), lost: 0, duplicated: 0 };
  assertEquals(network.countsBetween(a.address, b.address), there);
  assertEquals(network.countsBetween(b.address, a.address), back);
  assertEquals(network.counts, { ...there, messages: 3, bytes: there.bytes + back.bytes });
  assertEquals(network.countsBetween("memory://c:1", a.address).messages, 0);
  assertEquals(
    taps.map(({ from, to, text }) => [from, to, text]),
    [[a.address, b.address, "é😀"], [a.address, b.address, "x"], [b.address, a.address, "reply"]]
      .map(([from, to, text]) => [from, to, encode(refusal(text!))]),
  );
});

Deno.test("memory network: equal seeds make equal faults, and another seed makes other faults (R3.1)", async () => {
  const play = async (seed: number) => {
    await using world = await World.make({ seed });
    const { runtime, network, near, far } = world;
    network.setFaults({ loss: 0.2, duplicate: 0.2, reorder: 0.2, delayMs: { min: 1, mean: 10 } });
    for (let n = 0; n < 200; n++) {
      near.send(`${n}`);
      far.send(`${n}`);
      await runtime.advance(3);
    }
    await runtime.advance(1000);
    return [near.received, far.received];
  };
  assertEquals(await play(7), await play(7));
  assertNotEquals(await play(7), await play(8));
});

Deno.test("memory network: heal removes every fault and cut in any direction at once", async () => {
  await using world = await World.make();
  const { runtime, network, a, b } = world;
  network.setFaults({ loss: 1 });
  network.setFaults({ hang: true }, { from: a.address });
  network.setFaults({ delayMs: 5_000 }, { from: a.address, to: b.address });
  network.cut(a.address, b.address);
  network.clearFaults();
  const end = new End(await a.dial(b.address, { signal: never }));
  end.send("arrives");
  await runtime.settle();
  assertEquals(world.accepted[1]!.received, ["arrives"]);
});

Deno.test("memory network: faults of a target apply to dials through its load balancer", async () => {
  await using network = new MemoryNetwork({ runtime: realRuntime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const dial = () => a.dial("memory://balancer:1", { signal: never });
  await assertRejects(dial, HearsayError, "no process listens");
  network.balance("memory://balancer:1", [b.address]);
  network.cut(a.address, b.address);
  await assertRejects(dial, HearsayError, "is cut");
  network.heal();
  for (const address of [b.address, "memory://balancer:1"]) {
    network.stopProxy(address);
    await assertRejects(dial, HearsayError, "no process listens");
    network.restoreProxy(address);
  }
  assertEquals((await dial()).remote, b.address);
});

Deno.test("memory network: a member with a url is dialed there", async () => {
  await using network = new MemoryNetwork({ runtime: realRuntime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const address = a.addressOf({ id: "b", host: "nat", port: 1, kinds: [], url: "ws://nat:1/b" });
  assertEquals(address, "ws://nat:1/b");
  network.balance(address, [b.address]);
  assertEquals((await a.dial(address, { signal: never })).remote, b.address);
});

Deno.test("memory network: an address belongs to one transport at a time", async () => {
  const network = new MemoryNetwork({ runtime: realRuntime });
  const first = network.transport("a", 1);
  assertEquals(first.address, "memory://a:1");
  assertEquals(first.addressOf({ id: "b", host: "host", port: 7, kinds: [] }), "memory://host:7");
  assertThrows(() => network.transport("a", 1), HearsayError, "memory://a:1");
  await first.close();
  const second = network.transport("a", 1);
  await first.close();
  const b = network.transport("b", 1);
  await b.dial(second.address, { signal: never });
  await network[Symbol.asyncDispose]();
});

Deno.test("memory network: a connection counts as open at an address until that side ended it or learned of its end", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  network.setFaults({ delayMs: { min: 10, mean: 10, max: 10 } });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const open = () => [network.openAt(a.address), network.openAt(b.address), network.openAt("memory://c:1")];
  assertEquals(open(), [0, 0, 0]);
  const dialing = a.dial(b.address, { signal: never });
  await runtime.advance(20);
  const near = await dialing;
  assertEquals(open(), [1, 1, 0]);
  await near.writable.close();
  assertEquals(open(), [0, 1, 0]);
  await runtime.advance(10);
  assertEquals(open(), [0, 0, 0]);
});
