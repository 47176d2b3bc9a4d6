import { assertEquals } from "../../deps/std_assert.ts";
import { usable } from "../../cli/terminal.ts";

Deno.test("terminal: a width or height of 0 is not known, so the usual one is taken", () => {
  assertEquals(usable({ columns: 0, rows: 0 }), { columns: 80, rows: 24 });
  assertEquals(usable({ columns: 40, rows: 0 }), { columns: 40, rows: 24 });
  assertEquals(usable({ columns: 132, rows: 50 }), { columns: 132, rows: 50 });
});
