/**
 * A member with a memory. It prints its id, the peers that it remembers and those that are alive, as lines of JSON, and
 * leaves at SIGTERM.
 *
 * @module
 */

import { remember } from "../../discovery/memory/memory.ts";
import { join, leaveOnSignals, type PartialConfig, seeds } from "../../mod.ts";

/** Options of the member, as JSON in the first argument. */
export interface RememberingOptions {
  /** The path of its file. */
  readonly file: string;
  readonly seeds: readonly string[];
  readonly config: PartialConfig;
}

const { file, config, ...options }: RememberingOptions = JSON.parse(Deno.args[0]!);
const print = (line: object) => console.log(JSON.stringify(line));
const memory = await remember(file, { cluster: "faults", writeInterval: 200 });
const discovery = memory.discovery(seeds(options.seeds));
const node = await join({ cluster: "faults", id: memory.id, listen: { port: 0 }, discovery, config });
leaveOnSignals(node);
print({
  type: "listening",
  id: node.id,
  address: node.address,
  remembered: memory.peers.map(({ id }) => id),
  problem: memory.problem?.message ?? null,
});
for await (const _ of node.watchMembers()) {
  const alive = node.members.filter(({ status, isSelf }) => status === "alive" && !isSelf);
  print({ type: "alive", ids: alive.map(({ id }) => id) });
}
