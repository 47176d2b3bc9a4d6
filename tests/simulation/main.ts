/**
 * `deno task simulate`: runs many seeds, or one seed with its event log, or measures how fast updates spread.
 *
 * @module
 */

import { parseArgs } from "../../deps/std_cli.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { measure } from "./measure.ts";
import { simulateAll } from "./pool.ts";
import { measureRoles } from "./roles/measure.ts";
import { countFalseBlocks, type RestartCounts } from "./restarts.ts";
import type { Overrides } from "./scenario.ts";
import { Simulation } from "./simulation.ts";
import { measureZones } from "./zones/measure.ts";

const HELP = `Usage: deno task simulate [options]

Runs real gossipers in one process. The clock, the network and all faults follow from a seed.

  --seeds <number>     the number of seeds (default: 300)
  --from <number>      the first seed (default: a random number, which is printed)
  --seed <number>      run this seed alone and print its event log
  --resume <file>      store the finished seeds in this file, and skip them at the next start
  --members <number>   members at the start (default: drawn from the seed). From 200 members on no member joins,
                       leaves or crashes, and the run ends when all members have equal state
  --rounds <number>    rounds with faults (default: drawn from the seed)
  --plain              leave out circumstances (discovery, addresses, clocks, messages, maps, roles, zones): the run of an
                       older seed
  --threads <number>   worker threads (default: the number of processors)

Instead: measure how fast an update spreads, and its cost

  --runs <number>      runs for each cluster size
  --members <list>     cluster sizes, such as 10,50,200
  --loss <share>       share of lost messages, from 0 to 0.9 (default: 0)
  --interval <number>  gossipInterval in milliseconds (default, as for the next two: presetFor(members))
  --fan-out <number>   gossipFanOut
  --max-send <number>  gossipMaxSend
  --plot <file.svg>    write a chart of the table to this file

Instead: count how often a running member is blocked as crashed; the count must be 0

  --restarts <number>  restarts of a process, or of the proxy in front of it. Each takes up to 1 s; 30 % of all
                       messages are lost
  --from <number>      the seed (default: a random number, which is printed)

Instead: measure how long two members lead at once, and how long none does, for each fault

  --roles <number>     trials of each fault
  --from <number>      the first seed (default: 1)

Instead: measure the bytes across zones, with and without gossip that stays near first

  --zones <list>       numbers of zones for 24 members, such as 2,3
  --loss <share>       share of messages lost between zones, from 0 to 0.9 (default: 0)
  --from <number>      the seed (default: 1)

Exits with 1 if a run fails.`;

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  const flags = parseArgs(args, {
    string: [
      ...["seeds", "from", "seed", "resume", "members", "rounds", "threads"],
      ...["runs", "loss", "interval", "fan-out", "max-send", "plot", "restarts", "roles", "zones"],
    ],
    boolean: ["help", "plain"],
    unknown: (given: string) => fail(`Unknown option ${given}.`),
  }) as Readonly<Partial<Record<string, string>>>;
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  if (flags.runs !== undefined) {
    const members = (flags.members ?? "10,50,100").split(",").map((each: string) => wholeOf("members", each));
    const loss = lossOf(flags.loss);
    const settings = {
      ...(flags.interval !== undefined && { gossipInterval: wholeOf("interval", flags.interval) }),
      ...(flags["fan-out"] !== undefined && { gossipFanOut: wholeOf("fan-out", flags["fan-out"]) }),
      ...(flags["max-send"] !== undefined && { gossipMaxSend: wholeOf("max-send", flags["max-send"]) }),
    };
    try {
      await measure({ members, loss, settings, runs: wholeOf("runs", flags.runs), plot: flags.plot });
    } catch (error) {
      if (error instanceof ConfigurationError) fail(error.message);
      throw error;
    }
    return 0;
  }
  if (flags.restarts !== undefined) {
    const seed = flags.from === undefined ? drawBase() : wholeOf("from", flags.from);
    return await restartMany(wholeOf("restarts", flags.restarts), seed);
  }
  if (flags.roles !== undefined) {
    const wrong = await measureRoles({
      trials: wholeOf("roles", flags.roles),
      from: wholeOf("from", flags.from ?? "1"),
    });
    return wrong === 0 ? 0 : 1;
  }
  if (flags.zones !== undefined) {
    const zones = flags.zones.split(",").map((each) => wholeOf("zones", each));
    await measureZones({ zones, loss: lossOf(flags.loss), seed: wholeOf("from", flags.from ?? "1") });
    return 0;
  }
  const overrides: Overrides = {
    ...(flags.members !== undefined && { members: wholeOf("members", flags.members) }),
    ...(flags.rounds !== undefined && { rounds: wholeOf("rounds", flags.rounds) }),
    ...(flags.plain && { isPlain: true }),
  };
  if (flags.seed !== undefined) return await runOne(wholeOf("seed", flags.seed), overrides);
  const count = wholeOf("seeds", flags.seeds ?? "300");
  const progress = await readProgress(flags.resume);
  const from = progress?.from ?? (flags.from === undefined ? drawBase() : wholeOf("from", flags.from));
  const threads = flags.threads === undefined ? {} : { threads: wholeOf("threads", flags.threads) };
  return await runMany({
    from,
    count,
    done: new Set(progress?.done),
    resume: flags.resume,
    overrides,
    ...threads,
  });
}

