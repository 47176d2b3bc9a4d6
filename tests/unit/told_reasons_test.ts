import { assertEquals } from "../../deps/std_assert.ts";
import { HearsayError } from "../../gossiper/errors.ts";
import { MAX_REASONS, MAX_TOLD_ABOUT, reasonOf, ToldReasons } from "../../gossiper/told_reasons.ts";

Deno.test("reported reasons: a reason is reported once, and again after a success", () => {
  const told = new ToldReasons();
  assertEquals([told.isNews("a", "down"), told.isNews("a", "down")], [true, true]);
  told.add("a", "down");
  assertEquals([told.isNews("a", "down"), told.isNews("a", "late"), told.isNews("b", "down")], [
    false,
    true,
    true,
  ]);
  told.add("a", "late");
  assertEquals([told.isNews("a", "down"), told.isNews("a", "late")], [false, false]);
  told.forget("a");
  assertEquals([told.isNews("a", "down"), told.isNews("a", "late")], [true, true]);
});

Deno.test("reported reasons: ever other sources or reasons stay within the bound, and displace no continuing failure", () => {
  const told = new ToldReasons();
  told.add("first", "down");
  told.add("neighbour", "down");
  for (let each = 1; each < 2 * MAX_TOLD_ABOUT; each++) {
    assertEquals(told.isNews("neighbour", "down"), false);
    told.add(`place ${each}`, "down");
  }
  assertEquals(told.isNews("first", "down"), true);
  for (let each = 0; each < MAX_REASONS; each++) told.add("neighbour", `reason ${each}`);
  assertEquals([told.isNews("neighbour", "down"), told.isNews("neighbour", "reason 0")], [true, false]);
});

Deno.test("reported reasons: two errors with one code are one reason, whatever their texts", () => {
  const reasons = [new HearsayError("timeout", "after 5 ms"), new HearsayError("timeout", "after 6 ms")];
  assertEquals(reasons.map(reasonOf), ["timeout", "timeout"]);
  assertEquals(reasonOf(new TypeError("no")), "TypeError: no");
});
