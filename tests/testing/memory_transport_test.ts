import { assertEquals, assertRejects } from "../../deps/std_assert.ts";
import { CLOSE, HearsayError } from "../../common/errors.ts";
import { realRuntime } from "../../common/runtime.ts";
import { MemoryNetwork } from "../../testing/memory.ts";
import { MAX_UNACCEPTED } from "../../testing/memory_transport.ts";
import { End, never, stateOf, World } from "./memory_pair.ts";

Deno.test("memory network: a dial under way ends at once when its transport closes, and both ends learn of it (R9.4)", async () => {
  for (const delayed of ["a", "b"]) {
    await using world = await World.make();
    const { runtime, network, a, b } = world;
    network.setFaults({ delayMs: 10 }, { from: `memory://${delayed}:1` });
    const rejected = assertRejects(() => a.dial(b.address, { signal: never }), HearsayError);
    await runtime.advance(5);
    const closing = a.close();
    await runtime.advance(10);
    await closing;
    assertEquals((await rejected).code, "stopped");
    assertEquals(runtime.timers, 0);
    assertEquals(world.accepted.length, delayed === "a" ? 1 : 2);
    assertEquals(world.accepted[1]?.ended?.code, delayed === "a" ? undefined : 0);
  }
});

Deno.test("memory network: a transport that closes waits for its own messages under way (R9.4)", async () => {
  await using world = await World.make();
  const { runtime, network, near, far, a } = world;
  const before = new End(await a.dial(world.b.address, { signal: never }));
  network.setFaults({ delayMs: 20 });
  before.send("of a connection that is closed already");
  before.close();
  await runtime.settle();
  network.setFaults({ delayMs: 10 });
  near.send("last");
  await runtime.settle();
  const closing = a.close();
  await runtime.advance(19);
  assertEquals(await stateOf(closing), "pending");
  await runtime.advance(1);
  await closing;
  assertEquals(far.received, ["last"]);
  assertEquals(far.ended, { code: CLOSE.goingAwayDialer, reason: "The transport was closed." });
  assertEquals(world.accepted[1]!.received, ["of a connection that is closed already"]);
  assertEquals(runtime.timers, 0);
});

Deno.test("memory network: messages to a transport that closes are dropped (R9.4)", async () => {
  await using world = await World.make();
  const { runtime, network, far, a, b } = world;
  network.setFaults({ delayMs: 500 }, { from: b.address });
  far.send("too late");
  await runtime.settle();
  assertEquals(runtime.timers, 1);
  await a.close();
  assertEquals([runtime.timers, far.ended?.code], [0, CLOSE.goingAwayDialer]);
});

Deno.test("memory network: a dial leaves no listener at its signal, however it ends (R9.4)", async () => {
  await using world = await World.make();
  const { a, b } = world;
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
  await a.dial(b.address, { signal });
  await assertRejects(() => a.dial("memory://absent:1", { signal }), HearsayError);
  assertEquals(listeners, 0);
});

Deno.test("memory network: connections that are not accepted are bounded, and closed when incoming is canceled", async () => {
  await using network = new MemoryNetwork({ runtime: realRuntime });
  const [a, b] = [network.transport("a", 1), network.transport("b", 1)];
  const open = () => a.dial(b.address, { signal: never });
  const connections = await Promise.all(Array.from({ length: MAX_UNACCEPTED }, open));
  const refused = await assertRejects(open, HearsayError);
  assertEquals(refused.code, "connection");
  await b.incoming.cancel();
  for (const { closed } of connections) assertEquals((await closed).code, CLOSE.goingAway);
});
