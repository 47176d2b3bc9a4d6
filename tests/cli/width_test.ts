import { assertEquals } from "../../deps/std_assert.ts";
import { cut, cutEnd, widthOf } from "../../cli/width.ts";

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

Deno.test("cutEnd: cuts a line between two words, and keeps its colors", () => {
  const painted = "  members     \u001b[32m2 alive\u001b[0m, \u001b[31m12 failed\u001b[0m";
  assertEquals(cutEnd(painted, 33), painted);
  assertEquals(cutEnd(painted, 26), "  members     \u001b[32m2 alive\u001b[0m, \u001b[31m12\u001b[0m…");
  assertEquals(cutEnd(painted, 25), "  members     \u001b[32m2 alive\u001b[0m,\u001b[31m\u001b[0m…");
  assertEquals(cutEnd("sent 383 B/s; 220.4 KiB", 18), "sent 383 B/s;…");
  assertEquals(cutEnd("x".repeat(9), 4), "xxx…");
  assertEquals(cutEnd("一二三四", 5), "一二…");
  assertEquals(cutEnd("ab", 1), "…");
});
