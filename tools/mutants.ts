/**
 * `deno task mutants`: breaks the code in small ways, one at a time, and fails where too few are noticed by a test.
 *
 * @module
 */

import { parseArgs } from "../deps/std_cli.ts";
import { FOLDERS, readMutants, sampleOf, within } from "./mutants/choice.ts";
import { readImportGraph } from "./mutants/import_graph.ts";
import { type Mutant, textWith } from "./mutants/mutants_of.ts";
import { type Extent, planFor } from "./mutants/plan.ts";
import { runMutants, type Verdict } from "./mutants/run.ts";

const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname);
const LEAST_PERCENT = 95;

const HELP = `Usage: deno task mutants [options]

Breaks ${FOLDERS.join("/, ")}/ by operators on the syntax tree, each mutant on a copy of the tree, and runs
the tests that reach the broken file until one fails.

  --sample <number>  how many, 100 by default
  --seed <number>    decides which; drawn at random, and printed, by default
  --all              all of them, without the slowest tests: for a night of two cores
  --file <path>      only those of a file or a folder, such as engine/sync/merge.ts; all of them without --sample
  --mutant <name>    one, with its diff
  --resume <file>    notes each verdict there, and goes on from there the next time
  --near             runs the near tests alone: seconds for each mutant; a survivor may be noticed by others
  --list             prints the names, and runs nothing

Exits with 1 where less than ${LEAST_PERCENT} % are noticed, or where a test fails without a mutant. A comment beside the code gives the reason of a mutant that
no test can notice: \`// mutant move-bound: <reason>\`. Such a mutant is left out, unless it is named.`;

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  const flags = parseArgs(args, {
    string: ["sample", "seed", "file", "mutant", "resume"],
    boolean: ["all", "help", "list", "near"],
    unknown: (given: string) => fail(`There is no option ${given}.`),
  }) as Readonly<Partial<Record<string, string>>>;
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  const chosen = await chooseBy(flags);
  if (flags.list) {
    for (const { name } of chosen) console.log(name);
    return 0;
  }
  if (flags.mutant !== undefined) console.log(await diffOf(chosen[0]!));
  const known = await readVerdicts(flags.resume);
  const done = chosen.filter(({ name }) => known.has(name)).map(({ name }) => known.get(name)!);
  const ahead = chosen.filter(({ name }) => !known.has(name));
  const extent = flags.near ? "near" : flags.all ? "quick" : "all";
  const { verdicts, red } = await run(ahead, { resume: flags.resume, extent });
  const code = await report([...done, ...verdicts], new Map(chosen.map((mutant) => [mutant.name, mutant])));
  if (red.length === 0) return code;
  console.log(`\nLeft out, for they fail without a mutant:\n${red.map((each) => `  ${each}`).join("\n")}`);
  return 1;
}

async function chooseBy(flags: Readonly<Partial<Record<string, string>>>): Promise<Mutant[]> {
  const all = await readMutants(ROOT);
  if (flags.mutant !== undefined) {
    return [all.find(({ name }) => name === flags.mutant) ?? fail(`There is no mutant "${flags.mutant}".`)];
  }
  const open = all.filter(({ reason }) => reason === undefined);
  const among = flags.file === undefined ? open : within(open, flags.file);
  if (among.length === 0) fail(`There are no mutants of ${flags.file}.`);
  if (flags.all || (flags.file !== undefined && flags.sample === undefined)) return among;
  const seed = flags.seed === undefined
    ? crypto.getRandomValues(new Uint16Array(1))[0]!
    : wholeOf("seed", flags.seed);
  const count = wholeOf("sample", flags.sample ?? "100");
  if (!flags.list) console.log(`${count} of ${among.length}: --seed ${seed} --sample ${count}`);
  return sampleOf(among, { seed, count });
}

