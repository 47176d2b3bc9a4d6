/**
 * One simulation: a cluster of real gossipers in a fault phase, then a recovery phase without faults.
 *
 * @module
 */

import { stateNameOf } from "../../gossiper/gossiper.ts";
import type { HearsayEvent } from "../../contracts/event_stream.ts";
import type { Process } from "./process.ts";
import { ChangingName } from "./changing_name.ts";
import {
  describeScenario,
  drawCircumstances,
  drawScenario,
  hasOpenMembership,
  isLarge,
  type Overrides,
  type Scenario,
} from "./scenario.ts";
import type { EventLog } from "./event_log.ts";
import { FaultInjector } from "./fault_injector.ts";
import { InvariantChecker } from "./invariant_checker.ts";
import { makeRun, type Run } from "./run.ts";
import { randomSources } from "./seeded_random.ts";
import { POLITE_PAUSE_MS, Supervisor } from "./supervisor.ts";
import { Violated } from "./timeline.ts";
import { Topology } from "./topology.ts";
import { Workload } from "./workload.ts";

/** Rounds between two sweeps, which check the whole state of some processes. */
const SWEEP_ROUNDS = 8;
/** Processes in one sweep: a sweep of all would take most of the run. */
const SWEPT_PROCESSES = 12;
/** Processes in the last sweep of a large cluster. */
const SWEPT_OF_MANY = 100;
/** The longest time from the start of a process at the address of a member that left until all have it (docs/guide.md). */
const RETURN_BOUND_MS = 2_000;
/** The members that dial the address of a member that left, on average, in a cluster of any size. */
const RETURN_DIALERS = 8;
/**
 * Dials of a load balancer until members on both sides of any partition met. 16: in the worst case, with two members, one
 * of four pairs of dials leads both to themselves.
 */