async function runOne(seed: number, overrides: Overrides): Promise<number> {
  const simulation = new Simulation(seed, overrides);
  console.log(simulation.describe().join("\n") + "\n");
  const outcome = await simulation.run();
  console.log(simulation.trace.lines().join("\n"));
  const { recoveryMs, recoveryBoundMs, rounds, messages, bytes, processes, falseBlocks, violation } = outcome;
  console.log(`
processes ${processes}, rounds ${
    rounds.toFixed(0)
  }, messages ${messages}, bytes ${bytes}, false blocks ${falseBlocks}
recovery  ${recoveryMs.toFixed(0)} ms of ${recoveryBoundMs.toFixed(0)} ms allowed
result    ${violation ?? "passed"}`);
  return violation === undefined ? 0 : 1;
}

interface ManyOptions {
  readonly from: number;
  readonly count: number;
  readonly done: Set<number>;
  readonly resume: string | undefined;
  readonly overrides: Overrides;
  readonly threads?: number;
}

async function runMany({ from, count, done, resume, ...options }: ManyOptions): Promise<number> {
  console.log(
    `seeds ${from} to ${from + count - 1}${done.size > 0 ? `, ${done.size} of them done before` : ""}`,
  );
  const seeds = Array.from({ length: count }, (_, each) => from + each).filter((seed) => !done.has(seed));
  const startMs = performance.now();
  let wrong = 0;
  let ran = 0;
  let reportedMs = startMs;
  const sum = { virtualMs: 0, messages: 0, processes: 0, falseBlocks: 0, slowest: 0, slowestReturn: 0 };
  const tally = new Map<string, number>();
  for await (const { outcome, log } of simulateAll(seeds, options)) {
    ran++;
    sum.virtualMs += outcome.virtualMs;
    sum.messages += outcome.messages;
    sum.processes += outcome.processes;
    sum.falseBlocks += outcome.falseBlocks;
    for (const [what, times] of Object.entries(outcome.tally)) {
      tally.set(what, (tally.get(what) ?? 0) + times);
    }
    sum.slowest = Math.max(sum.slowest, outcome.recoveryMs / outcome.recoveryBoundMs || 0);
    sum.slowestReturn = Math.max(sum.slowestReturn, outcome.returnMs / outcome.returnBoundMs || 0);
    if (outcome.violation === undefined) {
      done.add(outcome.seed);
    } else {
      wrong++;
      console.log(
        `\nseed ${outcome.seed}: ${outcome.violation}\nrun it alone: deno task simulate --seed ${outcome.seed}`,
      );
      console.log(log.join("\n"));
    }
    if (resume !== undefined && (ran % 20 === 0 || ran === seeds.length)) {
      await Deno.writeTextFile(resume, JSON.stringify({ from, done: [...done] }));
    }
    const nowMs = performance.now();
    if (nowMs - reportedMs < 5_000) continue;
    reportedMs = nowMs;
    const leftS = (nowMs - startMs) / ran * (seeds.length - ran) / 1_000;
    console.error(`${`${ran}/${seeds.length}`.padStart(11)}  ${wrong} failed, ${leftS.toFixed(0)} s left`);
  }
  const hours = sum.virtualMs / 3_600_000;
  console.log(`
seeds        ${ran}, ${wrong} failed, in ${((performance.now() - startMs) / 1_000).toFixed(0)} s
cluster time ${hours.toFixed(1)} h, ${sum.processes} processes, ${sum.messages} messages
false blocks ${sum.falseBlocks} during faults (partitions or lost messages)
recovery     at most ${
    (100 * sum.slowest).toFixed(0)
  } % of the time allowed; after a polite restart of seeds ${(100 * sum.slowestReturn).toFixed(0)} %`);
  console.log(`events       ${[...tally].sort().map(([what, times]) => `${what} ${times}`).join(", ")}`);
  return wrong === 0 ? 0 : 1;
}

async function restartMany(restarts: number, seed: number): Promise<number> {
  console.log(`${restarts} restarts, seed ${seed}`);
  const report = ({ restarts: done, suspicions, falseBlocks }: RestartCounts) =>
    console.error(
      `${`${done}/${restarts}`.padStart(15)}  ${suspicions} suspicions, ${falseBlocks} false blocks`,
    );
  const { suspicions, falseBlocks } = await countFalseBlocks({ restarts, loss: 0.3, seed }, report);
  console.log(`suspicions   ${suspicions}\nfalse blocks ${falseBlocks}`);
  return falseBlocks === 0 ? 0 : 1;
}

/** The progress that an earlier run stored; `undefined` if the file does not exist. */
async function readProgress(
  file: string | undefined,
): Promise<{ readonly from: number; readonly done: readonly number[] } | undefined> {
  if (file === undefined) return undefined;
  try {
    return JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function drawBase(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! % 1e9;
}

function wholeOf(name: string, given: string): number {
  return /^[0-9]{1,10}$/.test(given)
    ? Number(given)
    : fail(`--${name} must be an integer from 0 to 9999999999; got ${given}.`);
}

function lossOf(given = "0"): number {
  const loss = Number(given);
  return loss >= 0 && loss <= 0.9 ? loss : fail(`--loss must be a number from 0 to 0.9; got ${given}.`);
}

function fail(message: string): never {
  console.error(`${message}\n\n${HELP}`);
  Deno.exit(2);
}
