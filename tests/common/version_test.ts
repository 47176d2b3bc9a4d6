import { assertEquals } from "../../deps/std_assert.ts";
import { VERSION } from "../../common/version.ts";

Deno.test("version: equals the version in deno.json", async () => {
  const { version } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  assertEquals(VERSION, version);
});