const BALANCED_DIALS = 16;
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
  readonly #faults: FaultInjector;
  #returnBoundMs = NaN;

  constructor(seed: number, overrides: Overrides = {}) {
    const random = randomSources(seed);
    const scenario = drawScenario(random.main.fork(), overrides);
    this.seed = seed;
    this.scenario = overrides.isPlain ? scenario : drawCircumstances(random.circumstances.fork(), scenario);
    this.#run = makeRun(this.scenario, { random, onMessage: (sent) => this.#checker.checkMessage(sent) });
    const { config, links } = this.scenario;
    const { processes, timeline, record } = this.#run;
    this.#checker = new InvariantChecker({
      ...config,
      random: random.main.fork(),
      // The last term is for messages in the queue of a slow receiver: they were sent before the block.
      underWayMs: 4 * config.gossipRequestTimeout + 60 * links.delayMs + 100,
      openMembership: hasOpenMembership(this.scenario),
      nowMs: () => timeline.nowMs,
      processes,
      onViolation: (process, text) => record.fail(process, text),
    });
    this.#topology = new Topology(this.#run);
    this.#name = new ChangingName(this.#run);
    this.#supervisor = new Supervisor(this.#run, {
      topology: this.#topology,
      name: this.#name,
      onEvent: (process, event) => this.#onEvent(process, event),
    });
    this.#workload = new Workload(this.#run, {
      checker: this.#checker,
      version: () => this.#supervisor.version,
    });
    this.#faults = new FaultInjector(this.#run, {
      supervisor: this.#supervisor,
      topology: this.#topology,
      name: this.#name,
      workload: this.#workload,
    });
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
      returnMs = await this.#restartPolitely();
      await this.#end();
    } catch (error) {
      if (!(error instanceof Violated)) this.#run.record.fail(undefined, `${(error as Error).stack}`);
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    const { messages, bytes } = this.#run.network.counts;
    const virtualMs = this.#run.timeline.nowMs;
    return {
      seed: this.seed,
      violation: this.#run.record.violation,
      recoveryMs,
      recoveryBoundMs: this.recoveryBoundMs,
      returnMs,
      returnBoundMs: this.#returnBoundMs,
      rounds: virtualMs / this.scenario.config.gossipInterval,
      messages,
      bytes,
      processes: this.#run.processes.count,
      falseBlocks: this.#checker.falseBlocks,
      tally: this.#run.record.tally,
      virtualMs,
    };
  }

  /**
   * The longest time from the last fault until all survivors have equal state and are `confirmed`. Dead members have to
   * expire, which an old heartbeat on a longer route may delay once. Blocked members have to be probed, dials in backoff
   * to be repeated, and the state of every member has to fit into messages. A name has to be resolved, a load balancer has
   * to lead to the right member, and clocks have to step.
   */
  get recoveryBoundMs(): number {
    const { config, discovery, resolveIntervalMs, slowNameMs, earlySteps } = this.scenario;
    const { gossipInterval, gossipFanOut, gossipMaxSend, gossipRequestTimeout } = config;
    const places = 2 * this.#run.processes.idCount / (gossipFanOut * gossipMaxSend);
    const rounds = 40 + 20 * Math.log2(1 + this.#run.processes.idCount) + 12 * places;
    const isBalanced = discovery === "balancer" || discovery === "name" && this.scenario.nameIsDialed;
    const dials = isBalanced ? BALANCED_DIALS : 2;
    const resolvedMs = discovery === "name" ? 2 * (resolveIntervalMs + slowNameMs) + config.maxBackoff : 0;
    return 2 * config.heartbeatExpiration + dials * (config.blockedProbeInterval + config.maxBackoff) +
      8 * gossipRequestTimeout + rounds * gossipInterval + resolvedMs + earlySteps.withinMs;
  }

  /**
   * The longest time from the start of processes after a polite restart until all members have each other, without any
   * other fault: 2 s. In a cluster of more than eight members not all dial the address: the others hear of it in rounds.
   */
  #returnBoundFor(members: number): number {
    if (members <= RETURN_DIALERS) return RETURN_BOUND_MS;
    return Math.max(RETURN_BOUND_MS, RETURN_BOUND_MS / 2 + 6 * this.scenario.config.gossipInterval);
  }

  // ---- phases

  async #begin(): Promise<void> {
    const { size, config, discovery } = this.scenario;
    if (discovery === "name") this.#name.begin();
    // All members start within ten rounds, for any size.
    const longestMs = config.gossipInterval * Math.min(1, 10 / size);
    for (let index = 0; index < size; index++) {
      this.#supervisor.startNew();
      if (this.#run.random.main.chance(0.5)) {
        await this.#run.timeline.pass(this.#run.random.main.between(0, longestMs));
      }
    }
    if (isLarge(this.scenario) && this.scenario.discovery === "topology") this.#topology.announceToAll();
  }

  async #injectFaults(): Promise<void> {
    const { faultPhaseMs, faultEveryMs, changeEveryMs, config } = this.scenario;
    const endMs = this.#run.timeline.nowMs + faultPhaseMs;
    this.#run.faultSchedule.redraw(this.#run.hosts.all);
    let nextFaultMs = this.#run.timeline.nowMs + this.#run.random.main.wait(faultEveryMs);
    let nextChangeMs = this.#run.timeline.nowMs + this.#run.random.main.wait(changeEveryMs);
    let nextSweepMs = this.#run.timeline.nowMs;
    // In a large cluster the last change takes long to reach all members.
    const lastChangeMs = isLarge(this.scenario) ? endMs - faultPhaseMs / 2 : endMs;
    for (let nowMs = this.#run.timeline.nowMs; nowMs < endMs; nowMs = this.#run.timeline.nowMs) {
      const next = Math.min(nextFaultMs, nextChangeMs, nextSweepMs, endMs);
      await this.#run.timeline.pass(next - nowMs);
      if (next === nextSweepMs) {
        this.#sweep();
        nextSweepMs += SWEEP_ROUNDS * config.gossipInterval;
      } else if (next === nextFaultMs) {
        this.#faults.inject(this.#run.random.main.weighted(this.scenario.faults));
        nextFaultMs += this.#run.random.main.wait(faultEveryMs);
      } else if (next === nextChangeMs) {
        this.#workload.change();
        nextChangeMs += this.#run.random.main.wait(changeEveryMs);
        if (nextChangeMs > lastChangeMs) nextChangeMs = Infinity;
      }
    }
  }

  /** Ends all faults and gives leaving members time to finish. */
  async #calm(): Promise<void> {
    const { config, discovery } = this.scenario;
    this.#run.timeline.endFaultPhase();
    this.#run.record.log("", "calm");
    this.#run.faultSchedule.clear();
    for (const process of this.#run.processes.alive) process.thaw();
    await this.#run.timeline.pass(3 * config.gossipRequestTimeout);
    for (const process of this.#run.processes.alive) {
      // It had the time limit of a graceful leave.
      if (!process.isRunning) this.#supervisor.kill(process);
    }
    for (const host of this.#run.hosts.seeds) {
      if (!this.#run.processes.alive.some((process) => process.host === host)) {
        this.#supervisor.startAgain(host);
      }
    }
    if (this.#run.processes.alive.length === 0) {
      this.#supervisor.startAgain(this.#run.hosts.all[0]!);
    }
    if (discovery === "name") this.#name.changeToRunning();
    // In a large cluster no member left, and every member has the full topology.
    if (discovery === "topology" && !isLarge(this.scenario)) {
      this.#topology.removeSomeDead();
      await this.#run.timeline.pass(20 * config.gossipInterval);
      this.#topology.announceToAll();
    }
  }

  /** Resolves when the cluster has recovered, with the time that it took in milliseconds. */
  async #untilRecovered(lastFault: string): Promise<number> {
    const startMs = this.#run.timeline.nowMs;
    const elapsedMs = () => this.#run.timeline.nowMs - startMs;
    for (let reason = this.#findUnrecovered(); reason !== undefined; reason = this.#findUnrecovered()) {
      if (elapsedMs() > this.recoveryBoundMs) {
        this.#run.record.fail(
          undefined,
          `${Math.round(this.recoveryBoundMs)} ms after the last ${lastFault} ${reason}`,
        );
      }
      await this.#run.timeline.pass(this.scenario.config.gossipInterval);
    }
    this.#run.record.log("", `all is well after ${Math.round(elapsedMs())} ms`);
    return elapsedMs();
  }

  async #recover(): Promise<number> {
    const { gossipInterval, heartbeatExpiration } = this.scenario.config;
    const recoveryMs = await this.#untilRecovered("fault");
    this.#sweep(isLarge(this.scenario) ? SWEPT_OF_MANY : Infinity);
    // A waiting `setStateRequest` gives up if a peer that it waits for is gone.
    while (this.#workload.isWaiting) await this.#run.timeline.pass(gossipInterval);
    if (!this.#run.random.main.chance(0.25) || isLarge(this.scenario)) return recoveryMs;
    // Without faults no running member may be blocked, however long it lasts.
    const before = this.#checker.falseBlocks;
    await this.#run.timeline.pass(1.5 * heartbeatExpiration);
    const blocked = this.#checker.falseBlocks - before;
    if (blocked > 0) {
      this.#run.record.fail(undefined, `${blocked} running members were blocked without faults`);
    }
    this.#sweep(Infinity);
    if (this.#findUnrecovered() !== undefined) {
      this.#run.record.fail(undefined, `without faults ${this.#findUnrecovered()}`);
    }
    return recoveryMs;
  }

  /**
   * Restarts seeds politely while no other fault is active: they stop, and new processes start at their addresses. At least
   * one member stays. Resolves with the time from their start until all members have each other, in milliseconds.
   */
  async #restartPolitely(): Promise<number> {
    const { config, discovery } = this.scenario;
    if (!hasOpenMembership(this.scenario) || isLarge(this.scenario) || this.#run.processes.alive.length < 2) {
      return NaN;
    }
    // A plain run does not restart politely, because it must end as it once did.
    if (this.scenario.faults.every(([, fault]) => fault !== "polite restart")) return NaN;
    const seedHosts = discovery === "seeds"
      ? this.#run.hosts.seeds
      : [this.#run.random.circumstances.pick(this.#run.processes.alive).host];
    const most = Math.min(seedHosts.length, this.#run.processes.alive.length - 1);
    const hosts = seedHosts.slice(0, this.#run.random.circumstances.whole(1, most));
    const leaving = this.#run.processes.alive.filter(({ host }) => hosts.includes(host));
    this.#run.record.log("", `without other faults ${hosts.join()} restart politely`);
    this.#returnBoundMs = this.#returnBoundFor(this.#run.processes.alive.length);
    for (const process of leaving) process.leave();
    const untilMs = this.#run.timeline.nowMs + 4 * config.gossipRequestTimeout;
    while (leaving.some(({ isOver }) => !isOver)) {
      if (this.#run.timeline.nowMs > untilMs) this.#run.record.fail(undefined, "a seed did not stop in time");
      await this.#run.timeline.pass(config.gossipInterval / 4);
    }
    await this.#run.timeline.pass(POLITE_PAUSE_MS);
    for (const host of hosts) this.#supervisor.startAgain(host);
    const startMs = this.#run.timeline.nowMs;
    for (let lacking = this.#findLacking(); lacking !== undefined; lacking = this.#findLacking()) {
      const sinceMs = this.#run.timeline.nowMs - startMs;
      if (sinceMs > this.#returnBoundMs) {
        this.#run.record.fail(
          undefined,
          `${Math.round(sinceMs)} ms after ${hosts.join()} restarted politely ${lacking}`,
        );
      }
      await this.#run.timeline.pass(config.gossipInterval / 4);
    }
    const returnMs = this.#run.timeline.nowMs - startMs;
    this.#run.record.log("", `all have each other after ${Math.round(returnMs)} ms`);
    await this.#untilRecovered("polite restart");
    return returnMs;
  }

  /**
   * The first member that lacks another one; `undefined` without such a member. Others hear of a dead member again from
   * a peer that still has its state, so that it may be active for one expiration (docs/guide.md).
   */
  #findLacking(): string | undefined {
    for (const { id, gossiper } of this.#run.processes.alive) {
      const { members } = gossiper.snapshot();
      const active = new Set(members.filter(({ status }) => status === "alive").map(({ id }) => id));
      const lacking = this.#run.processes.alive.find((other) => !active.has(other.id));
      if (lacking) return `${id} lacks ${lacking.id}`;
    }
    return undefined;
  }

  async #end(): Promise<void> {
    const { gossipRequestTimeout } = this.scenario.config;
    for (const process of this.#run.processes.alive) process.leave();
    await this.#run.timeline.pass(4 * gossipRequestTimeout + 1_000);
    const left = this.#run.processes.alive.filter(({ hasStopped }) => !hasStopped).map(({ id }) => id);
    if (left.length > 0) this.#run.record.fail(undefined, `${left.join(", ")} did not stop in time`);
    // A slow link may still carry messages; only the disposal of the network would wait for them.
    await this.#run.timeline.pass(60 * this.scenario.links.delayMs);
    this.#run.timeline.cancelPlanned();
    await this.#run.network[Symbol.asyncDispose]();
    await this.#run.runtime.settle();
    if (this.#run.runtime.timers > 0) {
      this.#run.record.fail(undefined, `${this.#run.runtime.timers} timers are left`);
    }
  }

  /** The first reason why the cluster has not recovered; `undefined` if it has. */
  #findUnrecovered(): string | undefined {
    const survivors = this.#run.processes.alive;
    // The cheap checks first. A large cluster skips the phase: `confirmed` at every member takes as long again.
    const names = new Set(survivors.map(({ gossiper }) => stateNameOf(gossiper)));
    if (names.size > 1) return `${names.size} different states in the cluster`;
    for (const { id, gossiper } of isLarge(this.scenario) ? [] : survivors) {
      // A single survivor cannot know that the others are gone for good.
      const isAlone = survivors.length === 1;
      const phase = isAlone ? gossiper.phase : "confirmed";
      if (gossiper.phase !== phase) return `${id} is ${gossiper.phase}`;
    }
    const ids = survivors.map(({ id }) => id).sort().join();
    const owned = survivors.map((owner) => ({ id: owner.id, values: [...this.#checker.latest(owner)] }));
    let digest: string | undefined;
    for (const { id, gossiper } of survivors) {
      const snapshot = gossiper.snapshot();
      const byId = new Map(snapshot.members.map((member) => [member.id, member]));
      const active = snapshot.members.filter(({ status }) => status === "alive").map(({ id }) => id).join();
      if (active !== ids) return `${id} has the active members ${active}, expected ${ids}`;
      if ((digest ??= snapshot.digest) !== snapshot.digest) return `the digest of ${id} is different`;
      for (const owner of owned) {
        const { entries } = byId.get(owner.id)!;
        for (const [key, json] of owner.values) {
          const held = JSON.stringify(entries.find((entry) => entry.key === key)?.value);
          if (held !== json) return `${id} has ${key} of ${owner.id} = ${held}, expected ${json}`;
        }
      }
    }
    return undefined;
  }

  // ---- observation

  #sweep(most: number = SWEPT_PROCESSES): void {
    const processes = this.#run.processes.alive;
    const chance = Math.min(1, most / Math.max(1, processes.length));
    this.#checker.sweep(this.#run.random.main.some(processes, chance));
  }

  #onEvent(process: Process, event: HearsayEvent): void {
    if (process.isOver) return;
    this.#run.record.logEvent(process, event);
    this.#checker.record(process, event);
  }
}
