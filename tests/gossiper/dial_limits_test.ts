import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import { MEMBER_KEY } from "../../engine/types.ts";
import type { Transport } from "../../contracts/cluster.ts";
import { DialLimits } from "../../gossiper/dial_limits.ts";
import { HearsayError } from "../../common/errors.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { recordOf, TestCluster } from "../requirements/harness.ts";
import { deltaOf, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { entry, memberDelta } from "../engine/harness.ts";

const INVENTED = 600;

/** A transport that counts its dials by address. */
function counted(
  transport: Transport,
): { readonly transport: Transport; readonly dials: Map<string, number> } {
  const dials = new Map<string, number>();
  const dial: Transport["dial"] = (address, options) => {
    dials.set(address, (dials.get(address) ?? 0) + 1);
    return transport.dial(address, options);
  };
  return {
    transport: new Proxy(transport, {
      get: (target, name) => name === "dial" ? dial : Reflect.get(target, name, target),
    }),
    dials,
  };
}

/** A member `a` that hears of 600 invented ids at the victim's address, and then runs for 16 s. */
async function dialsToVictim(
  { isThere, suspects }: { readonly isThere: boolean; readonly suspects: boolean },
): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const cluster = new TestCluster(["a", "victim"], { config: { gossipInterval: 100 } });
  const transport = cluster.network.transport("a2", 1);
  stack.defer(() => transport.close());
  stack.use(cluster);
  const { dials, transport: counting } = counted(transport);
  const a = cluster.make("a", {
    cluster: { discovery: seeds([]), transport: counting },
  });
  await a.gossiper.start();
  // A name before `a`: of two connections the one that it dialed stays.
  const mallory = stack.use(new ScriptedPeer(cluster, "Mallory"));
  if (isThere) stack.use(new ScriptedPeer(cluster, "victim"));
  const incarnation = makeIncarnation(cluster.runtime.wallMs(), 0.5);
  const invented = Array.from({ length: INVENTED }, (_, at) => `invented ${at}`);
  const members = invented.map((id) => ({
    ...memberDelta(id, incarnation, [entry(MEMBER_KEY, 1, { ...recordOf(id), host: "victim" })]),
    count: 1,
  }));
  await mallory.say("a2", {
    type: "gossip",
    liveness: { count: 0 },
    id: "d2",
    memberId: "Mallory",
    delta: deltaOf(members),
  });
  for (let second = 0; second < 16; second++) {
    await cluster.advance(1_000);
    for (const memberId of suspects ? invented.slice(32 * second, 32 * (second + 1)) : []) {
      await mallory.say("a2", { type: "suspect", memberId, incarnation, count: 1, isAlive: false });
    }
  }
  return dials.get("memory://victim:1") ?? 0;
}

Deno.test("DialLimits: many invented ids at one address cause few dials to that address", async () => {
  for (const isThere of [false, true]) {
    const dials = await dialsToVictim({ isThere, suspects: false });
    assertGreater(dials, 1);
    assertLess(dials, 40);
  }
});

Deno.test("DialLimits: suspicions of many invented ids at one address cause few dials to it (C2)", async () => {
  assertLess(await dialsToVictim({ isThere: false, suspects: true }), 80);
});

function limits(): { readonly limits: DialLimits; readonly runtime: VirtualRuntime } {
  const runtime = new VirtualRuntime({ seed: 1 });
  return { limits: new DialLimits({ runtime, base: 1_000, cap: 60_000 }), runtime };
}

const failing = () => Promise.reject(new HearsayError("connection", "No."));

Deno.test("DialLimits: a failed dial counts for all addresses of its host and port, and for no other", async () => {
  const { limits: all } = limits();
  for (let n = 0; n < 8; n++) {
    const address = `ws://localhost:1/path${n}`;
    await assertRejects(() => all.dial({ memberId: `m${n}`, address }, failing), HearsayError);
  }
  assertEquals(all.isFree({ memberId: "m", address: "ws://127.0.0.1:1" }), false);
  assertEquals(all.isFree({ memberId: "m", address: "wss://LOCALHOST:1/other" }), false);
  assert(all.isFree({ memberId: "m", address: "ws://127.0.0.1:2" }));
});

Deno.test("DialLimits: a member that was met at an address is dialed there, whatever failed for others", async () => {
  const { limits: all } = limits();
  const address = "ws://10.0.0.5:1";
  assertEquals(await all.dial({ memberId: "real", address }, () => Promise.resolve({ id: "real" })), {
    id: "real",
  });
  for (let n = 0; n < 8; n++) {
    await all.dial({ memberId: `m${n}`, address }, () => Promise.resolve({ id: "real" }));
  }
  assertEquals(all.isFree({ memberId: "m8", address }), false);
  assert(all.isFree({ memberId: "real", address }));
  await assertRejects(() => all.dial({ memberId: "real", address }, failing), HearsayError);
  all.retain(new Set());
  assertEquals(all.isFree({ memberId: "real", address }), false);
});

Deno.test("DialLimits: one address is dialed for few members at once", async () => {
  const { limits: all } = limits();
  const pending = Promise.withResolvers<{ id: string }>();
  const dial = (n: number) =>
    all.dial({ memberId: `m${n}`, address: `ws://10.0.0.5:1/${n}` }, () => pending.promise);
  const dials = [0, 1, 2, 3].map(dial);
  assertEquals(all.isFree({ memberId: "m4", address: "ws://10.0.0.5:1" }), false);
  await assertRejects(() => dial(4), HearsayError, "has 4 dials under way");
  assert(all.isFree({ memberId: "m4", address: "ws://10.0.0.5:2" }));
  pending.resolve({ id: "m0" });
  await Promise.all(dials);
  assert(all.isFree({ memberId: "m0", address: "ws://10.0.0.5:1" }));
});

Deno.test("DialLimits: a member that answered at a seed's address is dialed there, whatever failed for others", async () => {
  const { limits: all } = limits();
  all.recordFound({ memberId: "v", address: "ws://10.0.0.5:1/gossip" });
  for (let n = 0; n < 8; n++) {
    await assertRejects(
      () => all.dial({ memberId: `m${n}`, address: `ws://10.0.0.5:1/path${n}` }, failing),
      HearsayError,
    );
  }
  assert(all.isFree({ memberId: "v", address: "ws://10.0.0.5:1/gossip" }));
  assert(!all.isFree({ memberId: "w", address: "ws://10.0.0.5:1/gossip" }));
});

Deno.test("DialLimits: failed dials to ids known by hearsay do not delay a member that named the address in a handshake", async () => {
  const { limits: all } = limits();
  const address = "ws://10.0.0.5:1";
  all.recordClaimed({ memberId: "real", address });
  for (let n = 0; n < 8; n++) {
    await assertRejects(() => all.dial({ memberId: `m${n}`, address }, failing), HearsayError);
  }
  assertEquals(all.isFree({ memberId: "m8", address }), false);
  assert(all.isFree({ memberId: "real", address }));
  // A claim proves no address: those that claim it share one backoff.
  all.recordClaimed({ memberId: "other", address });
  await assertRejects(() => all.dial({ memberId: "other", address }, failing), HearsayError);
  assertEquals(all.isFree({ memberId: "real", address }), false);
  all.retain(new Set());
  assertEquals(all.isFree({ memberId: "real", address }), false);
});
