/**
 * One member's way into a {@linkcode MemoryNetwork}.
 *
 * @module
 */

import type { Connection, Member, Transport } from "../gossiper/cluster.ts";
import { ConnectionRefused, HearsayError } from "../gossiper/errors.ts";
import { abortable, sleep } from "../gossiper/runtime.ts";
import { connect, type EndOwner, type MemoryEnd } from "./memory_connection.ts";
import { drawDelay } from "./memory_faults.ts";
import type { LinkSite } from "./memory_link.ts";

/** How many connections may wait to be taken from `incoming`; further dials are refused. */
export const MAX_UNACCEPTED = 128;

/** What a transport asks of the network that it is in. */
export interface TransportSite extends LinkSite {
  /** The transport at an address, if one is open there. */
  find(address: string): MemoryEndpoint | undefined;
  /** Keeps both ends of a connection in mind, so that a cut can break them. */
  onConnected(ends: readonly [MemoryEnd, MemoryEnd], addresses: readonly [string, string]): void;
  /** Hears of a transport that closes, so that its address is free again. */
  onClosed(endpoint: MemoryEndpoint): void;
}

/** The address of a member in a {@linkcode MemoryNetwork}. */
export function memoryAddress(host: string, port: number): string {
  return `memory://${host}:${port}`;
}

/** A transport within one process. Made by {@linkcode MemoryNetwork.transport}. */
export class MemoryEndpoint implements Transport {
  /** Connections that peers opened. */
  readonly incoming: ReadableStream<Connection>;
  /** Where peers reach this transport. */
  readonly address: string;
  readonly #site: TransportSite;
  readonly #owner: EndOwner;
  readonly #closing = new AbortController();
  readonly #open = new Set<MemoryEnd>();
  readonly #dials = new Set<Promise<unknown>>();
  #unaccepted: MemoryEnd[] = [];
  #accepting!: ReadableStreamDefaultController<Connection>;
  #accepts = true;
  #waiting = false;
  #closed: Promise<void> | undefined;

  /** Makes a transport that is open; use {@linkcode MemoryNetwork.transport}. */
  constructor(site: TransportSite, owner: EndOwner) {
    this.#site = site;
    this.#owner = owner;
    this.address = owner.address;
    this.incoming = new ReadableStream<Connection>({
      start: (controller) => {
        this.#accepting = controller;
      },
      pull: () => {
        this.#waiting = true;
        this.#handOut();
      },
      cancel: () => this.#refuseAll(),
    }, { highWaterMark: 0 });
  }

  /** `memory://host:port`. */
  addressOf(member: Member): string {
    return memoryAddress(member.host, member.port);
  }

  /**
   * Opens a connection: at once, unless the link has a delay. Rejects with a `HearsayError` whose code is
   * `connection` where nobody is there, the link is cut or the peer takes no more, and `stopped` where this
   * transport is closed; with the signal's reason where it is aborted.
   */
  dial(address: string, options: { readonly signal: AbortSignal }): Promise<Connection> {
    const dial = this.#dial(address, options.signal).catch((error) => this.#refused(error, options.signal));
    this.#dials.add(dial);
    dial.catch(() => {}).finally(() => this.#dials.delete(dial));
    return dial;
  }

  /** Closes every connection and stops accepting; resolves when nothing is under way from here. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  /** Takes a peer's dial, as its network hands it over; `undefined` is a refusal. */
  accept(dialler: EndOwner): MemoryEnd | undefined {
    if (!this.#accepts || this.#unaccepted.length >= MAX_UNACCEPTED) return undefined;
    const ends = connect(this.#site, dialler, this.#owner);
    this.#site.onConnected(ends, [dialler.address, this.address]);
    const [near, far] = ends;
    this.#track(far);
    this.#unaccepted.push(far);
    this.#handOut();
    return near;
  }

  async #dial(address: string, signal: AbortSignal): Promise<MemoryEnd> {
    using stopped = eitherOf(signal, this.#closing.signal);
    await this.#travel([this.address, address], stopped.signal);
    const endpoint = this.#site.faults.refuses(address) ? undefined : this.#site.find(address);
    if (!endpoint) {
      throw new ConnectionRefused(`No connection to ${address} was opened: nobody listens there.`);
    }
    const end = endpoint.accept(this.#owner);
    if (end === undefined) throw refusal(address, "nobody accepts connections there");
    this.#track(end);
    try {
      await this.#travel([address, this.address], stopped.signal);
    } catch (error) {
      end.break({ tell: true });
      throw error;
    }
    return end;
  }

  /** Whoever stands still learns of a refusal when it runs again. */
  async #refused(error: unknown, signal: AbortSignal): Promise<never> {
    const paused = this.#site.faults.paused(this.address);
    if (paused && !signal.aborted) await abortable(paused, signal);
    throw error;
  }

  /** Brings a dial, or the answer to it, from one address to another. */
  async #travel([from, to]: readonly [string, string], signal: AbortSignal): Promise<void> {
    const { delayMs } = this.#site.faults.between(from, to);
    const delay = drawDelay(delayMs, this.#site.random);
    if (delay > 0) await sleep(this.#site.runtime, delay, { signal });
    const paused = this.#site.faults.paused(to);
    if (paused) await abortable(paused, signal);
    const out = this.#site.faults.between(from, to);
    const back = this.#site.faults.between(to, from);
    const peer = this.address === from ? to : from;
    if (out.cut || back.cut) throw refusal(peer, "the link is cut");
    if (out.hang || back.hang) await abortable(new Promise<never>(() => {}), signal);
    signal.throwIfAborted();
  }

  async #close(): Promise<void> {
    this.#site.onClosed(this);
    this.#closing.abort(
      new HearsayError("stopped", `The transport at ${this.address} is closed; nothing was dialled.`),
    );
    const wasAccepting = this.#accepts;
    this.#accepts = false;
    this.#unaccepted = [];
    if (wasAccepting) this.#accepting.close();
    await Promise.allSettled(this.#dials);
    await Promise.all([...this.#open].map((end) => {
      end.goAway();
      return end.flushed();
    }));
  }

  #track(end: MemoryEnd): void {
    this.#open.add(end);
    end.closed.then(() => end.flushed()).then(() => this.#open.delete(end));
  }

  #handOut(): void {
    if (!this.#waiting || this.#unaccepted.length === 0) return;
    // Before the enqueueing: that may pull again at once.
    this.#waiting = false;
    this.#accepting.enqueue(this.#unaccepted.shift()!);
  }

  #refuseAll(): void {
    this.#accepts = false;
    for (const end of this.#unaccepted.splice(0)) end.goAway();
  }
}

function refusal(address: string, why: string): HearsayError {
  return new HearsayError("connection", `No connection to ${address} was opened: ${why}.`);
}

/** A signal that follows two others, until it is disposed of: `AbortSignal.any` would stay with a long-lived one. */
function eitherOf(one: AbortSignal, other: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const followOne = () => controller.abort(one.reason);
  const followOther = () => controller.abort(other.reason);
  one.addEventListener("abort", followOne);
  other.addEventListener("abort", followOther);
  if (one.aborted) followOne();
  else if (other.aborted) followOther();
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      one.removeEventListener("abort", followOne);
      other.removeEventListener("abort", followOther);
    },
  };
}
