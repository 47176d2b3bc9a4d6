/**
 * Uses of the dashboard's answers about one member and one key, in a real browser.
 *
 * @module
 */

import type { Browser, Page } from "../../../../deps/playwright_core.ts";
import { assert, assertEquals, assertGreater, assertStringIncludes } from "../../../../deps/std_assert.ts";
import { memoryAddress } from "../../../../testing/memory.ts";
import { Site } from "../site.ts";
import { assertNoSideScroll, NARROW, rowOf, untilEqual, visit } from "./visit.ts";

/** Each use, by the name of its test. */
export const EXPLANATION_SCENARIOS: Readonly<Record<string, (browser: Browser) => Promise<void>>> = {
  "the reason of a status opens by keyboard, follows a crash, and keeps the focus": keyboard,
  "a closed reason asks for nothing, an open one at most once a second": cost,
  "reasons, peers and seeds with markup are shown as text": injection,
  "at 400 px an open reason does not scroll sideways, in either color scheme": narrow,
  "300 members: the reasons of a whole page can be open": manyMembers,
  "a question that is refused, or lost, shows why": refused,
  "this member's value shows which members have it": seen,
};

/** The button that opens the reason of a member's status. */
function whyOf(page: Page, id: string) {
  return page.getByRole("button", { name: `Why is ${id} ` });
}

async function keyboard(browser: Browser): Promise<void> {
  await using site = await Site.started(["ada", "ben", "cleo"]);
  await visit(browser, site.origin, async (page) => {
    // Members suspect another over a connection that broke, so each needs one.
    for (const id of ["ada", "ben"]) await site.of(id).converged({ signal: AbortSignal.timeout(10_000) });
    await rowOf(page, "cleo").getByText("alive", { exact: true }).waitFor();
    await page.locator("[data-sort=lag]").focus();
    for (let step = 0; step < 3; step++) await page.keyboard.press("Tab");
    const focused = () => page.evaluate(`document.activeElement.textContent`);
    assertEquals(await focused(), "Why is cleo alive?");
    assertEquals(await whyOf(page, "cleo").getAttribute("aria-expanded"), "false");
    await page.keyboard.press("Enter");
    await page.locator(".detail").getByText("It is alive. Its last heartbeat").waitFor();
    assertEquals(await whyOf(page, "cleo").getAttribute("aria-expanded"), "true");
    const controlled = await whyOf(page, "cleo").getAttribute("aria-controls");
    assertEquals(await page.locator(".detail").getAttribute("id"), controlled);
    await page.locator("#announcer").getByText("Ends when: It fails without a newer heartbeat").waitFor({
      state: "attached",
    });
    assertEquals(await page.locator(".detail dl").textContent().then((text) => text!.includes("open")), true);
    site.crash("cleo");
    await page.locator(".detail").getByText("It crashed: its connection broke").waitFor();
    await page.locator(".detail li").getByText("blocked by this member: crashed").waitFor();
    await page.locator(".detail li").getByText("suspected by ben").first().waitFor();
    await page.locator(".detail dd").getByText("none open").waitFor();
    // It is unknown which entries a failed member lacks.
    await page.locator(".detail dd").getByText("–", { exact: true }).waitFor();
    // A failed member comes before the living ones: the reason and the focus go with it.
    const order =
      `[...document.querySelectorAll("#members tr")].map((row) => row.cells[0].querySelector("code")?.textContent ?? "reason")`;
    await untilEqual(page, order, ["ada", "cleo", "reason", "ben"]);
    assertEquals(await focused(), "Why is cleo failed?");
    await page.keyboard.press("Space");
    await untilEqual(page, order, ["ada", "cleo", "ben"]);
    assertEquals(await whyOf(page, "cleo").getAttribute("aria-controls"), null);
  });
}

