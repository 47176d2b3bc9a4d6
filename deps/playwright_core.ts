/**
 * Drives a browser, for tests.
 *
 * @module
 */

export {
  type Browser,
  type BrowserContext,
  type CDPSession,
  chromium,
  type Page,
} from "npm:playwright-core@1.65.1";
