/**
 * The choice of mutants: a folder, a file, one by name, or a sample that a seed decides.
 *
 * @module
 */

import { filesUnder } from "./import_graph.ts";
import { type Mutant, mutantsOf } from "./mutants_of.ts";

/** The folders that are broken. */
export const FOLDERS: readonly string[] = ["engine", "gossiper", "transport"];

/** All mutants of the folders, in the order of the files. */
export async function readMutants(root: string): Promise<Mutant[]> {
  const mutants: Mutant[] = [];
  for (const folder of FOLDERS) {
    for await (const file of filesUnder(root, folder)) {
      mutants.push(...mutantsOf(file, await Deno.readTextFile(`${root}/${file}`)));
    }
  }
  return mutants;
}

/** The mutants of a file, or of a folder and its folders. */
export function within(mutants: readonly Mutant[], path: string): Mutant[] {
  return mutants.filter(({ file }) => file === path || file.startsWith(`${path.replace(/\/$/, "")}/`));
}

/** So many of them, in an order that the seed decides: a longer sample begins with the shorter one. */
export function sampleOf<T>(all: readonly T[], { seed, count }: { seed: number; count: number }): T[] {
  const rest = [...all];
  const draw = drawFrom(seed);
  return Array.from({ length: Math.min(count, rest.length) }, () => {
    const at = Math.floor(draw() * rest.length);
    const chosen = rest[at]!;
    rest[at] = rest.at(-1)!;
    rest.pop();
    return chosen;
  });
}

/** Mulberry32: numbers from 0 to below 1. */
function drawFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
