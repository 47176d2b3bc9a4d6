import { assert, assertEquals } from "../../deps/std_assert.ts";
import type { Discovery } from "../../contracts/cluster.ts";
import { seeds } from "../../discovery/seeds.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";
import { PAIR_CONFIG } from "../requirements/scripted_pair.ts";

Deno.test("dials: two handshakes with one address at once share one dial (P4)", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: PAIR_CONFIG, fixed: false });
  const address = memoryAddress("b", 1);
  const found: string[] = [];
  const discovery: Discovery = {
    openMembership: true,
    run: async (context, options) => {
      const both = [1, 2].map(() => context.handshake(address, options));
      for (const { id } of await Promise.all(both)) found.push(id);
    },
  };
  await cluster.make("b", { cluster: { discovery: seeds([]) } }).gossiper.start();
  await cluster.make("a", { cluster: { discovery } }).gossiper.start();
  await cluster.advance(10);
  assertEquals([found, cluster.sentBy("a", "hello").length], [["b", "b"], 1]);
});

Deno.test("dials: an unreachable peer is dialed less and less often, and is reached soon after its return", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: { ...PAIR_CONFIG, maxBackoff: 2_000 } });
  await cluster.make("a").gossiper.start();
  await cluster.advance(30_000);
  const failed = cluster.of("a").emitted("RequestFailed").length;
  // Full jitter up to 2 s: some 30 attempts and not one for each of 300 rounds.
  assert(failed > 15 && failed < 90, `${failed} attempts`);
  await cluster.make("b").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed(), { withinMs: 3_000 });
  assertEquals(memoryAddress("b", 1), cluster.of("b").transport.address);
});
