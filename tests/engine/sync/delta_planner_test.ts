import { assertEquals } from "../../../deps/std_assert.ts";
import { makeIncarnation, NO_INCARNATION } from "../../../engine/incarnation.ts";
import type { KnownVersion } from "../../../engine/types.ts";
import { deliver, entry, makeCluster, memberDelta, set, TestClock } from "../harness.ts";

/** `a`, which has sent `b` nothing, with an own change and one each of `c`, `d`, `e` and `f`, in this order. */
function makePlanner(gossipMaxSend: number) {
  const clock = new TestClock();
  const ids = ["a", "b", "c", "d", "e", "f"];
  const [a] = makeCluster(ids, clock, { settings: { gossipMaxSend } });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  for (const id of ids.slice(2)) deliver(a, "c", memberDelta(id, incarnation, [entry("k", 1, id)]), clock);
  set(a, "k", 1, clock);
  /** The members in a message, if b pulls these. */
  const idsSentFor = (...ids: string[]) => {
    const asked = new Map<string, KnownVersion>(
      ids.map((id) => [id, { incarnation: NO_INCARNATION, number: 0 }]),
    );
    return a.disseminate("b", { asked }).delta.members.map(({ id }) => id).toSorted();
  };
  return { a, idsSentFor };
}

Deno.test("DeltaPlanner.plan: pulled members come before changed members if not all have a slot (E7)", () => {
  assertEquals(makePlanner(4).idsSentFor("c").includes("c"), true);
  for (const ids of [["c", "d"], ["d", "e"], ["e", "f"], ["c", "f"]]) {
    const sent = makePlanner(4).idsSentFor(...ids);
    assertEquals(ids.filter((id) => !sent.includes(id)), [], `${ids}`);
  }
  assertEquals(makePlanner(5).idsSentFor("c"), ["a", "c", "d", "e", "f"]);
});
