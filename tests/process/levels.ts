/**
 * Whether what processes use stays level over a long run.
 *
 * @module
 */

/** What one process uses at one moment. */
export interface Level {
  readonly rssMiB: number;
  readonly sockets: number;
  readonly timers: number;
}

/** How much more than in the second third, on average, may be used in the last. */
const FACTOR = 1.3;
/** How many more sockets or timers are no trend: those of a few peers that have just come, or are about to go. */
const SLACK = 5;

/** What is not level of one process's levels, in sentences. The first third is that of a process that warms up. */
export function notLevel(levels: readonly Level[], options: { readonly maxSockets: number }): string[] {
  const third = Math.floor(levels.length / 3);
  if (third === 0) return [`${levels.length} looks are too few to tell`];
  const [early, late] = [levels.slice(third, 2 * third), levels.slice(-third)];
  const faults = (["rssMiB", "sockets", "timers"] as const).flatMap((what) => {
    const [before, after] = [meanOf(early, what), meanOf(late, what)];
    const most = before * FACTOR + (what === "rssMiB" ? 0 : SLACK);
    return after <= most ? [] : [`${what} rose from ${before.toFixed(1)} to ${after.toFixed(1)}`];
  });
  const { sockets } = levels.at(-1)!;
  if (sockets > options.maxSockets) faults.push(`${sockets} sockets are open at the end`);
  return faults;
}

function meanOf(levels: readonly Level[], what: keyof Level): number {
  return levels.reduce((sum, level) => sum + level[what], 0) / levels.length;
}
