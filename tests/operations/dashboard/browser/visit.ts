/**
 * A page of the dashboard in a real browser.
 *
 * @module
 */

import type { Browser, Page } from "../../../../deps/playwright_core.ts";
import { assertEquals } from "../../../../deps/std_assert.ts";

/** The limit of every wait, in milliseconds. */
const BOUND_MS = 20_000;

/** The size of a window. */
export const NARROW = { width: 400, height: 800 };
export const WIDE = { width: 1280, height: 900 };

/** Opens the dashboard; fails afterwards if the page had an error, a dialog or a refused resource. */
export async function visit(
  browser: Browser,
  origin: string,
  use: (page: Page) => Promise<void>,
  { viewport = WIDE, colorScheme = "light", allowsFaults = false }: {
    readonly viewport?: { readonly width: number; readonly height: number };
    readonly colorScheme?: "light" | "dark";
    /** True if the scenario causes faults of its own. */
    readonly allowsFaults?: boolean;
  } = {},
): Promise<void> {
  const page = await browser.newPage({ viewport, colorScheme });
  page.setDefaultTimeout(BOUND_MS);
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on("dialog", async (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/dashboard/`) && url !== "data:,") faults.push(`request: ${url}`);
  });
  await page.goto(`${origin}/dashboard/`);
  await page.locator("#members tr").first().waitFor();
  await use(page);
  if (!allowsFaults) assertEquals(faults, []);
  await page.close();
}

/** The row of a member. */
export function rowOf(page: Page, id: string) {
  return page.locator("#members tr").filter({ has: page.locator("th code", { hasText: id }) });
}

/** Fails if the page is wider than its window. */
export async function assertNoSideScroll(page: Page): Promise<void> {
  const widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]") as [
    number,
    number,
  ];
  assertEquals(widths[0] <= widths[1], true, `${widths[0]} px in a window of ${widths[1]} px`);
}

/** The result of an expression in the page, as soon as it is as expected. */
export async function untilEqual<T>(page: Page, expression: string, expected: T): Promise<void> {
  const until = Date.now() + BOUND_MS;
  let seen: unknown;
  do {
    seen = await page.evaluate(expression);
    if (JSON.stringify(seen) === JSON.stringify(expected)) return;
    await page.waitForTimeout(50);
  } while (Date.now() < until);
  assertEquals(seen as T, expected);
}
