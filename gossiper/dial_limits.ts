/**
 * How often one address is dialled for members of which only others have spoken: a peer may invent any number of ids at
 * the address of a victim.
 *
 * @module
 */

import { Backoffs } from "../common/backoff.ts";
import { HearsayError } from "../common/errors.ts";
import type { Runtime } from "../common/runtime.ts";

/** How many dials to one host and port are under way at once: as many as a round makes by default, and one more. */
const MAX_DIALS_AT_ONCE = 4;
/** How many hosts and ports are remembered; beyond that, those that failed first are forgotten. */
const MAX_AUTHORITIES = 1_024;

/** What {@linkcode DialLimits} needs. */
export interface DialLimitsOptions {
  readonly runtime: Runtime;
  /** The longest wait after the first dial in vain, and after any number of them, in milliseconds. */
  readonly base: number;
  readonly cap: number;
}

/** Who is dialled, and where. */
export interface Dialled {
  readonly memberId: string;
  readonly address: string;
}

/** Dials in vain, by host and port. */
export class DialLimits {
  readonly #runtime: Runtime;
  readonly #rests: Backoffs;
  readonly #underWay = new Map<string, number>();
  /** Where each member was found when it was dialled. */
  readonly #foundAt = new Map<string, string>();

  /** Nothing was dialled yet. */
  constructor({ runtime, base, cap }: DialLimitsOptions) {
    this.#runtime = runtime;
    this.#rests = new Backoffs({ base, cap, most: MAX_AUTHORITIES });
  }

  /** True if an address may be dialled for a member now, as far as what happened there for others goes. */
  isFree({ memberId, address }: Dialled): boolean {
    const authority = authorityOf(address);
    if ((this.#underWay.get(authority) ?? 0) >= MAX_DIALS_AT_ONCE) return false;
    return this.#isKnownAt(memberId, authority) ||
      !this.#rests.isResting(authority, this.#runtime.monotonicMs());
  }

  /** Dials, and notes whether the member was there. */
  async dial<T extends { readonly id: string }>(
    { memberId, address }: Dialled,
    dial: () => Promise<T>,
  ): Promise<T> {
    const authority = authorityOf(address);
    const atOnce = this.#underWay.get(authority) ?? 0;
    if (atOnce >= MAX_DIALS_AT_ONCE) {
      const text = `${address} is being dialled ${atOnce} times; it was not dialled for ${memberId}.`;
      throw new HearsayError("busy", text);
    }
    this.#underWay.set(authority, atOnce + 1);
    try {
      const found = await dial();
      this.#foundAt.set(found.id, authority);
      if (found.id === memberId) this.#rests.succeeded(authority);
      else this.#inVain(memberId, authority);
      return found;
    } catch (error) {
      this.#inVain(memberId, authority);
      throw error;
    } finally {
      const left = this.#underWay.get(authority)! - 1;
      if (left > 0) this.#underWay.set(authority, left);
      else this.#underWay.delete(authority);
    }
  }

  /** Forgets all but these members. */
  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#foundAt.keys()) if (!ids.has(id)) this.#foundAt.delete(id);
  }

  /** A member that was found there has a backoff of its own, and is no reason to leave others alone. */
  #inVain(memberId: string, authority: string): void {
    if (this.#isKnownAt(memberId, authority)) return;
    this.#rests.failed(authority, { nowMs: this.#runtime.monotonicMs(), random: this.#runtime.random() });
  }

  #isKnownAt(memberId: string, authority: string): boolean {
    return this.#foundAt.get(memberId) === authority;
  }
}

/** The host and port, however they are written, and whatever the path. */
function authorityOf(address: string): string {
  const host = URL.parse(address)?.host.toLowerCase() ?? address;
  return host.replace(/^localhost(?=:|$)/, "127.0.0.1");
}
