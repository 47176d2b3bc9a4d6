/**
 * A member of a Hearsay cluster for the benchmark, with the default configuration apart from the given interval
 * and fan-out.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import { join } from "../../mod.ts";
import { formatEvent, type MemberOptions, parseSet } from "./line.ts";

const VALUE_KEY = "value";

const options: MemberOptions = JSON.parse(Deno.args[0] ?? "");
const node = await join({
  cluster: "bench",
  id: options.id,
  listen: { port: options.port },
  seeds: options.seeds.map((seed) => `ws://${seed}`),
  config: { gossipInterval: options.gossipIntervalMs, gossipFanOut: options.fanOut },
});
reportMembers();
reportValues();
console.log(formatEvent("ready", options.id));

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
for await (const line of lines) {
  const value = parseSet(line);
  console.log(formatEvent("set", value));
  node.setState(VALUE_KEY, value);
}
// The process ends with its standard input, so none outlives the benchmark.
Deno.exit();

async function reportValues(): Promise<void> {
  for await (const { memberId, value } of node.watch(VALUE_KEY)) {
    if (memberId !== options.id && typeof value === "string") console.log(formatEvent("seen", value));
  }
}

async function reportMembers(): Promise<void> {
  const types = ["ClusterTopology", "MemberBlocked", "MemberUnblocked"] as const;
  let reported = 0;
  for await (const event of node.events.subscribe(types)) {
    if (event.type === "MemberBlocked") console.log(formatEvent("gone", event.memberId));
    const count = node.members.filter(({ status }) => status === "alive").length;
    if (count !== reported) console.log(formatEvent("members", count));
    reported = count;
  }
}
