/**
 * `deno task mutants [--only <file or number>]`: breaks the code in many small ways, one at a time, and
 * fails where no test notices. The breaks are in `tools/mutants/`, one list for each part of the code.
 *
 * @module
 */

import { type Mutant, runMutants, type Verdict } from "./mutant_run.ts";

const ROOT = new URL("..", import.meta.url);

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  const only = onlyOf(args);
  const all = await readLists(new URL("tools/mutants/", ROOT));
  const chosen = [...all.entries()].filter(([index, { file }]) =>
    isChosen(only, { number: index + 1, file })
  );
  if (chosen.length === 0) {
    console.error(`No mutant is ${only}: there are ${all.length}.`);
    return 1;
  }
  const numbers = new Map(chosen.map(([index, mutant]) => [mutant, index + 1]));
  let done = 0;
  const verdicts = await runMutants(chosen.map(([, mutant]) => mutant), {
    root: decodeURIComponent(ROOT.pathname),
    onVerdict: (verdict) => {
      done++;
      const progress = `${done}/${chosen.length}`.padStart(9);
      console.log(`${progress}  ${lineOf(verdict, numbers.get(verdict.mutant) ?? 0)}`);
    },
  });
  return report(verdicts, numbers);
}

function onlyOf(args: readonly string[]): string | undefined {
  if (args.length === 0) return undefined;
  if (args.length === 2 && args[0] === "--only") return args[1];
  console.error("Usage: deno task mutants [--only <file or number>]");
  Deno.exit(2);
}

function isChosen(only: string | undefined, { number, file }: { number: number; file: string }): boolean {
  return only === undefined || only === String(number) || file === only || file.startsWith(`${only}/`);
}

/** All lists of the folder, in the order of their files' names. */
export async function readLists(folder: URL): Promise<Mutant[]> {
  const names = [];
  for await (const { name } of Deno.readDir(folder)) if (name.endsWith(".ts")) names.push(name);
  const lists = await Promise.all(
    names.sort().map(async (name) =>
      (await import(new URL(name, folder).href) as { readonly MUTANTS: readonly Mutant[] }).MUTANTS
    ),
  );
  return lists.flat();
}

function lineOf({ mutant, outcome, reason, elapsedMs }: Verdict, number: number): string {
  const seconds = (elapsedMs / 1_000).toFixed(1).padStart(5);
  const why = reason === undefined ? "" : `: ${reason}`;
  return `${outcome.padEnd(9)} ${seconds} s  #${number} ${mutant.file}  ${mutant.test}${why}`;
}

/** The table at the end: how the mutants of each file fared, then whatever is not as it should be. */
function report(verdicts: readonly Verdict[], numbers: ReadonlyMap<Mutant, number>): number {
  const files = Map.groupBy(verdicts, ({ mutant }) => mutant.file);
  const width = Math.max(...[...files.keys()].map(({ length }) => length));
  console.log(`\n${"file".padEnd(width)}  mutants  noticed`);
  for (const [file, of] of [...files].sort(([a], [b]) => a < b ? -1 : 1)) {
    console.log(`${file.padEnd(width)}  ${pad(of.length)}  ${pad(of.filter(isNoticed).length)}`);
  }
  const bad = verdicts.filter((verdict) => !isNoticed(verdict));
  console.log(`${"all".padEnd(width)}  ${pad(verdicts.length)}  ${pad(verdicts.length - bad.length)}`);
  if (bad.length === 0) return 0;
  console.log("\nNot noticed:");
  for (const verdict of bad) {
    console.log(`  ${lineOf(verdict, numbers.get(verdict.mutant) ?? 0)}`);
    console.log(`    ${JSON.stringify(verdict.mutant.find)} → ${JSON.stringify(verdict.mutant.replace)}`);
  }
  return 1;
}

function pad(count: number): string {
  return String(count).padStart(7);
}

function isNoticed({ outcome }: Verdict): boolean {
  return outcome === "killed" || outcome === "timed out";
}
