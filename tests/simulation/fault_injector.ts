/**
 * Carries out the faults and the changes of membership of the fault phase, one at a time.
 *
 * @module
 */

import { memoryAddress } from "../../testing/memory.ts";
import type { ChangingName } from "./changing_name.ts";
import type { Process } from "./process.ts";
import type { Run } from "./run.ts";
import { type Fault, isLarge } from "./scenario.ts";
import type { Supervisor } from "./supervisor.ts";
import type { Topology } from "./topology.ts";
import type { Workload } from "./workload.ts";

/** The time from an outage of a proxy to its next one. 3 s: several in a row are a crash to every peer. */
const PROXY_PAUSE_MS = 3_000;
/** The longest outage of a proxy, in milliseconds. */
const MAX_OUTAGE_MS = 1_000;

/** Options of a {@linkcode FaultInjector}. */
export interface FaultInjectorOptions {
  readonly supervisor: Supervisor;
  readonly topology: Topology;
  readonly name: ChangingName;
  readonly workload: Workload;
}

/** A process and a machine, drawn independently for every fault. A fault uses the one that it concerns. */
interface Target {
  readonly process: Process | undefined;
  readonly host: string;
}

/** Injects faults of the scenario. */
export class FaultInjector {
  readonly #run: Run;
  readonly #options: FaultInjectorOptions;
  /** Machines whose proxy was down a short time ago. */
  readonly #restartedProxies = new Set<string>();

  constructor(run: Run, options: FaultInjectorOptions) {
    this.#run = run;
    this.#options = options;
  }

