import { assertEquals } from "../../deps/std_assert.ts";
import { parseLcov } from "../../tools/coverage.ts";

Deno.test("coverage: counts the lines in the product's folders alone", () => {
  const lcov = `SF:/house/engine/a.ts
FN:1,f
DA:1,1
DA:2,0
LH:1
LF:2
end_of_record
SF:/house/tests/unit/a_test.ts
DA:1,1
LH:1
LF:1
end_of_record
SF:/elsewhere/engine/b.ts
LH:0
LF:9
end_of_record
SF:/house/transport/deep/c.ts
LH:3
LF:3
end_of_record
`;
  assertEquals([...parseLcov(lcov, new URL("file:///house/"))], [
    ["engine/a.ts", { found: 2, hit: 1 }],
    ["transport/deep/c.ts", { found: 3, hit: 3 }],
  ]);
});
