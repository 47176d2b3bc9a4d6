/**
 * Measures roles: `deno task simulate --roles 60` runs as many trials of each fault, and prints the times with two leaders and
 * without one.
 *
 * @module
 */

import { FAULTS, runTrial, type Trial } from "./trials.ts";

/** Options of {@linkcode measureRoles}. */
export interface MeasureRolesOptions {
  /** The number of trials of each fault. */
  readonly trials: number;
  /** The first seed. */
  readonly from: number;
}

/** Prints a table. Returns the number of trials with a broken rule. */
export async function measureRoles({ trials, from }: MeasureRolesOptions): Promise<number> {
  console.log(
    `${trials} trials of each fault, seeds ${from} to ${from + trials - 1}; times in ms, median and worst`,
  );
  console.log(row(["fault", "two leaders", "two owners", "next leader", "no leader"]));
  let wrong = 0;
  for (const fault of Object.keys(FAULTS)) {
    const results: Trial[] = [];
    for (let seed = from; seed < from + trials; seed++) {
      const trial = await runTrial(fault, { seed });
      results.push(trial);
      if (trial.faults.length === 0) continue;
      wrong++;
      console.log(`${fault}, seed ${seed}: ${trial.faults.join("; ")}`);
    }
    const column = (of: (trial: Trial) => number) => {
      const sorted = results.map(of).sort((one, other) => one - other);
      return [sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!].map(Math.round).join(" / ");
    };
    console.log(row([
      fault,
      column(({ leadersMs }) => leadersMs),
      column(({ ownersMs }) => ownersMs),
      column(({ nextMs }) => nextMs),
      column(({ withoutMs }) => withoutMs),
    ]));
  }
  return wrong;
}

function row([first = "", ...others]: readonly string[]): string {
  return first.padEnd(20) + others.map((each) => each.padStart(16)).join("");
}
