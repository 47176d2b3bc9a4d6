/**
 * One simulated process: a real gossiper with a simulated machine and network.
 *
 * @module
 */

import type { Discovery, Member } from "../../contracts/cluster.ts";
import type { GossiperConfig } from "../../options/configuration.ts";
import type { GossiperClosed } from "../../gossiper/contract.ts";
import { EventStream, type HearsayEvent } from "../../contracts/event_stream.ts";
import { Gossiper } from "../../gossiper/gossiper.ts";
import type { MemoryNetwork, MemoryTransport } from "../../testing/memory.ts";
import type { Machine } from "../../testing/virtual_runtime.ts";

/** The key on which every member has a consensus check. */
export const CHECKED_KEY = "version";

/** The key for `setStateRequest`. Its values are integers in ascending order. */
export const AWAITED_KEY = "awaited";

/** Options of a {@linkcode Process}. */
export interface ProcessOptions {
  readonly id: string;
  /** The name of its machine. A process that restarts there has the same address. */
  readonly host: string;
  /** The address that it advertises; host and port 1 by default. */
  readonly advertised?: Pick<Member, "host" | "port" | "url">;
  readonly machine: Machine;
  /** The start time on the clock of the simulation. */
  readonly nowMs: number;
  readonly network: MemoryNetwork;
  readonly config: GossiperConfig;
  readonly discovery: Discovery | undefined;
  /** Called at once with every event of the gossiper. */
  readonly onEvent: (process: Process, event: HearsayEvent) => void;
  /** Called when the gossiper has ended. `left` was counted before the simulation cleans up. */
  readonly onClosed: (process: Process, closed: GossiperClosed, left: Leftovers) => void;
}

/** Connections and timers that exist when a gossiper reports its end; both should be 0. */
export interface Leftovers {
  readonly connections: number;
  readonly timers: number;
}

/** An event stream with a callback before every subscriber, so that the checks see the state as it was. */
class ObservedStream extends EventStream {
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

/** A simulated process: running, suspended, leaving or over. */
export class Process {
  readonly id: string;
  readonly host: string;
  readonly record: Member;
  readonly machine: Machine;
  readonly maxMessageBytes: number;
  /** Start time on the clock of the simulation. */
  readonly startedAtMs: number;
  readonly address: string;
  readonly gossiper: Gossiper;
  readonly stream: EventStream;
  /** True after its gossiper ended; its last messages may still be on the way. */
  hasStopped = false;
  /** The number of suspensions. */
  freezes = 0;
  readonly #network: MemoryNetwork;
  readonly #transport: MemoryTransport;
  #state: "running" | "leaving" | "over" = "running";
  /** Times of the process's own monotonic clock: start of the current suspension, and length of all earlier ones. */
  #frozenSince: number | undefined;
  #frozenMs = 0;
  #refusesDials = false;

  constructor(options: ProcessOptions) {
    const { id, host, machine, network, config, discovery } = options;
    this.id = id;
    this.host = host;
    this.machine = machine;
    this.startedAtMs = options.nowMs;
    this.maxMessageBytes = config.maxMessageBytes;
    this.#network = network;
    this.record = { id, kinds: [], ...options.advertised ?? { host, port: 1 } };
    this.#transport = network.transport(host, 1, config);
    this.address = this.#transport.address;
    // The constructor of Gossiper already emits events; `this.gossiper` is not set then.
    let early: HearsayEvent[] | undefined = [];
    this.stream = new ObservedStream((event) => {
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
    const earlyEvents = early;
    early = undefined;
    for (const event of earlyEvents) options.onEvent(this, event);
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

  /** Starts the gossiper. */
  async start(): Promise<void> {
    await this.gossiper.start();
  }

  /** True from the start until it leaves, is killed or ends. */
  get isRunning(): boolean {
    return this.#state === "running";
  }

  /** True after the process ended. */
  get isOver(): boolean {
    return this.#state === "over";
  }

  /** Active time on its own monotonic clock: suspensions do not count. */
  get activeMs(): number {
    return this.machine.monotonicMs() - this.frozenMs;
  }

  /** The time of its suspensions, on its own monotonic clock. */
  get frozenMs(): number {
    const nowMs = this.machine.monotonicMs();
    return this.#frozenMs + (this.#frozenSince === undefined ? 0 : nowMs - this.#frozenSince);
  }

  /** Suspends the process as SIGSTOP does. */
  freeze(): void {
    if (this.#frozenSince !== undefined || this.#state === "over") return;
    this.freezes++;
    this.#frozenSince = this.machine.monotonicMs();
    this.machine.freeze();
    this.#network.pause(this.address);
  }

  /** Resumes the process as SIGCONT does. */
  thaw(): void {
    if (this.#frozenSince === undefined || this.#state === "over") return;
    this.#frozenMs += this.machine.monotonicMs() - this.#frozenSince;
    this.#frozenSince = undefined;
    this.machine.thaw();
    this.#network.resume(this.address);
  }

  /** True while its address refuses dials. */
  get refusesDials(): boolean {
    return this.#refusesDials;
  }

  /** Breaks the connections that were dialed at its address, and refuses new ones, as after a crash. */
  refuseDials(): void {
    this.#refusesDials = true;
    this.#network.stopProxy(this.address);
  }

  /** Accepts dials again. */
  acceptDials(): void {
    this.#refusesDials = false;
    this.#network.restoreProxy(this.address);
  }

  /** Leaves gracefully, as a program does after SIGTERM. */
  leave(): void {
    if (this.#state !== "running") return;
    this.#state = "leaving";
    void this.gossiper.stop();
  }

  /** Ends the process as SIGKILL does. The caller breaks its connections; peers receive no other sign. */
  kill(): void {
    this.#state = "over";
    this.machine.kill();
    this.#network.resume(this.address);
    void this.#transport.close();
  }
}
