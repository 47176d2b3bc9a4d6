/**
 * `deno task interop`: everything that is tested against protoactor-go itself. Needs Go, and says so where there is
 * none. With `--write` it writes the committed vectors and histories anew, as a new version of protoactor-go wants.
 *
 * @module
 */

import { whyNoGo } from "./go.ts";
import { writeAnew } from "./write_anew.ts";

/** One thing to run; a later one runs although an earlier one has failed. */
interface Step {
  readonly what: string;
  readonly command: string;
  readonly args: readonly string[];
  /** How long it may take, in milliseconds. */
  readonly boundMs: number;
}

const TEST = ["test", "--no-prompt", "--allow-net=127.0.0.1", "--allow-read", "--allow-write", "--allow-run"];

const STEPS: readonly Step[] = [
  {
    what: "Building what is tested against: a minute the first time, each package told as it is compiled",
    command: "go",
    args: ["build", "-v", "./..."],
    boundMs: 600_000,
  },
  {
    what: "What protoactor-go writes is read, what is written it reads, and histories end alike",
    command: Deno.execPath(),
    args: [...TEST, "vectors_test.ts", "histories_test.ts", "go_test.ts"],
    boundMs: 600_000,
  },
  {
    what: "What protoactor-go does otherwise",
    command: "go",
    args: ["test", "-count=1", "-v", "./departures"],
    boundMs: 600_000,
  },
  {
    what: "Members of both kinds in one cluster",
    command: Deno.execPath(),
    args: [...TEST, "live.ts", "live_purge.ts"],
    boundMs: 900_000,
  },
];

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  const why = await whyNoGo();
  if (why !== undefined) {
    console.log(`SKIPPED: nothing was tested against protoactor-go, for ${why}.`);
    return 0;
  }
  if (args.includes("--write")) {
    await writeAnew();
    return 0;
  }
  let failed = 0;
  for (const step of STEPS) if (!await passes(step)) failed++;
  console.log(failed === 0 ? "All as it should be." : `${failed} of ${STEPS.length} steps have failed.`);
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
  if (bound.aborted) console.error(`It took more than ${boundMs} ms.`);
  return success;
}
