/**
 * A real Chromium for tests, if the machine has one, and a server of test pages.
 *
 * @module
 */

import { type Browser, type BrowserContext, chromium, type Page } from "../../deps/playwright_core.ts";
import { BarePage } from "./bare_page.ts";
import { eventually as within } from "../process/program.ts";
import { bundled } from "./bundled.ts";

/** Registers a test that drives Chromium: the library for it keeps timers and pipes of its own. */
export function chromiumTest(name: string, run: () => Promise<void>): void {
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, fn: run });
}

/** Resolves when the condition is true. The bound is that of a machine with much other work. */
export async function eventually(isTrue: () => boolean): Promise<void> {
  await within(`${isTrue}`, () => Promise.resolve(isTrue()));
}

/** Started once for all tests of a file: it takes seconds. */
let started: Promise<{ readonly browser: Browser; readonly module: string }> | undefined;

async function start(): Promise<{ readonly browser: Browser; readonly module: string }> {
  const module = await bundled();
  const browser = await chromium.launch({
    // A container has no user namespaces for the sandbox.
    args: ["--no-sandbox"],
    executablePath: "/usr/bin/chromium",
    // The library's own default keeps pages out of the back/forward cache.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
  return { browser, module };
}

/** Ends the browser; for `Deno.test.afterAll`. */
export async function endBrowser(): Promise<void> {
  await (await started)?.browser.close();
}

/** A browser, and a server with the module of pages at `/hearsay.js`, a test page at `/`, and an empty one at `/away`. */
export class TestBrowser implements AsyncDisposable {
  readonly origin: string;
  readonly #context: BrowserContext;
  readonly #server: Deno.HttpServer;

  private constructor(context: BrowserContext, server: Deno.HttpServer) {
    this.#context = context;
    this.#server = server;
    this.origin = `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}`;
  }

  /** Starts both. `answer` may answer requests first. */
  static async start(
    answer: (url: URL) => Promise<Response | undefined> = () => Promise.resolve(undefined),
  ): Promise<TestBrowser> {
    const { browser, module } = await (started ??= start());
    const html = { headers: { "content-type": "text/html" } };
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      const url = new URL(request.url);
      const answered = await answer(url);
      if (answered) return answered;
      if (url.pathname === "/hearsay.js") {
        return new Response(module, { headers: { "content-type": "text/javascript" } });
      }
      if (url.pathname === "/away") return new Response("<!doctype html><title>away</title>", html);
      return new Response(PAGE, html);
    });
    return new TestBrowser(await browser.newContext(), server);
  }

  /** Opens a page, by default the test page; its `hearsay` is the module. */
  async page(url = this.origin): Promise<Page> {
    const page = await this.#context.newPage();
    await page.goto(url);
    if (url === this.origin) await page.waitForFunction("globalThis.hearsay !== undefined");
    return page;
  }

  /** Opens the test page so that it can be frozen. */
  async barePage(): Promise<BarePage> {
    const session = await this.#context.browser()!.newBrowserCDPSession();
    return await BarePage.open(session, this.origin, "globalThis.hearsay !== undefined");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    await this.#server.shutdown();
  }
}

const PAGE = `<!doctype html><title>page</title>
<script type="module">globalThis.hearsay = await import("/hearsay.js");</script>`;
