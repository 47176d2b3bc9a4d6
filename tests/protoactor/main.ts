/**
 * `deno task interop`: all tests against protoactor-go. Needs Go; without it the reason is printed. `--write` writes the
 * committed vectors and histories again, for a new version of protoactor-go.
 *
 * @module
 */

import { whyNoGo } from "./go.ts";
import { writeResults } from "./write_results.ts";

/** A command to run. A failure does not stop the later ones. */
interface Step {
  readonly what: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The time limit, in milliseconds. */
  readonly boundMs: number;
}

const TEST = ["test", "--no-prompt", "--allow-net=127.0.0.1", "--allow-read", "--allow-write", "--allow-run"];

const STEPS: readonly Step[] = [
  {
    what: "Build of protoactor-go (the first one takes about a minute; compiled packages are printed)",
    command: "go",
    args: ["build", "-v", "./..."],
    boundMs: 600_000,
  },
  {
    what: "Messages in both directions, and histories",
    command: Deno.execPath(),
    args: [...TEST, "vectors_test.ts", "histories_test.ts", "go_test.ts"],
    boundMs: 600_000,
  },
  {
    what: "Departures: behavior of protoactor-go",
    command: "go",
    args: ["test", "-count=1", "-v", "./departures"],
    boundMs: 600_000,
  },
  {
    what: "Mixed clusters",
    command: Deno.execPath(),
    args: [...TEST, "live.ts", "live_counts.ts", "live_purge.ts"],
    boundMs: 900_000,
  },
];

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  const why = await whyNoGo();
  if (why !== undefined) {
    console.log(`SKIPPED: the tests with protoactor-go, because ${why}.`);
    return 0;
  }
  if (args.includes("--write")) {
    await writeResults();
    return 0;
  }
  let failed = 0;
  for (const step of STEPS) if (!await passes(step)) failed++;
  console.log(failed === 0 ? "All steps passed." : `${failed} of ${STEPS.length} steps failed.`);
  return failed === 0 ? 0 : 1;
}

async function passes({ what, command, args, boundMs }: Step): Promise<boolean> {
  console.log(`\n${what}:`);
  const bound = AbortSignal.timeout(boundMs);
  const child = new Deno.Command(command, {
    args: [...args],
    cwd: new URL("./", import.meta.url),
    stdin: "null",
    signal: bound,
  }).spawn();
  const { success } = await child.status;
  if (bound.aborted) console.error(`The step exceeded its limit of ${boundMs} ms.`);
  return success;
}
