/**
 * The requests that one side of a conversation makes, one under way at a time, and what became of them.
 *
 * @module
 */

import type { Sent } from "../engine/engine.ts";
import { HearsayError } from "../common/errors.ts";
import type { Hello, Reconcile, Reply } from "./message.ts";

/** How many requests that timed out are remembered, so that a late reply still counts (rule E5). */
export const MAX_LATE_REQUESTS = 8;

/** What can be asked of a peer, and what its answer is to be applied with. */
export type Question =
  | { readonly kind: "hello" }
  | { readonly kind: "gossip"; readonly sent: Sent }
  | { readonly kind: "reconcile"; readonly last: boolean };

/** What answers a request. */
export type Answer = Hello | Reply | Reconcile;

/** A request that was made. */
export interface Request {
  readonly id: string;
  readonly question: Question;
  readonly answer: PromiseWithResolvers<Answer>;
}

/** The requests of one side. Their ids begin with a letter that tells the sides apart. */
export class Requests {
  readonly #prefix: string;
  readonly #late = new Map<string, Request>();
  #made = 0;
  #underWay: Request | undefined;
  #idle: PromiseWithResolvers<void> | undefined;

  /** Makes the requests of the side with that letter. */
  constructor(prefix: "d" | "a") {
    this.#prefix = prefix;
  }

  /** Whether a request is under way. */
  get isBusy(): boolean {
    return this.#underWay !== undefined;
  }

  /** Begins a request; throws `busy` while another is under way. */
  begin(question: Question): Request {
    if (this.#underWay) {
      throw new HearsayError("busy", "Another request to this peer is under way; nothing was sent.");
    }
    const id = `${this.#prefix}${++this.#made}`;
    this.#underWay = { id, question, answer: Promise.withResolvers() };
    return this.#underWay;
  }

  /** Whether an id is of a request that this side has made, be it long ago. */
  made(id: string): boolean {
    if (!id.startsWith(this.#prefix)) return false;
    const number = id.slice(this.#prefix.length);
    return /^[1-9][0-9]{0,14}$/.test(number) && Number(number) <= this.#made;
  }

  /** Takes out the request that an answer belongs to, whether it is under way or late. */
  take(id: string): Request | undefined {
    const late = this.#late.get(id);
    if (late) {
      this.#late.delete(id);
      return late;
    }
    const request = this.#underWay;
    if (request?.id !== id) return undefined;
    this.#release();
    return request;
  }

  /** Takes out the request under way, whichever it is. */
  takeUnderWay(): Request | undefined {
    const request = this.#underWay;
    this.#release();
    return request;
  }

  /** Waits no longer for a request; returns whether it was still under way. */
  expire(request: Request): boolean {
    if (this.#underWay !== request) return false;
    this.#late.set(request.id, request);
    if (this.#late.size > MAX_LATE_REQUESTS) this.#late.delete(this.#late.keys().next().value!);
    this.#release();
    return true;
  }

  /** Resolves when no request is under way. */
  async whenIdle(): Promise<void> {
    while (this.#underWay) await (this.#idle ??= Promise.withResolvers<void>()).promise;
  }

  #release(): void {
    this.#underWay = undefined;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}
