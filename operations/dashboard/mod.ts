/**
 * A page that shows a running cluster as one member sees it: `@hearsay/gossip/dashboard`.
 *
 * @module
 */

export { dashboard, type DashboardHandler, type DashboardOptions } from "./dashboard.ts";
