import { assertEquals } from "../../deps/std_assert.ts";
import {
  deliver,
  entry,
  exchange,
  handshake,
  incarnationAt,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  set,
  TestClock,
  valueOf,
} from "./harness.ts";

Deno.test("handshake: a higher incarnation ends the state of the lower incarnation (E1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(b, "k", "old", clock);
  exchange(b, a, { clock });
  assertEquals(valueOf(a, "b", "k"), "old");
  const again = makeEngine("b", clock, { incarnation: incarnationAt(clock, 50) });
  handshake(again, a, clock);
  assertEquals(valueOf(a, "b", "k"), undefined);
  assertEquals(a.view.versionOf("b"), { incarnation: again.view.incarnation, number: 0 });
});

Deno.test("handshake: a lower incarnation is refused and changes no state (E1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(b, "k", "held", clock);
  exchange(b, a, { clock });
  const { refusal } = note(
    a,
    a.applyHello({ id: "b", incarnation: incarnationAt(clock, -50), digest: "", active: "" }, clock.now),
  );
  assertEquals(refusal, "id_conflict");
  assertEquals([valueOf(a, "b", "k"), a.view.incarnationOf("b"), a.view.latestIncarnation("b")], [
    "held",
    b.view.incarnation,
    b.view.incarnation,
  ]);
});

Deno.test("handshake: an incarnation that began with a handshake is passed on as a delta, not as a reset (E1)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  deliver(a, "b", memberDelta("b", incarnationAt(clock, 0), [entry("k", 1, 1)]), clock);
  const incarnation = incarnationAt(clock, 5);
  note(a, a.applyHello({ id: "b", incarnation, digest: "0".repeat(16), active: "0".repeat(16) }, clock.now));
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 1, 2)]), clock);
  const [sent] = a.disseminate("c").delta.members;
  assertEquals([sent?.id, sent?.incarnation, sent?.reset], ["b", incarnation, false]);
});
