import { assertEquals } from "../../deps/std_assert.ts";
import { cut, widthOf } from "../../cli/width.ts";

Deno.test("widthOf: counts the columns of a terminal", () => {
  assertEquals(["", "ada", "日本", "ｱ", "e\u0301", "🎉", "─…é"].map(widthOf), [0, 3, 4, 1, 1, 2, 3]);
});

Deno.test("cut: keeps both ends, and counts columns", () => {
  assertEquals([cut("abcdefghij", 5), cut("abc", 5), cut("😀😀😀😀😀😀", 5)], ["ab…ij", "abc", "😀…😀"]);
  for (const text of ["日本語メンバー", "e\u0301".repeat(20), "a日".repeat(9)]) {
    for (let most = 2; most < 20; most++) {
      assertEquals(widthOf(cut(text, most)) <= most, true, `${text} ${most}`);
    }
  }
  assertEquals(cut("ae\u0301be\u0301", 2), "a…");
});
