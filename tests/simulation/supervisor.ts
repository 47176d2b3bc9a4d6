/**
 * Starts, restarts and ends the processes of a simulation.
 *
 * @module
 */

import type { Discovery } from "../../contracts/cluster.ts";
import type { HearsayEvent } from "../../contracts/event_stream.ts";
import { fixedMembers } from "../../discovery/fixed.ts";
import { seeds } from "../../discovery/seeds.ts";
import type { GossiperClosed } from "../../gossiper/contract.ts";
import type { Machine } from "../../testing/virtual_runtime.ts";
import { byName, type ChangingName } from "./changing_name.ts";
import { firstIdAt, SHARED_ADDRESS } from "./hosts.ts";
import { CHECKED_KEY, type Leftovers, Process } from "./process.ts";
import type { Run } from "./run.ts";
import { hasOpenMembership } from "./scenario.ts";
import type { Topology } from "./topology.ts";

/** The time from the end of a process that restarts politely to the next process at its address, in milliseconds. */
export const POLITE_PAUSE_MS = 300;
/** Thirty years in milliseconds: the error of a clock without a battery. */
const LATE_CLOCK_MS = 30 * 365 * 86_400_000;
/** The error of a clock whose incarnation members with a right clock refuse (E2), in milliseconds. */
const AHEAD_CLOCK_MS = 400 * 86_400_000;

/** Options of a {@linkcode Supervisor}. */
export interface SupervisorOptions {
  readonly topology: Topology;
  readonly name: ChangingName;
  /** Called at once with every event of a process. */
  readonly onEvent: (process: Process, event: HearsayEvent) => void;
  /** Called with every process right after its start. */
  readonly onStarted: (process: Process) => void;
}

/** Runs at most one process on each machine. */
export class Supervisor {
  readonly #run: Run;
  readonly #options: SupervisorOptions;
  /** Processes that leave, and whose machine starts another one then. */
  readonly #politeRestarts = new Set<Process>();
  #version = 1;

  constructor(run: Run, options: SupervisorOptions) {
    this.#run = run;
    this.#options = options;
  }

  /** The version that processes have from their start. */
  get version(): number {
    return this.#version;
  }

  /** Starts the first process on a new machine. */
  startNew(): void {
    const host = this.#run.hosts.add();
    this.#start(host, firstIdAt(host));
  }

  /**
   * Starts another process on a machine. The last one there has ended. Returns the time, in milliseconds, until its clock
   * is no longer wrong by years.
   */
  startAgain(host: string): number {
    return this.#start(host, this.#idFor(host));
  }

  /** Kills the process on a machine if there is one, and starts another one. */
  restart(host: string): void {
    const running = this.#run.processes.alive.find((process) => process.host === host);
    if (running) this.kill(running);
    this.startAgain(host);
  }

  /** Restarts all machines one after another with a new version. */
  rollOut(): void {
    const { scenario, hosts, record } = this.#run;
    this.#version++;
    record.log("", `version ${this.#version} is rolled out`);
    for (const [index, host] of hosts.all.entries()) {
      this.#later(index * 2 * scenario.config.gossipInterval, () => this.restart(host));
    }
  }

  /** Ends a process at once, and breaks its connections. */
  kill(process: Process): void {
    const { hosts, faultSchedule, record } = this.#run;
    if (process.isOver) return;
    record.log(process.id, "is killed");
    process.kill();
    for (const host of hosts.all) if (host !== process.host) faultSchedule.break(process.host, host);
  }

