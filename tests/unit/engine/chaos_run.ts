/**
 * One simulation: first safety under faults, then liveness without them.
 *
 * @module
 */

import { ensure } from "./chaos_oracle.ts";
import { World } from "./chaos_world.ts";

/** How often it is looked whether all is well again. */
const LOOK_MS = 300;

/** How much is simulated and told. */
export interface RunOptions {
  /** For how long chance rules. */
  readonly rageMs: number;
  /** Whether members sign what they set, and take only what is signed. */
  readonly signed?: boolean;
  /** How many lines of the story are told where it goes wrong. */
  readonly lines?: number;
}

/** Runs the simulation of a seed; throws what went wrong, with the seed and the end of the story. */
export function run(seed: number, { rageMs, signed = false, lines = 60 }: RunOptions): void {
  const world = new World(seed, { signed });
  try {
    world.rage(rageMs);
    world.calm();
    for (let leftMs = world.recoveryMs; illOf(world) !== undefined; leftMs -= LOOK_MS) {
      ensure(leftMs > 0, `in the end ${illOf(world)}`);
      world.rest(LOOK_MS);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : `${error}`;
    const story = world.trace.slice(-lines).map((line) => line()).join("\n");
    throw new Error(`seed ${seed}${signed ? ", signed" : ""}: ${reason}\n${world.setting}\n${story}`, {
      cause: error,
    });
  }
}

/** What is not yet well; undefined where all is. */
function illOf(world: World): string | undefined {
  const survivors = world.alive;
  const ids = survivors.map(({ id }) => id).sort().join();
  for (const node of survivors) {
    const { id, engine, view } = node;
    const blocked = survivors.find((other) => engine.blockedMember(other.id));
    if (blocked) return `${id} blocks ${blocked.id}, which is well`;
    const active = [...engine.activeIds()].sort().join();
    if (active !== ids) return `${id} sees ${active}, and not ${ids}`;
    if (engine.digest !== survivors[0]!.engine.digest) return `the digest of ${id} differs`;
    if (world.oracle.print(node) !== world.oracle.print(survivors[0]!)) return `the state of ${id} differs`;
    // Who never met anybody cannot know that nobody else is there (E13).
    const phase = node.byGreeting && !view.hasMetAnyone ? "diffusing" : "confirmed";
    // The last one cannot know that the others are gone for good (L5).
    if (engine.phase !== phase && survivors.length > 1) return `${id} is ${engine.phase}`;
  }
  return undefined;
}
