/**
 * `deno task bench`: the cost of the gossiper's parts. Times depend on the machine, so the claims are ratios of subjects
 * measured in turn in one run. Exits with 1 if a claim fails.
 *
 * `--only NAME` runs one part and may be repeated: `delta`, `merge`, `codec`, `keys`, `members`, `request`, `rivals`,
 * `signatures`, `steady`, `one-of-many`, or `steady-large`, which runs only by name.
 *
 * @module
 */

import { benchCodec } from "./codec.ts";
import { benchDelta } from "./delta.ts";
import { benchMembers } from "./members.ts";
import { benchMerge } from "./merge.ts";
import { benchOneOfMany } from "./one_of_many.ts";
import { benchKeys } from "./keys.ts";
import { Report } from "./report.ts";
import { benchRequest } from "./request.ts";
import { benchRivals } from "./rivals.ts";
import { benchSignatures } from "./signatures.ts";
import { benchSteady, benchSteadyLarge } from "./steady.ts";

const PARTS = new Map<string, (report: Report) => Promise<void>>([
  ["delta", benchDelta],
  ["merge", benchMerge],
  ["codec", benchCodec],
  ["keys", benchKeys],
  ["members", benchMembers],
  ["request", benchRequest],
  ["rivals", benchRivals],
  ["signatures", benchSignatures],
  ["steady", benchSteady],
  ["one-of-many", benchOneOfMany],
  ["steady-large", benchSteadyLarge],
]);
/** Parts that need too much time and memory to run by default. */
const ONLY_NAMED: ReadonlySet<string> = new Set(["steady-large"]);

/** The names of the parts to run. */
function chosen(args: readonly string[]): string[] {
  const names: string[] = [];
  for (let index = 0; index < args.length; index += 2) {
    const name = args[index + 1];
    if (args[index] !== "--only" || name === undefined || !PARTS.has(name)) {
      console.error(`Usage: deno task bench [--only NAME]…, where NAME is ${[...PARTS.keys()].join(", ")}.`);
      Deno.exit(2);
    }
    names.push(name);
  }
  return names.length > 0 ? names : [...PARTS.keys()].filter((name) => !ONLY_NAMED.has(name));
}

const report = new Report();
const start = performance.now();
console.log(
  `Deno ${Deno.version.deno}, V8 ${Deno.version.v8}, ${Deno.build.target}. Medians of subjects measured in turn.`,
);
for (const name of chosen(Deno.args)) {
  console.error(`… ${name}`);
  await PARTS.get(name)!(report);
}
const seconds = (performance.now() - start) / 1000;
console.log(
  `\n${report.claims - report.failed} of ${report.claims} claims hold; ${seconds.toFixed(0)} s.`,
);
if (report.failed > 0) Deno.exit(1);
