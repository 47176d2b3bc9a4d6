/**
 * One simulation: first safety under faults, then liveness without them.
 *
 * @module
 */

import { ensure } from "./chaos_oracle.ts";
import { World } from "./chaos_world.ts";

/** The interval between checks of convergence. */
const CHECK_INTERVAL_MS = 300;

/** The length and the output of a simulation. */
export interface RunOptions {
  /** The duration of the faults. */
  readonly rageMs: number;
  /** True if members sign their state, and merge signed state only. */
  readonly signed?: boolean;
  /** The number of trace lines in an error. */
  readonly lines?: number;
}

/** Runs the simulation of a seed. Throws the first fault with the seed and the end of the trace. */
export function run(seed: number, { rageMs, signed = false, lines = 60 }: RunOptions): void {
  const world = new World(seed, { signed });
  try {
    world.rage(rageMs);
    world.calm();
    for (let leftMs = world.recoveryMs; illOf(world) !== undefined; leftMs -= CHECK_INTERVAL_MS) {
      ensure(leftMs > 0, `in the end ${illOf(world)}`);
      world.rest(CHECK_INTERVAL_MS);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : `${error}`;
    const fault = `seed ${seed}${signed ? ", signed" : ""}: ${reason}`;
    const trace = world.trace.slice(-lines).map((line) => line()).join("\n");
    // The cause is printed last. So the end of a long output names the seed.
    throw new Error(`${fault}\n${world.setting}\n${trace}`, { cause: new Error(fault, { cause: error }) });
  }
}

/** The reason why there is no convergence yet; undefined after it. */
function illOf(world: World): string | undefined {
  const survivors = world.alive;
  const ids = survivors.map(({ id }) => id).sort().join();
  for (const node of survivors) {
    const { id, engine, view } = node;
    const blocked = survivors.find((other) => engine.view.blockedMember(other.id));
    if (blocked) return `${id} blocks ${blocked.id}, which is well`;
    const active = [...engine.view.activeIds()].sort().join();
    if (active !== ids) return `${id} sees ${active}, and not ${ids}`;
    if (engine.view.digest !== survivors[0]!.engine.view.digest) return `the digest of ${id} differs`;
    if (world.oracle.print(node) !== world.oracle.print(survivors[0]!)) return `the state of ${id} differs`;
    // A member that met no other cannot know that it is alone (E13).
    const phase = node.openMembership && !view.hasMetAnyone ? "diffusing" : "confirmed";
    // The last one cannot know that the others are gone for good (L5).
    if (engine.view.phase !== phase && survivors.length > 1) return `${id} is ${engine.view.phase}`;
  }
  return undefined;
}
