/**
 * The choice of mutants: a folder, a file, one by name, or a sample by seed.
 *
 * @module
 */

import { murmur32Pair } from "../../engine/state/murmur3.ts";
import { sourceFiles } from "../source_files.ts";
import { type Mutant, mutantsOf } from "./mutants_of.ts";

/** The folders with mutants. */
export const FOLDERS: readonly string[] = [
  "adapters",
  "consensus",
  "discovery/memory",
  "engine",
  "gossiper",
  "keys",
  "maps",
  "members",
  "messages",
  "protocol",
  "roles",
];

/** All mutants of the folders, in the order of the files. */
export async function readMutants(root: string): Promise<Mutant[]> {
  const mutants: Mutant[] = [];
  for (const folder of FOLDERS) {
    for await (const file of sourceFiles(root, folder)) {
      mutants.push(...mutantsOf(file, await Deno.readTextFile(`${root}/${file}`)));
    }
  }
  return mutants;
}

/** The mutants of a file, or of a folder and its folders. */
export function within(mutants: readonly Mutant[], path: string): Mutant[] {
  return mutants.filter(({ file }) => file === path || file.startsWith(`${path.replace(/\/$/, "")}/`));
}

/**
 * So many of them, in an order that the seed decides. It follows from the names, so that other mutants make no difference:
 * a longer sample begins with the shorter one, and after a change of the code most of a sample is still the same.
 */
export function sampleOf(all: readonly Mutant[], { seed, count }: { seed: number; count: number }): Mutant[] {
  const turns = new Map(all.map((mutant) => [mutant, murmur32Pair(mutant.name, seed, 0)[0]]));
  return all.toSorted((one, other) => turns.get(one)! - turns.get(other)!).slice(0, count);
}