  /**
   * Lets a process leave. Half of the members start again at the same address, most of them after their process ended.
   */
  leave(process: Process): void {
    const { scenario, processes, record, random } = this.#run;
    const { host } = process;
    record.log(process.id, "leaves");
    process.leave();
    if (!hasOpenMembership(scenario) || random.returns.chance(0.5)) return;
    this.#later(random.returns.between(0, 6 * scenario.config.gossipRequestTimeout), () => {
      if (processes.alive.some((each) => each.host === host && each.isRunning)) return;
      record.log(host, "starts again after it left");
      this.restart(host);
    });
  }

  /** Lets a process leave, and starts another one on its machine after it ended. */
  restartPolitely(process: Process): void {
    const { record } = this.#run;
    record.log(process.id, "restarts politely");
    record.count("polite restart");
    this.#politeRestarts.add(process);
    process.leave();
  }

  /**
   * Starts the next process of an id on a new machine before the former one ended, as a rolling update with fixed ids does.
   * The former one leaves just before, or soon after.
   */
  succeed(former: Process): void {
    const { scenario: { config }, hosts, timeline, record, random: { circumstances } } = this.#run;
    const { id } = former;
    record.count("overlap");
    const leavesFirst = circumstances.chance(0.5);
    if (leavesFirst) this.leave(former);
    const host = hosts.add();
    record.log(id, `its next process starts at ${host}`);
    this.#start(host, id);
    if (leavesFirst) return;
    timeline.later(circumstances.between(0, config.gossipRequestTimeout), () => {
      if (former.isRunning) this.leave(former);
    });
  }

  /** Plans a restart. It is left out after the fault phase, or once a rule is broken. */
  #later(afterMs: number, restart: () => void): void {
    this.#run.timeline.laterInFaultPhase(afterMs, () => {
      if (this.#run.record.violation === undefined) restart();
    });
  }

  #start(host: string, id: string): number {
    const { scenario, hosts, processes, network, runtime, timeline, record, random } = this.#run;
    const { drift, clockStepMs } = scenario;
    const config = { ...scenario.config, maxMessageBytes: random.limits.pick(scenario.messageBytes) };
    const machine = runtime.machine({
      wallMs: runtime.wallMs() + Math.round(random.main.between(-clockStepMs, clockStepMs)),
      rate: 1 + random.main.between(-drift, drift),
    });
    const wrongForMs = this.#stepEarly(id, machine, () => process.isOver);
    const process: Process = new Process({
      id,
      host,
      advertised: hosts.advertisedBy(host),
      machine,
      nowMs: timeline.nowMs,
      network,
      config,
      discovery: this.#discovery(),
      onEvent: this.#options.onEvent,
      onClosed: (from, closed, left) => this.#onClosed(from, closed, left),
    });
    record.log(id, `starts at ${host}, process ${processes.count + 1}`);
    processes.add(process);
    process.gossiper.setState(CHECKED_KEY, this.#version);
    void process.start();
    this.#options.onStarted(process);
    if (scenario.discovery === "topology") this.#options.topology.add(process);
    return wrongForMs;
  }

  /**
   * Sets a clock wrong before its process starts, and right soon after; or steps it soon after the start. Returns the time,
   * in milliseconds, for which it is wrong by years.
   */
  #stepEarly(id: string, machine: Machine, isOver: () => boolean): number {
    const { scenario, timeline, record, random: { circumstances } } = this.#run;
    const { earlySteps: { chance, withinMs }, clockStepMs } = scenario;
    if (chance === 0 || !circumstances.chance(chance)) return 0;
    const isWrong = circumstances.chance(0.3);
    const byMs = isWrong
      ? circumstances.pick([LATE_CLOCK_MS, -AHEAD_CLOCK_MS])
      : Math.round(circumstances.between(-clockStepMs, clockStepMs));
    if (isWrong) machine.stepWall(-byMs);
    const afterMs = circumstances.between(0, withinMs);
    timeline.later(afterMs, () => {
      if (isOver()) return;
      record.log(id, `its clock steps by ${byMs} ms after the start`);
      record.count("early step");
      machine.stepWall(byMs);
    });
    return isWrong ? afterMs : 0;
  }

  #discovery(): Discovery | undefined {
    const { scenario, hosts } = this.#run;
    const { discovery, size, resolveIntervalMs, nameIsDialed } = scenario;
    switch (discovery) {
      case "topology":
        return undefined;
      case "seeds":
        return seeds(hosts.seeds.map((host) => hosts.addressOf(host)));
      case "balancer":
        return seeds([SHARED_ADDRESS]);
      case "name": {
        const address = nameIsDialed ? SHARED_ADDRESS : undefined;
        return byName(this.#options.name, { intervalMs: resolveIntervalMs, address });
      }
      case "fixed": {
        const first = Array.from({ length: size }, (_, index) => `h${index}`);
        return fixedMembers(
          first.map((host) => ({ id: firstIdAt(host), kinds: [], ...hosts.advertisedBy(host) })),
        );
      }
    }
  }

  /** The id for a process on a machine: the id of the last process there, or a new one. */
  #idFor(host: string): string {
    const { scenario, processes, random } = this.#run;
    const last = processes.lastOn(host)?.id ?? firstIdAt(host);
    const isPinned = scenario.discovery === "fixed" || random.main.chance(0.5);
    // The next process of the id may run on another machine.
    const isFree = processes.aliveWith(last) === undefined;
    if (isFree && (isPinned || processes.idCount >= 4 * scenario.size + 4)) return last;
    return `${last.split(".")[0]}.${processes.count}`;
  }

  #onClosed(process: Process, { reason, error, flush }: GossiperClosed, left: Leftovers): void {
    const { processes, record } = this.#run;
    record.log(process.id, `ended: ${reason}, acknowledged by ${flush?.acknowledgedBy} of ${flush?.wanted}`);
    if (this.#politeRestarts.delete(process)) {
      this.#later(POLITE_PAUSE_MS, () => {
        const isTaken = processes.alive.some(({ host }) => host === process.host);
        if (!isTaken) this.restart(process.host);
      });
    }
    if (reason === "failed") record.fail(process, `it failed: ${(error as Error)?.stack ?? error}`);
    const { connections, timers } = left;
    if (connections + timers === 0) return;
    record.fail(process, `it ended with ${connections} open connections and ${timers} timers`);
  }
}
