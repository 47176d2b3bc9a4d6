/**
 * The processor time of other processes on Linux.
 *
 * @module
 */

import { output } from "./command.ts";

/** The sum of user and system time of these processes, in seconds. */
export async function processorSeconds(pids: readonly number[]): Promise<number> {
  const [ticksPerSecond, stats] = await Promise.all([
    output(["getconf", "CLK_TCK"]),
    output(["cat", ...pids.map((pid) => `/proc/${pid}/stat`)]),
  ]);
  const ticks = stats.trimEnd().split("\n").map(ticksOf);
  return ticks.reduce((sum, each) => sum + each, 0) / Number(ticksPerSecond);
}

/** The user and system time in clock ticks, from the text of `/proc/<pid>/stat`. */
export function ticksOf(stat: string): number {
  // The name in parentheses may contain spaces; the third field follows it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (!Number.isSafeInteger(ticks)) throw new SyntaxError(`Unknown process status: ${stat}`);
  return ticks;
}
