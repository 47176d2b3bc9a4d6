/**
 * Uses of the dashboard in a real browser.
 *
 * @module
 */

import type { Browser } from "../../../../deps/playwright_core.ts";
import { assert, assertEquals, assertMatch } from "../../../../deps/std_assert.ts";
import { Site } from "../site.ts";
import { EXPLANATION_SCENARIOS } from "./explanations.ts";
import { FOREIGN_SCENARIOS } from "./foreign_pages.ts";
import { assertNoSideScroll, NARROW, rowOf, untilEqual, visit } from "./visit.ts";

/** Each use, by the name of its test. */
export const SCENARIOS: Readonly<Record<string, (browser: Browser) => Promise<void>>> = {
  "a crash shows in the table, the matrix and the timeline, and is announced": crash,
  "a departure shows, and the departure of the page's own member": departure,
  "300 members stay usable, at 400 px too": manyMembers,
  "ids, keys and values with markup are shown as text": injection,
  "at 400 px nothing scrolls sideways, in either color scheme": narrow,
  "the keyboard leads to the search, and through all controls": keyboard,
  "a lost server shows, and the page follows when it returns": lostServer,
  ...EXPLANATION_SCENARIOS,
  ...FOREIGN_SCENARIOS,
};

async function crash(browser: Browser): Promise<void> {
  await using site = await Site.started(["ada", "ben", "cleo"]);
  await visit(browser, site.origin, async (page) => {
    await rowOf(page, "cleo").getByText("alive", { exact: true }).waitFor();
    await untilEqual(page, `document.querySelectorAll("#grid td .alive").length`, 6);
    site.crash("cleo");
    await rowOf(page, "cleo").getByText("failed", { exact: true }).waitFor();
    await rowOf(page, "cleo").getByText("crashed since").waitFor();
    await page.locator("#events").getByText("cleo failed: crashed").waitFor();
    await page.locator("#announcer").getByText("cleo failed: crashed").waitFor({ state: "attached" });
    // Each of the two others blocks it.
    await untilEqual(
      page,
      `[...document.querySelectorAll("#grid tbody tr")].map((row) => [...row.cells].map((cell) => cell.lastElementChild?.textContent ?? cell.textContent))`,
      [
        ["1 ada", "itself", "counts it as active", "blocks it"],
        ["2 ben", "counts it as active", "itself", "blocks it"],
        ["3 cleo", "has no view now", "has no view now", "has no view now"],
      ],
    );
    await untilEqual(page, `document.querySelector("[data-status=failed]").textContent`, "✕ failed 1");
  });
}

async function departure(browser: Browser): Promise<void> {
  await using site = await Site.started(["ada", "ben"]);
  await visit(browser, site.origin, async (page) => {
    await rowOf(page, "ben").getByText("alive", { exact: true }).waitFor();
    await site.of("ben").stop();
    await rowOf(page, "ben").getByText("left", { exact: true }).waitFor();
    await page.locator("#events").getByText("ben left").waitFor();
    await site.of("ada").stop();
    await page.getByText("This member has left. The page shows its last state.").waitFor();
    assertEquals(await page.locator("#connection").textContent().then((text) => text!.trim()), "○stopped");
  });
}

async function manyMembers(browser: Browser): Promise<void> {
  const ids = Array.from({ length: 300 }, (_, index) => `member-${String(index).padStart(3, "0")}`);
  await using site = await Site.started(ids, {
    running: 1,
    config: { heartbeatExpiration: 600_000, gossipInterval: 1_000 },
  });
  await site.sendStates(ids.slice(1), (id) => ({
    version: id === "member-123" ? "1.3.9" : "1.4.0",
    topology: site.viewWithout(id === "member-007" ? ["member-005"] : []),
  }));
  for (const viewport of [undefined, NARROW]) {
    await visit(browser, site.origin, async (page) => {
      await untilEqual(page, `document.querySelector("#members-caption").textContent`, "300 of 300 members.");
      await page.getByText("298 of 299 other members have this member's view. 1 has another one.").waitFor();
      await page.getByText("member-007: also blocks member-005").waitFor();
      assert(await page.locator("#canvas").isVisible());
      assertMatch(
        (await page.locator("#canvas").getAttribute("aria-label"))!,
        /^Matrix of 300 views\. 298 of/,
      );
      const rows = viewport === undefined ? 25 : 10;
      assertEquals(await page.locator("#members tr").count(), rows);
      await page.locator("#next").click();
      await rowOf(page, ids[rows]!).waitFor();
      await page.locator("#find").fill("MEMBER-29");
      await untilEqual(page, `document.querySelector("#members-caption").textContent`, "10 of 300 members.");
      // The one other version comes first.
      await untilEqual(
        page,
        `document.querySelector("#state-table tbody tr + tr code").textContent`,
        "member-123",
      );
      await assertNoSideScroll(page);
      const drawing = await page.evaluate("const from = performance.now(); draw(); performance.now() - from");
      assert(Number(drawing) < 250, `one drawing took ${drawing} ms`);
    }, viewport ? { viewport } : {});
  }
}

