/**
 * A member for the measurement of what metrics cost. It prints `ready`, and ends with its standard input.
 *
 * @module
 */

import { join } from "../mod.ts";
import { MemberMeters, metrics } from "../operations/metrics/mod.ts";
import { otelMeters } from "../operations/otel.ts";

/** Options of the member, as JSON in the first argument. */
export interface TelemetryMemberOptions {
  readonly port: number;
  readonly seeds: readonly string[];
  /** The kind of its metrics. */
  readonly metrics: "none" | "otel" | "prometheus";
  /** The number of sets per second. */
  readonly setsPerSecond: number;
}

/** The interval at which Prometheus reads a member, unless it is configured otherwise. */
const SCRAPE_MS = 15_000;

const { port, seeds, metrics: kind, setsPerSecond }: TelemetryMemberOptions = JSON.parse(Deno.args[0]!);
const meters = { none: undefined, otel: otelMeters(), prometheus: new MemberMeters() }[kind];
const node = await join({
  cluster: "telemetry",
  listen: { port },
  seeds,
  ...(meters && { meters }),
});
if (kind === "prometheus" && meters) setInterval(() => metrics(meters), SCRAPE_MS);
let count = 0;
const value = "x".repeat(100);
if (setsPerSecond > 0) {
  setInterval(() => node.setState(`key-${++count % 10}`, `${value}${count}`), 1_000 / setsPerSecond);
}
console.log("ready");
for await (const _ of Deno.stdin.readable);
Deno.exit();
