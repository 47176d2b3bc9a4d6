import { assertEquals } from "../../deps/std_assert.ts";
import { checkedBy } from "../../keys/checked_value.ts";
import type { StandardIssue } from "../../keys/mod.ts";
import { schemaOf } from "./schemas.ts";

/** The texts of these issues. */
function textsOf(issues: readonly StandardIssue[]): readonly string[] {
  const checked = checkedBy(schemaOf<string>(() => ({ issues })), 5);
  return checked.fits ? [] : checked.issues;
}

Deno.test("checkedBy: an issue names its path once, even if its message begins with the path", () => {
  assertEquals(
    textsOf([
      { message: "must be a number" },
      { message: "must be a number", path: [] },
      { message: "must be a number", path: ["load", { key: "cpu" }] },
      { message: "load.cpu must be a number", path: ["load", "cpu"] },
    ]),
    ["must be a number", "must be a number", "load.cpu: must be a number", "load.cpu must be a number"],
  );
});
