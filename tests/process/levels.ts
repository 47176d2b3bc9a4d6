/**
 * Decides if the resources of processes stay level over a long run.
 *
 * @module
 */

/** The resources of a process at one moment. */
export interface Level {
  readonly rssMiB: number;
  readonly sockets: number;
  readonly timers: number;
}

/** The mean of the last third may be at most this multiple of the mean of the second third. */
const FACTOR = 1.3;
/** Sockets and timers above the multiple that are allowed: a few peers may just have joined or be about to leave. */
const SLACK = 5;

/** The resources that rose, as sentences. The first third is ignored: the process warms up. */
export function notLevel(levels: readonly Level[], options: { readonly maxSockets: number }): string[] {
  const third = Math.floor(levels.length / 3);
  if (third === 0) return [`${levels.length} samples are too few`];
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
