// Values that expire, between gossipers on a network in memory.

import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { TestCluster } from "../requirements/harness.ts";

/** The time from a set to its end at all members: its lifetime, one interval, and the way of a push. */
const LATE_MS = 300 + 50;

Deno.test("setState: a value with `expiresAfter` ends at all members, within one interval of its time (E16)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const updates = Array.fromAsync(cluster.of("b").gossiper.watch("k"));
  cluster.of("a").gossiper.setState("k", 1, { expiresAfter: 2_000 });
  await cluster.advance(1_999);
  for (const id of ["a", "b", "c"]) assertEquals(cluster.of(id).values("k"), { a: 1 });
  await cluster.advance(LATE_MS);
  for (const id of ["a", "b", "c"]) assertEquals(cluster.of(id).values("k"), {});
  await cluster.finish(cluster.of("b").gossiper.stop());
  assertEquals(
    (await updates).map(({ value, deleted, expired }) => [value, deleted, expired]),
    [[1, false, undefined], [undefined, true, true]],
  );
});

Deno.test("setState: a renewal before the end keeps the value, and setStateRequest takes a lifetime too (E16)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const { gossiper } = cluster.of("a");
  for (let count = 0; count < 5; count++) {
    gossiper.setState("k", count, { expiresAfter: 1_000 });
    await cluster.advance(900);
    assertEquals(cluster.of("b").values("k"), { a: count });
  }
  await cluster.finish(gossiper.setStateRequest("k", "last", { expiresAfter: 1_000, acknowledgedBy: 1 }));
  await cluster.advance(1_000 + LATE_MS);
  assertEquals([cluster.of("a").values("k"), cluster.of("b").values("k")], [{}, {}]);
});

Deno.test("setState: a value ends on time while its owner is out of reach (E16)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.of("a").gossiper.setState("k", 1, { expiresAfter: 2_000 });
  await cluster.advance(500);
  assertEquals(cluster.of("b").values("k"), { a: 1 });
  cluster.crash("a");
  await cluster.advance(1_499);
  assertEquals(cluster.of("b").values("k"), { a: 1 });
  await cluster.advance(LATE_MS);
  assertEquals(cluster.of("b").values("k"), {});
});

Deno.test("setState: refuses a lifetime that is no whole number from 1 to ten years (E16)", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const { gossiper } = cluster.of("a");
  for (const expiresAfter of [0, -1, 1.5, "5", Infinity, 315_360_000_001]) {
    const error = assertThrows(
      () => gossiper.setState("k", 1, { expiresAfter } as never),
      ConfigurationError,
    );
    assertEquals(error.problems.map(({ field }) => field), ["expiresAfter"]);
  }
  assertThrows(() => gossiper.setState("k", 1, { expireAfter: 5 } as never), ConfigurationError);
  assertEquals(cluster.of("a").values("k"), {});
});
