/**
 * The metrics of a member, and their text for Prometheus: `@hearsay/gossip/metrics`. It has no dependency.
 *
 * @module
 */

export type * from "../../contracts/meters.ts";
export type { Histogram } from "./histogram.ts";
export { MemberMeters, type MemberMetersOptions, type Traffic } from "./member_meters.ts";
export { metrics, METRICS_CONTENT_TYPE } from "./prometheus.ts";
