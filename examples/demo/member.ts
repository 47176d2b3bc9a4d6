/**
 * One member of the demo in a process of its own. It joins, publishes its load and version, and reports the other
 * members on its standard output.
 *
 * `deno run --allow-net=127.0.0.1 --allow-sys=loadavg,systemMemoryInfo member.ts <id> [<address of a seed>]`
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";
import { join } from "../../mod.ts";
import {
  type Command,
  CONFIG,
  type Key,
  KEYS,
  type Load,
  type MemberReport,
  type Report,
  wallClockMs,
} from "./protocol.ts";

const [id = "member", ...seeds] = Deno.args;
const sinceMs = wallClockMs();
const node = await join({ cluster: "demo", id, seeds, listen: { port: 0 }, config: CONFIG });
report({ type: "listening", address: node.address, sinceMs });

// The member's own state.
node.setState("version", "1.0.0");
node.setState("load", load());
const publishing = setInterval(() => node.setState("load", load()), 1_000);

// Values of all members, its own included.
for (const key of KEYS) reportValues(key);
reportMembers();
node.registerConsensusCheck("version", (version) => version, {
  onReached: (version) => report({ type: "consensus", version }),
  onLost: () => report({ type: "consensus", version: null }),
});

// A member that leaves can set no more values. Loops over its streams end without this.
node.signal.addEventListener("abort", () => clearInterval(publishing));

Deno.addSignalListener("SIGTERM", async () => {
  report({ type: "stopped", flush: await node.stop() });
  Deno.exit();
});

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
for await (const line of lines) {
  const { version }: Command = JSON.parse(line);
  node.setState("version", version);
}
// The demo closed this input or has ended: no process of it may stay.
Deno.exit();

function load(): Load {
  const [average = 0] = Deno.loadavg();
  const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
  return {
    average: Number(average.toFixed(2)),
    availableMiB: mebibytes(Deno.systemMemoryInfo().available),
    residentMiB: mebibytes(Deno.memoryUsage().rss),
  };
}

async function reportValues(key: Key): Promise<void> {
  for await (const { memberId, value = null } of node.watch(key)) {
    report({ type: "value", of: memberId, key, value });
  }
}

async function reportMembers(): Promise<void> {
  const types = ["ClusterTopology", "GossipUpdate", "MemberBlocked", "MemberUnblocked"] as const;
  let reported = "";
  for await (const _ of node.events.subscribe(types)) {
    const members = node.members.map(({ id, status, block }) => ({
      id,
      status,
      reason: block?.reason ?? null,
    }));
    if (JSON.stringify(members) === reported) continue;
    reported = JSON.stringify(members);
    report({ type: "members", members });
  }
}

function report(event: MemberReport): void {
  const line: Report = { ...event, atMs: wallClockMs() };
  console.log(JSON.stringify(line));
}
