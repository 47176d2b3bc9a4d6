/**
 * Runs one scenario in Chromium. A process of its own, because the driver of the browser reads the environment, and tests may
 * not.
 *
 * @module
 */

import { chromium } from "../../../../deps/playwright_core.ts";
import { SCENARIOS } from "./scenarios.ts";

const [name = "", executablePath = ""] = Deno.args;
const names = "--host-resolver-rules=MAP *.test 127.0.0.1";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", names] });
try {
  await SCENARIOS[name]!(browser);
} finally {
  await browser.close();
}
