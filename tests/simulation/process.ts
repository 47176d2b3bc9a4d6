/**
 * One simulated process: a real gossiper, on a machine and a network that a simulation holds in its hand.
 *
 * @module
 */

import type { Discovery, Member } from "../../gossiper/cluster.ts";
import type { GossiperConfig } from "../../gossiper/configuration.ts";
import type { GossiperClosed } from "../../gossiper/contract.ts";
import { EventStream, type HearsayEvent } from "../../gossiper/event_stream.ts";
import { Gossiper } from "../../gossiper/gossiper.ts";
import type { MemoryNetwork, MemoryTransport } from "../../transport/memory.ts";
import type { Machine } from "../virtual_runtime.ts";

/** The key on which every member has a consensus check. */
export const CHECKED_KEY = "version";

/** The key whose values somebody waits for: whole numbers that rise. */
export const AWAITED_KEY = "awaited";

/** What a process is made of. */
export interface ProcessOptions {
  readonly id: string;
  /** The name of its machine: a process that starts again there has the same address. */
  readonly host: string;
  readonly machine: Machine;
  /** When it starts, on the clock of the simulation. */
  readonly nowMs: number;
  readonly network: MemoryNetwork;
  readonly config: GossiperConfig;
  readonly discovery: Discovery | undefined;
  /** Hears everything that the gossiper tells, at once. */
  readonly onEvent: (process: Process, event: HearsayEvent) => void;
  /** The gossiper is over, whatever the reason; what it has left behind was looked at before anybody cleaned up. */
  readonly onClosed: (process: Process, closed: GossiperClosed, left: Leftovers) => void;
}

/** What is still there when a gossiper says that it is over. */
export interface Leftovers {
  readonly connections: number;
  readonly timers: number;
}

/** An event stream that is overheard: what it tells is known before anybody else does anything about it. */
class OverheardStream extends EventStream {
  readonly #onEvent: (event: HearsayEvent) => void;

  constructor(onEvent: (event: HearsayEvent) => void) {
    super();
    this.#onEvent = onEvent;
  }

  override publish(event: HearsayEvent): void {
    this.#onEvent(event);
    super.publish(event);
  }
}

/** A process that runs, stands still, leaves, or is over. */
export class Process {
  readonly id: string;
  readonly host: string;
  readonly record: Member;
  readonly machine: Machine;
  readonly maxMessageBytes: number;
  /** On the clock of the simulation. */
  readonly startedAtMs: number;
  readonly address: string;
  readonly gossiper: Gossiper;
  readonly stream: EventStream;
  /** Whether its gossiper takes part no more because its id is used twice. */
  isSilenced = false;
  /** Whether its gossiper is over; what it said last may still be on its way. */
  hasStopped = false;
  /** How often it has stood still. */
  freezes = 0;
  readonly #network: MemoryNetwork;
  readonly #transport: MemoryTransport;
  #state: "running" | "leaving" | "over" = "running";
  /** On its own monotonic clock: since when it stands still, and how long it did so before. */
  #frozenSince: number | undefined;
  #frozenMs = 0;

  constructor(options: ProcessOptions) {
    const { id, host, machine, network, config, discovery } = options;
    this.id = id;
    this.host = host;
    this.machine = machine;
    this.startedAtMs = options.nowMs;
    this.maxMessageBytes = config.maxMessageBytes;
    this.#network = network;
    this.record = { id, host, port: 1, kinds: [] };
    this.#transport = network.transport(host, 1, config);
    this.address = this.#transport.address;
    // What is told while the gossiper is made is heard when there is one.
    let early: HearsayEvent[] | undefined = [];
    this.stream = new OverheardStream((event) => {
      if (early) early.push(event);
      else options.onEvent(this, event);
    });
    this.gossiper = new Gossiper(config, {
      self: this.record,
      name: "simulated",
      eventStream: this.stream,
      transport: this.#transport,
      runtime: machine,
      ...(discovery && { discovery }),
    });
    this.gossiper.registerConsensusCheck(CHECKED_KEY);
    const told = early;
    early = undefined;
    for (const event of told) options.onEvent(this, event);
    this.gossiper.closed.then(async (closed) => {
      this.hasStopped = true;
      const left = { connections: network.openAt(this.address), timers: machine.timers };
      await this.#transport.close();
      this.stream.close();
      if (this.#state === "over") return;
      this.thaw();
      this.#state = "over";
      options.onClosed(this, closed, left);
    });
  }

  /** Begins to gossip. */
  async start(): Promise<void> {
    await this.gossiper.start();
  }

  /** Whether it takes part: it was started, and neither leaves nor is over. */
  get isRunning(): boolean {
    return this.#state === "running";
  }

  /** Whether nothing of it happens any more. */
  get isOver(): boolean {
    return this.#state === "over";
  }

  /** How long its process has run by its own monotonic clock, time in which it stood still left out. */
  get awakeMs(): number {
    const nowMs = this.machine.monotonicMs();
    return nowMs - this.#frozenMs - (this.#frozenSince === undefined ? 0 : nowMs - this.#frozenSince);
  }

  /** As SIGSTOP does. */
  freeze(): void {
    if (this.#frozenSince !== undefined || this.#state === "over") return;
    this.freezes++;
    this.#frozenSince = this.machine.monotonicMs();
    this.machine.freeze();
    this.#network.pause(this.address);
  }

  /** As SIGCONT does. */
  thaw(): void {
    if (this.#frozenSince === undefined || this.#state === "over") return;
    this.#frozenMs += this.machine.monotonicMs() - this.#frozenSince;
    this.#frozenSince = undefined;
    this.machine.thaw();
    this.#network.resume(this.address);
  }

  /** As SIGTERM does, to a program that leaves in good order. */
  leave(): void {
    if (this.#state !== "running") return;
    this.#state = "leaving";
    void this.gossiper.stop();
  }

  /** As SIGKILL does. The caller breaks its connections; peers hear nothing else. */
  kill(): void {
    this.#state = "over";
    this.machine.kill();
    this.#network.resume(this.address);
    void this.#transport.close();
  }
}
