/**
 * Measures how fast a value spreads in a cluster, and the cost, to help users choose settings.
 *
 * @module
 */

import { fixedMembers } from "../../discovery/fixed.ts";
import { configure, type PartialConfig } from "../../options/configuration.ts";
import { presetFor } from "../../options/preset.ts";
import { MemoryNetwork } from "../../testing/memory.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { plot } from "./plot.ts";
import { Process } from "./process.ts";

/** Options of a measurement. */
export interface MeasureOptions {
  /** Cluster sizes. */
  readonly members: readonly number[];
  /** The share of lost messages, from 0 to 0.9. */
  readonly loss: number;
  /** Runs for each size. */
  readonly runs: number;
  /** Replaces fields of `presetFor(size)`. */
  readonly settings: PartialConfig;
  /** The file for the chart; `undefined` for none. */
  readonly plot: string | undefined;
}

/** The result for one cluster size: means over its runs. */
export interface Row {
  readonly members: number;
  /** Rounds from the start until every member is `confirmed`. */
  readonly start: number;
  /** Rounds from a set until the last member has the value. */
  readonly spread: number;
  /** Rounds from a set until its owner has the acknowledgement of all. */
  readonly known: number;
  /** Per member and second, at rest. */
  readonly messages: number;
  readonly bytes: number;
  readonly falseBlocks: number;
}

/** Starts all members within one round, sets one value, then measures the cost at rest. */
export async function measure(
  { members, loss, runs, settings, plot: file }: MeasureOptions,
): Promise<void> {
  const rows: Row[] = [];
  const caption = `${describe(settings)}, loss ${100 * loss} %, mean of ${runs} runs`;
  console.log(`settings: ${caption}; rounds of gossipInterval\n`);
  console.log(HEAD.map(([name, width]) => name.padStart(width)).join(""));
  for (const size of members) {
    const all: Row[] = [];
    for (let run = 1; run <= runs; run++) {
      console.error(`  ${size} members, run ${run} of ${runs}`);
      all.push(await measureOne({ size, loss, settings, seed: 1_000 * run + size }));
    }
    const row = average(all);
    rows.push(row);
    console.log(cellsOf(row).map((cell, index) => cell.padStart(HEAD[index]![1])).join(""));
  }
  if (file !== undefined) {
    await Deno.writeTextFile(file, plot(rows, caption));
    console.log(`\nChart: ${file}`);
  }
}

const HEAD: readonly (readonly [name: string, width: number])[] = [
  ["members", 7],
  ["started", 10],
  ["spread", 10],
  ["known", 10],
  ["messages/s", 13],
  ["KiB/s", 9],
  ["false blocks", 15],
];

function cellsOf({ members, start, spread, known, messages, bytes, falseBlocks }: Row): string[] {
  const rounds = [start, spread, known].map((each) => each.toFixed(1));
  return [`${members}`, ...rounds, messages.toFixed(1), (bytes / 1_024).toFixed(1), `${falseBlocks}`];
}

function describe(settings: PartialConfig): string {
  const differing = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  return ["presetFor(members)", ...differing].join(", ");
}

interface OneOptions extends Pick<MeasureOptions, "loss" | "settings"> {
  readonly size: number;
  readonly seed: number;
}

async function measureOne({ size, loss, settings, seed }: OneOptions): Promise<Row> {
  const runtime = new VirtualRuntime({ seed });
  const network = new MemoryNetwork({ runtime, seed });
  network.setFaults({ loss });
  const config = configure({ ...presetFor(size), ...settings });
  const { gossipInterval, gossipRequestTimeout } = config;
  const records = Array.from(
    { length: size },
    (_, each) => ({ id: `m${each}`, host: `h${each}`, port: 1, kinds: [] }),
  );
  const discovery = fixedMembers(records);
  let falseBlocks = 0;
  const processes: Process[] = [];
  for (const { id, host } of records) {
    const process = new Process({
      id,
      host,
      machine: runtime.machine(),
      nowMs: runtime.monotonicMs(),
      network,
      config,
      discovery,
      onEvent: (_, event) => {
        if (event.type === "MemberBlocked" && event.reason === "expired") falseBlocks++;
      },
      onClosed: () => {},
    });
    processes.push(process);
    runtime.setTimer(runtime.random() * gossipInterval, () => void process.start());
  }
  const rounds = async (isDone: () => boolean) => {
    const startMs = runtime.monotonicMs();
    while (!isDone()) await runtime.advance(gossipInterval / 4);
    return (runtime.monotonicMs() - startMs) / gossipInterval;
  };
  await runtime.advance(gossipInterval);
  const start = 1 + await rounds(() => processes.every(({ gossiper }) => gossiper.phase === "confirmed"));
  const owner = processes[0]!;
  let isKnown = false;
  owner.gossiper.setStateRequest("k", "new", { acknowledgedBy: "all" }).then(() => isKnown = true);
  const spread = await rounds(() =>
    processes.every(({ gossiper }) => gossiper.getState("k").get(owner.id)?.value === "new")
  );
  const known = spread + await rounds(() => isKnown);
  const before = network.counts;
  const restMs = 20 * gossipInterval;
  await runtime.advance(restMs);
  const after = network.counts;
  const perMemberSecond = (restMs / 1_000) * size;
  for (const process of processes) process.leave();
  await runtime.advance(4 * gossipRequestTimeout);
  await network[Symbol.asyncDispose]();
  return {
    members: size,
    start,
    spread,
    known,
    messages: (after.messages - before.messages) / perMemberSecond,
    bytes: (after.bytes - before.bytes) / perMemberSecond,
    falseBlocks,
  };
}

function average(rows: readonly Row[]): Row {
  const mean = (of: (row: Row) => number) => rows.reduce((sum, row) => sum + of(row), 0) / rows.length;
  return {
    members: rows[0]!.members,
    start: mean(({ start }) => start),
    spread: mean(({ spread }) => spread),
    known: mean(({ known }) => known),
    messages: mean(({ messages }) => messages),
    bytes: mean(({ bytes }) => bytes),
    falseBlocks: rows.reduce((sum, { falseBlocks }) => sum + falseBlocks, 0),
  };
}
