import { assertEquals } from "../../deps/std_assert.ts";
import { Decisions } from "../../gossiper/decisions.ts";

Deno.test("decisions: a long reason is cut, with a mark at its end", () => {
  const decisions = new Decisions("a", { wallMs: () => 0 });
  for (const reason of ["r".repeat(256), "r".repeat(257), `${"r".repeat(255)}\u202e`]) {
    decisions.record("b", { kind: "refused", reason });
  }
  assertEquals(decisions.of("b").map(({ reason }) => reason!), [
    "r".repeat(256),
    `${"r".repeat(256)}…`,
    `${"r".repeat(255)}\\u202e`,
  ]);
});