async function injection(browser: Browser): Promise<void> {
  const attacks = [
    `<img src=x onerror="alert(1)">`,
    `<script>alert(2)</script>`,
    `"><svg onload=alert(3)>`,
    `</code></td><iframe srcdoc="<script>parent.alert(4)</script>">`,
    "{{constructor.constructor('alert(5)')()}}",
    "javascript:alert(6)",
  ];
  await using site = await Site.started(["ada", ...attacks]);
  for (const attack of attacks) site.of(attack).setState(attack, attack);
  await visit(browser, site.origin, async (page) => {
    await untilEqual(page, `document.querySelectorAll("#state-table tbody").length`, attacks.length);
    const texts = (selector: string) =>
      page.locator(selector).evaluateAll((elements) =>
        elements.map(({ textContent }) => textContent)
      ) as Promise<
        string[]
      >;
    assertEquals((await texts("#members th code")).sort(), ["ada", ...attacks].sort());
    assertEquals((await texts("#state-table tbody th code")).sort(), attacks.toSorted());
    assertEquals(
      (await texts("#state-table td:nth-child(2) code")).sort(),
      attacks.map((attack) => JSON.stringify(attack)).sort(),
    );
    await site.of(attacks[0]!).stop();
    site.crash(attacks[1]!);
    await page.locator("#events").getByText(`${attacks[0]} left`).waitFor();
    await page.locator("#events").getByText(`${attacks[1]} failed`).waitFor();
    await page.locator("#search").fill(attacks[1]!);
    await page.getByText(`with “${attacks[1]}”`).waitFor();
    assertEquals(await page.locator("img, svg, iframe, main script, [onerror], [onload]").count(), 0);
    assertEquals(await page.locator("script").count(), 1);
  });
}

async function narrow(browser: Browser): Promise<void> {
  const long = "a-very-long-id-without-a-place-to-break-".repeat(4);
  await using site = await Site.started(["ada", long, "cleo", "dan", "eve"]);
  site.of("ada").setState("k".repeat(300), "v".repeat(1_000));
  for (const colorScheme of ["light", "dark"] as const) {
    await visit(browser, site.origin, async (page) => {
      await untilEqual(page, `document.querySelectorAll("#state-table tbody").length`, 1);
      await assertNoSideScroll(page);
      const ratios = await page.evaluate(CONTRASTS) as Record<string, number>;
      for (const [color, ratio] of Object.entries(ratios)) {
        assert(ratio >= 4.5, `${color} in ${colorScheme}: a contrast of ${ratio}`);
      }
    }, { viewport: NARROW, colorScheme });
  }
}

/** The contrast of each text color with the background, as in WCAG 2. */
const CONTRASTS = `
  const style = getComputedStyle(document.documentElement);
  const luminance = (name) => {
    const [r, g, b] = style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map((hex) => {
      const part = parseInt(hex, 16) / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const pairs = [];
  for (const text of ["--text", "--muted", "--accent", "--ok", "--warn", "--bad", "--gone"]) {
    for (const back of ["--card", "--hint"]) pairs.push([text + " on " + back, contrast(text, back)]);
  }
  Object.fromEntries(pairs);
`;

async function keyboard(browser: Browser): Promise<void> {
  await using site = await Site.started(["ada", "ben"]);
  site.of("ada").setState("region", "eu");
  site.of("ada").setState("load", 0.5);
  await visit(browser, site.origin, async (page) => {
    const focused = () =>
      page.evaluate(`document.activeElement.id || document.activeElement.textContent.trim()`);
    await untilEqual(page, `document.querySelectorAll("#state-table tbody").length`, 2);
    await page.keyboard.press("Tab");
    assertEquals(await focused(), "Skip to the members");
    await page.keyboard.press("Enter");
    assertEquals(await focused(), "members-title");
    const order: unknown[] = [];
    for (let step = 0; step < 15; step++) {
      await page.keyboard.press("Tab");
      order.push(await focused());
      // The focus can be seen.
      assertMatch(
        await page.evaluate(`getComputedStyle(document.activeElement).outline`) as string,
        /solid 3px|3px solid/,
      );
    }
    assertEquals(order, [
      ...["all 2", "● alive 2", "▲ suspected 0", "✕ failed 0", "○ left 0", "find"],
      ...["Member", "Status", "Last heartbeat", "Lag", "Why is ada alive?", "Why is ben alive?"],
      ...["matrix-scroll", "internal", "search"],
    ]);
    await page.locator("#members-title").focus();
    await page.keyboard.press("/");
    assertEquals(await focused(), "search");
    await page.keyboard.type("REG/");
    await page.keyboard.press("Backspace");
    await untilEqual(
      page,
      `document.querySelector("#state-count").textContent`,
      "1 entry under 1 key with “REG”.",
    );
    assertEquals(await page.locator("#state-table tbody th code").allTextContents(), ["region"]);
    // The focus stays while the page is drawn again and again.
    await page.waitForTimeout(1_500);
    assertEquals(await focused(), "search");
    await page.keyboard.press("Escape");
    await untilEqual(page, `document.querySelectorAll("#state-table tbody").length`, 2);
    await page.keyboard.press("Escape");
    await page.locator("[data-status=left]").focus();
    await page.keyboard.press("Enter");
    await page.getByText("No member matches.").waitFor();
    assertEquals(await page.locator("[data-status=left]").getAttribute("aria-pressed"), "true");
    assertEquals(await page.evaluate(`document.activeElement.dataset.status`), "left");
  });
}

async function lostServer(browser: Browser): Promise<void> {
  await using site = await Site.started(["ada", "ben"]);
  await visit(browser, site.origin, async (page) => {
    await page.getByText("live", { exact: true }).waitFor();
    await page.route("**/events?*", (route) => route.fulfill({ status: 503, body: "" }));
    // The other stream takes its place: the page asks for the data instead.
    await page.locator("#internal").check();
    await page.getByText("every few seconds, too many pages are open").waitFor();
    await page.route("**/data?*", (route) => route.abort());
    await page.getByText("The connection to this member is lost.", { exact: false }).waitFor();
    await page.unrouteAll();
    await page.getByText("live", { exact: true }).waitFor();
    assertEquals(await page.locator("#notice").isHidden(), true);
  }, { allowsFaults: true });
}
