/**
 * What it costs to merge what a peer tells: all of it new, and none of it.
 *
 * @module
 */

import type { Engine } from "../engine/engine.ts";
import { measure } from "./measure.ts";
import { mergeNaive, type NaiveState, naiveState } from "./naive.ts";
import { duration, type Report } from "./report.ts";
import { deltaOf, engineOf, KEYS, memberId, moment } from "./states.ts";

const MEMBERS = 1_000;

/** Measures merging into an empty engine, the same again, and the least that any merging must do. */
export async function benchMerge(report: Report): Promise<void> {
  const delta = deltaOf(MEMBERS);
  const teller = memberId(1);
  const told = naiveState(MEMBERS);
  const settled = engineOf(MEMBERS);
  settled.applyIncoming(teller, delta, moment(1));
  const held: NaiveState = {};
  mergeNaive(held, told);

  const medians = await measure([
    {
      name: "new",
      run: () => timed(engineOf(MEMBERS), (engine) => engine.applyIncoming(teller, delta, moment(1))),
    },
    { name: "again", run: () => void settled.applyIncoming(teller, delta, moment(2)) },
    { name: "naive new", run: () => void mergeNaive({}, told) },
    { name: "naive again", run: () => void mergeNaive(held, told) },
  ], { samples: 41 });
  const ms = (name: string) => medians.get(name)!;
  report.table(`Merging ${MEMBERS.toLocaleString("en")} members of ${KEYS} keys`, [
    { what: "all of it new", value: duration(ms("new")) },
    {
      what: "nothing of it new",
      value: duration(ms("again")),
      against: "all of it new",
      ratio: ms("again") / ms("new"),
      limit: 0.25,
    },
    {
      what: "all of it new, compared by number and no more",
      value: duration(ms("naive new")),
      against: "all of it new",
      ratio: ms("naive new") / ms("new"),
    },
    {
      what: "nothing of it new, compared by number and no more",
      value: duration(ms("naive again")),
      against: "nothing of it new",
      ratio: ms("naive again") / ms("again"),
    },
  ]);
  report.note("Merging also keeps the order of change, sizes, digest and events; plain comparing does not.");
}

/** How long something takes with what had to be made for it before. */
function timed(engine: Engine, action: (engine: Engine) => unknown): number {
  const start = performance.now();
  action(engine);
  return performance.now() - start;
}
