/**
 * One direction of an in-memory connection: what is under way, and what goes wrong there.
 *
 * @module
 */

import type { CloseInfo } from "../gossiper/cluster.ts";
import type { Runtime } from "../gossiper/runtime.ts";
import { drawDelay, type FaultTable, type LinkFaults } from "./memory_faults.ts";

/** How many messages may be under way or unread in one direction before the writer has to wait. */
export const WINDOW_MESSAGES = 32;
/** How many bytes may be, likewise; one message may exceed it. As large as the largest message by default. */
export const WINDOW_BYTES: number = 1024 * 1024;

/** A message on its way, and how large it is in UTF-8; or the news that the sender has closed. */
export type Frame = { readonly text: string; readonly bytes: number } | { readonly close: CloseInfo };

/** What became of a message, for those who count. */
export interface SentMessage {
  /** The sender's address. */
  readonly from: string;
  /** The receiver's address. */
  readonly to: string;
  /** As it was encoded. */
  readonly text: string;
  /** How large that is in UTF-8. */
  readonly bytes: number;
  /** How many times it will arrive: 0 where it was lost, 2 where it was duplicated. */
  readonly copies: number;
}

/** What links ask of the network that they are in. */
export interface LinkSite {
  readonly runtime: Runtime;
  readonly random: () => number;
  readonly faults: FaultTable;
  /** Told of every message, in the order of sending. */
  onSent(sent: SentMessage): void;
}

/** The ends of a link. */
export interface LinkEnds {
  readonly from: string;
  readonly to: string;
  /** Takes what arrives. */
  receive(frame: Frame): void;
}

/** Carries frames from one end to the other, in order unless a fault says otherwise. */
export class MemoryLink {
  readonly #site: LinkSite;
  readonly #ends: LinkEnds;
  /** What is under way, by time of arrival. Never long: the window bounds it. */
  #inFlight: { readonly arrivesMs: number; readonly frame: Frame }[] = [];
  #lastInOrderMs = 0;
  #cancelTimer: (() => void) | undefined;
  #messages = 0;
  #bytes = 0;
  #room: PromiseWithResolvers<void> | undefined;
  #idle: PromiseWithResolvers<void> | undefined;

  /** Makes a link between two ends, with nothing under way. */
  constructor(site: LinkSite, ends: LinkEnds) {
    this.#site = site;
    this.#ends = ends;
  }

  /** Sends a message, or loses it, as the faults have it. */
  send(text: string, bytes: number): void {
    const faults = this.#faults;
    const copies = this.#drawCopies(faults);
    this.#site.onSent({ from: this.#ends.from, to: this.#ends.to, text, bytes, copies });
    const frame = { text: faults.rewrite ? faults.rewrite(text) : text, bytes };
    for (let copy = 0; copy < copies; copy++) {
      this.#messages++;
      this.#bytes += bytes;
      this.#sendFrame(frame, faults);
    }
  }

  /** Tells the other end, after all that is under way, that this one is closed. */
  sendClose(close: CloseInfo): void {
    const faults = this.#faults;
    if (faults.hang) return;
    // Not even a message that was held back may come after it.
    this.#lastInOrderMs = Math.max(this.#lastInOrderMs, this.#inFlight.at(-1)?.arrivesMs ?? 0);
    this.#sendInOrder({ close }, faults);
  }

  /** A promise of room for the next message; `undefined` where there is room already. */
  room(): Promise<void> | undefined {
    if (this.#hasRoom) return undefined;
    return (this.#room ??= Promise.withResolvers<void>()).promise;
  }

  /** The reader took a message of so many bytes: there is room for another. */
  release(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes;
    if (this.#hasRoom) this.wake();
  }

  /** Lets whoever waits for room go on. */
  wake(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    if (this.#inFlight.length > 0) await (this.#idle ??= Promise.withResolvers<void>()).promise;
  }

  /** The receiver reads again: what has arrived meanwhile comes now. */
  resume(): void {
    this.#setTimer();
  }

  /** Forgets all that is under way: nobody is there to take it. */
  discard(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#inFlight = [];
    this.#checkIdle();
  }

  get #faults(): LinkFaults {
    return this.#site.faults.between(this.#ends.from, this.#ends.to);
  }

  get #isPaused(): boolean {
    return this.#site.faults.paused(this.#ends.to) !== undefined;
  }

  get #hasRoom(): boolean {
    return this.#messages < WINDOW_MESSAGES && this.#bytes < WINDOW_BYTES;
  }

  #drawCopies(faults: LinkFaults): number {
    if (faults.hang || this.#happens(faults.loss)) return 0;
    return this.#happens(faults.duplicate) ? 2 : 1;
  }

  /** Draws only where there is something to draw, so that a fault changes no other one's luck. */
  #happens(chance: number | undefined): boolean {
    return chance !== undefined && chance > 0 && this.#site.random() < chance;
  }

  #sendFrame(frame: Frame, faults: LinkFaults): void {
    if (!this.#happens(faults.reorder)) return this.#sendInOrder(frame, faults);
    const delayMs = drawDelay(faults.delayMs, this.#site.random) + (faults.reorderMs ?? 50);
    this.#queue(frame, this.#site.runtime.monotonicMs() + delayMs);
  }

  #sendInOrder(frame: Frame, faults: LinkFaults): void {
    const delayMs = drawDelay(faults.delayMs, this.#site.random);
    const isAtOnce = delayMs === 0 && this.#inFlight.length === 0 && !this.#isPaused;
    if (isAtOnce) return this.#ends.receive(frame);
    const nowMs = this.#site.runtime.monotonicMs();
    this.#lastInOrderMs = Math.max(nowMs + delayMs, this.#lastInOrderMs);
    const firstMs = this.#inFlight[0]?.arrivesMs ?? Infinity;
    if (this.#lastInOrderMs <= nowMs && firstMs > nowMs && !this.#isPaused) {
      return this.#ends.receive(frame);
    }
    this.#queue(frame, this.#lastInOrderMs);
  }

  #queue(frame: Frame, arrivesMs: number): void {
    let at = this.#inFlight.length;
    while (at > 0 && this.#inFlight[at - 1]!.arrivesMs > arrivesMs) at--;
    this.#inFlight.splice(at, 0, { arrivesMs, frame });
    if (at === 0) this.#setTimer();
  }

  /** One timer for the link, for what arrives first: so that timers of equal time cannot change the order. */
  #setTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const first = this.#inFlight[0];
    if (first === undefined) return this.#checkIdle();
    if (this.#isPaused) return;
    const delayMs = Math.max(0, first.arrivesMs - this.#site.runtime.monotonicMs());
    this.#cancelTimer = this.#site.runtime.setTimer(delayMs, () => this.#arrive(first.arrivesMs));
  }

  #arrive(untilMs: number): void {
    this.#cancelTimer = undefined;
    while (!this.#isPaused && (this.#inFlight[0]?.arrivesMs ?? Infinity) <= untilMs) {
      // Receiving may close the connection, which discards the rest.
      this.#ends.receive(this.#inFlight.shift()!.frame);
    }
    this.#setTimer();
  }

  #checkIdle(): void {
    if (this.#inFlight.length > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}