async function cost(browser: Browser): Promise<void> {
  await using site = await Site.started(["ada", "ben"]);
  await visit(browser, site.origin, async (page) => {
    // Counts the documents of the page's stream, and the times of its questions by its own clock.
    await page.evaluate(`
      globalThis.taken = 0;
      source.addEventListener("message", () => taken++);
      globalThis.asked = [];
      const send = fetch;
      globalThis.fetch = (...given) => {
        asked.push(performance.now());
        return send(...given);
      };
    `);
    const documents = () => page.evaluate("taken") as Promise<number>;
    const questions = () => page.evaluate("asked") as Promise<number[]>;
    const untilMore = async (more: number) => {
      const until = await documents() + more;
      while (await documents() < until) await page.waitForTimeout(50);
    };
    await untilMore(3);
    assertEquals(await questions(), []);
    await whyOf(page, "ben").click();
    await page.locator(".detail").getByText("It is alive").waitFor();
    // As if many documents arrived at once.
    await page.evaluate(`for (let count = 0; count < 20; count++) setTimeout(() => askAgain(), count * 50)`);
    await untilMore(4);
    const atMs = await questions();
    assert(atMs.length >= 3, `${atMs.length} questions`);
    const gaps = atMs.slice(1).map((ms, index) => ms - atMs[index]!);
    // Timers count whole milliseconds.
    for (const gap of gaps) assertGreater(gap, 998);
    await whyOf(page, "ben").click();
    const asked = (await questions()).length;
    await untilMore(3);
    assertEquals((await questions()).length, asked);
  });
}

const ATTACKS = [`<img src=x onerror="alert(1)">`, `<script>alert(2)</script>`, `"><svg onload=alert(3)>`];

async function injection(browser: Browser): Promise<void> {
  await using site = await Site.started(["ada", ...ATTACKS]);
  await visit(browser, site.origin, async (page) => {
    for (const attack of ATTACKS) await whyOf(page, attack).click();
    await untilEqual(
      page,
      `[...document.querySelectorAll(".detail")].filter((row) => row.textContent.includes("It is alive.")).length`,
      ATTACKS.length,
    );
    assertEquals(await page.locator("img, svg, iframe, main script, [onerror], [onload]").count(), 0);
  });
  const [one, two, three] = ATTACKS as [string, string, string];
  await visit(browser, site.origin, async (page) => {
    await page.route("**/explain?*", (route) =>
      route.fulfill({
        json: {
          takenMs: Date.now(),
          id: one,
          isSelf: true,
          status: "alive",
          summary: `summary ${one}`,
          endsWhen: `end ${two}`,
          sinceMs: null,
          heartbeat: { count: 1, atMs: Date.now(), peerId: three },
          isConnected: true,
          lacks: 0,
          decisions: [
            { kind: "blocked", times: 3, atMs: 1, lastAtMs: 2, peerId: null, reason: one },
            { kind: "suspectedByPeer", times: 1, atMs: 1, lastAtMs: 1, peerId: two, reason: null },
            { kind: "blocked", times: 1, atMs: 1, lastAtMs: 1, peerId: null, reason: "constructor" },
            { kind: three, times: 1, atMs: 1, lastAtMs: 1, peerId: null, reason: null },
          ],
          seeds: [
            { address: one, outcome: "met", memberId: two, reason: null, nextAtMs: null },
            { address: two, outcome: "failed", memberId: null, reason: three, nextAtMs: null },
          ],
          seedCount: 3,
        },
      }));
    await whyOf(page, "ada").click();
    await page.getByText(`summary ${one}`, { exact: true }).waitFor();
    const text = await page.locator(".detail").textContent();
    const parts = [`end ${two}`, `blocked by this member: ${one} (3 times`, `suspected by ${two}`, three];
    parts.push("blocked by this member: constructor");
    parts.push(`${one} – met ${two}`, `${two} – failed: ${three}`, "and 1 more");
    for (const part of parts) assertStringIncludes(text!, part);
    assertEquals(await page.locator("img, svg, iframe, main script, [onerror], [onload]").count(), 0);
    assertEquals(await page.locator("script").count(), 1);
  });
}

async function narrow(browser: Browser): Promise<void> {
  const long = "anIdWithoutAPlaceToBreak".repeat(7);
  await using site = await Site.started(["ada", long, "cleo"]);
  site.of("ada").setState("load", 1);
  for (const id of ["ada", long]) await site.of(id).converged({ signal: AbortSignal.timeout(10_000) });
  site.crash("cleo");
  for (const colorScheme of ["light", "dark"] as const) {
    await visit(browser, site.origin, async (page) => {
      for (const id of ["ada", long, "cleo"]) await whyOf(page, id).click();
      await page.locator("[data-seen]").click();
      await page.locator(".detail").getByText(`suspected by ${long}`).first().waitFor();
      await page.locator(".answer").getByText("Seen by").waitFor();
      await untilEqual(page, `document.querySelectorAll(".detail").length`, 3);
      await assertNoSideScroll(page);
      // A finger needs 24 px.
      for (const button of await page.locator(".why").all()) {
        assert((await button.boundingBox())!.height >= 24);
      }
    }, { viewport: NARROW, colorScheme });
  }
}

