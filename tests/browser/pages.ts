import { assert, assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { join, type JoinOptions, type Node } from "../../mod.ts";
import { newClusterKey, tokenFor } from "../../security/cluster_keys.ts";
import { chromiumTest, endBrowser, eventually, TestBrowser } from "./chromium.ts";

Deno.test.afterAll(endBrowser);

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 500, heartbeatExpiration: 3_000 };

function member({ origin, ...rest }: Partial<JoinOptions> & { readonly origin: string }): Promise<Node> {
  return join({ cluster: "pages", listen: { port: 0 }, config: CONFIG, allowedOrigins: [origin], ...rest });
}

function statusOf(node: Node, id: string): string | undefined {
  return node.members.find((each) => each.id === id)?.status;
}

/** Text to run in a page: it joins, and leaves with the page. */
function joining(seeds: Node | readonly Node[], id: string): string {
  const options = JSON.stringify({
    cluster: "pages",
    id,
    seeds: [seeds].flat().map(({ address }) => address),
    config: CONFIG,
  });
  return `(async () => {
    globalThis.node = await hearsay.join(${options});
    globalThis.leaving = hearsay.leaveOnPageHide(node, { onReturn: () => { globalThis.returned = true; } });
    node.setState("color", "green");
  })()`;
}

chromiumTest("page: joins, sets a value that processes see, and reads the processes' values", async () => {
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
    `leaveOnPageHide: all members list a page that is ${what} as left within a second`,
    async () => {
      await using browser = await TestBrowser.start();
      await using ada = await member({ origin: browser.origin, id: "ada" });
      await using ben = await member({ origin: browser.origin, id: "ben", seeds: [ada.address] });
      for (let count = 0; count < 5; count++) {
        const page = await browser.page();
        const id = `page-${count}`;
        // Two connections: a peer that is busy at that moment may lose the departure on one.
        await page.evaluate(joining([ada, ben], id));
        await eventually(() => ben.getState("color").get(id)?.value === "green");
        const ms = await leftWithin([ada, ben], id, async () => {
          if (act === "close") await page.close();
          else if (act === "reload") await page.reload();
          else await page.goto(`${browser.origin}/away`);
        });
        assert(ms < 1_000, `${ms} ms`);
      }
    },
  );
}

/** The status changes of a member, and its conflicts, from now on. */
function follow(node: Node, id: string) {
  const over = new AbortController();
  const statuses: string[] = [];
  const conflicts: string[] = [];
  const done = Promise.all([
    (async () => {
      for await (const each of node.watchMembers(over)) if (each.id === id) statuses.push(each.status);
    })(),
    (async () => {
      for await (const event of node.events.subscribe(["ConflictDetected", "SelfBlocked"], over)) {
        conflicts.push(JSON.stringify(event));
      }
    })(),
  ]);
  return {
    statuses,
    conflicts,
    end: async () => {
      over.abort();
      await done;
    },
  };
}

chromiumTest(
  "page: a page that is frozen for longer than heartbeatExpiration is failed, and returns as the same member",
  async () => {
    await using browser = await TestBrowser.start();
    await using ada = await member({ origin: browser.origin, id: "ada" });
    await using ben = await member({ origin: browser.origin, id: "ben", seeds: [ada.address] });
    await using page = await browser.barePage();
    await page.evaluate(joining(ada, "page"));
    await eventually(() => ben.getState("color").get("page")?.value === "green");
    await eventually(() => statusOf(ben, "page") === "alive");
    const incarnation = () => ben.members.find(({ id }) => id === "page")?.incarnation;
    const before = incarnation();
    const seen = follow(ben, "page");
    await page.setState("frozen");
    await eventually(() => statusOf(ben, "page") === "failed" && statusOf(ada, "page") === "failed");
    await page.setState("active");
    await eventually(() => statusOf(ben, "page") === "alive" && statusOf(ada, "page") === "alive");
    await page.evaluate('node.setState("color", "red")');
    await eventually(() => ben.getState("color").get("page")?.value === "red");
    await seen.end();
    assertEquals(seen.statuses, ["alive", "failed", "alive"]);
    assertEquals(seen.conflicts, []);
    assertEquals(incarnation(), before);
    assertEquals(await page.evaluate("node.whenMembers(3).then((members) => members.length)"), 3);
  },
);

