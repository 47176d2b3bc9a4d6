import { assertEquals } from "../../deps/std_assert.ts";
import { ConsensusCheck } from "../../engine/consensus.ts";
import type { JsonValue } from "../../engine/types.ts";

function check(): ConsensusCheck {
  return new ConsensusCheck(
    "c",
    "k",
    (value: JsonValue) => value === null ? undefined : JSON.stringify(value),
  );
}

Deno.test("consensus: is reached when all members have the same value (R11.2, E13)", () => {
  const { note, evaluate } = bound(check());
  assertEquals(evaluate(0), undefined);
  note("a", 1);
  assertEquals([evaluate(1), evaluate(2)], ["1", undefined]);
  note("b", 2);
  assertEquals(evaluate(2), undefined);
  note("b", 1);
  assertEquals(evaluate(2), "1");
  note("a", undefined);
  assertEquals([evaluate(2), evaluate(1)], [undefined, "1"]);
});

Deno.test("consensus: a member prevents consensus if the extractor returns undefined for its value (R11.2)", () => {
  const { note, evaluate } = bound(check());
  note("a", 1);
  note("b", null);
  assertEquals(evaluate(2), undefined);
  note("b", 1);
  note("a", null);
  assertEquals([evaluate(1), evaluate(2)], ["1", undefined]);
});

Deno.test("consensus: the extractor receives the value and the id of its member (E13)", () => {
  const given: unknown[] = [];
  const own = new ConsensusCheck("c", "k", (value, memberId) => {
    given.push([value, memberId]);
    return "x";
  });
  own.recordValue("a", { v: 1 });
  assertEquals(given, [[{ v: 1 }, "a"]]);
});

Deno.test("consensus: dissenters are the members without the most frequent value; of equally frequent values the least text leads (E13)", () => {
  const { note, dissenters } = bound(check());
  assertEquals(dissenters(["b", "a"]), ["a", "b"]);
  note("a", 1);
  note("b", 1);
  note("c", 2);
  assertEquals(dissenters(["d", "c", "b", "a"]), ["c", "d"]);
  note("d", 2);
  assertEquals(dissenters(["a", "b", "c", "d"]), ["c", "d"]);
  note("b", 2);
  assertEquals(dissenters(["a", "b", "c", "d"]), ["a"]);
  note("a", 2);
  assertEquals(dissenters(["a", "b", "c", "d"]), []);
});

Deno.test("consensus: the counts equal a full recount after many random changes (E6)", () => {
  const { note, evaluate } = bound(check());
  const values = new Map<string, number>();
  let state = 7;
  const draw = (below: number) => (state = (state * 48_271) % 2_147_483_647) % below;
  for (let each = 0; each < 5_000; each++) {
    const id = `m${draw(3)}`;
    const value = [0, 1, undefined][draw(3)];
    note(id, value);
    if (value === undefined) values.delete(id);
    else values.set(id, value);
    for (const members of [1, 2, 3]) {
      const agreed = values.size === members && new Set(values.values()).size === 1;
      assertEquals(evaluate(members), agreed ? `${[...values.values()][0]}` : undefined);
    }
  }
});

function bound(of: ConsensusCheck) {
  return {
    note: (id: string, value: JsonValue | undefined) => of.recordValue(id, value),
    evaluate: (members: number) => of.evaluate(members),
    dissenters: (ids: readonly string[]) => of.dissenters(ids),
  };
}
