/**
 * The scenario, cluster, time and record of one simulation, shared by all its parts.
 *
 * @module
 */

import { MemoryNetwork, type SentMessage } from "../../testing/memory.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { FaultSchedule } from "./fault_schedule.ts";
import { Hosts } from "./hosts.ts";
import { Processes } from "./processes.ts";
import { RunRecord } from "./run_record.ts";
import { isLarge, type Scenario } from "./scenario.ts";
import type { RandomSources } from "./seeded_random.ts";
import { Timeline } from "./timeline.ts";

/** One run: its scenario, its cluster, its time and its record. */
export interface Run {
  readonly scenario: Scenario;
  readonly random: RandomSources;
  readonly runtime: VirtualRuntime;
  readonly network: MemoryNetwork;
  readonly faultSchedule: FaultSchedule;
  readonly hosts: Hosts;
  readonly processes: Processes;
  readonly timeline: Timeline;
  readonly record: RunRecord;
}

/** Options of {@linkcode makeRun}. */
export interface MakeRunOptions {
  readonly random: RandomSources;
  /** Called with every message when it is sent. */
  readonly onMessage: (sent: SentMessage) => void;
}

/** Makes a run without processes. */
export function makeRun(scenario: Scenario, { random, onMessage }: MakeRunOptions): Run {
  const seed = () => random.main.whole(0, 2 ** 32 - 1);
  const runtime = new VirtualRuntime({ seed: seed() });
  const network = new MemoryNetwork({ runtime, seed: seed(), tap: onMessage });
  const record = new RunRecord({ nowMs: () => runtime.monotonicMs(), isLarge: isLarge(scenario) });
  return {
    scenario,
    random,
    runtime,
    network,
    faultSchedule: new FaultSchedule(network, { random: random.main.fork(), limits: scenario.links }),
    hosts: new Hosts(scenario, network),
    processes: new Processes(),
    timeline: new Timeline(runtime, record),
    record,
  };
}
