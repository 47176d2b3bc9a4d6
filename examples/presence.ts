/**
 * A presence list: everyone who is here, in each terminal. `deno task presence --name Ada`, and in others with
 * `--seed ws://…` as the first one prints. A typed line is a note beside the name. With `--file` it finds the others
 * again when every seed is down.
 *
 * @module
 */

import { TextLineStream } from "../deps/std_streams.ts";
import { remember } from "../discovery/memory/memory.ts";
import { join, leaveOnSignals, type Node, printable, seeds } from "../mod.ts";
import { giveUp, readFlags } from "./flags.ts";

const USAGE = `
deno task presence --name <name> [--seed ws://host:port …] [--port n] [--file path] [--expiration ms]

--file        remembers this member's id and its peers there
--expiration  a process that stands still is gone after so many milliseconds; 20000 by default
`;
const CLUSTER = "presence";
const KEY = "presence";
/** The longest name and note that are shown, in UTF-16 units. */
const MAX_SHOWN = 60;

/** One person, as a member publishes it. */
interface Presence {
  readonly name: string;
  readonly note: string;
}

/** Reads what a member set: any program of the cluster may set anything. */
function presenceOf(value: unknown): Presence | undefined {
  const { name, note } = Object(value) as Partial<Presence>;
  return typeof name === "string" && typeof note === "string" ? { name, note } : undefined;
}

/** The people whose members are alive, in the order of their names. A person in two terminals is listed once. */
function peopleAt(node: Node): string[] {
  const people = new Map<string, string>();
  for (const { id, status } of node.members) {
    // A suspected member may have crashed: it is gone only when it is known.
    if (status !== "alive" && status !== "suspected") continue;
    const presence = presenceOf(node.getState(KEY).get(id)?.value);
    if (presence === undefined) continue;
    const name = printable(presence.name, MAX_SHOWN);
    const note = printable(presence.note, MAX_SHOWN);
    if (note !== "" || !people.has(name)) people.set(name, note);
  }
  return [...people].sort(([one], [other]) => one < other ? -1 : 1)
    .map(([name, note]) => note === "" ? name : `${name} (${note})`);
}

/** Prints the list after each change of it, until the node leaves. */
async function showChanges(node: Node): Promise<void> {
  let shown = "";
  const show = async (changes: ReadableStream<unknown>) => {
    for await (const _ of changes) {
      const list = peopleAt(node).join(", ");
      if (list !== shown && list !== "") console.log(`Here: ${list}`);
      shown = list;
    }
  };
  // A member comes and goes, or its value changes.
  await Promise.all([show(node.watchMembers()), show(node.watch(KEY))]);
}

/** Publishes each line as the note. */
async function readNotes(node: Node, name: string): Promise<void> {
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of lines) {
    if (node.signal.aborted) return;
    node.setState(KEY, { name, note: line.trim().slice(0, MAX_SHOWN) });
  }
}

const flags = readFlags({ usage: USAGE, once: ["name", "port", "file", "expiration"], many: ["seed"] });
const name = flags.text("name") ?? giveUp("--name must be given: the name that others see.");
const heartbeatExpiration = flags.wholeNumber("expiration", { least: 2_000, most: 600_000 }) ?? 20_000;
const file = flags.text("file");
const memory = file === undefined ? undefined : await remember(file, { cluster: CLUSTER });
const bySeeds = seeds(flags.seeds());

const node = await join({
  cluster: CLUSTER,
  listen: { port: flags.port() ?? 0 },
  discovery: memory?.discovery(bySeeds) ?? bySeeds,
  config: { heartbeatExpiration },
  ...(memory && { id: memory.id }),
});
leaveOnSignals(node);
console.log(`Listening at ${node.address}`);
node.setState(KEY, { name, note: "" });
void readNotes(node, name);
await showChanges(node);
