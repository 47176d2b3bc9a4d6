import { assertEquals, assertRejects, assertStrictEquals } from "../../deps/std_assert.ts";
import { CLOSE, HearsayError } from "../../common/errors.ts";
import { MemoryNetwork } from "../../testing/memory.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { End, never, stateOf, World } from "./memory_pair.ts";

Deno.test("memory network: a message sent when another is due does not overtake it", async () => {
  await using world = await World.make();
  const { runtime, network, near, far } = world;
  runtime.setTimer(10, () => {
    network.setFaults({});
    near.send("two");
  });
  network.setFaults({ delayMs: 10 });
  near.send("one");
  await runtime.advance(10);
  assertEquals(far.received, ["one", "two"]);
});

Deno.test("memory network: a cut breaks open connections with code 0 and refuses dials, until it heals (P6)", async () => {
  await using world = await World.make();
  const { runtime, network, near, far, a, b } = world;
  const c = network.transport("c", 1);
  const other = new End(await a.dial(c.address, { signal: never }));
  network.setFaults({ delayMs: 5 });
  near.send("under way");
  network.cut(b.address, a.address);
  await runtime.settle();
  for (const end of [near, far]) assertEquals(end.ended, { code: 0, reason: "The connection broke." });
  await runtime.advance(10);
  assertEquals(far.received, []);
  assertEquals(other.ended, undefined);
  for (const [from, to] of [[a, b], [b, a]] as const) {
    const refused = assertRejects(() => from.dial(to.address, { signal: never }), HearsayError, "is cut");
    await runtime.advance(5);
    assertEquals((await refused).code, "connection");
  }
  network.heal();
  network.setFaults({});
  await a.dial(b.address, { signal: never });
});

Deno.test("memory network: a suspended process learns of a refused dial when it resumes", async () => {
  await using world = await World.make();
  const { runtime, network, a, b } = world;
  network.setFaults({ delayMs: 5 }, { from: a.address });
  const dials = [b.address, "memory://absent:1"].map((address) => a.dial(address, { signal: never }));
  const refusals = dials.map((dial) => assertRejects(() => dial, HearsayError));
  network.pause(a.address);
  network.cut(a.address, b.address);
  await runtime.advance(1_000);
  for (const dial of dials) assertEquals(await stateOf(dial), "pending");
  network.resume(a.address);
  for (const refusal of refusals) assertEquals((await refusal).code, "connection");
});

Deno.test("memory network: a cut of one direction breaks a connection, also a connection that is being opened", async () => {
  await using world = await World.make();
  const { runtime, network, near, far, a, b } = world;
  network.setFaults({ cut: true }, { from: b.address });
  await runtime.settle();
  assertEquals([near.ended?.code, far.ended?.code], [0, 0]);
  await assertRejects(() => a.dial(b.address, { signal: never }), HearsayError, "is cut");
  assertEquals(world.accepted.length, 1);
  network.setFaults({ delayMs: 5 }, { from: b.address });
  const dialing = assertRejects(() => a.dial(b.address, { signal: never }), HearsayError, "is cut");
  await runtime.advance(1);
  network.cut(a.address, b.address);
  await runtime.advance(10);
  await dialing;
  assertEquals(world.accepted[1]!.ended?.code, 0);
});

Deno.test("memory network: a link that hangs delivers nothing, and dials hang until their signal is aborted", async () => {
  await using world = await World.make();
  const { runtime, network, near, far, a, b } = world;
  network.setFaults({ hang: true }, { from: a.address });
  near.send("swallowed");
  far.send("arrives");
  const taking = a.incoming.getReader().read();
  const controller = new AbortController();
  const dials = [a, b].map((from) => {
    const to = from === a ? b : a;
    return from.dial(to.address, { signal: controller.signal });
  });
  const rejections = dials.map((dial) => assertRejects(() => dial));
  await runtime.advance(1000);
  assertEquals([near.received, far.received], [["arrives"], []]);
  for (const dial of dials) assertEquals(await stateOf(dial), "pending");
  const reason = new Error("enough");
  controller.abort(reason);
  for (const rejection of rejections) assertStrictEquals(await rejection, reason);
  assertEquals([world.accepted.length, await stateOf(taking)], [1, "pending"]);
  near.close();
  await runtime.advance(1000);
  assertEquals([near.ended?.code, far.ended], [CLOSE.done, undefined]);
});

Deno.test("memory network: messages, dials and closes to a paused address are delayed, and arrive in order after the pause", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const { signal } = new AbortController();
  const near = await a.dial(b.address, { signal });
  const far = (await b.incoming.getReader().read()).value!;
  network.pause(b.address);
  const writer = near.writable.getWriter();
  for (const id of ["1", "2"]) await writer.write({ type: "ack", id, holds: new Map() });
  await writer.close();
  let dialed = false;
  const dialing = a.dial(b.address, { signal }).then(() => dialed = true);
  const received: string[] = [];
  const reading = (async () => {
    for await (const message of far.readable) received.push(message.type === "ack" ? message.id : "");
  })();
  await runtime.advance(60_000);
  assertEquals([received, dialed], [[], false]);
  network.resume(b.address);
  await runtime.advance(0);
  assertEquals([received, dialed], [["1", "2"], true]);
  await Promise.all([reading, dialing]);
  assertEquals((await far.closed).code, 1000);
});

Deno.test("memory network: messages from a paused address arrive, and a dial to it ends with its signal", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const near = await a.dial(b.address, { signal: new AbortController().signal });
  const far = (await b.incoming.getReader().read()).value!;
  network.pause(b.address);
  await far.writable.getWriter().write({ type: "ack", id: "1", holds: new Map() });
  assertEquals((await near.readable.getReader().read()).value?.type, "ack");
  const controller = new AbortController();
  const dial = a.dial(b.address, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => dial, Error, "enough");
});

Deno.test("memory network: a cut breaks a paused address's end when it is resumed, and the other end at once", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const near = await a.dial(b.address, { signal: new AbortController().signal });
  const far = (await b.incoming.getReader().read()).value!;
  const over: string[] = [];
  near.closed.then(() => over.push("near"));
  far.closed.then(({ code }) => over.push(`far ${code}`));
  network.pause(b.address);
  network.cut(a.address, b.address);
  network.heal();
  await runtime.advance(1_000);
  assertEquals(over, ["near"]);
  network.resume(b.address);
  await runtime.advance(0);
  assertEquals(over, ["near", "far 0"]);
});
