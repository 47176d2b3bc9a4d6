import { assertEquals } from "../../deps/std_assert.ts";
import { noticingSharedAddress } from "../../discovery/shared_address.ts";
import type { Discovery, DiscoveryContext, Member } from "../../contracts/cluster.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { memberOf, TestContext } from "./context.ts";

const EXPIRATION_MS = 20_000;
const SELF = memberOf("a");

/** A member with a source of members, and optionally a member that answers at its own address. */
async function context(
  { answers, probes = false, isReached = () => false }: {
    readonly answers?: () => Member;
    readonly probes?: boolean;
    readonly isReached?: () => boolean;
  } = {},
) {
  let publish: (members: readonly Member[]) => void = () => {};
  const source: Discovery = {
    openMembership: true,
    run: (context: DiscoveryContext, { signal }) => {
      publish = (members) => context.eventStream.publish({ type: "ClusterTopology", members, blocked: [] });
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    },
  };
  const runtime = new VirtualRuntime();
  const options = { heartbeatExpiration: EXPIRATION_MS, probes, isReached };
  const discovery = noticingSharedAddress({
    ...source,
    run: (context, running) => {
      if (answers) {
        (context as TestContext).handshake = (address) => {
          (context as TestContext).greetings.push(address);
          return new Promise((resolve) => resolve(answers()));
        };
      }
      return source.run(context, running);
    },
  }, options);
  const made = new TestContext(discovery, { self: SELF, runtime });
  const emitted = () =>
    made.events.flatMap((event) => event.type === "AddressShared" ? [event.memberId] : []);
  const unreachable = () =>
    made.events.flatMap((event) => event.type === "SelfUnreachable" ? [`${event.error}`] : []);
  await runtime.advance(0);
  return {
    context: made,
    runtime,
    emitted,
    unreachable,
    publish: (...members: Member[]) => publish(members),
  };
}

Deno.test("shared address: a member that stays active at this member's address emits one event", async () => {
  const { context: made, runtime, emitted, publish } = await context();
  publish(SELF, memberOf("b"));
  await runtime.advance(EXPIRATION_MS);
  assertEquals(emitted(), []);
  await runtime.advance(EXPIRATION_MS);
  assertEquals(emitted(), ["b"]);
  publish(SELF, memberOf("b"), memberOf("c"));
  await runtime.advance(4 * EXPIRATION_MS);
  assertEquals(emitted(), ["b"]);
  await made[Symbol.asyncDispose]();
});

Deno.test("shared address: a former process at the same address, which is blocked when it expires, emits no event", async () => {
  const { context: made, runtime, emitted, publish } = await context();
  publish(SELF, memberOf("former"));
  await runtime.advance(EXPIRATION_MS);
  publish(SELF);
  await runtime.advance(4 * EXPIRATION_MS);
  assertEquals(emitted(), []);
  // Another is looked at after it.
  publish(SELF, memberOf("b"));
  await runtime.advance(2 * EXPIRATION_MS);
  assertEquals(emitted(), ["b"]);
  await made[Symbol.asyncDispose]();
});

Deno.test("shared address: members on other ports, and behind one proxy by path, are not at one address", async () => {
  const { context: made, runtime, emitted, publish } = await context();
  publish(SELF, memberOf("b", 7002), { ...memberOf("c"), url: "ws://127.0.0.1:7001/c" });
  await runtime.advance(4 * EXPIRATION_MS);
  assertEquals(emitted(), []);
  await made[Symbol.asyncDispose]();
});

Deno.test({
  name: "shared address: a member that mounts a handler dials its own address, until another answers",
  permissions: { net: ["127.0.0.1"] },
  async fn() {
    let who = SELF;
    const { context: made, runtime, emitted } = await context({ probes: true, answers: () => who });
    await runtime.advance(1_500);
    assertEquals([emitted(), made.greetings.length], [[], 2]);
    who = memberOf("b");
    await runtime.advance(60_000);
    assertEquals([emitted(), made.greetings], [["b"], new Array(3).fill("ws://127.0.0.1:7001")]);
    await made[Symbol.asyncDispose]();
  },
});

Deno.test({
  name: "shared address: a member that itself answers at its address stops dialing it, and emits no event",
  permissions: { net: ["127.0.0.1"] },
  async fn() {
    const { context: made, runtime, emitted } = await context({ probes: true, answers: () => SELF });
    await runtime.advance(600_000);
    assertEquals([emitted(), made.greetings.length], [[], 6]);
    await made[Symbol.asyncDispose]();
  },
});

Deno.test({
  name:
    "shared address: a member without the permission to dial its own address does not dial it, and no prompt appears",
  permissions: { net: false },
  async fn() {
    const { context: made, runtime } = await context({ probes: true, answers: () => memberOf("b") });
    await runtime.advance(60_000);
    assertEquals(made.greetings, []);
    await made[Symbol.asyncDispose]();
  },
});

/** Fails like a dial, the given number of times; then this member itself answers. */
function failing(times: number): () => Member {
  let count = 0;
  return () => {
    if (count++ < times) throw new Error(`no ${count}`);
    return SELF;
  };
}

Deno.test({
  name:
    "own address: if no member answers there, one event is emitted after the last attempt, with its reason",
  permissions: { net: ["127.0.0.1"] },
  async fn() {
    const { context: made, runtime, unreachable } = await context({ probes: true, answers: failing(100) });
    await runtime.advance(15_900);
    assertEquals([unreachable(), made.greetings.length], [[], 5]);
    await runtime.advance(200);
    assertEquals(unreachable(), ["Error: no 6"]);
    await runtime.advance(600_000);
    assertEquals([unreachable().length, made.greetings.length], [1, 6]);
    await made[Symbol.asyncDispose]();
  },
});

Deno.test({
  name: "own address: no event is emitted if a member answers there once, or if others dial the address",
  permissions: { net: ["127.0.0.1"] },
  async fn() {
    for (const options of [{ answers: failing(5) }, { answers: failing(100), isReached: () => true }]) {
      const { context: made, runtime, unreachable } = await context({ probes: true, ...options });
      await runtime.advance(60_000);
      assertEquals([unreachable(), made.greetings.length], [[], 6]);
      await made[Symbol.asyncDispose]();
    }
  },
});

Deno.test({
  name: "own address: a member that ends during its last attempt emits no event",
  permissions: { net: ["127.0.0.1"] },
  async fn() {
    const { context: made, runtime, unreachable } = await context({ probes: true, answers: failing(100) });
    await runtime.advance(15_900);
    const stopping = made.stop();
    await runtime.advance(60_000);
    await stopping;
    assertEquals(unreachable(), []);
    await made[Symbol.asyncDispose]();
  },
});
