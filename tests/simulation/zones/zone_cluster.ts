/**
 * A simulated cluster whose members are spread over zones, with the bytes that cross between zones.
 *
 * @module
 */

import { fixedMembers } from "../../../discovery/fixed.ts";
import { describeMember } from "../../../members/mod.ts";
import { configure, type PartialConfig } from "../../../options/configuration.ts";
import { memoryAddress, MemoryNetwork } from "../../../testing/memory.ts";
import { VirtualRuntime } from "../../../testing/virtual_runtime.ts";
import { Process } from "../process.ts";

/** The time of a message within a zone, and between two, in milliseconds. */
const NEAR_MS = 0.5;
const FAR_MS = 10;

/** Options of a {@linkcode ZoneCluster}. */
export interface ZoneClusterOptions {
  readonly seed: number;
  /** The number of members of each zone. */
  readonly sizes: readonly number[];
  /** True if the members gossip near first. */
  readonly nearFirst: boolean;
  /** The share of messages lost between zones; 0 by default. */
  readonly loss?: number;
  readonly config?: PartialConfig;
}

/** A member and its zone. */
export interface ZoneMember {
  readonly id: string;
  readonly zone: string;
  readonly process: Process;
}

/** The cluster, with a connection between every two members. */
export class ZoneCluster {
  readonly runtime: VirtualRuntime;
  readonly network: MemoryNetwork;
  readonly options: ZoneClusterOptions;
  /** The running members, zone by zone. */
  readonly members: ZoneMember[] = [];
  /** The bytes of all messages between zones since the start. */
  farBytes = 0;
  /** The bytes of all messages. */
  bytes = 0;
  /** How often a running member was blocked as expired or crashed. */
  falseBlocks = 0;
  readonly #zones = new Map<string, string>();

  constructor(options: ZoneClusterOptions) {
    const { seed, sizes } = options;
    this.options = options;
    this.runtime = new VirtualRuntime({ seed });
    this.network = new MemoryNetwork({
      runtime: this.runtime,
      seed,
      tap: ({ from, to, bytes }) => {
        this.bytes += bytes;
        if (this.#zones.get(from) !== this.#zones.get(to)) this.farBytes += bytes;
      },
    });
    for (const [zone, size] of sizes.entries()) {
      for (let each = 0; each < size; each++) {
        this.#zones.set(memoryAddress(`z${zone}-${each}`, 1), `z${zone}`);
      }
    }
    this.setLinks();
  }

  /** Starts all members, and waits until they agree and are connected. */
  async start(): Promise<void> {
    const hosts = [...this.#zones.values()].map((zone, index, all) => `${zone}-${index - all.indexOf(zone)}`);
    const discovery = fixedMembers(hosts.map((host) => ({ id: host, host, port: 1, kinds: [] })));
    const config = configure(this.options.config ?? {});
    for (const host of hosts) {
      const process = new Process({
        id: host,
        host,
        machine: this.runtime.machine(),
        nowMs: this.runtime.monotonicMs(),
        network: this.network,
        config,
        discovery,
        onEvent: (_, event) => {
          if (event.type !== "MemberBlocked") return;
          if (this.members.some(({ id }) => id === event.memberId)) this.falseBlocks++;
        },
        onClosed: () => {},
      });
      const zone = this.#zones.get(process.address)!;
      this.members.push({ id: host, zone, process });
      await process.start();
      describeMember(process.gossiper, { zone, nearFirst: this.options.nearFirst });
      await this.runtime.advance(config.gossipInterval / hosts.length);
    }
    await this.runtime.advance(40_000);
    await this.until(() => this.isConfirmed);
  }

  /** True if all running members know that all agree. */
  get isConfirmed(): boolean {
    return this.members.every(({ process }) => process.gossiper.phase === "confirmed");
  }

  /** Advances time in steps of a millisecond until the condition holds; returns the elapsed time. */
  async until(isDone: () => boolean): Promise<number> {
    const startMs = this.runtime.monotonicMs();
    while (!isDone()) {
      await this.runtime.advance(1);
      if (this.runtime.monotonicMs() > startMs + 60_000) throw new Error("It takes longer than a minute.");
    }
    return this.runtime.monotonicMs() - startMs;
  }

  /** Delays messages by their way, and loses a share of those between zones. */
  setLinks(fault: { readonly hang?: boolean } = {}): void {
    const { loss = 0 } = this.options;
    for (const [from, zone] of this.#zones) {
      for (const [to, other] of this.#zones) {
        if (from === to) continue;
        const isNear = zone === other;
        const faults = isNear ? { delayMs: NEAR_MS } : { delayMs: FAR_MS, loss, ...fault };
        this.network.setFaults(faults, { from, to });
      }
    }
  }

  /** Ends a member as SIGKILL does: its connections break, and its address refuses new ones. */
  kill(member: ZoneMember): void {
    const own = memoryAddress(member.id, 1);
    this.members.splice(this.members.indexOf(member), 1);
    for (const { id } of this.members) this.network.cut(own, memoryAddress(id, 1));
    member.process.kill();
    this.network.heal();
  }

  /** Ends all members. */
  async end(): Promise<void> {
    for (const { process } of this.members) process.leave();
    await this.runtime.advance(10_000);
    await this.network[Symbol.asyncDispose]();
  }
}
