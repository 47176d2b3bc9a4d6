/**
 * The requests of one side of a connection: the request under way, and late requests. Also the ids of the other side's
 * requests.
 *
 * @module
 */

import type { Sent } from "../engine/engine.ts";
import { BoundedMap } from "../common/bounded_map.ts";
import { HearsayError } from "../common/errors.ts";
import type { Hello, Reconcile, Reply } from "./message.ts";

/** The most requests remembered after a timeout, so that a late reply still counts (rule E5). */
export const MAX_LATE_REQUESTS = 8;

/** The most replies remembered without an acknowledgement. */
export const MAX_UNACKNOWLEDGED = 8;
/** The fault of an answer with an id that this side never used. */
export const UNKNOWN_ID = "The id must be that of a request of this side.";

/** A request to the peer, with the data needed to apply its answer. */
export type Question =
  | { readonly kind: "hello" }
  | { readonly kind: "gossip"; readonly sent: Sent }
  | { readonly kind: "reconcile"; readonly last: boolean };

/** The answer to a request. */
export type Answer = Hello | Reply | Reconcile;

/** A sent request. */
export interface Request {
  readonly id: string;
  readonly question: Question;
  readonly answer: PromiseWithResolvers<Answer>;
}

/** The requests of one side. The first letter of their ids names the side. */
export class Requests {
  readonly #prefix: string;
  readonly #late = new BoundedMap<string, Request>(MAX_LATE_REQUESTS);
  #made = 0;
  /** The number in the peer's latest request. */
  #latestOfPeer = -1;
  #underWay: Request | undefined;
  #idle: PromiseWithResolvers<void> | undefined;

  /** Makes the requests of the dialer (`d`) or acceptor (`a`). */
  constructor(prefix: "d" | "a") {
    this.#prefix = prefix;
  }

  /** True while a request is under way. */
  get isBusy(): boolean {
    return this.#underWay !== undefined;
  }

  /** True if the time limit of a request has passed. */
  isLate(request: Request): boolean {
    return this.#late.get(request.id) === request;
  }

  /** Begins a request; throws with code `busy` while another is under way. */
  begin(question: Question): Request {
    if (this.#underWay) {
      throw new HearsayError("busy", "Another request to this peer is under way; nothing was sent.");
    }
    const id = `${this.#prefix}${++this.#made}`;
    this.#underWay = { id, question, answer: Promise.withResolvers() };
    return this.#underWay;
  }

  /** True for the id of any request that this side has made. */
  made(id: string): boolean {
    if (!this.isOwn(id)) return false;
    const number = id.slice(this.#prefix.length);
    return /^[1-9][0-9]{0,14}$/.test(number) && Number(number) <= this.#made;
  }

  /** True for an id of this side's requests. */
  isOwn(id: string): boolean {
    return id.startsWith(this.#prefix);
  }

  /** True for a valid id of the peer's requests. */
  isOfPeer(id: string): boolean {
    return /^[da][0-9]{1,15}$/.test(id) && !this.isOwn(id);
  }

  /** Records a request of the peer. Returns false if the request is repeated, or older than the latest. */
  acceptOfPeer(id: string): boolean {
    const number = Number(id.slice(1));
    if (number <= this.#latestOfPeer) return false;
    this.#latestOfPeer = number;
    return true;
  }

  /** Removes and returns the request of an answer, under way or late. */
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

  /**
   * Removes and returns the request that an answer of this kind belongs to. If there is no such request, `fault` has
   * the reason.
   */
  takeAnswer(
    id: string,
    kind: Question["kind"],
  ): { readonly request?: Request | undefined; readonly fault?: string } {
    if (!this.made(id)) return { fault: UNKNOWN_ID };
    const request = this.take(id);
    if (!request || request.question.kind === kind) return { request };
    return { request, fault: `Expected the answer to \`${request.question.kind}\`.` };
  }

  /** Removes and returns the request under way. */
  takeUnderWay(): Request | undefined {
    const request = this.#underWay;
    this.#release();
    return request;
  }

  /** Marks a request as late; returns false if it is no longer under way. */
  expire(request: Request): boolean {
    if (this.#underWay !== request) return false;
    this.#late.set(request.id, request);
    this.#release();
    return true;
  }

  /** Resolves once no request is under way. */
  async whenIdle(): Promise<void> {
    while (this.#underWay) await (this.#idle ??= Promise.withResolvers<void>()).promise;
  }

  #release(): void {
    this.#underWay = undefined;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}

/** This side's latest replies that the peer has not acknowledged. */
export class Replies {
  readonly #sent = new BoundedMap<string, Sent>(MAX_UNACKNOWLEDGED);

  /** Adds a reply under the id of the peer's request; drops the oldest above the limit. */
  add(id: string, sent: Sent): void {
    this.#sent.set(id, sent);
  }

  /** Removes and returns the content of a reply. */
  take(id: string): Sent | undefined {
    const sent = this.#sent.get(id);
    this.#sent.delete(id);
    return sent;
  }
}
