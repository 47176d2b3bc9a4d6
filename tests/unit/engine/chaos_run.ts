/**
 * One simulation: first safety under faults, then liveness without them.
 *
 * @module
 */

import { ensure } from "./chaos_oracle.ts";
import { World } from "./chaos_world.ts";

/** Runs the simulation of a seed; throws what went wrong, with the seed and the end of the story. */
export function run(seed: number, options: { readonly lines?: number } = {}): void {
  const world = new World(seed);
  try {
    world.rage(6_000);
    world.calm();
    world.rest(world.recoveryMs);
    checkRecovered(world);
  } catch (error) {
    const story = world.trace.slice(-(options.lines ?? 60)).map((line) => line()).join("\n");
    const reason = error instanceof Error ? error.message : `${error}`;
    throw new Error(`seed ${seed}: ${reason}\n${world.setting}\n${story}\nseed ${seed}: ${reason}`, {
      cause: error,
    });
  }
}

function checkRecovered(world: World): void {
  const survivors = world.alive;
  const ids = survivors.map(({ id }) => id).sort().join();
  for (const node of survivors) {
    const { id, engine } = node;
    ensure(
      [...engine.activeIds()].sort().join() === ids,
      `${id} sees ${[...engine.activeIds()]}, not ${ids}`,
    );
    for (const { id: other } of survivors) {
      ensure(!engine.blockedMember(other), `${id} blocks ${other}, which is well`);
    }
    const isLonely = node.byGreeting && !node.view.hasMetAnyone;
    ensure(engine.phase === (isLonely ? "diffusing" : "confirmed"), `${id} is ${engine.phase} in the end`);
    ensure(engine.digest === survivors[0]!.engine.digest, `the digest of ${id} differs in the end`);
    const [mine, theirs] = [world.oracle.print(node), world.oracle.print(survivors[0]!)];
    ensure(mine === theirs, `in the end\n${mine}\nis not\n${theirs}`);
  }
}
