/**
 * The dials to members: the dials under way, and the waits after failed dials.
 *
 * @module
 */

import { Backoffs } from "../common/backoff.ts";
import { HearsayError } from "../common/errors.ts";
import { deadlineAfter, type Runtime } from "../common/runtime.ts";
import type { Connection, Member, Transport } from "../contracts/cluster.ts";
import type { Session } from "../protocol/session.ts";
import { type Dialed, DialLimits } from "./dial_limits.ts";

/**
 * The time limit of a dial with its handshake, in request timeouts. 4: when many processes start at once on few
 * processors, a handshake takes longer than later requests. A handshake that is given up must start again from nothing.
 * Lower: members that start together dial several times. Higher: a process that does not answer keeps its slot longer.
 */
export const TIMEOUTS_PER_DIAL = 4;

/** Another member has the dialed address as its own, so the former member is no longer there. */
export class Replaced extends HearsayError {
  constructor(memberId: string, address: string) {
    super("unknown_member", `Another member than ${memberId} is at ${address}; nothing was sent.`);
  }
}

/** The dependencies of {@linkcode Dials}. */
export interface DialsOptions {
  readonly transport: Transport;
  readonly runtime: Runtime;
  readonly settings: {
    readonly gossipInterval: number;
    readonly gossipRequestTimeout: number;
    readonly maxBackoff: number;
  };
  /** Ends all dials when aborted. */
  readonly signal: AbortSignal;
  /** Serves a connection that was dialed for a member, if its id is known. */
  readonly serve: (connection: Connection, dialedId: string | undefined) => Session;
}

/** Dials members, each address once at a time. */
export class Dials {
  readonly #options: DialsOptions;
  /** By address, so that concurrent requests for a peer share one dial. */
  readonly #underWay = new Map<string, Promise<Member>>();
  /** The members that are dialed now. */
  readonly #dialedIds = new Set<string>();
  readonly #backoffs: Backoffs;
  readonly #limits: DialLimits;

  constructor(options: DialsOptions) {
    this.#options = options;
    const { runtime, settings: { gossipInterval: base, maxBackoff: cap } } = options;
    this.#backoffs = new Backoffs({ base, cap });
    this.#limits = new DialLimits({ runtime, base, cap });
  }

  /** The time limit of a dial with its handshake, in milliseconds. */
  get dialTimeout(): number {
    return TIMEOUTS_PER_DIAL * this.#options.settings.gossipRequestTimeout;
  }

  /** The address of a member; `undefined` if its host or `url` is invalid. */
  addressOf(member: Member): string | undefined {
    try {
      return this.#options.transport.addressOf(member);
    } catch {
      return undefined;
    }
  }

  /**
   * True if a member may be dialed now. False while it is dialed, and during a backoff: after a failed dial, or after
   * dials to its address found no member.
   */
  isFree(memberId: string, member: Member | undefined): boolean {
    if (this.#dialedIds.has(memberId)) return false;
    if (this.#backoffs.isResting(memberId, this.#options.runtime.monotonicMs())) return false;
    const address = member && this.addressOf(member);
    return address === undefined || this.#limits.isFree({ memberId, address });
  }

  /** Throws with code `busy` during the backoff of an address, unless it is dialed now. */
  assertFree(dialed: Dialed): void {
    const { address } = dialed;
    if (this.#underWay.has(address) || this.#limits.isFree(dialed)) return;
    throw new HearsayError(
      "busy",
      `Dials to ${address} failed; nothing was sent.`,
    );
  }

  /** The pending dial to an address; `undefined` if there is none. */
  underWay(address: string): Promise<Member> | undefined {
    return this.#underWay.get(address);
  }

  /** Dials an address and shakes hands, or joins the dial under way; resolves with the peer's record. */
  dial(address: string, memberId?: string): Promise<Member> {
    return this.#underWay.get(address) ?? this.#begin(address, memberId);
  }

  /** Records a handshake. `hasDialed` is true if the peer dialed this member, and so named its own address. */
  recordHandshake(peer: Member, { hasDialed }: { readonly hasDialed: boolean }): void {
    this.#backoffs.succeeded(peer.id);
    const address = hasDialed ? this.addressOf(peer) : undefined;
    if (address !== undefined) this.#limits.recordClaimed({ memberId: peer.id, address });
  }

  /** Drops the backoffs and notes of all other members. */
  retain(ids: ReadonlySet<string>): void {
    this.#backoffs.retain(ids);
    this.#limits.retain(ids);
  }

  /** Resolves when no dial is under way. */
  settled(): Promise<unknown> {
    return Promise.allSettled(this.#underWay.values());
  }

  #begin(address: string, memberId: string | undefined): Promise<Member> {
    if (memberId !== undefined) this.#dialedIds.add(memberId);
    const dial = this.#dialFor(address, memberId).finally(() => {
      this.#underWay.delete(address);
      if (memberId !== undefined) this.#dialedIds.delete(memberId);
    });
    this.#underWay.set(address, dial);
    return dial;
  }

  async #dialFor(address: string, memberId: string | undefined): Promise<Member> {
    if (memberId === undefined) {
      const found = await this.#dialOnce(address, memberId);
      this.#limits.recordFound({ memberId: found.id, address });
      return found;
    }
    try {
      const found = await this.#limits.dial({ memberId, address }, () => this.#dialOnce(address, memberId));
      if (found.id !== memberId) this.#failed(memberId);
      return found;
    } catch (error) {
      this.#failed(memberId);
      throw error;
    }
  }

  async #dialOnce(address: string, memberId: string | undefined): Promise<Member> {
    const { runtime, serve, signal, transport } = this.#options;
    using deadline = deadlineAfter(runtime, this.dialTimeout, `Dialing ${address}`, { signal });
    const connection = await transport.dial(address, { signal: deadline.signal });
    const session = serve(connection, memberId);
    try {
      return await session.handshake({ signal: deadline.signal });
    } catch (error) {
      session.leave("The handshake failed.");
      throw error;
    }
  }

  #failed(memberId: string): void {
    const { runtime } = this.#options;
    this.#backoffs.failed(memberId, { nowMs: runtime.monotonicMs(), random: runtime.random() });
  }
}
