/**
 * One simulation: a cluster of real gossipers in a fault phase, then a recovery phase without faults.
 *
 * @module
 */

import type { HearsayEvent } from "../../contracts/event_stream.ts";
import { ChangingName } from "./changing_name.ts";
import type { EventLog } from "./event_log.ts";
import { FaultInjector } from "./fault_injector.ts";
import { InvariantChecker } from "./invariants/invariant_checker.ts";
import { LostLeader } from "./lost_leader.ts";
import { MapChanges } from "./map_changes.ts";
import { PoliteRestart } from "./polite_restart.ts";
import type { Process } from "./process.ts";
import { Recovery } from "./recovery.ts";
import { RoleHolders } from "./role_holders.ts";
import { makeRun, type Run } from "./run.ts";
import {
  describeScenario,
  drawCircumstances,
  drawScenario,
  hasOpenMembership,
  isLarge,
  type Overrides,
  type Scenario,
} from "./scenario.ts";
import { randomSources } from "./seeded_random.ts";
import { Supervisor } from "./supervisor.ts";
import { Talk } from "./talk.ts";
import { Violated } from "./timeline.ts";
import { Topology } from "./topology.ts";
import { ZoneChanges } from "./zone_changes.ts";
import { Workload } from "./workload.ts";

/** Rounds between two sweeps, which check the whole state of some processes. */
const SWEEP_ROUNDS = 8;
/** Processes in one sweep: a sweep of all would take most of the run. */
const SWEPT_PROCESSES = 12;
/** Processes in the last sweep of a large cluster. */
const SWEPT_OF_MANY = 100;

/** The result of a simulation. */
export interface Outcome {
  readonly seed: number;
  /** The broken rule and the member; `undefined` if the run passed. */
  readonly violation: string | undefined;
  /** Virtual milliseconds from the last fault to convergence, and the most allowed. */
  readonly recoveryMs: number;
  readonly recoveryBoundMs: number;
  /** Virtual milliseconds until all had each other after the last polite restart, and the most allowed; NaN without one. */
  readonly returnMs: number;
  readonly returnBoundMs: number;
  readonly rounds: number;
  readonly messages: number;
  readonly bytes: number;
  /** Processes started, and running processes blocked as expired. */
  readonly processes: number;
  readonly falseBlocks: number;
  /** How often each rare event happened: a fault without any effect would test nothing. */
  readonly tally: Readonly<Record<string, number>>;
  readonly virtualMs: number;
}

/** A cluster whose events all follow from a seed. */
export class Simulation {
  readonly seed: number;
  readonly scenario: Scenario;
  readonly #run: Run;
  readonly #checker: InvariantChecker;
  readonly #topology: Topology;
  readonly #name: ChangingName;
  readonly #supervisor: Supervisor;
  readonly #workload: Workload;
  readonly #talk: Talk;
  readonly #maps: MapChanges;
  readonly #roles: RoleHolders;
  readonly #zones: ZoneChanges;
  readonly #faults: FaultInjector;
  readonly #recovery: Recovery;
  readonly #politeRestart: PoliteRestart;
  readonly #lostLeader: LostLeader;

