import { assertEquals } from "../../../deps/std_assert.ts";
import { makeIncarnation, NO_INCARNATION } from "../../../engine/incarnation.ts";
import type { KnownVersion } from "../../../engine/types.ts";
import { entry, makeCluster, memberDelta, set, tell, TestClock } from "../harness.ts";

/** `a`, which has sent `b` nothing, with an own change and one each of `c`, `d`, `e` and `f`, in this order. */
function makeTeller(gossipMaxSend: number) {
  const clock = new TestClock();
  const ids = ["a", "b", "c", "d", "e", "f"];
  const [a] = makeCluster(ids, clock, { settings: { gossipMaxSend } });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  for (const id of ids.slice(2)) tell(a, "c", memberDelta(id, incarnation, [entry("k", 1, id)]), clock);
  set(a, "k", 1, clock);
  /** The members in a message, if b pulls these. */
  const toldOf = (...ids: string[]) => {
    const asked = new Map<string, KnownVersion>(
      ids.map((id) => [id, { incarnation: NO_INCARNATION, number: 0 }]),
    );
    return a.disseminate("b", { asked }).delta.members.map(({ id }) => id).toSorted();
  };
  return { a, toldOf };
}

Deno.test("Newsroom.of: whom the peer asks for comes first where own state and others need more places than there are (E7)", () => {
  assertEquals(makeTeller(4).toldOf("c").includes("c"), true);
  for (const ids of [["c", "d"], ["d", "e"], ["e", "f"], ["c", "f"]]) {
    const told = makeTeller(4).toldOf(...ids);
    assertEquals(ids.filter((id) => !told.includes(id)), [], `${ids}`);
  }
  assertEquals(makeTeller(5).toldOf("c"), ["a", "c", "d", "e", "f"]);
});
