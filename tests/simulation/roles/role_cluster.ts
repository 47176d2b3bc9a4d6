/**
 * A simulated cluster whose members elect a leader and share twelve keys, with a record of which member held what and when.
 *
 * @module
 */

import { seeds } from "../../../discovery/seeds.ts";
import { configure, type GossiperConfig } from "../../../options/configuration.ts";
import { type Leader, leader, type Owners, owners } from "../../../roles/mod.ts";
import { type Delay, memoryAddress, MemoryNetwork } from "../../../testing/memory.ts";
import { VirtualRuntime } from "../../../testing/virtual_runtime.ts";
import { Process } from "../process.ts";
import { Terms } from "./terms.ts";

/** The keys that all members share. */
export const KEYS: readonly string[] = Array.from({ length: 12 }, (_, index) => `shard ${index + 1}`);
/** The key of the leader in {@linkcode Terms}. */
export const LEADER = "leader";

/** Options of a {@linkcode RoleCluster}. */
export interface RoleClusterOptions {
  readonly seed: number;
  readonly size: number;
  readonly atLeast: number;
  readonly settle?: number;
  readonly heardWithin?: number;
  /** The delay of each message. */
  readonly delayMs: Delay;
  /** The share of lost messages. */
  readonly loss: number;
}

/** One process with its roles. */
export interface RoleMember {
  readonly host: string;
  readonly process: Process;
  readonly leader: Leader;
  readonly owners: Owners;
}

/** The cluster. */
export class RoleCluster {
  readonly runtime: VirtualRuntime;
  readonly network: MemoryNetwork;
  readonly hosts: readonly string[];
  readonly terms: Terms;
  readonly config: GossiperConfig = configure({});
  readonly options: RoleClusterOptions;
  readonly #members = new Map<string, RoleMember>();
  #started = 0;

  constructor(options: RoleClusterOptions) {
    const { seed, size, delayMs, loss } = options;
    this.options = options;
    this.runtime = new VirtualRuntime({ seed });
    this.network = new MemoryNetwork({ runtime: this.runtime, seed });
    this.network.setFaults({ delayMs, loss });
    this.hosts = Array.from({ length: size }, (_, index) => `h${index}`);
    this.terms = new Terms(() => this.runtime.monotonicMs());
  }

