/**
 * One direction of an in-memory connection: its messages in transit and its faults.
 *
 * @module
 */

import type { CloseInfo } from "../contracts/cluster.ts";
import type { Runtime } from "../common/runtime.ts";
import { drawDelay, type FaultTable, type LinkFaults } from "./memory_faults.ts";

/** The most messages in transit or unread in one direction; then the writer has to wait. */
export const WINDOW_MESSAGES = 32;
/** The most bytes in transit or unread in one direction; a single message may exceed it. The default of `maxMessageBytes`. */
export const WINDOW_BYTES: number = 1024 * 1024;

/** A message and its size in bytes of UTF-8, or the sender's close. */
export type Frame = { readonly text: string; readonly bytes: number } | { readonly close: CloseInfo };

/** A sent message, for counters. */
export interface SentMessage {
  /** The sender's address. */
  readonly from: string;
  /** The receiver's address. */
  readonly to: string;
  /** The encoded message. */
  readonly text: string;
  /** The size of `text` in bytes of UTF-8. */
  readonly bytes: number;
  /** The number of arrivals: 0 if the message is lost, 2 if it is duplicated. */
  readonly copies: number;
}

/** The network that links belong to. */
export interface LinkSite {
  readonly runtime: Runtime;
  readonly random: () => number;
  readonly faults: FaultTable;
  /** Called for every message, in the order of sending. */
  onSent(sent: SentMessage): void;
}

/** The two ends of a link. */
export interface LinkEnds {
  readonly from: string;
  readonly to: string;
  /** Receives each frame. */
  receive(frame: Frame): void;
}

/** Delivers frames from one end to the other, in order unless a fault changes it. */
export class MemoryLink {
  readonly #site: LinkSite;
  readonly #ends: LinkEnds;
  /** Frames in transit by time of arrival. The window limits them. */
  #inFlight: { readonly arrivesMs: number; readonly frame: Frame }[] = [];
  #lastInOrderMs = 0;
  #cancelTimer: (() => void) | undefined;
  #messages = 0;
  #bytes = 0;
  #room: PromiseWithResolvers<void> | undefined;
  #idle: PromiseWithResolvers<void> | undefined;

  /** Creates a link without frames in transit. */
  constructor(site: LinkSite, ends: LinkEnds) {
    this.#site = site;
    this.#ends = ends;
  }

  /** Sends a message, or drops it according to the faults. */
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

  /** Sends this end's close after all frames in transit. */
  sendClose(close: CloseInfo): void {
    const faults = this.#faults;
    if (faults.hang) return;
    // Even a delayed message must not arrive after the close.
    this.#lastInOrderMs = Math.max(this.#lastInOrderMs, this.#inFlight.at(-1)?.arrivesMs ?? 0);
    this.#sendInOrder({ close }, faults);
  }

  /** Resolves when there is room for the next message; `undefined` if there is room already. */
  room(): Promise<void> | undefined {
    if (this.#hasRoom) return undefined;
    return (this.#room ??= Promise.withResolvers<void>()).promise;
  }

  /** Frees the room of a message that was read. */
  release(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes;
    if (this.#hasRoom) this.wake();
  }

  /** Resolves the promise of {@linkcode MemoryLink.room}. */
  wake(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** Resolves when no frame is in transit. */
  async idle(): Promise<void> {
    if (this.#inFlight.length > 0) await (this.#idle ??= Promise.withResolvers<void>()).promise;
  }

  /** Delivers delayed frames after the receiver has resumed. */
  resume(): void {
    this.#setTimer();
  }

  /** Drops all frames in transit, because the receiver has ended. */
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

  /** Draws a number only for a possible fault, so that one fault does not change the draws of others. */
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

  /** One timer for the earliest frame: separate timers of equal time might fire in another order. */
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
      // A received frame may close the connection, which discards the other frames.
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