  constructor(seed: number, overrides: Overrides = {}) {
    const random = randomSources(seed);
    const scenario = drawScenario(random.main.fork(), overrides);
    this.seed = seed;
    this.scenario = overrides.isPlain ? scenario : drawCircumstances(random.circumstances.fork(), scenario);
    const run = makeRun(this.scenario, { random, onMessage: (sent) => this.#checker.checkMessage(sent) });
    const checker = makeChecker(run);
    const topology = new Topology(run);
    const name = new ChangingName(run);
    const supervisor = new Supervisor(run, {
      topology,
      name,
      onEvent: (process, event) => this.#onEvent(process, event),
      onStarted: (process) => {
        this.#talk.join(process);
        this.#maps.join(process);
        this.#roles.join(process);
        this.#zones.join(process);
      },
    });
    this.#talk = new Talk(run, checker.heard);
    this.#maps = new MapChanges(run, checker);
    this.#roles = new RoleHolders(run, checker);
    this.#zones = new ZoneChanges(run);
    const workload = new Workload(run, { checker, version: () => supervisor.version });
    this.#run = run;
    this.#checker = checker;
    this.#topology = topology;
    this.#name = name;
    this.#supervisor = supervisor;
    this.#workload = workload;
    this.#faults = new FaultInjector(run, { supervisor, topology, name, workload });
    this.#recovery = new Recovery(run, checker);
    this.#politeRestart = new PoliteRestart(run, { supervisor, recovery: this.#recovery });
    this.#lostLeader = new LostLeader(run, { roles: this.#roles, topology, recovery: this.#recovery });
  }

  /** The event log so far. */
  get trace(): EventLog {
    return this.#run.record.events;
  }

  /** The scenario as lines for a person. */
  describe(): string[] {
    return [`seed      ${this.seed}`, ...describeScenario(this.scenario)];
  }

  /** Runs all phases. A broken rule is reported in the outcome and does not reject. */
  async run(): Promise<Outcome> {
    let recoveryMs = NaN;
    let returnMs = NaN;
    const { stackTraceLimit } = Error;
    // Many members close connections all the time, each with an error whose stack is never read.
    if (isLarge(this.scenario)) Error.stackTraceLimit = 1;
    try {
      await this.#begin();
      await this.#injectFaults();
      await this.#calm();
      recoveryMs = await this.#recover();
      returnMs = await this.#politeRestart.run();
      await this.#agree();
      await this.#talk.checkDelivery();
      await this.#maps.checkRecovered(this.#recovery);
      await this.#lostLeader.run();
      await this.#end();
    } catch (error) {
      if (!(error instanceof Violated)) this.#run.record.fail(undefined, `${(error as Error).stack}`);
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    return this.#outcome({ recoveryMs, returnMs });
  }

  /** Starts all members within ten rounds, for any size. */
  async #begin(): Promise<void> {
    const { scenario, timeline, random: { main } } = this.#run;
    if (scenario.discovery === "name") this.#name.begin();
    const longestMs = scenario.config.gossipInterval * Math.min(1, 10 / scenario.size);
    for (let index = 0; index < scenario.size; index++) {
      this.#supervisor.startNew();
      if (main.chance(0.5)) await timeline.pass(main.between(0, longestMs));
    }
    if (isLarge(scenario) && scenario.discovery === "topology") this.#topology.announceToAll();
  }

  /** The fault phase: faults, changes and sweeps, each at its own pace. */
  async #injectFaults(): Promise<void> {
    const { scenario, hosts, faultSchedule, timeline, random: { main } } = this.#run;
    const { faultPhaseMs, faultEveryMs, changeEveryMs, config } = scenario;
    const endMs = timeline.nowMs + faultPhaseMs;
    faultSchedule.redraw(hosts.all);
    let nextFaultMs = timeline.nowMs + main.wait(faultEveryMs);
    let nextChangeMs = timeline.nowMs + main.wait(changeEveryMs);
    let nextSweepMs = timeline.nowMs;
    // In a large cluster the last change takes long to reach all members.
    const lastChangeMs = isLarge(scenario) ? endMs - faultPhaseMs / 2 : endMs;
    while (timeline.nowMs < endMs) {
      const nextMs = Math.min(nextFaultMs, nextChangeMs, nextSweepMs, endMs);
      await timeline.pass(nextMs - timeline.nowMs);
      if (nextMs === nextSweepMs) {
        this.#sweep();
        nextSweepMs += SWEEP_ROUNDS * config.gossipInterval;
      } else if (nextMs === nextFaultMs) {
        this.#faults.inject(main.weighted(scenario.faults));
        nextFaultMs += main.wait(faultEveryMs);
      } else if (nextMs === nextChangeMs) {
        this.#workload.change();
        nextChangeMs += main.wait(changeEveryMs);
        if (nextChangeMs > lastChangeMs) nextChangeMs = Infinity;
      }
    }
  }

  /** Ends all faults, gives leaving members time to finish, and makes the survivors findable. */
  async #calm(): Promise<void> {
    const { scenario: { config, discovery }, hosts, processes, timeline, record } = this.#run;
    timeline.endFaultPhase();
    record.log("", "calm");
    this.#run.faultSchedule.clear();
    for (const process of processes.alive) process.thaw();
    // An expiry is a change too, and would end `confirmed`.
    for (const process of processes.alive) {
      if (!process.isRunning) continue;
      this.#workload.endBrief(process);
      this.#maps.endBrief(process);
    }
    await timeline.pass(3 * config.gossipRequestTimeout);
    for (const process of processes.alive) {
      // It had the time limit of a graceful leave.
      if (!process.isRunning) this.#supervisor.kill(process);
    }
    for (const host of hosts.seeds) {
      if (!processes.alive.some((process) => process.host === host)) this.#supervisor.startAgain(host);
    }
    if (processes.alive.length === 0) this.#supervisor.startAgain(hosts.all[0]!);
    if (discovery === "name") this.#name.changeToRunning();
    // In a large cluster no member left, and every member has the full topology.
    if (discovery === "topology" && !isLarge(this.scenario)) {
      this.#topology.removeSomeDead();
      await timeline.pass(20 * config.gossipInterval);
      this.#topology.announceToAll();
    }
  }

