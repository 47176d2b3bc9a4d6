import { assert, assertEquals } from "../../deps/std_assert.ts";
import { eventually, Program } from "./program.ts";

const SHARDS = Array.from({ length: 12 }, (_, index) => `shard ${index + 1}`);
/** The bound on docs/roles.md from a SIGKILL until each shard has an owner again. */
const AGAIN_MS = 6_000;

/** The time in which a member ran a shard's job. */
interface Run {
  readonly id: string;
  readonly shard: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Starts three members of the example, with the permissions of its task. */
async function startThree(): Promise<Map<string, Program>> {
  const programs = new Map<string, Program>();
  const first = await Program.example("shards", "--members", "3", "--id", "ada");
  programs.set("ada", first);
  const [, address = ""] = await first.until(/^ada is at (ws:\S+)/);
  for (const id of ["ben", "cleo"]) {
    programs.set(id, await Program.example("shards", "--members", "3", "--id", id, "--seed", address));
  }
  return programs;
}

/** The runs of all jobs. One that has not ended lasts until its process was killed, or until now. */
function runsOf(
  programs: ReadonlyMap<string, Program>,
  killedMs: ReadonlyMap<string, number> = new Map(),
): Run[] {
  return [...programs].flatMap(([id, { lines }]) => {
    const open = new Map<string, number>();
    const runs: Run[] = [];
    for (const line of lines) {
      const [, ms = "", does = "", shard = ""] = /^(\d+) \w+ (begins|ends) (shard \d+) /.exec(line) ?? [];
      if (does === "begins") open.set(shard, Number(ms));
      if (does === "ends") runs.push({ id, shard, fromMs: open.get(shard)!, toMs: Number(ms) });
      if (does === "ends") open.delete(shard);
    }
    const toMs = killedMs.get(id) ?? Infinity;
    return [...runs, ...[...open].map(([shard, fromMs]) => ({ id, shard, fromMs, toMs }))];
  });
}

/** The members that run each shard now. */
function ownersNow(runs: readonly Run[]): string[] {
  return SHARDS.map((shard) =>
    runs.filter((run) => run.shard === shard && run.toMs === Infinity).map(({ id }) => id).join()
  );
}

function assertOneAtATime(runs: readonly Run[]): void {
  for (const one of runs) {
    for (const other of runs) {
      if (one === other || one.shard !== other.shard || one.fromMs > other.fromMs) continue;
      assert(other.fromMs >= one.toMs, `${one.shard}: ${JSON.stringify([one, other])}`);
    }
  }
}

Deno.test("shards example: each shard has one owner, has an owner again within 6 s after a kill, and never has two", async () => {
  const programs = await startThree();
  try {
    await eventually("three members run the twelve shards", async () => {
      const ids = ownersNow(runsOf(programs));
      return await Promise.resolve(new Set(ids).size === 3 && !ids.includes(""));
    });
    const killed = new Map<string, number>();
    killed.set("ben", Date.now());
    programs.get("ben")!.kill("SIGKILL");
    await eventually("two members run the twelve shards", async () => {
      const ids = ownersNow(runsOf(programs, killed));
      return await Promise.resolve(new Set(ids).size === 2 && !ids.includes(""));
    });
    const moved = runsOf(programs, killed).filter(({ fromMs }) => fromMs > killed.get("ben")!);
    const lastMs = Math.max(...moved.map(({ fromMs }) => fromMs)) - killed.get("ben")!;
    console.log(`shards: all again ${lastMs} ms after the kill`);
    assert(lastMs <= AGAIN_MS, `${lastMs} ms`);
    // A departure moves the rest, and the last member is less than half of three.
    programs.get("cleo")!.kill("SIGTERM");
    assertEquals((await programs.get("cleo")!.ended()).code, 0);
    const ended = runsOf(programs, killed).filter(({ id, toMs }) => id === "cleo" && toMs === Infinity);
    assertEquals(ended, [], "cleo ended its jobs before it left");
    await eventually("the last member runs no shard", async () => {
      const ids = ownersNow(runsOf(programs, killed));
      return await Promise.resolve(ids.every((id) => id === ""));
    });
    assertOneAtATime(runsOf(programs, killed));
  } finally {
    for (const program of programs.values()) await program[Symbol.asyncDispose]();
  }
});
