/**
 * A page that can be frozen. The library keeps its own pages visible, and a visible page is never frozen, so this one is
 * driven by the browser's protocol alone.
 *
 * @module
 */

import type { CDPSession } from "../../deps/playwright_core.ts";

/** The longest wait for an answer of the browser. */
const BOUND_MS = 20_000;

interface Answer {
  readonly id?: number;
  readonly result?: { readonly result?: { readonly value?: unknown }; readonly exceptionDetails?: unknown };
  readonly error?: unknown;
}

/** A page of the browser's own, outside of the library. */
export class BarePage implements AsyncDisposable {
  readonly #browser: CDPSession;
  readonly #sessionId: string;
  readonly #targetId: string;
  readonly #pending = new Map<number, (answer: Answer) => void>();
  #count = 0;

  private constructor(
    browser: CDPSession,
    target: { readonly sessionId: string; readonly targetId: string },
  ) {
    this.#browser = browser;
    this.#sessionId = target.sessionId;
    this.#targetId = target.targetId;
    browser.on("Target.receivedMessageFromTarget", ({ sessionId, message }) => {
      if (sessionId !== this.#sessionId) return;
      const answer: Answer = JSON.parse(message);
      if (answer.id !== undefined) this.#pending.get(answer.id)?.(answer);
    });
  }

  /** Opens a URL, and waits until an expression is true there. */
  static async open(browser: CDPSession, url: string, isReady: string): Promise<BarePage> {
    const { targetId } = await browser.send("Target.createTarget", { url });
    const { sessionId } = await browser.send("Target.attachToTarget", { targetId, flatten: false });
    const page = new BarePage(browser, { sessionId, targetId });
    const endMs = performance.now() + BOUND_MS;
    while (await page.evaluate(isReady).catch(() => false) !== true) {
      if (performance.now() > endMs) throw new Error(`Not true within ${BOUND_MS} ms: ${isReady}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return page;
  }

  /** The value of an expression; of a promise, its result. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, returnByValue: true, awaitPromise: true };
    const { result } = await this.#send("Runtime.evaluate", options);
    if (result?.exceptionDetails !== undefined) throw new Error(JSON.stringify(result.exceptionDetails));
    return result?.result?.value;
  }

  /** Freezes the page, or lets it run. */
  async setState(state: "active" | "frozen"): Promise<void> {
    await this.#send("Page.setWebLifecycleState", { state });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.send("Target.closeTarget", { targetId: this.#targetId });
  }

  async #send(method: string, params: object): Promise<Answer> {
    const id = ++this.#count;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const timer = setTimeout(() => reject(new Error(`${method} had no answer in time.`)), BOUND_MS);
    this.#pending.set(id, resolve);
    try {
      const message = JSON.stringify({ id, method, params });
      await this.#browser.send("Target.sendMessageToTarget", { sessionId: this.#sessionId, message });
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#pending.delete(id);
    }
  }
}
