/**
 * Members in pages of a browser: `@hearsay/gossip/browser`. It has all that a page needs, and nothing of Deno.
 *
 * @module
 */

export { HearsayError } from "../common/errors.ts";
export type { Access, TokenSource } from "../contracts/page_tokens.ts";
export { leaveOnPageHide, type LeaveOnPageHideOptions } from "../node/leave_on_page_hide.ts";
export { type BrowserJoinOptions, BrowserNode, join } from "./join.ts";