  readonly #faults: Readonly<Record<Fault, (target: Target) => void>> = {
    "links": () => this.#changeLinks(),
    "break": ({ host }) => this.#breakConnections(host),
    "partition": () => this.#partition(),
    "one way": () => this.#loseOneWay(),
    "heal": () => this.#heal(),
    "slow": ({ host }) => this.#slow(host),
    "proxy": ({ host }) => this.#restartProxy(host),
    "freeze": ({ process }) => process && this.#freeze(process),
    "clock": ({ process }) => this.#stepClock(process),
    "crash": ({ process }) => process && this.#options.supervisor.kill(process),
    "leave": ({ process }) => process?.isRunning && this.#options.supervisor.leave(process),
    "join": () => this.#join(),
    "restart": ({ host }) => this.#options.supervisor.restart(host),
    "restart all": () => this.#restartAll(),
    "rollout": () => this.#options.supervisor.rollOut(),
    "polite restart": ({ host }) => this.#restartPolitely(host),
    "overlap": ({ process }) => process && this.#overlap(process),
    "topology": () => this.#options.topology.announceToSome(),
    "name": () => this.#options.name.change(),
    "large value": ({ process }) => process?.isRunning && this.#options.workload.setLarge(process),
    "many keys": ({ process }) => process?.isRunning && this.#options.workload.changeMany(process),
  };

  /** Draws a target and injects a fault of this kind. */
  inject(fault: Fault): void {
    const { hosts, processes, random: { main } } = this.#run;
    const process = processes.draw(main);
    const host = main.pick(hosts.all);
    this.#faults[fault]({ process, host });
  }

  #changeLinks(): void {
    this.#run.record.log("", "the links change");
    this.#run.faultSchedule.redraw(this.#run.hosts.all);
  }

  #breakConnections(host: string): void {
    const { hosts, faultSchedule, record, random: { main } } = this.#run;
    const other = main.pick(hosts.all);
    if (host === other) return;
    record.log(host, `its connections to ${other} break`);
    faultSchedule.break(host, other);
  }

  #partition(): void {
    const { faultSchedule, record, random: { main } } = this.#run;
    const [one, other] = this.#split();
    const breaksConnections = main.chance(0.5);
    const how = breaksConnections ? "" : " without broken connections";
    record.log("", `${one.join()} and ${other.join()} are partitioned${how}`);
    faultSchedule.partition(one, other, { breaksConnections });
  }

  #loseOneWay(): void {
    const [from, to] = this.#split();
    this.#run.record.log("", `messages from ${from.join()} to ${to.join()} are lost`);
    this.#run.faultSchedule.silence(from, to);
  }

  #heal(): void {
    this.#run.record.log("", "partitions heal");
    this.#run.faultSchedule.heal();
  }

  #slow(host: string): void {
    this.#run.record.log(host, "becomes slow");
    this.#run.faultSchedule.slow(host);
  }

  /** The outage is shorter than the wait of crash detection, which depends on heartbeatExpiration. */
  #restartProxy(host: string): void {
    const { scenario: { config }, network, timeline, record, random: { main } } = this.#run;
    if (this.#restartedProxies.has(host)) return;
    this.#restartedProxies.add(host);
    timeline.later(PROXY_PAUSE_MS, () => this.#restartedProxies.delete(host));
    const forMs = main.between(0, Math.min(MAX_OUTAGE_MS, config.heartbeatExpiration / 2.2));
    record.log(host, `its proxy is down for ${Math.round(forMs)} ms`);
    network.stopProxy(memoryAddress(host, 1));
    timeline.later(forMs, () => network.restoreProxy(memoryAddress(host, 1)));
  }

  #freeze(process: Process): void {
    const { scenario: { config }, timeline, record, random: { main } } = this.#run;
    const forMs = main.between(0, 2 * config.heartbeatExpiration);
    record.log(process.id, `is suspended for ${Math.round(forMs)} ms`);
    process.freeze();
    timeline.later(forMs, () => {
      if (process.isOver || !process.machine.isFrozen) return;
      record.log(process.id, "is resumed");
      process.thaw();
    });
  }

  #stepClock(process: Process | undefined): void {
    const { scenario: { clockStepMs }, record, random: { main } } = this.#run;
    const byMs = Math.round(main.between(-clockStepMs, clockStepMs));
    if (!process || byMs === 0) return;
    record.log(process.id, `its clock steps by ${byMs} ms`);
    process.machine.stepWall(byMs);
  }

  #join(): void {
    const { scenario: { discovery, size }, processes } = this.#run;
    if (discovery === "fixed" || processes.alive.length > 1.5 * size + 1) return;
    this.#options.supervisor.startNew();
  }

  #restartAll(): void {
    const { hosts, processes, record, random: { main } } = this.#run;
    const { supervisor } = this.#options;
    record.log("", "all are killed");
    for (const each of processes.alive) supervisor.kill(each);
    for (const each of hosts.all) if (main.chance(0.8)) supervisor.restart(each);
  }

  /** Restarts all seeds, or one machine. */
  #restartPolitely(host: string): void {
    const { hosts, processes, random: { circumstances } } = this.#run;
    const restarted = circumstances.chance(0.5) ? hosts.seeds : [host];
    for (const each of processes.alive) {
      if (each.isRunning && restarted.includes(each.host)) this.#options.supervisor.restartPolitely(each);
    }
  }

  /** An id has at most two processes. */
  #overlap(process: Process): void {
    const { scenario: { size }, hosts, processes } = this.#run;
    if (!process.isRunning || processes.aliveWith(process.id) !== process) return;
    if (hosts.all.length > 4 * size + 4 || processes.alive.length > 1.5 * size + 1) return;
    this.#options.supervisor.succeed(process);
  }

  /** Splits the machines into two groups. */
  #split(): [one: string[], other: string[]] {
    const { scenario, hosts, random: { main } } = this.#run;
    // Every cut pair takes memory until the end of the run.
    const share = isLarge(scenario) ? 10 / scenario.size : main.pick([0.2, 0.5]);
    const one = main.some(hosts.all, share);
    return [one, hosts.all.filter((host) => !one.includes(host))];
  }
}
