import { assertEquals } from "../../../deps/std_assert.ts";
import { moduleOf } from "../../../tools/embed_page.ts";

Deno.test("page.ts: has the text of page.html; `deno task embed-page` writes it", async () => {
  const folder = new URL("../../../operations/dashboard/", import.meta.url);
  const page = await Deno.readTextFile(new URL("page.html", folder));
  assertEquals(await Deno.readTextFile(new URL("page.ts", folder)) === moduleOf(page), true);
});
