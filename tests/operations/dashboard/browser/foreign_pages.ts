/**
 * Pages of other origins, in a real browser.
 *
 * @module
 */

import type { Browser } from "../../../../deps/playwright_core.ts";
import { assertEquals } from "../../../../deps/std_assert.ts";
import { Site } from "../site.ts";

/** Each use, by the name of its test. */
export const FOREIGN_SCENARIOS: Readonly<Record<string, (browser: Browser) => Promise<void>>> = {
  "a page of another origin gets no data, keeps no stream, and embeds nothing": foreign,
};

/** The limit of the wait for a place, in milliseconds. */
const BOUND_MS = 10_000;

async function foreign(browser: Browser): Promise<void> {
  await using site = await Site.started(["ada"], { open: true });
  await using other = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    return new Response("<!doctype html>", { headers: { "content-type": "text/html" } });
  });
  // `main.ts` maps these names to this machine. Over plain HTTP to such a name a browser says not from which page a request
  // is, and it has six connections to each.
  const { port } = new URL(site.origin);
  const hosts = ["127.0.0.1", "one.test", "two.test", "three.test"];
  const page = await browser.newPage();
  await page.goto(`http://foreign.test:${other.addr.port}/`);
  for (const host of hosts) {
    const dashboard = `http://${host}:${port}/dashboard/`;
    assertEquals(
      await page.evaluate(`(async () => {
        const dashboard = ${JSON.stringify(dashboard)};
        const frame = document.createElement("iframe");
        const loaded = new Promise((resolve) => frame.onload = resolve);
        frame.src = dashboard;
        document.body.append(frame);
        await loaded;
        const answer = await fetch(dashboard + "data").then((response) => response.text(), () => "refused");
        globalThis.streams ??= [];
        for (let count = 0; count < 6; count++) streams.push(fetch(dashboard + "events", { mode: "no-cors" }));
        await Promise.allSettled(streams);
        return answer;
      })()`),
      "refused",
    );
    assertEquals(page.frames().at(-1)!.url(), "chrome-error://chromewebdata/");
  }
  await freePlace(site);
  await page.close();
}

/** Resolves once a stream can be opened; fails if none can. */
async function freePlace({ origin }: Site): Promise<void> {
  const until = performance.now() + BOUND_MS;
  let status: number;
  do {
    const response = await fetch(`${origin}/dashboard/events`);
    await response.body?.cancel();
    status = response.status;
  } while (status === 503 && performance.now() < until);
  assertEquals(status, 200);
}