  /** Waits for the agreement on roles. Its reports are changes, so that the cluster has to recover from them. */
  async #agree(): Promise<void> {
    if (!this.#run.scenario.roles) return;
    await this.#roles.untilAgreed();
    await this.#recovery.untilRecovered("report of a role");
  }

  /** Waits for the recovery, and in a quarter of the runs checks that the cluster stays recovered. */
  async #recover(): Promise<number> {
    const { scenario, timeline, record, random: { main } } = this.#run;
    const recoveryMs = await this.#recovery.untilRecovered("fault");
    await this.#agree();
    this.#sweep(isLarge(scenario) ? SWEPT_OF_MANY : Infinity);
    // A waiting `setStateRequest` gives up if a peer that it waits for is gone.
    while (this.#workload.isWaiting) await timeline.pass(scenario.config.gossipInterval);
    if (!main.chance(0.25) || isLarge(scenario)) return recoveryMs;
    // Without faults no running member may be blocked, however long it lasts.
    const before = this.#checker.falseBlocks;
    await timeline.pass(1.5 * scenario.config.heartbeatExpiration);
    const blocked = this.#checker.falseBlocks - before;
    if (blocked > 0) record.fail(undefined, `${blocked} running members were blocked without faults`);
    this.#sweep(Infinity);
    const reason = this.#recovery.findUnrecovered();
    if (reason !== undefined) record.fail(undefined, `without faults ${reason}`);
    return recoveryMs;
  }

  /** Ends all processes gracefully; nothing may be left of them. */
  async #end(): Promise<void> {
    const { scenario, processes, network, runtime, timeline, record } = this.#run;
    this.#talk.end();
    for (const process of processes.alive) process.leave();
    await timeline.pass(4 * scenario.config.gossipRequestTimeout + 1_000);
    const left = processes.alive.filter(({ hasStopped }) => !hasStopped).map(({ id }) => id);
    if (left.length > 0) record.fail(undefined, `${left.join(", ")} did not stop in time`);
    // A slow link may still carry messages; only the disposal of the network would wait for them.
    await timeline.pass(60 * scenario.links.delayMs);
    timeline.cancelPlanned();
    await network[Symbol.asyncDispose]();
    await runtime.settle();
    if (runtime.timers > 0) record.fail(undefined, `${runtime.timers} timers are left`);
  }

  /** Checks the whole state of so many processes on average. */
  #sweep(most: number = SWEPT_PROCESSES): void {
    const { processes: { alive }, random: { main } } = this.#run;
    const chance = Math.min(1, most / Math.max(1, alive.length));
    this.#checker.sweep(main.some(alive, chance));
  }

  #onEvent(process: Process, event: HearsayEvent): void {
    if (process.isOver) return;
    this.#run.record.logEvent(process, event);
    this.#checker.record(process, event);
  }

  #outcome({ recoveryMs, returnMs }: Pick<Outcome, "recoveryMs" | "returnMs">): Outcome {
    const { scenario, processes, network, timeline, record } = this.#run;
    const { messages, bytes } = network.counts;
    const virtualMs = timeline.nowMs;
    return {
      seed: this.seed,
      violation: record.violation,
      recoveryMs,
      recoveryBoundMs: this.#recovery.boundMs,
      returnMs,
      returnBoundMs: this.#politeRestart.boundMs,
      rounds: virtualMs / scenario.config.gossipInterval,
      messages,
      bytes,
      processes: processes.count,
      falseBlocks: this.#checker.falseBlocks,
      tally: record.tally,
      virtualMs,
    };
  }
}

function makeChecker({ scenario, random, processes, timeline, record }: Run): InvariantChecker {
  const { config, links, roles } = scenario;
  return new InvariantChecker({
    ...config,
    random: random.main.fork(),
    // The last term is for messages in the queue of a slow receiver: they were sent before the block.
    underWayMs: 4 * config.gossipRequestTimeout + 60 * links.delayMs + 100,
    openMembership: hasOpenMembership(scenario),
    roles,
    nowMs: () => timeline.nowMs,
    processes,
    onViolation: (process, text) => record.fail(process, text),
  });
}