chromiumTest("page: a page that is frozen for less than heartbeatExpiration stays a member", async () => {
  await using browser = await TestBrowser.start();
  await using ada = await member({ origin: browser.origin, id: "ada" });
  await using page = await browser.barePage();
  await page.evaluate(joining(ada, "page"));
  await eventually(() => ada.getState("color").get("page")?.value === "green");
  await eventually(() => statusOf(ada, "page") === "alive");
  await page.evaluate('globalThis.ticks = 0; setInterval(() => ticks++, 50); ""');
  const seen = follow(ada, "page");
  await page.setState("frozen");
  const ticks = await page.evaluate("ticks");
  await new Promise((resolve) => setTimeout(resolve, CONFIG.heartbeatExpiration / 3));
  assertEquals(await page.evaluate("ticks"), ticks);
  await page.setState("active");
  await page.evaluate('node.setState("color", "red")');
  await eventually(() => ada.getState("color").get("page")?.value === "red");
  await seen.end();
  assertEquals([seen.statuses, seen.conflicts], [["alive"], []]);
});

chromiumTest(
  "leaveOnPageHide: a page from the back/forward cache has left, and its callback joins again",
  async () => {
    await using browser = await TestBrowser.start();
    await using ada = await member({ origin: browser.origin, id: "ada" });
    const page = await browser.page();
    await page.evaluate(joining(ada, "page"));
    await eventually(() => ada.getState("color").get("page")?.value === "green");
    const seen = follow(ada, "page");
    await page.goto(`${browser.origin}/away`);
    await eventually(() => statusOf(ada, "page") === "left");
    await page.goBack({ waitUntil: "commit" });
    await page.waitForFunction("globalThis.returned === true");
    assertEquals(await page.evaluate("node.signal.aborted"), true);
    await page.evaluate(joining(ada, "page"));
    await eventually(() => statusOf(ada, "page") === "alive");
    await eventually(() => ada.getState("color").get("page")?.value === "green");
    await seen.end();
    assertEquals(seen.conflicts, []);
    assertEquals(seen.statuses.filter((status) => status === "failed"), []);
  },
);

chromiumTest("leaveOnPageHide: by default a page from the back/forward cache is loaded again", async () => {
  await using browser = await TestBrowser.start();
  await using ada = await member({ origin: browser.origin, id: "ada" });
  const page = await browser.page();
  await page.evaluate(`${joining(ada, "page")}.then(() => {
    leaving[Symbol.dispose]();
    hearsay.leaveOnPageHide(node);
  })`);
  await eventually(() => ada.getState("color").get("page")?.value === "green");
  await page.goto(`${browser.origin}/away`);
  await eventually(() => statusOf(ada, "page") === "left");
  await page.goBack({ waitUntil: "commit" });
  await page.waitForFunction("globalThis.hearsay !== undefined && globalThis.node === undefined");
});

chromiumTest(
  "page: a page with a token for reading has the state, and is in no list of members",
  async () => {
    const keys = [await newClusterKey()];
    const address = Promise.withResolvers<string>();
    await using browser = await TestBrowser.start(async ({ pathname }) => {
      if (pathname !== "/token") return undefined;
      const id = `page-${crypto.randomUUID()}`;
      const token = await tokenFor({
        keys,
        cluster: "pages",
        id: fixed ??= id,
        address: await address.promise,
        access,
      });
      return new Response(token);
    });
    let fixed: string | undefined;
    let access: "read" | "full" = "read";
    const { origin } = browser;
    await using ada = await member({ origin, id: "ada", authentication: { keys } });
    address.resolve(ada.address);
    ada.setState("color", "blue");
    const page = await browser.page();
    const options = JSON.stringify({ cluster: "pages", seeds: [ada.address], config: CONFIG });
    const join = `(async () => {
    const token = async () => (await fetch("/token")).text();
    globalThis.node = await hearsay.join({ ...${options}, token });
  })()`;
    await page.evaluate(join);
    await page.waitForFunction('node.getState("color").get("ada")?.value === "blue"');
    assertEquals(await page.evaluate("node.access"), "read");
    assertEquals(
      await page.evaluate(
        "(() => { try { node.setState('x', 1); } catch (error) { return error.code; } })()",
      ),
      "read_only",
    );
    assertEquals(ada.members.map(({ id }) => id), ["ada"]);
    await page.evaluate("node.stop()");
    access = "full";
    await page.evaluate(join);
    await page.evaluate('node.setState("color", "green")');
    await eventually(() => ada.getState("color").get(fixed!)?.value === "green");
  },
);

chromiumTest(
  "page: a page of an origin that is not allowed is refused, and its error says what to check",
  async () => {
    await using browser = await TestBrowser.start();
    await using ada = await member({ origin: "https://other.example", id: "ada" });
    const page = await browser.page();
    await page.evaluate(joining(ada, "page"));
    const reason = await page.waitForFunction("node.snapshot().seeds[0].reason");
    assertMatch(`${await reason.jsonValue()}`, /allowedOrigins/);
    assertEquals(ada.members.length, 1);
  },
);
