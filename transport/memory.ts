/**
 * A network within one process, for tests and simulations: it encodes and decodes every message, counts,
 * and goes wrong as it is told.
 *
 * @module
 */

import type { Transport } from "../gossiper/cluster.ts";
import { HearsayError } from "../gossiper/errors.ts";
import type { Runtime } from "../gossiper/runtime.ts";
import type { MemoryEnd } from "./memory_connection.ts";
import { type Direction, FaultTable, type LinkFaults } from "./memory_faults.ts";
import type { SentMessage } from "./memory_link.ts";
import { seededRandom } from "./memory_random.ts";
import { memoryAddress, MemoryEndpoint, type TransportSite } from "./memory_transport.ts";

export type { Delay, Direction, LinkFaults } from "./memory_faults.ts";
export type { SentMessage } from "./memory_link.ts";
export { memoryAddress } from "./memory_transport.ts";

/** How a {@linkcode MemoryNetwork} is made. */
export interface MemoryNetworkOptions {
  /** Whose clock and timers the delays use. */
  readonly runtime: Runtime;
  /** What all chance is drawn from: the same seed and the same calls make the same faults. 1 by default. */
  readonly seed?: number;
  /** Told of every message when it is sent, in order, before it arrives. Must not throw. */
  readonly tap?: (sent: SentMessage) => void;
}

/** How one transport is made. */
export interface MemoryTransportOptions {
  /** The largest message that is sent or taken, in bytes of UTF-8; 1 MiB by default. */
  readonly maxMessageBytes?: number;
}

/** A member's way into a {@linkcode MemoryNetwork}. */
export interface MemoryTransport extends Transport {
  /** Where peers reach it: `memory://host:port`. */
  readonly address: string;
}

/** What was sent, whether it arrived or not. */
export interface TrafficCounts {
  /** How many messages. */
  readonly messages: number;
  /** Of the messages' texts in UTF-8. */
  readonly bytes: number;
  /** How many of the messages were lost. */
  readonly lost: number;
  /** How many of the messages arrived twice. */
  readonly duplicated: number;
}

/** The size of message that members agree on unless they are told otherwise: 1 MiB. */
const DEFAULT_MAX_MESSAGE_BYTES = 1024 * 1024;

/**
 * A network within one process. Without a fault, everything arrives at once and no timer is set.
 *
 * @example
 * ```ts
 * import { realRuntime } from "../gossiper/runtime.ts";
 * import { MemoryNetwork } from "./memory.ts";
 *
 * await using network = new MemoryNetwork({ runtime: realRuntime });
 * const a = network.transport("a", 1);
 * const b = network.transport("b", 1);
 * const { signal } = new AbortController();
 * const connection = await a.dial(b.address, { signal });
 * await connection.writable.getWriter().write({ type: "ack", id: "1", holds: new Map() });
 * console.log(network.counts.bytes);
 * ```
 */
export class MemoryNetwork implements AsyncDisposable {
  readonly #faults = new FaultTable();
  readonly #transports = new Map<string, MemoryEndpoint>();
  readonly #connections = new Set<OpenConnection>();
  /** The same by the address of either end: of many connections few are at one address. */
  readonly #connectionsAt = new Map<string, Set<OpenConnection>>();
  /** By the sender's address, and by the receiver's. */
  readonly #counts = new Map<string, Map<string, Counter>>();
  readonly #total = new Counter();
  /** By the address of a balancer, the addresses behind it. */
  readonly #balanced = new Map<string, readonly string[]>();
  readonly #site: TransportSite;

