import { assert, assertEquals } from "../../deps/std_assert.ts";
import { join, type Node } from "../../mod.ts";
import { eventually } from "../security/waits.ts";
import { chromiumTest, TestBrowser } from "./chromium.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 500, heartbeatExpiration: 3_000 };

function member(
  options: { readonly origin: string; readonly seeds?: readonly string[]; readonly id: string },
) {
  const { origin, ...rest } = options;
  return join({ cluster: "pages", listen: { port: 0 }, config: CONFIG, allowedOrigins: [origin], ...rest });
}

function statusOf(node: Node, id: string): string | undefined {
  return node.members.find((each) => each.id === id)?.status;
}

/** Text to run in a page: it joins, and leaves with the page. */
function joining(seed: Node, id: string): string {
  const options = JSON.stringify({ cluster: "pages", id, seeds: [seed.address], config: CONFIG });
  return `(async () => {
    globalThis.node = await hearsay.join(${options});
    globalThis.leaving = hearsay.leaveOnPageHide(node, { onReturn: () => { globalThis.returned = true; } });
    node.setState("color", "green");
  })()`;
}

chromiumTest("page: joins, sets a value that processes see, and reads theirs", async () => {
  await using browser = await TestBrowser.start();
  await using ada = await member({ origin: browser.origin, id: "ada" });
  await using ben = await member({ origin: browser.origin, id: "ben", seeds: [ada.address] });
  ben.setState("color", "blue");
  await ada.whenMembers(2);
  const page = await browser.page();
  await page.evaluate(joining(ada, "page"));
  await eventually(() => ben.getState("color").get("page")?.value === "green");
  await page.waitForFunction('node.getState("color").get("ben")?.value === "blue"');
  assertEquals(await page.evaluate("node.members.map(({ id, status }) => id + ' ' + status)"), [
    "ada alive",
    "ben alive",
    "page alive",
  ]);
  await page.evaluate("node.converged({ signal: AbortSignal.timeout(5000) })");
  await page.evaluate("node.stop()");
  assertEquals(statusOf(ada, "page"), "left");
});

/** Milliseconds until every node has the page as `left`; fails if one has it as `failed` before. */
async function leftWithin(nodes: readonly Node[], id: string, action: () => Promise<void>): Promise<number> {
  const waits = nodes.map(async (node) => {
    for await (const { id: each, status } of node.watchMembers({ signal: AbortSignal.timeout(10_000) })) {
      if (each !== id) continue;
      assert(status !== "failed" && status !== "suspected", `${node.id} has ${id} as ${status}`);
      if (status === "left") return performance.now();
    }
    throw new Error(`${id} did not leave.`);
  });
  await action();
  const sinceMs = performance.now();
  return Math.max(...await Promise.all(waits)) - sinceMs;
}

for (
  const [what, act] of [
    ["closed", "close"],
    ["left for another page", "goto"],
    ["loaded again", "reload"],
  ] as const
) {
  chromiumTest(
    `leaveOnPageHide: a page that is ${what} is left within a second for all members`,
    async () => {
      await using browser = await TestBrowser.start();
      await using ada = await member({ origin: browser.origin, id: "ada" });
      await using ben = await member({ origin: browser.origin, id: "ben", seeds: [ada.address] });
      for (let count = 0; count < 5; count++) {
        const page = await browser.page();
        const id = `page-${count}`;
        await page.evaluate(joining(ada, id));
        await eventually(() => ben.getState("color").get(id)?.value === "green");
        const ms = await leftWithin([ada, ben], id, async () => {
          if (act === "close") await page.close();
          else if (act === "reload") await page.reload();
          else await page.goto(`${browser.origin}/away`);
        });
        console.log(what, count, Math.round(ms));
        assert(ms < 1_000, `${ms} ms`);
      }
    },
  );
}