async function manyMembers(browser: Browser): Promise<void> {
  const ids = Array.from({ length: 300 }, (_, index) => `member-${String(index).padStart(3, "0")}`);
  await using site = await Site.started(ids, {
    running: 1,
    config: { heartbeatExpiration: 600_000, gossipInterval: 1_000 },
  });
  await site.sendStates(ids.slice(1), () => ({ version: "1.4.0" }));
  await visit(browser, site.origin, async (page) => {
    await untilEqual(page, `document.querySelector("#members-caption").textContent`, "300 of 300 members.");
    for (const button of await page.locator("#members .why").all()) await button.click();
    await untilEqual(
      page,
      `[...document.querySelectorAll(".detail .explained")].filter(({ hidden }) => !hidden).length`,
      25,
    );
    // The least of five: other work on the machine delays some.
    const drawing = await page.evaluate(`
      Math.min(...Array.from({ length: 5 }, () => {
        const from = performance.now();
        draw();
        return performance.now() - from;
      }));
    `);
    assert(Number(drawing) < 250, `one drawing took ${drawing} ms`);
    await page.locator("#next").click();
    await rowOf(page, ids[25]!).waitFor();
    // The answers of another page of the table are open, but not asked for.
    assertEquals(await page.locator(".detail").count(), 0);
    const asked = new Set<string>();
    await untilEqual(page, `[...answers.members.values()].some(({ isAsking }) => isAsking)`, false);
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.pathname.endsWith("/explain")) asked.add(url.searchParams.get("member")!);
    });
    await whyOf(page, ids[30]!).click();
    await page.locator(".detail").getByText("It is alive").waitFor();
    await page.waitForTimeout(1_500);
    assertEquals([...asked], [ids[30]]);
    await page.locator("#previous").click();
    await untilEqual(page, `document.querySelectorAll(".detail").length`, 25);
    await page.locator("#find").fill("member-007");
    await untilEqual(page, `document.querySelectorAll(".detail").length`, 1);
  });
}

async function refused(browser: Browser): Promise<void> {
  const long = "i".repeat(220);
  await using site = await Site.started(["ada", `${long}1`, `${long}2`]);
  await visit(browser, site.origin, async (page) => {
    await page.locator("#members .why").nth(2).click();
    await page.locator(".detail").getByText("Several members are shown under this text").waitFor();
    assertEquals(await page.locator(".detail").count(), 1);
    assertEquals(
      await page.evaluate(`document.querySelector(".detail").previousElementSibling.sectionRowIndex`),
      2,
    );
    await whyOf(page, "ada").click();
    await page.locator(".detail").getByText("This member is alive, with 2 others.").waitFor();
    await page.route("**/explain?*", (route) => route.abort());
    await page.locator(".detail").getByText("No answer; this is as of").last().waitFor();
    assert(await page.locator(".detail").getByText("This member is alive, with 2 others.").isVisible());
    await page.unrouteAll();
    await page.locator(".detail").getByText("No answer; this is as of").last().waitFor({ state: "hidden" });
  }, { allowsFaults: true });
}

async function seen(browser: Browser): Promise<void> {
  await using site = await Site.started(["ada", "ben", "cleo"]);
  const cut = (isCut: boolean) => {
    for (const other of ["host-0", "host-2"]) {
      const [from, to] = [memoryAddress(other, 1), memoryAddress("host-1", 1)];
      if (isCut) site.network.cut(from, to);
    }
    if (!isCut) site.network.heal();
  };
  for (const id of ["ada", "ben"]) site.of(id).setState("load", id);
  await site.of("ada").converged({ signal: AbortSignal.timeout(10_000) });
  await visit(browser, site.origin, async (page) => {
    await page.locator("[data-seen=load]").waitFor();
    // Another member's value is its own to send.
    assertEquals(await page.locator("[data-seen]").count(), 1);
    await page.locator("[data-seen=load]").press("Enter");
    await page.locator(".answer").getByText("Seen by 3 of 3 living members.", { exact: true }).waitFor();
    cut(true);
    site.of("ada").setState("load", "other");
    await page.getByText(
      /^Seen by 2 of 3 living members; ben lacks it: (not acknowledged yet|no open connection)\.$/,
    )
      .waitFor();
    cut(false);
    await page.locator(".answer").getByText("Seen by 3 of 3 living members.", { exact: true }).waitFor();
    await page.locator("[data-seen=load]").press("Enter");
    await page.locator(".answer").waitFor({ state: "detached" });
    assertEquals(await page.locator("[data-seen=load]").getAttribute("aria-expanded"), "false");
  });
}
