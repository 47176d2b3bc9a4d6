/**
 * One member's transport in a {@linkcode MemoryNetwork}.
 *
 * @module
 */

import type { Connection, Member, Transport } from "../contracts/cluster.ts";
import { ConnectionRefused, HearsayError } from "../common/errors.ts";
import { abortable, sleep } from "../common/runtime.ts";
import { connect, type EndOwner, type MemoryEnd } from "./memory_connection.ts";
import { drawDelay } from "./memory_faults.ts";
import type { LinkSite } from "./memory_link.ts";

/** The most connections that wait in `incoming`; further dials are refused. */
export const MAX_UNACCEPTED = 128;

/** The network that transports belong to. */
export interface TransportSite extends LinkSite {
  /** The target of a dial: the address behind a load balancer, or the dialed address itself. */
  forward(address: string): string;
  /** The open transport at an address, if any. */
  find(address: string): MemoryEndpoint | undefined;
  /** Registers both ends of a connection, so that a cut can break them. */
  onConnected(ends: readonly [MemoryEnd, MemoryEnd], addresses: readonly [string, string]): void;
  /** Called when a transport closes; frees its address. */
  onClosed(endpoint: MemoryEndpoint): void;
}

/** The address of a member in a {@linkcode MemoryNetwork}. */
export function memoryAddress(host: string, port: number): string {
  return `memory://${host}:${port}`;
}

/** A transport within one process. Created by {@linkcode MemoryNetwork.transport}. */
export class MemoryEndpoint implements Transport {
  /** Connections that peers dialed. */
  readonly incoming: ReadableStream<Connection>;
  /** The address that peers dial. */
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

  /** Creates an open transport; use {@linkcode MemoryNetwork.transport}. */
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

  /** Returns the member's `url`; `memory://host:port` without one. */
  addressOf(member: Member): string {
    return member.url ?? memoryAddress(member.host, member.port);
  }

  /**
   * Opens a connection: at once, unless the link has a delay. Rejects with the signal's reason if it is
   * aborted, otherwise with a `HearsayError`: `stopped` if this transport is closed, `connection` if no
   * transport is open there, the link is cut, or the peer accepts no more connections.
   */
  dial(address: string, options: { readonly signal: AbortSignal }): Promise<Connection> {
    const dial = this.#dial(address, options.signal).catch((error) => this.#refused(error, options.signal));
    this.#dials.add(dial);
    dial.catch(() => {}).finally(() => this.#dials.delete(dial));
    return dial;
  }

  /** Closes every connection and stops accepting. Resolves when no message from here is in transit. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  /** Accepts a peer's dial; returns `undefined` to refuse it. */
  accept(dialer: EndOwner): MemoryEnd | undefined {
    if (!this.#accepts || this.#unaccepted.length >= MAX_UNACCEPTED) return undefined;
    const ends = connect(this.#site, dialer, this.#owner);
    this.#site.onConnected(ends, [dialer.address, this.address]);
    const [near, far] = ends;
    this.#track(far);
    this.#unaccepted.push(far);
    this.#handOut();
    return near;
  }

  async #dial(address: string, signal: AbortSignal): Promise<MemoryEnd> {
    using stopped = eitherOf(signal, this.#closing.signal);
    // Chosen before the faults, because the faults of the link to the chosen target apply.
    const target = this.#site.forward(address);
    await this.#travel([this.address, target], stopped.signal);
    const { faults } = this.#site;
    const isRefused = faults.refuses(address) || faults.refuses(target);
    const endpoint = isRefused ? undefined : this.#site.find(target);
    if (!endpoint) {
      throw new ConnectionRefused(`No connection to ${address} was opened: no process listens there.`);
    }
    const end = endpoint.accept(this.#owner);
    if (end === undefined) throw refusal(address, "the peer accepts no more connections");
    this.#track(end);
    try {
      await this.#travel([target, this.address], stopped.signal);
    } catch (error) {
      end.break({ tell: true });
      throw error;
    }
    return end;
  }

  /** Rejects with the error. A suspended process receives it only after it has resumed. */
  async #refused(error: unknown, signal: AbortSignal): Promise<never> {
    const paused = this.#site.faults.paused(this.address);
    if (paused && !signal.aborted) await abortable(paused, signal);
    throw error;
  }

  /** Simulates the transit of a dial or its answer. */
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
      new HearsayError("stopped", `The transport at ${this.address} is closed. Nothing was dialed.`),
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
    // Before enqueue(), which may pull again at once.
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

/**
 * A signal that is aborted with either of two others, until it is disposed of. A signal of `AbortSignal.any` would stay
 * attached to a long-lived signal.
 */
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
