/**
 * `deno task soak`: twenty members in processes of their own, some of which are killed and restarted all the time. The
 * memory, sockets and timers of the others must stay level.
 *
 * @module
 */

import { parseArgs } from "../../deps/std_cli.ts";
import { presetFor } from "../../mod.ts";
import { type Level, notLevel } from "./levels.ts";
import { Program } from "./program.ts";

const CONFIG = {
  ...presetFor(20),
  gossipInterval: 200,
  gossipRequestTimeout: 500,
  heartbeatExpiration: 5_000,
  blockedProbeInterval: 2_000,
  departedRetention: 20_000,
  tombstoneRetention: 10_000,
  maxBackoff: 1_000,
};
const MEMBERS = 20;
/** The members that run for the whole time. */
const STAYING = 5;

const flags = parseArgs(Deno.args, { string: ["minutes"] }) as { readonly minutes?: string };
const minutes = Number(flags.minutes ?? 10);
if (!(minutes > 0)) {
  console.error("Usage: deno task soak [--minutes <number>]");
  Deno.exit(2);
}
Deno.exit(await soak(minutes * 60_000));

async function soak(lastsMs: number): Promise<number> {
  const programs = new Map<number, Program>();
  let seeds: string[] = [];
  let processes = 0;
  const start = async (index: number) => {
    const program = Program.member({ id: `m${index}-${++processes}`, port: 0, seeds, config: CONFIG });
    programs.set(index, program);
    const [, address = ""] = await program.until(/"address":"([^"]+)"/);
    if (seeds.length < 2) seeds = [...seeds, address];
    await program.type("load");
  };
  const startMs = performance.now();
  const staying = Array.from({ length: STAYING }, (_, index) => index);
  const levels = new Map<number, Level[]>(staying.map((index) => [index, []]));
  try {
    for (let index = 0; index < MEMBERS; index++) await start(index);
    console.log(`${MEMBERS} members for ${minutes} minutes; ${STAYING} of them are never restarted`);
    console.log(
      "   minute      processes started   memory per stable member, MiB   sockets each   timers each",
    );
    for (let sampledMs = -Infinity; performance.now() - startMs < lastsMs;) {
      const index = STAYING + Math.floor(Math.random() * (MEMBERS - STAYING));
      const program = programs.get(index)!;
      program.kill(Math.random() < 0.5 ? "SIGKILL" : "SIGTERM");
      await program.ended();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await start(index);
      const elapsedMs = performance.now() - startMs;
      if (elapsedMs - sampledMs < lastsMs / 30) continue;
      sampledMs = elapsedMs;
      const now = await Promise.all(staying.map((index) => levelOf(programs.get(index)!)));
      for (const [index, level] of now.entries()) levels.get(index)!.push(level);
      const cells = [
        (elapsedMs / 60_000).toFixed(1),
        `${processes}`,
        rangeOf(now, "rssMiB"),
        rangeOf(now, "sockets"),
        rangeOf(now, "timers"),
      ];
      console.log(cells.map((cell, column) => cell.padStart([9, 23, 32, 15, 14][column]!)).join(""));
    }
    return judge(levels);
  } finally {
    await Promise.all([...programs.values()].map((program) => program[Symbol.asyncDispose]()));
  }
}

async function levelOf(program: Program): Promise<Level> {
  // The earlier output is not needed, and would be searched at every sample.
  program.lines.length = 0;
  await program.type("memory");
  const [line] = await program.until(/^\{"type":"memory".*/);
  const { rss, timers } = JSON.parse(line) as { readonly rss: number; readonly timers: number };
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", 'ls -l "/proc/$1/fd"', "sh", `${program.pid}`],
  }).output();
  const sockets = new TextDecoder().decode(stdout).split("socket:").length - 1;
  return { rssMiB: rss / 2 ** 20, sockets, timers };
}

function judge(levels: ReadonlyMap<number, readonly Level[]>): number {
  const faults = [...levels].flatMap(([index, of]) =>
    notLevel(of, { maxSockets: 2 * MEMBERS }).map((fault) => `member m${index}: ${fault}`)
  );
  for (const fault of faults) console.log(fault);
  console.log(faults.length === 0 ? "level" : "NOT level");
  return faults.length === 0 ? 0 : 1;
}

/** The range of a resource over the stable members; a single number if all are equal. */
function rangeOf(levels: readonly Level[], what: keyof Level): string {
  const numbers = levels.map((level) => Math.round(level[what]));
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  return least === most ? `${least}` : `${least} to ${most}`;
}
