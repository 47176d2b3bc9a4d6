/**
 * The metrics of a member as the text format of Prometheus.
 *
 * @module
 */

import { DISTRIBUTED, type HistogramSample, type Labels, OBSERVED } from "./catalog.ts";
import type { MemberMeters } from "./member_meters.ts";

/** The `content-type` of the text of {@linkcode metrics}. */
export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * The metrics of a member as text for Prometheus. It is empty before the start of the member.
 *
 * @example An endpoint in a server of your own
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { MemberMeters, metrics, METRICS_CONTENT_TYPE } from "@hearsay/gossip/metrics";
 *
 * const meters = new MemberMeters();
 * await using node = await join({ cluster: "orders", listen: { port: 0 }, meters });
 * await using server = Deno.serve({ hostname: "127.0.0.1", port: 0 }, () => {
 *   return new Response(metrics(meters), { headers: { "content-type": METRICS_CONTENT_TYPE } });
 * });
 * const response = await fetch(`http://127.0.0.1:${server.addr.port}/metrics`);
 * console.assert((await response.text()).includes("hearsay_rounds_total"), node.id);
 * ```
 */
export function metrics(meters: MemberMeters): string {
  const { member } = meters;
  if (!member) return "";
  const { id, cluster } = member;
  const amounts = member.amounts();
  let text = header("hearsay_member_info", "gauge", "The member of this process; the value is always 1.");
  text += line("hearsay_member_info", { id, cluster }, 1);
  for (const { text: name, kind, help, read } of OBSERVED) {
    text += header(name, kind === "counter" ? "counter" : "gauge", help);
    for (const { labels, value } of read(meters, amounts)) text += line(name, labels, value);
  }
  for (const { text: name, help, read } of Object.values(DISTRIBUTED)) {
    text += header(name, "histogram", help);
    for (const sample of read(meters)) text += histogramText(name, sample);
  }
  return text;
}

function histogramText(name: string, { labels, histogram }: HistogramSample): string {
  const { bounds, sum } = histogram;
  const counts = histogram.cumulated();
  const buckets = counts.map((count, index) => {
    const le = index < bounds.length ? String(bounds[index]) : "+Inf";
    return line(`${name}_bucket`, { ...labels, le }, count);
  });
  return buckets.join("") + line(`${name}_sum`, labels, sum) + line(`${name}_count`, labels, counts.at(-1)!);
}

function header(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join()}}` : ""} ${value}\n`;
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", '"': '\\"', "\n": "\\n" };

/** A text as the value of a label. A name of a cluster or a member may have any character. */
function escaped(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => ESCAPES[character]!);
}