  /** Makes a network with nobody in it. */
  constructor(options: MemoryNetworkOptions) {
    this.#site = {
      runtime: options.runtime,
      random: seededRandom(options.seed ?? 1),
      faults: this.#faults,
      onSent: (sent) => {
        this.#count(sent);
        options.tap?.(sent);
      },
      find: (address) => this.#transports.get(this.#behind(address)),
      onConnected: (ends, addresses) => this.#keep({ ends, addresses }),
      onClosed: (transport) => this.#transports.delete(transport.address),
    };
  }

  /**
   * A new transport, open at once at `memory://host:port`. Throws a `HearsayError` where another is open
   * there; once that is closed, the address can be taken again.
   */
  transport(host: string, port: number, options: MemoryTransportOptions = {}): MemoryTransport {
    const address = memoryAddress(host, port);
    if (this.#transports.has(address)) {
      throw new HearsayError("connection", `Another transport is open at ${address}; nothing was made.`);
    }
    const { maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES } = options;
    const transport = new MemoryEndpoint(this.#site, { address, maxMessageBytes });
    this.#transports.set(address, transport);
    return transport;
  }

  /**
   * Sets what goes wrong in a direction, in place of what was set for it before; without `from` or `to`, for
   * every address there. Of several rules the closest holds alone: the pair's, else the sender's, else the
   * receiver's, else that for all. Throws a `RangeError` for a chance that is none.
   */
  setFaults(faults: LinkFaults, direction: Direction = {}): void {
    this.#faults.set(faults, direction);
    if (faults.cut) this.#breakWhatIsCut();
  }

  /** Takes back everything that was set or cut, in every direction: from now on all goes well. */
  clearFaults(): void {
    this.#faults.clear();
  }

  /** Cuts the link between two addresses, both ways, until {@linkcode MemoryNetwork.heal}. */
  cut(one: string, other: string): void {
    this.#faults.cut(one, other);
    this.#breakWhatIsCut([one, other]);
  }

  /**
   * Breaks every connection that was dialled at an address, and refuses new ones until
   * {@linkcode MemoryNetwork.restoreProxy}: as a proxy in front of a living member does while it restarts. What the
   * member dialled itself stays.
   */
  stopProxy(address: string): void {
    this.#faults.refuse(address, true);
    for (const { ends, addresses: [, accepting] } of this.#at(address)) {
      if (accepting === address) { for (const end of ends) end.break({ tell: false }); }
    }
  }

  /** Takes connections at an address again. */
  restoreProxy(address: string): void {
    this.#faults.refuse(address, false);
  }

  /**
   * Leads each dial of an address to one of others, at random among those that are open: as a load balancer or a name
   * with several addresses does. In place of what was set for it before; with none behind it, nobody is there.
   */
  balance(address: string, behind: readonly string[]): void {
    this.#balanced.set(address, [...behind]);
  }

  /**
   * Holds back everything on its way to an address, answers to its dials included, until
   * {@linkcode MemoryNetwork.resume}: as where a process stands still. What it sends arrives.
   */
  pause(address: string): void {
    this.#faults.pause(address);
  }

  /** Lets everything that was held back for an address arrive. */
  resume(address: string): void {
    this.#faults.resume(address);
    for (const { ends, addresses } of this.#at(address)) {
      for (const [index, end] of ends.entries()) if (addresses[index] === address) end.resume();
    }
  }

  /** Ends all cuts and hangs. Other faults stay; what was broken stays broken. */
  heal(): void {
    this.#faults.heal();
  }

  /** What was sent by everybody. */
  get counts(): TrafficCounts {
    return { ...this.#total };
  }

  /** What was sent from one address to another. */
  countsBetween(from: string, to: string): TrafficCounts {
    return { ...this.#counts.get(from)?.get(to) ?? new Counter() };
  }

  /**
   * How many connections are open at an address, whoever dialled: a member that has stopped has left none. Where one
   * side has closed a connection and the other has not heard so yet, it is open at the other only.
   */
  openAt(address: string): number {
    let open = 0;
    for (const { ends, addresses } of this.#at(address)) {
      for (const [index, end] of ends.entries()) if (addresses[index] === address && end.isOpen) open++;
    }
    return open;
  }

  /** Closes every transport. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#transports.values()].map((transport) => transport.close()));
  }

  #behind(address: string): string {
    const open = this.#balanced.get(address)?.filter((each) => this.#transports.has(each));
    if (open === undefined || open.length === 0) return address;
    return open[Math.floor(this.#site.random() * open.length)]!;
  }

  #count(sent: SentMessage): void {
    let counters = this.#counts.get(sent.from);
    if (counters === undefined) this.#counts.set(sent.from, counters = new Map());
    let counter = counters.get(sent.to);
    if (counter === undefined) counters.set(sent.to, counter = new Counter());
    counter.add(sent);
    this.#total.add(sent);
  }

  #keep(connection: OpenConnection): void {
    this.#connections.add(connection);
    for (const address of connection.addresses) {
      const at = this.#connectionsAt.get(address);
      if (at) at.add(connection);
      else this.#connectionsAt.set(address, new Set([connection]));
    }
    // What is still under way when both ends are closed may be held back, and must be let go.
    const over = connection.ends.map(async (end) => {
      await end.closed;
      await end.flushed();
    });
    Promise.all(over).then(() => {
      this.#connections.delete(connection);
      for (const address of connection.addresses) {
        const at = this.#connectionsAt.get(address);
        at?.delete(connection);
        if (at?.size === 0) this.#connectionsAt.delete(address);
      }
    });
  }

  #at(address: string): Iterable<OpenConnection> {
    return this.#connectionsAt.get(address) ?? [];
  }

  /** Of all connections, or only of those with both ends among these addresses. */
  #breakWhatIsCut(among?: readonly [string, string]): void {
    for (const { ends, addresses: [one, other] } of among ? this.#at(among[0]) : this.#connections) {
      if (among && !(among.includes(one) && among.includes(other))) continue;
      if (!this.#faults.between(one, other).cut && !this.#faults.between(other, one).cut) continue;
      for (const [end, address] of [[ends[0], one], [ends[1], other]] as const) {
        // Whoever stands still notices when it runs again.
        if (this.#faults.paused(address)) end.breakWhenRead();
        else end.break({ tell: false });
      }
    }
  }
}

/** A connection of which at least one end is open. */
interface OpenConnection {
  readonly ends: readonly [MemoryEnd, MemoryEnd];
  readonly addresses: readonly [string, string];
}

class Counter implements TrafficCounts {
  messages = 0;
  bytes = 0;
  lost = 0;
  duplicated = 0;

  add(sent: SentMessage): void {
    this.messages++;
    this.bytes += sent.bytes;
    if (sent.copies === 0) this.lost++;
    if (sent.copies > 1) this.duplicated++;
  }
}
