/**
 * A program with a member. It prints events as lines of JSON, runs commands from its standard input, and ends when that
 * ends.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import { timersSet } from "./counted_timers.ts";
import { join, type JoinOptions, type PartialConfig } from "../../mod.ts";

/** Options of the member, as JSON in the first argument. */
export interface MemberOptions {
  readonly id: string;
  readonly port: number;
  /** The port that other members dial; `port` by default. */
  readonly advertised?: number;
  readonly seeds: readonly string[];
  readonly config: PartialConfig;
  readonly authentication?: JoinOptions["authentication"];
  readonly tls?: JoinOptions["tls"];
}

const { id, port, advertised, seeds, config, authentication, tls }: MemberOptions = JSON.parse(Deno.args[0]!);
const host = "127.0.0.1";
const node = await join({
  cluster: "faults",
  id,
  listen: { port },
  seeds,
  config,
  ...(advertised === undefined ? {} : { advertise: { host, port: advertised } }),
  ...(authentication && { authentication }),
  ...(tls && { tls }),
});
const print = (line: object) => console.log(JSON.stringify(line));
print({ type: "listening", address: node.address, port: Number(new URL(node.address).port) });

const QUIET = new Set(["Disseminated", "RequestFailed", "PhaseChanged", "Confirmed", "EventsDropped"]);
const printing = (async () => {
  for await (const event of node.events.subscribe()) {
    if (event.type === "GossipUpdate" && (event.memberId === id || event.key !== "k")) continue;
    if (!QUIET.has(event.type)) print(event.type === "ClusterTopology" ? { type: event.type } : event);
  }
})();

let loading: ReturnType<typeof setInterval> | undefined;

async function stop(): Promise<never> {
  clearInterval(loading);
  const flush = await node.stop();
  await printing;
  print({ type: "stopped", flush });
  Deno.exit(0);
}
Deno.addSignalListener("SIGTERM", () => void stop());

/** The commands on standard input. */
const COMMANDS: Readonly<Record<string, (value: string) => void>> = {
  set: (value) => node.setState("k", value),
  /** Sets a key 4,000 times a second until the member stops. */
  load: () => {
    let number = 0;
    loading = setInterval(() => {
      for (let each = 0; each < 20; each++) node.setState("load", ++number);
    }, 5);
  },
  /** Sets the cluster's keys. */
  keys: (value) => {
    node.setKeys(value.split(","));
    print({ type: "keys", count: value.split(",").length });
  },
  /** Blocks the event loop for this many milliseconds. */
  block: (value) => {
    const endMs = performance.now() + Number(value);
    while (performance.now() < endMs);
    print({ type: "unblocked" });
  },
  members: () => print({ type: "members", members: node.members.map(({ id, status }) => `${id} ${status}`) }),
  memory: () =>
    print({
      type: "memory",
      rss: Deno.memoryUsage().rss,
      timers: timersSet(),
      skipped: node.skippedRounds,
    }),
};

for await (
  const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
) {
  const [name = "", value = ""] = line.split(" ");
  COMMANDS[name]?.(value);
}
await stop();