  /** The members that run, in the order of their hosts. */
  get members(): readonly RoleMember[] {
    return this.hosts.flatMap((host) => this.#members.get(host) ?? []);
  }

  /** The member that leads by its own answer. */
  get leading(): RoleMember | undefined {
    return this.members.find(({ leader: { current } }) => current.state === "known" && current.isSelf);
  }

  /** True if all members know one leader that runs, and the owners of each key, under one epoch each. */
  get isSettled(): boolean {
    const ids = new Set(this.members.map(({ process }) => process.id));
    const known = this.members.map(({ leader: { current }, owners }) => {
      const owned = KEYS.map((key) => owners.of(key));
      if (current.state === "unknown" || owned.some(({ state }) => state === "unknown")) return "";
      if (!ids.has(current.leader)) return "";
      // Each member says of itself whether it is one of them.
      return JSON.stringify([current, owned], (name, value) => /^is[A-Z]/.test(name) ? undefined : value);
    });
    return known.length > 0 && known[0] !== "" && new Set(known).size === 1;
  }

  /** Starts a process with a new id on this machine. */
  async start(host: string): Promise<RoleMember> {
    const { seed: _seed, size: _size, delayMs: _delayMs, loss: _loss, ...roles } = this.options;
    const id = `${host}-${++this.#started}`;
    const machine = this.runtime.machine();
    const process = new Process({
      id,
      host,
      machine,
      nowMs: this.runtime.monotonicMs(),
      network: this.network,
      config: this.config,
      discovery: seeds(this.hosts.map((each) => memoryAddress(each, 1))),
      onEvent: () => {},
      onClosed: () => {},
    });
    await process.start();
    const options = { ...roles, runtime: machine };
    const member: RoleMember = {
      host,
      process,
      leader: leader(process.gossiper, options),
      owners: owners(process.gossiper, options),
    };
    this.#members.set(host, member);
    void this.#record(member);
    return member;
  }

  /** Ends a process as SIGKILL does: its connections break, and its address refuses new ones. */
  kill({ host, process }: RoleMember): void {
    this.terms.endAll(process.id);
    this.#members.delete(host);
    const from = memoryAddress(host, 1);
    this.network.setFaults({ cut: true }, { from });
    process.kill();
    this.network.setFaults(this.#links, { from });
  }

  /** Leaves as a program does after SIGTERM. */
  leave({ host, process }: RoleMember): void {
    this.#members.delete(host);
    process.leave();
  }

  /** Suspends a process. It does nothing meanwhile, so it holds nothing. */
  freeze({ process }: RoleMember): void {
    process.freeze();
    this.terms.endAll(process.id);
  }

  /** Resumes it. Its program reads the answers at once, before any event. */
  thaw({ process, leader, owners }: RoleMember): void {
    const { current } = leader;
    if (current.state === "known" && current.isSelf) this.terms.begin(LEADER, process.id, current.epoch);
    for (const key of KEYS) {
      const now = owners.of(key);
      if (now.state === "known" && now.isOwner) this.terms.begin(key, process.id, now.epoch);
    }
    process.thaw();
  }

  /** Separates machines from the others: by broken connections, or by silence. */
  partition(hosts: readonly string[], how: "broken" | "silent"): void {
    for (const one of hosts) {
      for (const other of this.hosts) {
        if (hosts.includes(other)) continue;
        const [from, to] = [memoryAddress(one, 1), memoryAddress(other, 1)];
        const fault = how === "broken" ? { cut: true } : { hang: true };
        this.network.setFaults({ ...fault, ...this.#links }, { from, to });
        this.network.setFaults({ ...fault, ...this.#links }, { from: to, to: from });
      }
    }
  }

  /** Breaks the connections of a machine, refuses dials to it, and loses all that it sends or that is sent to it. */
  cutOff(host: string): void {
    const address = memoryAddress(host, 1);
    this.network.setFaults({ cut: true }, { from: address });
    // A dial of its own succeeds, and nothing follows: with `hang` the others would not be refused.
    this.network.setFaults({ ...this.#links, loss: 1 }, { from: address });
    this.network.setFaults({ ...this.#links, loss: 1 }, { to: address });
    this.network.stopProxy(address);
  }

  /** Drops all messages from a machine. Dials reach it, and what the others send. */
  mute(host: string): void {
    this.network.setFaults({ ...this.#links, loss: 1 }, { from: memoryAddress(host, 1) });
  }

  /** Drops all messages from a machine, or all to it. Dials hang. */
  deafen(host: string, direction: "from" | "to"): void {
    const address = memoryAddress(host, 1);
    const way = direction === "from" ? { from: address } : { to: address };
    this.network.setFaults({ hang: true, ...this.#links }, way);
  }

  /** Ends all partitions. */
  heal(): void {
    this.network.clearFaults();
    this.network.setFaults(this.#links);
    for (const host of this.hosts) this.network.restoreProxy(memoryAddress(host, 1));
  }

  /** Ends all processes. */
  async end(): Promise<void> {
    this.heal();
    for (const { process } of this.members) process.leave();
    await this.runtime.advance(10_000);
    await this.network[Symbol.asyncDispose]();
  }

  get #links() {
    const { delayMs, loss } = this.options;
    return { delayMs, loss };
  }

  async #record({ process, leader, owners }: RoleMember): Promise<void> {
    const take = (key: string, now: { readonly epoch: number } | undefined) => {
      // A killed or suspended process runs no program that could read this.
      if (process.isOver || process.machine.isFrozen) return;
      if (now) this.terms.begin(key, process.id, now.epoch);
      else this.terms.end(key, process.id);
    };
    const leading = async () => {
      for await (const now of leader.watch()) {
        if (!process.isOver) this.terms.note(process.id, now);
        take(LEADER, now.state === "known" && now.isSelf ? now : undefined);
      }
    };
    const owning = async () => {
      for await (const now of owners.watch(KEYS)) {
        take(now.key, now.state === "known" && now.isOwner ? now : undefined);
      }
    };
    await Promise.all([leading(), owning()]);
  }
}
