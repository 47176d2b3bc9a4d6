/**
 * A network within one process, for tests and simulations. It encodes and decodes every message, counts
 * messages, and simulates faults.
 *
 * @module
 */

import type { Transport } from "../contracts/cluster.ts";
import { HearsayError } from "../common/errors.ts";
import type { Runtime } from "../common/runtime.ts";
import type { MemoryEnd } from "./memory_connection.ts";
import { type Direction, FaultTable, type LinkFaults } from "./memory_faults.ts";
import type { SentMessage } from "./memory_link.ts";
import { seededRandom } from "./memory_random.ts";
import { memoryAddress, MemoryEndpoint, type TransportSite } from "./memory_transport.ts";

export type { Delay, Direction, LinkFaults } from "./memory_faults.ts";
export type { SentMessage } from "./memory_link.ts";
export { memoryAddress } from "./memory_transport.ts";

/** Options of a {@linkcode MemoryNetwork}. */
export interface MemoryNetworkOptions {
  /** The clock and the timers of delays. */
  readonly runtime: Runtime;
  /**
   * The seed of all random decisions; 1 by default. The same seed and the same calls give the same faults.
   */
  readonly seed?: number;
  /** Called for every message when it is sent, in order, before it arrives. Must not throw. */
  readonly tap?: (sent: SentMessage) => void;
}

/** Options of one transport. */
export interface MemoryTransportOptions {
  /** The largest message that is sent or accepted, in bytes of UTF-8; 1 MiB by default. */
  readonly maxMessageBytes?: number;
}

/** A member's transport in a {@linkcode MemoryNetwork}. */
export interface MemoryTransport extends Transport {
  /** The address that peers dial: `memory://host:port`. */
  readonly address: string;
}

/** Counts of sent messages, including lost messages. */
export interface TrafficCounts {
  /** The number of messages. */
  readonly messages: number;
  /** The size of all messages in bytes of UTF-8. */
  readonly bytes: number;
  /** The number of lost messages. */
  readonly lost: number;
  /** The number of messages that arrived twice. */
  readonly duplicated: number;
}

/** The default of `maxMessageBytes` in the gossiper's settings: 1 MiB. */
const DEFAULT_MAX_MESSAGE_BYTES = 1024 * 1024;

