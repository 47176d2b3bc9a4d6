/**
 * Makes a member in a page leave when the page goes away.
 *
 * @module
 */

import { realRuntime } from "../common/runtime.ts";
import { assertNone, FUNCTION, optionsOf } from "../options/rules.ts";
import type { Leaving } from "./leave_on_signals.ts";

/** Options of {@linkcode leaveOnPageHide}. */
export interface LeaveOnPageHideOptions {
  /**
   * Called when the browser shows the page again from its back/forward cache. The member has left by then, so join
   * again here. By default the page is loaded again.
   */
  readonly onReturn?: () => void;
}

const OPTIONS = optionsOf<LeaveOnPageHideOptions>({ onReturn: FUNCTION });

/**
 * The time for which a page that goes away keeps its connections open, in milliseconds. Chromium resets a connection
 * that has unread data, and the peer then loses all data that it has not read yet. Without this time, a busy peer lost
 * one departure in a hundred. 100: with 50 a busy machine still lost departures. Longer: each departure delays the next
 * page by this time.
 */
const LINGER_MS = 100;
/** The microtasks that a page waits for first: more than the streams of a connection take to write a message. */
const TURNS = 100;

/** The parts of a page that this module uses. */
interface Page {
  readonly location?: { reload(): void };
}

/**
 * Lets a member leave when its page is closed, left or loaded again (`pagehide`). Others see it as `left` at once: the
 * departure is sent before the page ends, if the connection has room for it. If members sign, a page has no time to sign
 * its departure, and others see it as `failed` after `heartbeatExpiration`.
 *
 * A page that is only hidden or frozen stays a member. Others see it as `failed` (`expired`) once it has been silent for
 * `heartbeatExpiration`, and as `alive` when it runs again.
 *
 * The listeners are removed when the result is disposed of, or when the member ends in another way.
 *
 * @example
 * ```ts
 * import { join, leaveOnPageHide } from "@hearsay/gossip/browser";
 *
 * async function takePart(): Promise<void> {
 *   const node = await join({ cluster: "orders", seeds: ["wss://gossip.example"] });
 *   leaveOnPageHide(node, { onReturn: () => void takePart() });
 * }
 * console.assert(typeof takePart === "function");
 * ```
 *
 * @throws {ConfigurationError} naming every fault in the options.
 */
export function leaveOnPageHide(node: Leaving, options: LeaveOnPageHideOptions = {}): Disposable {
  assertNone(OPTIONS("leaveOnPageHide", options));
  const { onReturn = () => (globalThis as Page).location?.reload() } = options;
  const listening = new AbortController();
  const { signal } = listening;
  let isHidden = false;
  addEventListener("pagehide", () => {
    isHidden = true;
    // This call sends the departure before its first wait. After that wait, a page that is unloaded runs no code.
    void node[Symbol.asyncDispose]();
    void linger();
  }, { once: true, signal });
  addEventListener("pageshow", () => {
    if (!isHidden) return;
    listening.abort();
    onReturn();
  }, { signal });
  void node.closed.then(() => {
    if (!isHidden) listening.abort();
  });
  return { [Symbol.dispose]: () => listening.abort() };
}

/** Keeps the page busy with a loop, because no timer and no other task runs in a page that goes away. */
async function linger(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await undefined;
  const endMs = realRuntime.monotonicMs() + LINGER_MS;
  while (realRuntime.monotonicMs() < endMs);
}
