/**
 * `deno task soak`: twenty members as processes of their own, some of which are killed and started again without
 * end; at the end memory and sockets of those that stayed must be level.
 *
 * @module
 */

import { parseArgs } from "../../deps/std_cli.ts";
import { presetFor } from "../../mod.ts";
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
/** The first ones stay for as long as it lasts. */
const STAYING = 5;
/** How much more than in the first third memory may be in the last, and sockets at the end. */
const MEMORY_FACTOR = 1.3;

interface Level {
  readonly rssMiB: number;
  readonly sockets: number;
}

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
  let lives = 0;
  const start = async (index: number) => {
    const program = Program.member({ id: `m${index}-${++lives}`, port: 0, seeds, config: CONFIG });
    programs.set(index, program);
    const [, address = ""] = await program.until(/"address":"([^"]+)"/);
    if (seeds.length < 2) seeds = [...seeds, address];
    await program.type("load");
  };
  const startMs = performance.now();
  const levels: Level[] = [];
  try {
    for (let index = 0; index < MEMBERS; index++) await start(index);
    console.log(`${MEMBERS} members, ${minutes} minutes, ${STAYING} of them stay`);
    console.log("   minute     processes so far   memory of a staying one   its sockets");
    for (let toldMs = -Infinity; performance.now() - startMs < lastsMs;) {
      const index = STAYING + Math.floor(Math.random() * (MEMBERS - STAYING));
      const program = programs.get(index)!;
      program.kill(Math.random() < 0.5 ? "SIGKILL" : "SIGTERM");
      await program.ended();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await start(index);
      const elapsedMs = performance.now() - startMs;
      if (elapsedMs - toldMs < lastsMs / 30) continue;
      toldMs = elapsedMs;
      const level = await levelOf(programs.get(0)!);
      levels.push(level);
      const cells = [
        (elapsedMs / 60_000).toFixed(1),
        `${lives}`,
        `${level.rssMiB.toFixed(0)} MiB`,
        `${level.sockets}`,
      ];
      console.log(cells.map((cell, column) => cell.padStart([9, 21, 26, 14][column]!)).join(""));
    }
    return judge(levels);
  } finally {
    await Promise.all([...programs.values()].map((program) => program[Symbol.asyncDispose]()));
  }
}

async function levelOf(program: Program): Promise<Level> {
  const before = program.lines.filter((line) => line.startsWith('{"type":"memory"')).length;
  await program.type("memory");
  let told: string[] = [];
  while (told.length <= before) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    told = program.lines.filter((line) => line.startsWith('{"type":"memory"'));
  }
  const { rss } = JSON.parse(told.at(-1)!) as { readonly rss: number };
  // What it tells is read for ever: only the last is of interest.
  program.lines.splice(0, program.lines.length, told.at(-1)!);
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", 'ls -l "/proc/$1/fd"', "sh", `${program.pid}`],
  }).output();
  const sockets = new TextDecoder().decode(stdout).split("socket:").length - 1;
  return { rssMiB: rss / 2 ** 20, sockets };
}

function judge(levels: readonly Level[]): number {
  const third = Math.max(1, Math.floor(levels.length / 3));
  const mean = (of: readonly Level[]) => of.reduce((sum, { rssMiB }) => sum + rssMiB, 0) / of.length;
  // The first moments are those of a process that warms up.
  const [early, late] = [mean(levels.slice(third, 2 * third)), mean(levels.slice(-third))];
  const { sockets } = levels.at(-1)!;
  const isLevel = late <= early * MEMORY_FACTOR && sockets <= 2 * MEMBERS;
  console.log(
    `memory ${early.toFixed(0)} MiB in the second third, ${
      late.toFixed(0)
    } MiB in the last; ${sockets} sockets`,
  );
  console.log(isLevel ? "level" : "NOT level");
  return isLevel ? 0 : 1;
}
