import { assert, assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { Program } from "../process/program.ts";
import { chromiumTest, endBrowser, TestBrowser } from "./chromium.ts";
import { bundled } from "./bundled.ts";

Deno.test.afterAll(endBrowser);

/** Starts the service of the example; resolves with its origin. */
async function service(): Promise<{ readonly program: Program; readonly origin: string }> {
  await Deno.mkdir(new URL("../../dist", import.meta.url), { recursive: true });
  await Deno.writeTextFile(new URL("../../dist/hearsay.js", import.meta.url), await bundled());
  const args = ["run", "--no-prompt", "--allow-net=127.0.0.1", "--allow-read", "examples/browser/server.ts"];
  const program = new Program({ args: [...args, "--port", "0"] });
  const [, origin = ""] = await program.until(/(http:\S+)\/ is a page/);
  return { program, origin };
}

const ROWS =
  `[...document.querySelectorAll("#members tr")].map((row) => row.innerText.replaceAll("\\t", " "))`;
const aliveRows = (count: number) => `${ROWS}.filter((row) => row.includes("alive")).length === ${count}`;

chromiumTest("browser example: pages join, see each other and the processes, and leave at once", async () => {
  const { program, origin } = await service();
  await using _ = program;
  await using browser = await TestBrowser.start();
  const page = await browser.page(origin);
  await page.waitForFunction(aliveRows(3));
  const other = await browser.page(origin);
  await page.waitForFunction(aliveRows(4));
  await other.fill("#color", "#00ff00");
  await page.waitForFunction(`${ROWS}.some((row) => row.includes("#00ff00"))`);
  await page.evaluate(`globalThis.changes = []; globalThis.watching = (async () => {
    for await (const { status } of node.watchMembers()) {
      changes.push(status);
      if (status === "left") return performance.now();
    }
  })(); ""`);
  const sinceMs = Number(await page.evaluate("performance.now()"));
  await other.close();
  const leftMs = Number(await page.evaluate("watching"));
  assert(leftMs - sinceMs < 2_000, `${leftMs - sinceMs} ms with the time to close the page`);
  assertEquals(await page.evaluate("changes.includes('failed')"), false);
  const reader = await browser.page(`${origin}/?access=read`);
  await reader.waitForFunction(aliveRows(3));
  assertEquals(await reader.isVisible("#color"), false);
  await page.click("#leave");
  await reader.waitForFunction(aliveRows(2));
  await page.waitForFunction(`document.getElementById("about").textContent.includes("has left")`);
  const [own] = await page.evaluate(`${ROWS}.filter((row) => row.includes("(this page)"))`) as string[];
  assertMatch(own!, /left/);
});

chromiumTest("browser example: ids and values of members stay text", async () => {
  const { program, origin } = await service();
  await using _ = program;
  await using browser = await TestBrowser.start();
  const page = await browser.page(origin);
  await page.waitForFunction(aliveRows(3));
  await page.evaluate(`node.setState("color", "<img src=x onerror='globalThis.hacked = true'>")`);
  const other = await browser.page(origin);
  await other.waitForFunction(aliveRows(4));
  assertEquals(await other.evaluate("[globalThis.hacked === undefined, document.images.length]"), [true, 0]);
});
