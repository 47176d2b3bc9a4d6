/**
 * `deno task bench:peers`: measures Hearsay and comparable systems in turn on this machine, and writes the table to
 * `docs/BENCHMARKS.md`. A system that cannot be built here is left out.
 *
 * @module
 */

import { giveUp, readFlags } from "../../examples/flags.ts";
import { output } from "./command.ts";
import { formatDocument, type Row } from "./document.ts";
import { type Load, type Measurement, measureSystem } from "./measure_system.ts";
import { type Program, SYSTEMS } from "./systems.ts";

const DOCUMENT = new URL("../../docs/BENCHMARKS.md", import.meta.url);
/** The peers with which a member gossips in a round. 3: the default of all systems. chitchat has no setting for it. */
const FAN_OUT = 3;

const USAGE = `
Measures N processes of Hearsay and of each comparable system in turn.

  --members <n>      processes per system, 2 to 60 (default: 32)
  --interval <ms>    gossip interval, 50 to 5000 (default: 300)
  --runs <n>         runs per system; the table has the medians (default: 1)
  --sets <n>         sets per run (default: 40)
  --warm-up <s>      seconds before the first set (default: 120)
  --idle <s>         seconds to measure the idle cost (default: 20)
  --no-kill          leave out the kill, which takes most of the time
  --only <system>    measure this system alone; may be repeated
  --print            print the page instead of writing docs/BENCHMARKS.md
  --help             this text
`;

const flags = readFlags({
  usage: USAGE,
  once: ["members", "interval", "runs", "sets", "warm-up", "idle"],
  many: ["only"],
  boolean: ["no-kill", "print"],
});
const load: Load = {
  // At most 60: one address may have 64 connections by default.
  members: flags.wholeNumber("members", { least: 2, most: 60 }) ?? 32,
  gossipIntervalMs: flags.wholeNumber("interval", { least: 50, most: 5_000 }) ?? 300,
  fanOut: FAN_OUT,
  sets: flags.wholeNumber("sets", { least: 1, most: 10_000 }) ?? 40,
  idleMs: (flags.wholeNumber("idle", { least: 1, most: 3_600 }) ?? 20) * 1000,
  warmUpMs: (flags.wholeNumber("warm-up", { least: 0, most: 3_600 }) ?? 120) * 1000,
  settleMs: 5_000,
  kill: !flags.isSet("no-kill"),
};
const runs = flags.wholeNumber("runs", { least: 1, most: 100 }) ?? 1;
const systems = chosenSystems(flags.texts("only"));
const loadAverage = Deno.loadavg()[0]!;

const programs = new Map<string, Program>();
const failures = new Map<string, string>();
for (const { name, build } of systems) {
  const report = (sentence: string) => console.error(`${name}: ${sentence}`);
  report("The program is built.");
  try {
    programs.set(name, await build(report));
  } catch (error) {
    failures.set(name, (error as Error).message);
    report(`Left out: ${failures.get(name)}`);
  }
}

const measurements = new Map<string, Measurement[]>(systems.map(({ name }) => [name, []]));
for (let run = 1; run <= runs; run++) {
  for (const [name, { command }] of programs) {
    const report = (sentence: string) => console.error(`Run ${run} of ${runs}, ${name}: ${sentence}`);
    measurements.get(name)!.push(await measureSystem(command, { load, report }));
  }
}

const rows = systems.map(({ name, settings }): Row => ({
  name,
  settings,
  version: programs.get(name)?.version ?? `not measured (${failures.get(name)?.split("\n")[0]})`,
  runs: measurements.get(name)!,
}));
const page = formatDocument(rows, {
  day: new Date().toISOString().slice(0, 10),
  command: ["deno task bench:peers", ...Deno.args].join(" "),
  cores: navigator.hardwareConcurrency,
  loadAverage,
  load,
  runs,
});
if (flags.isSet("print")) {
  console.log(page);
} else {
  await Deno.writeTextFile(DOCUMENT, page);
  await output([Deno.execPath(), "fmt", "--quiet", DOCUMENT.pathname]);
  console.log(await Deno.readTextFile(DOCUMENT));
}

function chosenSystems(names: readonly string[]): typeof SYSTEMS {
  const known = SYSTEMS.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) giveUp(`--only must be one of ${known.join(", ")}; got ${unknown}.`);
  return names.length === 0 ? SYSTEMS : SYSTEMS.filter(({ name }) => names.includes(name));
}
