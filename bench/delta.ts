/**
 * Cost of a delta: it must not grow with the number of members (rule E6).
 *
 * @module
 */

import type { Engine } from "../engine/engine.ts";
import { measure, type Subject } from "./measure.ts";
import { duration, type Line, type Report } from "./report.ts";
import { moment, settledEngine } from "./states.ts";

const SIZES = [10, 1_000, 10_000] as const;

/** Measures deltas at every size in turn. */
export async function benchDelta(report: Report): Promise<void> {
  const nothing: Subject[] = [];
  const change: Subject[] = [];
  for (const members of SIZES) {
    const { engine, peerId } = settledEngine(members);
    const name = `${members.toLocaleString("en")} members`;
    nothing.push({ name, run: () => void engine.disseminate(peerId) });
    change.push({ name, run: () => sendOneChange(engine, peerId) });
  }
  const title = `members of 10 keys`;
  report.table(`Delta for an up-to-date peer, ${title}`, lines(await measure(nothing)));
  report.table(
    `Set, delta and acknowledgement of one key, ${title}`,
    lines(await measure(change)),
  );
}

let changes = 0;

function sendOneChange(engine: Engine, peerId: string): void {
  const value = changes++;
  engine.set("key-1", { value, json: `${value}` }, moment(3));
  const { sent } = engine.disseminate(peerId);
  engine.handleAck(sent, new Map(), moment(3));
}

function lines(medians: ReadonlyMap<string, number>): Line[] {
  const [[base, baseMs]] = [...medians] as [[string, number]];
  return [...medians].map(([what, ms]) =>
    what === base
      ? { what, value: duration(ms) }
      : { what, value: duration(ms), against: base, ratio: ms / baseMs, limit: 2 }
  );
}
