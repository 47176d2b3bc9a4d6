import { assertEquals } from "../../../deps/std_assert.ts";
import { dashboard } from "../../../operations/dashboard/mod.ts";
import { TestCluster } from "../../requirements/harness.ts";
import { dataAt } from "./requests.ts";

/** Three members that get their topologies from the test. */
async function threeMembers() {
  const cluster = await TestCluster.started(["a", "b", "c"], { fixed: false });
  await cluster.publish(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(1_000);
  return { cluster, show: dashboard(cluster.of("a").gossiper) };
}

Deno.test("views: a member that sees what this member sees has the index of this member's view", async () => {
  const { cluster, show } = await threeMembers();
  await using _ = cluster;
  const { views, viewOf } = await dataAt(show);
  assertEquals([views, viewOf], [[{ active: [0, 1, 2], blocked: [] }], [0, 0, 0]]);
});

Deno.test("views: a member that blocks another member has a separate view, verified by its hash", async () => {
  const { cluster, show } = await threeMembers();
  await using _ = cluster;
  await cluster.publish(["a", "b", "c"], { blocked: ["c"], to: ["b"] });
  await cluster.advance(1_000);
  const { views, viewOf, members } = await dataAt(show);
  assertEquals(members.map(({ id, status }) => [id, status]), [["a", "alive"], ["b", "alive"], [
    "c",
    "alive",
  ]]);
  assertEquals(viewOf, [0, 1, 0]);
  assertEquals(views[1], { active: [0, 1], blocked: [2] });
});

Deno.test("views: the view of a member that has unknown active members has no list of active members", async () => {
  const { cluster, show } = await threeMembers();
  await using _ = cluster;
  await cluster.publish(["a", "b", "c", "d"], { to: ["b"] });
  await cluster.advance(1_000);
  const { views, viewOf } = await dataAt(show);
  assertEquals([views[1], viewOf[1]], [{ active: null, blocked: [] }, 1]);
});

Deno.test("views: a member that left has no view", async () => {
  const { cluster, show } = await threeMembers();
  await using _ = cluster;
  await cluster.stop("c");
  await cluster.advance(1_000);
  const { views, viewOf } = await dataAt(show);
  assertEquals([views, viewOf], [[{ active: [0, 1], blocked: [2] }], [0, 0, null]]);
});
