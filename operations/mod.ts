/**
 * For the operators of a running member: its events as lines of a log, and answers to the probes of a platform:
 * `@hearsay/gossip/operations`.
 *
 * @module
 */

export { operations, type OperationsHandler, type OperationsOptions, READY_WITHIN } from "./health.ts";
export { type LoggedNode, type Logger, type LogOptions, logTo } from "./logs.ts";
export type { LogLevel } from "./log_levels.ts";
export type { OperatedNode, ReadyReport, Waiting } from "./readiness.ts";
export type { LogFields } from "./sentences.ts";
