/**
 * A real Chromium for tests, if the machine has one, and a server of test pages.
 *
 * @module
 */

import { type Browser, type CDPSession, chromium, type Page } from "../../deps/playwright.ts";
import { bundled } from "./bundled.ts";
import { reasonWithout } from "../discovery/etcd_server.ts";

/** The reason why there is no Chromium; `undefined` if there is one. */
export const withoutChromium: string | undefined = await reasonWithout("chromium", {
  args: ["--version"],
  package: "chromium",
});

/** Registers a test that needs Chromium. Without one it is skipped, and its name has the reason. */
export function chromiumTest(name: string, run: () => Promise<void>): void {
  const ignore = withoutChromium !== undefined;
  Deno.test({
    name: ignore ? `${name} (skipped: ${withoutChromium})` : name,
    ignore,
    // The library that drives the browser keeps timers and pipes of its own.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: run,
  });
}

/** A browser, and a server with the module of pages at `/hearsay.js`, a test page at `/`, and an empty one at `/away`. */
export class TestBrowser implements AsyncDisposable {
  readonly origin: string;
  readonly #browser: Browser;
  readonly #server: Deno.HttpServer;

  private constructor(browser: Browser, server: Deno.HttpServer, origin: string) {
    this.#browser = browser;
    this.#server = server;
    this.origin = origin;
  }

  /** Starts both. `answer` may answer requests first. */
  static async start(
    answer: (url: URL) => Promise<Response | undefined> = () => Promise.resolve(undefined),
  ): Promise<TestBrowser> {
    const module = await bundled();
    const html = { headers: { "content-type": "text/html" } };
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      const url = new URL(request.url);
      const answered = await answer(url);
      if (answered) return answered;
      if (url.pathname === "/hearsay.js") {
        return new Response(module, { headers: { "content-type": "text/javascript" } });
      }
      if (url.pathname === "/away") return new Response("<!doctype html><title>away</title>", html);
      return new Response(`<!doctype html><title>page</title><script type="module">${PAGE}</script>`, html);
    });
    const { port } = server.addr as Deno.NetAddr;
    const browser = await chromium.launch({
      // A container has no user namespaces for the sandbox.
      args: ["--no-sandbox"],
      executablePath: "/usr/bin/chromium",
      // The library's own default keeps pages out of the back/forward cache.
      ignoreDefaultArgs: ["--disable-back-forward-cache"],
    });
    return new TestBrowser(browser, server, `http://127.0.0.1:${port}`);
  }

  /** Opens the test page; its `hearsay` is the module. */
  async page(): Promise<Page> {
    const page = await (await this.#browser.newContext()).newPage();
    await page.goto(this.origin);
    await page.waitForFunction("globalThis.hearsay !== undefined");
    return page;
  }

  /** A session of the page's own tools. */
  async tools(page: Page): Promise<CDPSession> {
    return await page.context().newCDPSession(page);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    await this.#server.shutdown();
  }
}

const PAGE = `
  globalThis.hearsay = await import("/hearsay.js");
`;
