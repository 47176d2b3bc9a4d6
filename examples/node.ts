/**
 * One member with settings from a YAML file and flags, for several terminals: `deno task node`.
 *
 * It prints a line for each event. Type `key=json` to set a key and `key=` to delete it. Ctrl-C leaves the cluster.
 *
 * @module
 */

import { TextLineStream } from "../deps/std_streams.ts";
import { HearsayError, join, type Node } from "../mod.ts";
import { giveUp, readFlags } from "./flags.ts";
import { leaveOnSignal } from "./leave.ts";
import { readAssignment } from "./node/assignment.ts";
import { readSettings } from "./node/settings.ts";
import { name, printEvents, say } from "./node/story.ts";

const USAGE = `
One member of a cluster that prints its events. On three terminals:

  deno task node --config examples/node.yaml --id ada --port 7001
  deno task node --config examples/node.yaml --id ben --port 7002
  deno task node --config examples/node.yaml --id cleo --port 7003

Type key=json and Enter to set a key, key= to delete it, Ctrl-C to leave.

  --config <file>       a YAML file; flags replace its fields
  --cluster <name>      the name of the cluster; members of other clusters are refused
  --id <text>           the id of this member (default: a new one at every start)
  --hostname <address>  the address to listen on (default: 127.0.0.1)
  --port <number>       the port to listen on (default: 0, a free one)
  --seed <address>      a member to dial, such as ws://127.0.0.1:7001; may be repeated
  --set <key=json>      a key to set at the start; may be repeated
  --help                this text
`;

const flags = readFlags({
  usage: USAGE,
  once: ["cluster", "config", "hostname", "id", "port"],
  many: ["seed", "set"],
});
const node = await start().catch(explain);
leaveOnSignal(node);
say("here", `${name(node.id)} listens on ${node.address}`);
printEvents(node);
for await (
  const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
) {
  if (line.trim() !== "") obey(line);
}

async function start(): Promise<Node> {
  const { cluster, id, hostname, port, seeds, state, config } = await readSettings(flags);
  const node = await join({
    cluster,
    listen: { hostname, port },
    seeds,
    config,
    ...(id !== undefined && { id }),
  });
  for (const [key, value] of state) node.setState(key, value);
  return node;
}

function obey(line: string): void {
  try {
    const { key, value } = readAssignment(line);
    if (value !== undefined) node.setState(key, value);
    else if (!node.deleteState(key)) say("failed", `${key} was not set`);
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof HearsayError)) throw error;
    say("failed", error.message);
  }
}

/** Ends the program with a message if the user can correct the error; throws it otherwise. */
function explain(error: unknown): never {
  if (error instanceof HearsayError && error.code === "cannot_listen") {
    giveUp(`${error.message} Choose another with --port <number>.`);
  }
  if (error instanceof Deno.errors.NotFound) giveUp(`${flags.text("config")} does not exist.`);
  if (error instanceof Error && !(error instanceof TypeError)) giveUp(error.message);
  throw error;
}
