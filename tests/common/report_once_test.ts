import { assertEquals } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { MAX_REASONS, MAX_SUBJECTS, reasonOf, ReportOnce } from "../../common/report_once.ts";

Deno.test("ReportOnce.claim: a reason is reported once, and again after a success", () => {
  const reasons = new ReportOnce();
  const claims = () => [reasons.claim("a", "down"), reasons.claim("a", "late"), reasons.claim("b", "down")];
  assertEquals(claims(), [true, true, true]);
  assertEquals(claims(), [false, false, false]);
  reasons.forget("a");
  assertEquals(claims(), [true, true, false]);
});

Deno.test("ReportOnce.claim: a reason that `mayReport` refused is reported later; `mayReport` is not called for a reported reason", () => {
  const reasons = new ReportOnce();
  let asked = 0;
  const claim = (mayReport: boolean) => reasons.claim("a", "down", () => (asked++, mayReport));
  assertEquals([claim(false), claim(true), claim(true)], [false, true, false]);
  assertEquals(asked, 2);
});

Deno.test("ReportOnce.claim: the number of sources and reasons is bounded, and other sources displace no continuing failure", () => {
  const reasons = new ReportOnce();
  reasons.claim("first", "down");
  reasons.claim("neighbor", "down");
  for (let each = 1; each < 2 * MAX_SUBJECTS; each++) {
    assertEquals(reasons.claim("neighbor", "down"), false);
    reasons.claim(`place ${each}`, "down");
  }
  for (let each = 0; each < MAX_REASONS; each++) reasons.claim("neighbor", `reason ${each}`);
  assertEquals([reasons.claim("neighbor", "reason 0"), reasons.claim("neighbor", "down")], [false, true]);
  assertEquals(reasons.claim("first", "down"), true);
});

Deno.test("reasonOf: two errors with the same code are the same reason, whatever their texts", () => {
  const reasons = [new HearsayError("timeout", "after 5 ms"), new HearsayError("timeout", "after 6 ms")];
  assertEquals(reasons.map(reasonOf), ["timeout", "timeout"]);
  assertEquals(reasonOf(new TypeError("no")), "TypeError: no");
});
