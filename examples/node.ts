/**
 * One member from a YAML file and flags, to be started on several terminals: `deno task node`.
 *
 * It prints a line for each thing that happens. What is typed as `key=json` it says of itself, and `key=`
 * takes that back. Ctrl-C leaves the cluster.
 *
 * @module
 */

import { TextLineStream } from "../deps/std_streams.ts";
import { HearsayError, join, type Node } from "../mod.ts";
import { giveUp, readFlags } from "./flags.ts";
import { leaveOnSignal } from "./leave.ts";
import { readAssignment } from "./node/assignment.ts";
import { readSettings } from "./node/settings.ts";
import { name, say, tell } from "./node/story.ts";

const USAGE = `
One member of a cluster, which prints what happens. On three terminals:

  deno task node --config examples/node.yaml --id ada --port 7001
  deno task node --config examples/node.yaml --id ben --port 7002
  deno task node --config examples/node.yaml --id cleo --port 7003

Type key=json and Enter to say something of this member, key= to take it back, Ctrl-C to leave.

  --config <file>       a YAML file; what a flag says wins
  --cluster <name>      the cluster's name; members of another are refused
  --id <text>           this member's id; a new one for every life if left out
  --hostname <address>  where to listen; 127.0.0.1 if left out
  --port <number>       0 or left out: a free one
  --seed <address>      a member to greet, such as ws://127.0.0.1:7001; may be given more than once
  --set <key=json>      what it says of itself from the beginning; may be given more than once
  --help                this text
`;

const flags = readFlags({
  usage: USAGE,
  once: ["cluster", "config", "hostname", "id", "port"],
  many: ["seed", "set"],
});
const node = await start().catch(explain);
const { gossiper, member } = node;
leaveOnSignal(node);
say("here", `${name(member.id)} listens on ${node.address}`);
tell(node);
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
  for (const [key, value] of state) node.gossiper.setState(key, value);
  return node;
}

function obey(line: string): void {
  try {
    const { key, value } = readAssignment(line);
    if (value !== undefined) gossiper.setState(key, value);
    else if (!gossiper.deleteState(key)) say("failed", `${key} was not set`);
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof HearsayError)) throw error;
    say("failed", error.message);
  }
}

/** Ends the program with a message, for whoever started it can put that right. */
function explain(error: unknown): never {
  if (error instanceof HearsayError && error.code === "cannot_listen") {
    giveUp(`${error.message} --port <number> takes another.`);
  }
  if (error instanceof Deno.errors.NotFound) giveUp(`${flags.text("config")} does not exist.`);
  if (error instanceof Error && !(error instanceof TypeError)) giveUp(error.message);
  throw error;
}
