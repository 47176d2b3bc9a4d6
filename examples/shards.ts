/**
 * A job runner with twelve shards: each shard's job runs at one member, and moves when that member leaves or dies. Start it in
 * three terminals, and kill one:
 *
 * ```sh
 * deno task shards --members 3 --id ada --port 7001
 * deno task shards --members 3 --id ben --port 7002 --seed ws://127.0.0.1:7001
 * deno task shards --members 3 --id cleo --port 7003 --seed ws://127.0.0.1:7001
 * ```
 *
 * @module
 */

import { join, leaveOnSignals } from "../mod.ts";
import { owners } from "../roles/mod.ts";
import { readFlags } from "./flags.ts";

const flags = readFlags({
  usage: `
Runs the jobs of the shards that this member owns, and prints which ones it begins and ends.

  --members <number>   how many members there are when all run (default: 1)
  --id <name>          this member's id
  --port <number>      the port to listen on (default: a free one)
  --seed <address>     the address of another member; may be repeated
  --help               this text
`,
  once: ["members", "id", "port"],
  many: ["seed"],
});

const SHARDS = Array.from({ length: 12 }, (_, index) => `shard ${index + 1}`);
/** The time that a piece of work takes here, in milliseconds. */
const WORK_MS = 100;

const id = flags.text("id");
const node = await join({
  cluster: "jobs",
  listen: { port: flags.port() ?? 0 },
  seeds: flags.seeds(),
  ...(id !== undefined && { id }),
});
console.log(`${node.id} is at ${node.address}`);

const members = flags.wholeNumber("members", { least: 1, most: 1_000 }) ?? 1;
// More than half: of two sides of a partition at most one has the jobs.
using role = owners(node, { name: "jobs", atLeast: Math.floor(members / 2) + 1 });

/** The jobs that run here, by shard. */
const jobs = new Map<string, { readonly ending: AbortController; readonly over: Promise<void> }>();

leaveOnSignals(node, {
  // The next owners begin after `settle`; until then the pieces of work that are under way have ended.
  beforeLeaving: async () => {
    role[Symbol.dispose]();
    await Promise.all([...jobs.values()].map(({ over }) => over));
  },
});

for await (const { key: shard, ...now } of role.watch(SHARDS)) {
  if (now.state === "known" && now.isOwner) begin(shard, now.epoch);
  else jobs.get(shard)?.ending.abort();
}

/** Begins a job, unless it runs already: the epoch of an owner may rise. */
function begin(shard: string, epoch: number): void {
  const former = jobs.get(shard);
  if (former && !former.ending.signal.aborted) return;
  const ending = new AbortController();
  jobs.set(shard, { ending, over: run() });

  async function run(): Promise<void> {
    // The piece of work that was under way when this member gave the shard up ends first.
    await former?.over;
    if (!isMine()) return;
    say(`begins ${shard} at epoch ${epoch}`);
    for (let pieces = 0;; pieces++) {
      // After each wait the shard may belong to another member.
      if (!isMine()) return say(`ends ${shard} after ${pieces} pieces`);
      await work();
    }
  }

  function isMine(): boolean {
    const now = role.of(shard);
    return !ending.signal.aborted && now.state === "known" && now.isOwner;
  }
}

/** Stands for a piece of work. It must be short: it goes on after the shard was given up. */
async function work(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, WORK_MS));
}

function say(text: string): void {
  console.log(`${Date.now()} ${node.id} ${text}`);
}