/**
 * A network within one process. Without a fault, every message arrives at once and no timer is set.
 *
 * @example
 * ```ts
 * import { realRuntime } from "@hearsay/gossip/contracts";
 * import { MemoryNetwork } from "@hearsay/gossip/testing";
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
  /** Connections by the address of either end: only few of many are at one address. */
  readonly #connectionsAt = new Map<string, Set<OpenConnection>>();
  /** By the sender's address, and by the receiver's. */
  readonly #counts = new Map<string, Map<string, Counter>>();
  readonly #total = new Counter();
  /** The addresses behind each load balancer's address. */
  readonly #balanced = new Map<string, readonly string[]>();
  readonly #site: TransportSite;

  /** Creates a network without transports. */
  constructor(options: MemoryNetworkOptions) {
    this.#site = {
      runtime: options.runtime,
      random: seededRandom(options.seed ?? 1),
      faults: this.#faults,
      onSent: (sent) => {
        this.#count(sent);
        options.tap?.(sent);
      },
      forward: (address) => this.#forward(address),
      find: (address) => this.#transports.get(address),
      onConnected: (ends, addresses) => this.#keep({ ends, addresses }),
      onClosed: (transport) => this.#transports.delete(transport.address),
    };
  }

  /**
   * Opens a transport at `memory://host:port`. Throws a `HearsayError` if one is open there already; a closed
   * transport's address is free again.
   */
  transport(host: string, port: number, options: MemoryTransportOptions = {}): MemoryTransport {
    const address = memoryAddress(host, port);
    if (this.#transports.has(address)) {
      throw new HearsayError("connection", `Another transport is open at ${address}. Nothing was opened.`);
    }
    const { maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES } = options;
    const transport = new MemoryEndpoint(this.#site, { address, maxMessageBytes });
    this.#transports.set(address, transport);
    return transport;
  }

  /**
   * Sets the faults of a direction, in place of earlier faults of the same direction. Without `from` or `to`, the rule
   * is for every sender or receiver. Only the most specific rule applies: the pair's, then the sender's, then the
   * receiver's, then the general one. Throws a `RangeError` if a fault is out of range.
   */
  setFaults(faults: LinkFaults, direction: Direction = {}): void {
    this.#faults.set(faults, direction);
    if (faults.cut) this.#breakWhatIsCut();
  }

  /** Removes all faults and cuts, in every direction. */
  clearFaults(): void {
    this.#faults.clear();
  }

  /** Cuts the link between two addresses in both directions, until {@linkcode MemoryNetwork.heal}. */
  cut(one: string, other: string): void {
    this.#faults.cut(one, other);
    this.#breakWhatIsCut([one, other]);
  }

  /**
   * Breaks every connection that was dialed at an address, and refuses new connections until
   * {@linkcode MemoryNetwork.restoreProxy}, like a proxy that restarts in front of a running member. Connections that
   * the member dialed stay open.
   */
  stopProxy(address: string): void {
    this.#faults.refuse(address, true);
    for (const { ends, addresses: [, accepting] } of this.#at(address)) {
      if (accepting === address) { for (const end of ends) end.break({ tell: false }); }
    }
  }

  /** Accepts connections at an address again. */
  restoreProxy(address: string): void {
    this.#faults.refuse(address, false);
  }

  /**
   * Forwards each dial of an address to a random open one of `behind`, like a load balancer or a name with
   * several addresses. Replaces earlier targets. Without an open target, dials are refused. Faults apply to the
   * link between the dialer and the target.
   */
  balance(address: string, behind: readonly string[]): void {
    this.#balanced.set(address, [...behind]);
  }

  /**
   * Delays everything sent to an address, including answers to its dials, until {@linkcode
   * MemoryNetwork.resume}, like a suspended process. Messages from the address still arrive.
   */
  pause(address: string): void {
    this.#faults.pause(address);
  }

  /** Delivers everything that {@linkcode MemoryNetwork.pause} delayed for an address. */
  resume(address: string): void {
    this.#faults.resume(address);
    for (const { ends, addresses } of this.#at(address)) {
      for (const [index, end] of ends.entries()) if (addresses[index] === address) end.resume();
    }
  }

  /** Ends all cuts and hangs. Other faults stay; broken connections stay broken. */
  heal(): void {
    this.#faults.heal();
  }

  /** Counts of all messages. */
  get counts(): TrafficCounts {
    return { ...this.#total };
  }

  /** Counts of the messages from one address to another. */
  countsBetween(from: string, to: string): TrafficCounts {
    return { ...this.#counts.get(from)?.get(to) ?? new Counter() };
  }

  /**
   * The number of open connections at an address, whichever side dialed; 0 after a member has stopped. If one
   * side has closed and the other has not received that yet, the connection counts only at the other side.
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

  #forward(address: string): string {
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
    // Pending messages may be delayed after both ends have closed, and must still be released.
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

  /** Breaks connections over a cut link: all of them, or only those between two of these addresses. */
  #breakWhatIsCut(among?: readonly [string, string]): void {
    for (const { ends, addresses: [one, other] } of among ? this.#at(among[0]) : this.#connections) {
      if (among && !(among.includes(one) && among.includes(other))) continue;
      if (!this.#faults.between(one, other).cut && !this.#faults.between(other, one).cut) continue;
      for (const [end, address] of [[ends[0], one], [ends[1], other]] as const) {
        // A suspended process notices the break when it resumes.
        if (this.#faults.paused(address)) end.breakWhenRead();
        else end.break({ tell: false });
      }
    }
  }
}

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
