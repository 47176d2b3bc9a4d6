/**
 * Logs of a running member, for its operators: `@hearsay/gossip/operations`.
 *
 * @module
 */

export { type LoggedNode, type Logger, type LogOptions, logTo } from "./logs.ts";
export type { LogLevel } from "./log_levels.ts";
export type { LogFields } from "./sentences.ts";