function wholeOf(name: string, text: string): number {
  const number = Number(text);
  return Number.isSafeInteger(number) && number >= 0
    ? number
    : fail(`--${name} must be a whole number; got ${text}.`);
}

function fail(text: string): never {
  console.error(`${text} \`deno task mutants --help\` lists the options.`);
  Deno.exit(2);
}

async function run(
  mutants: readonly Mutant[],
  { resume, extent }: { readonly resume: string | undefined; readonly extent: Extent },
): ReturnType<typeof runMutants> {
  const graph = await readImportGraph(ROOT, [...FOLDERS, "discovery", "tests"]);
  let done = 0;
  return await runMutants(mutants, {
    root: ROOT,
    plan: (file) => planFor(file, graph, extent),
    onVerdict: async (verdict) => {
      done++;
      console.log(`${`${done}/${mutants.length}`.padStart(9)}  ${lineOf(verdict)}`);
      if (resume !== undefined) {
        await Deno.writeTextFile(resume, `${JSON.stringify(verdict)}\n`, { append: true });
      }
    },
  });
}

/** The verdicts of earlier runs: a line of JSON each. */
async function readVerdicts(resume: string | undefined): Promise<Map<string, Verdict>> {
  const text = resume === undefined ? "" : await Deno.readTextFile(resume).catch(() => "");
  const verdicts = text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Verdict);
  return new Map(verdicts.map((verdict) => [verdict.name, verdict]));
}

function lineOf({ name, outcome, by, elapsedMs }: Verdict): string {
  const seconds = (elapsedMs / 1_000).toFixed(1).padStart(6);
  return `${outcome.padEnd(9)} ${seconds} s  ${name}${by === undefined ? "" : `  (${by})`}`;
}

/** Prints a table of the files, then every survivor with its diff. */
async function report(verdicts: readonly Verdict[], mutants: ReadonlyMap<string, Mutant>): Promise<number> {
  const files = Map.groupBy(verdicts, ({ name }) => mutants.get(name)!.file);
  const width = Math.max(...[...files.keys()].map(({ length }) => length));
  console.log(`\n${"file".padEnd(width)}  mutants  noticed`);
  for (const [file, of] of [...files].sort(([a], [b]) => a < b ? -1 : 1)) {
    console.log(`${file.padEnd(width)}  ${pad(of.length)}  ${pad(of.filter(isNoticed).length)}`);
  }
  const survivors = verdicts.filter((verdict) => !isNoticed(verdict));
  const percent = 100 * (verdicts.length - survivors.length) / verdicts.length;
  console.log(
    `${"all".padEnd(width)}  ${pad(verdicts.length)}  ${pad(verdicts.length - survivors.length)}  ${
      percent.toFixed(1)
    } %`,
  );
  if (survivors.length > 0) console.log("\nSurvivors:");
  for (const { name } of survivors) console.log(await diffOf(mutants.get(name)!));
  return percent < LEAST_PERCENT ? 1 : 0;
}

function pad(count: number): string {
  return String(count).padStart(7);
}

function isNoticed({ outcome }: Verdict): boolean {
  return outcome !== "survived";
}

/** The lines of the file that the mutant changes, before and after. */
async function diffOf(mutant: Mutant): Promise<string> {
  const text = await Deno.readTextFile(`${ROOT}${mutant.file}`);
  const from = text.lastIndexOf("\n", mutant.start - 1) + 1;
  const end = text.indexOf("\n", mutant.end);
  const changed = textWith(text, mutant);
  const line = text.slice(0, mutant.start).split("\n").length;
  return [
    `${mutant.name}  (${mutant.file}:${line})`,
    ...text.slice(from, end).split("\n").map((each) => `  - ${each.trim()}`),
    ...changed.slice(from, changed.length - (text.length - end)).split("\n").map((each) =>
      `  + ${each.trim()}`
    ),
    ...(mutant.reason === undefined ? [] : [`  reason: ${mutant.reason}`]),
  ].join("\n");
}
