import { assertEquals } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { MAX_REASONS, MAX_SUBJECTS, reasonOf, ReportOnce } from "../../common/report_once.ts";

Deno.test("reported reasons: a reason is reported once, and again after a success", () => {
  const reasons = new ReportOnce();
  assertEquals([reasons.shouldReport("a", "down"), reasons.shouldReport("a", "down")], [true, true]);
  reasons.add("a", "down");
  assertEquals([
    reasons.shouldReport("a", "down"),
    reasons.shouldReport("a", "late"),
    reasons.shouldReport("b", "down"),
  ], [
    false,
    true,
    true,
  ]);
  reasons.add("a", "late");
  assertEquals([reasons.shouldReport("a", "down"), reasons.shouldReport("a", "late")], [false, false]);
  reasons.forget("a");
  assertEquals([reasons.shouldReport("a", "down"), reasons.shouldReport("a", "late")], [true, true]);
});

Deno.test("reported reasons: ever other sources or reasons stay within the bound, and displace no continuing failure", () => {
  const reasons = new ReportOnce();
  reasons.add("first", "down");
  reasons.add("neighbor", "down");
  for (let each = 1; each < 2 * MAX_SUBJECTS; each++) {
    assertEquals(reasons.shouldReport("neighbor", "down"), false);
    reasons.add(`place ${each}`, "down");
  }
  assertEquals(reasons.shouldReport("first", "down"), true);
  for (let each = 0; each < MAX_REASONS; each++) reasons.add("neighbor", `reason ${each}`);
  assertEquals([reasons.shouldReport("neighbor", "down"), reasons.shouldReport("neighbor", "reason 0")], [
    true,
    false,
  ]);
});

Deno.test("reported reasons: two errors with one code are one reason, whatever their texts", () => {
  const reasons = [new HearsayError("timeout", "after 5 ms"), new HearsayError("timeout", "after 6 ms")];
  assertEquals(reasons.map(reasonOf), ["timeout", "timeout"]);
  assertEquals(reasonOf(new TypeError("no")), "TypeError: no");
});
