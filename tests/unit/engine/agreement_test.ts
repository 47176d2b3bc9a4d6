import { assertEquals } from "../../../deps/std_assert.ts";
import { Agreement } from "../../../engine/agreement.ts";

Deno.test("E12 a peer agrees by what it published or by what it acknowledged, and counts once", () => {
  const agreement = new Agreement();
  agreement.add("a");
  agreement.add("b");
  agreement.set("a", { published: "S" });
  assertEquals([agreement.agreeing("S"), agreement.agrees("a", "S"), agreement.agrees("b", "S")], [
    1,
    true,
    false,
  ]);
  agreement.set("a", { acknowledged: "S" });
  agreement.set("b", { acknowledged: "S" });
  assertEquals(agreement.agreeing("S"), 2);
  agreement.set("a", { published: "T" });
  assertEquals([agreement.agreeing("S"), agreement.agreeing("T")], [2, 1]);
  agreement.set("a", { acknowledged: undefined });
  assertEquals([agreement.agreeing("S"), agreement.agrees("a", "S"), agreement.agrees("a", "T")], [
    1,
    false,
    true,
  ]);
});

Deno.test("E12 who is not active is not counted, and comes back knowing nothing", () => {
  const agreement = new Agreement();
  agreement.set("stranger", { acknowledged: "S" });
  assertEquals([agreement.peers, agreement.agreeing("S"), agreement.agrees("stranger", "S")], [0, 0, false]);
  agreement.add("a");
  agreement.set("a", { acknowledged: "S", published: "S" });
  agreement.add("a");
  assertEquals([agreement.peers, agreement.agreeing("S")], [1, 1]);
  agreement.remove("a");
  agreement.remove("a");
  assertEquals([agreement.peers, agreement.agreeing("S")], [0, 0]);
  agreement.add("a");
  assertEquals(agreement.agrees("a", "S"), false);
});

Deno.test("E12 what a peer published in another life counts only once that life is its own again", () => {
  const agreement = new Agreement();
  agreement.add("a");
  agreement.set("a", { published: "S" });
  agreement.set("a", { isOutlived: true });
  assertEquals([agreement.agreeing("S"), agreement.agrees("a", "S")], [0, false]);
  agreement.set("a", { published: "T" });
  assertEquals(agreement.agreeing("T"), 0);
  agreement.set("a", { acknowledged: "T" });
  assertEquals(agreement.agreeing("T"), 1);
  agreement.set("a", { isOutlived: false });
  assertEquals([agreement.agreeing("S"), agreement.agreeing("T")], [0, 1]);
  agreement.set("a", { acknowledged: undefined });
  assertEquals(agreement.agrees("a", "T"), true);
  agreement.remove("a");
  assertEquals(agreement.agreeing("T"), 0);
});

Deno.test("E6 the count stands after many random changes as counting anew would have it", () => {
  const agreement = new Agreement();
  const known = new Map<string, { published?: string; acknowledged?: string }>();
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
      const field = change % 2 === 0 ? { published: name() } : { acknowledged: name() };
      agreement.set(id, field);
      if (known.has(id)) Object.assign(known.get(id)!, field);
    }
    for (const each of ["S", "T", "U"]) {
      const agreeing = [...known.values()].filter((peer) =>
        peer.published === each || peer.acknowledged === each
      );
      assertEquals(agreement.agreeing(each), agreeing.length);
    }
  }
});
