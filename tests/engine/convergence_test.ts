import { assertEquals } from "../../deps/std_assert.ts";
import { ConvergenceTracker } from "../../engine/convergence.ts";

Deno.test("ConvergenceTracker: a peer counts once, by the state that it sent, acknowledged or was reported to have (E12)", () => {
  const agreement = new ConvergenceTracker();
  agreement.add("a");
  agreement.add("b");
  agreement.set("a", { sent: "S" });
  assertEquals([agreement.agreeing("S"), agreement.agrees("a", "S"), agreement.agrees("b", "S")], [
    1,
    true,
    false,
  ]);
  agreement.set("a", { acknowledged: "S" });
  agreement.set("b", { acknowledged: "S" });
  assertEquals(agreement.agreeing("S"), 2);
  agreement.set("a", { sent: "T" });
  assertEquals([agreement.agreeing("S"), agreement.agreeing("T")], [2, 1]);
  agreement.set("a", { acknowledged: undefined });
  assertEquals([agreement.agreeing("S"), agreement.agrees("a", "S"), agreement.agrees("a", "T")], [
    1,
    false,
    true,
  ]);
});

Deno.test("ConvergenceTracker: an inactive member is not counted, and has no known state when it returns (E12)", () => {
  const agreement = new ConvergenceTracker();
  agreement.set("stranger", { acknowledged: "S" });
  assertEquals([agreement.peers, agreement.agreeing("S"), agreement.agrees("stranger", "S")], [0, 0, false]);
  agreement.add("a");
  agreement.set("a", { acknowledged: "S", sent: "S" });
  agreement.add("a");
  assertEquals([agreement.peers, agreement.agreeing("S")], [1, 1]);
  agreement.remove("a");
  agreement.remove("a");
  assertEquals([agreement.peers, agreement.agreeing("S")], [0, 0]);
  agreement.add("a");
  assertEquals(agreement.agrees("a", "S"), false);
});

Deno.test("ConvergenceTracker: a third member's report counts, and so does a message of the peer (E12)", () => {
  const agreement = new ConvergenceTracker();
  agreement.add("a");
  agreement.set("a", { reported: "S" });
  assertEquals([agreement.agreeing("S"), agreement.agrees("a", "S")], [1, true]);
  agreement.set("a", { sent: "T" });
  assertEquals([agreement.agreeing("S"), agreement.agreeing("T")], [1, 1]);
  agreement.set("a", { acknowledged: "S" });
  assertEquals([agreement.agreeing("S"), agreement.agreeing("T")], [1, 1]);
  agreement.set("a", { sent: undefined });
  assertEquals([agreement.agreeing("S"), agreement.agreeing("T")], [1, 0]);
  agreement.set("a", { reported: undefined });
  assertEquals(agreement.agrees("a", "S"), true);
  agreement.set("a", { acknowledged: undefined });
  assertEquals([agreement.agreeing("S"), agreement.agrees("a", "S")], [0, false]);
  agreement.set("a", { reported: "T" });
  agreement.remove("a");
  assertEquals(agreement.agreeing("T"), 0);
});

Deno.test("ConvergenceTracker: the count of agreeing peers equals a recount after each random change (E6)", () => {
  const agreement = new ConvergenceTracker();
  const known = new Map<string, { sent?: string; reported?: string; acknowledged?: string }>();
  let state = 1;
  const draw = (below: number) => (state = (state * 48_271) % 2_147_483_647) % below;
  const name = () => ["S", "T", "U", undefined][draw(4)];
  for (let each = 0; each < 5_000; each++) {
    const id = `m${draw(5)}`;
    const change = draw(10);
    if (change === 0) {
      agreement.add(id);
      if (!known.has(id)) known.set(id, {});
    } else if (change === 1) {
      agreement.remove(id);
      known.delete(id);
    } else {
      const field = { [["sent", "reported", "acknowledged"][draw(3)]!]: name() };
      agreement.set(id, field);
      if (known.has(id)) Object.assign(known.get(id)!, field);
    }
    for (const each of ["S", "T", "U"]) {
      const agreeing = [...known.values()].filter((peer) =>
        [peer.sent, peer.reported, peer.acknowledged].includes(each)
      );
      assertEquals(agreement.agreeing(each), agreeing.length);
    }
  }
});
