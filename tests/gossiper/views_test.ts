import { assertEquals } from "../../deps/std_assert.ts";
import { phaseOf } from "../../gossiper/views.ts";
import { recordOf, TestCluster } from "../requirements/harness.ts";
import { fence, makeEngine, note, TestClock } from "../engine/harness.ts";

Deno.test("phaseOf: a fenced member is diffusing, even if its engine agrees with all (E1)", () => {
  const clock = new TestClock();
  const engine = makeEngine("a", clock, { signs: true });
  note(engine, engine.setTopology({ members: ["a"], blocked: [] }, clock.now));
  assertEquals(phaseOf(engine.view), "confirmed");
  fence(engine, clock);
  assertEquals([engine.view.isFenced, engine.view.phase, phaseOf(engine.view)], [
    true,
    "confirmed",
    "diffusing",
  ]);
});

Deno.test("snapshot: has the address of each member, with its URL if it has one", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const url = "ws://proxy.test/orders/c";
  const members = [recordOf("a"), recordOf("b"), { ...recordOf("c"), url }];
  cluster.of("a").stream.publish({ type: "ClusterTopology", members, blocked: [] });
  await cluster.advance(100);
  const addresses = cluster.of("a").gossiper.snapshot().members.map(({ id, address }) => [id, address]);
  assertEquals(Object.fromEntries(addresses), {
    a: { host: "a", port: 1 },
    b: { host: "b", port: 1 },
    c: { host: "c", port: 1, url },
  });
});
