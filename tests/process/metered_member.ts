/**
 * A member that is measured: Prometheus reads it, or Deno sends it to a collector of OpenTelemetry. It sets a key five times
 * a second, leaves with the end of its standard input, and ends.
 *
 * @module
 */

import { join } from "../../mod.ts";
import { metrics, METRICS_CONTENT_TYPE } from "../../operations/metrics/mod.ts";
import { otelMeters } from "../../operations/otel.ts";

/** Options of the member, as JSON in the first argument. */
export interface MeteredMemberOptions {
  readonly port: number;
  readonly metricsPort: number;
  readonly seeds: readonly string[];
}

const { port, metricsPort, seeds }: MeteredMemberOptions = JSON.parse(Deno.args[0]!);
const meters = otelMeters({ exchangesPerSpan: 1 });
const node = await join({ cluster: "metered", listen: { port }, seeds, meters });
const server = Deno.serve({ hostname: "127.0.0.1", port: metricsPort, onListen: () => {} }, ({ url }) => {
  if (new URL(url).pathname !== "/metrics") return new Response("There is nothing here.\n", { status: 404 });
  return new Response(metrics(meters), { headers: { "content-type": METRICS_CONTENT_TYPE } });
});
let count = 0;
const setting = setInterval(() => node.setState("count", ++count), 200);
console.log("ready");
for await (const _ of Deno.stdin.readable);
clearInterval(setting);
await node.stop();
await server.shutdown();
Deno.exit();
