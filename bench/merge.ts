/**
 * Cost of merging a delta with new entries alone, and with known entries alone.
 *
 * @module
 */

import type { Engine } from "../engine/engine.ts";
import { measure } from "./measure.ts";
import { mergeNaive, type NaiveState, naiveState } from "./naive.ts";
import { duration, type Report } from "./report.ts";
import { deltaOf, engineOf, KEYS, memberId, moment } from "./states.ts";

const MEMBERS = 1_000;

/** Measures a merge into an empty engine, a repeated merge, and the naive minimum. */
export async function benchMerge(report: Report): Promise<void> {
  const delta = deltaOf(MEMBERS);
  const senderId = memberId(1);
  const received = naiveState(MEMBERS);
  const settled = engineOf(MEMBERS);
  settled.applyIncoming(senderId, delta, moment(1));
  const held: NaiveState = {};
  mergeNaive(held, received);

  const medians = await measure([
    {
      name: "new",
      run: () => timed(engineOf(MEMBERS), (engine) => engine.applyIncoming(senderId, delta, moment(1))),
    },
    { name: "again", run: () => void settled.applyIncoming(senderId, delta, moment(2)) },
    { name: "naive new", run: () => void mergeNaive({}, received) },
    { name: "naive again", run: () => void mergeNaive(held, received) },
  ], { samples: 41 });
  const ms = (name: string) => medians.get(name)!;
  report.table(`Merging ${MEMBERS.toLocaleString("en")} members of ${KEYS} keys`, [
    { what: "all entries new", value: duration(ms("new")) },
    {
      what: "no entry new",
      value: duration(ms("again")),
      against: "all entries new",
      ratio: ms("again") / ms("new"),
      limit: 0.25,
    },
    {
      what: "all entries new, naive",
      value: duration(ms("naive new")),
      against: "all entries new",
      ratio: ms("naive new") / ms("new"),
    },
    {
      what: "no entry new, naive",
      value: duration(ms("naive again")),
      against: "no entry new",
      ratio: ms("naive again") / ms("again"),
    },
  ]);
  report.note(
    "The naive merge compares numbers alone. Hearsay also keeps change order, sizes, digest and events.",
  );
}

/** The time of an action without the setup of its argument. */
function timed(engine: Engine, action: (engine: Engine) => unknown): number {
  const start = performance.now();
  action(engine);
  return performance.now() - start;
}
