/**
 * Limits the dials to one address for members known only from other members: a peer may invent any number of ids at
 * the address of a victim.
 *
 * @module
 */

import { Backoffs } from "../common/backoff.ts";
import { authorityOf } from "../common/canonical_address.ts";
import { HearsayError } from "../common/errors.ts";
import type { Runtime } from "../common/runtime.ts";

/** The most concurrent dials to one host and port. 4: three for a default round, and one in reserve. */
const MAX_DIALS_AT_ONCE = 4;
/** The most hosts and ports with a backoff. Beyond it, the entry with the oldest last failure is dropped. */
const MAX_AUTHORITIES = 1_024;

/** The dependencies of {@linkcode DialLimits}. */
export interface DialLimitsOptions {
  readonly runtime: Runtime;
  /** The longest wait in milliseconds: after one failed dial (`base`), and after any number of failed dials (`cap`). */
  readonly base: number;
  readonly cap: number;
}

/** A member and the address to dial for it. */
export interface Dialed {
  readonly memberId: string;
  readonly address: string;
}

/** The failed dials, by host and port. */
export class DialLimits {
  readonly #runtime: Runtime;
  readonly #rests: Backoffs;
  readonly #underWay = new Map<string, number>();
  /** The host and port at which each member was found. */
  readonly #foundAt = new Map<string, string>();
  /** The host and port that each member named in a handshake of its own. */
  readonly #claimedAt = new Map<string, string>();

  /** Makes limits without a failed dial. */
  constructor({ runtime, base, cap }: DialLimitsOptions) {
    this.#runtime = runtime;
    this.#rests = new Backoffs({ base, cap, most: MAX_AUTHORITIES });
  }

  /** True if an address may be dialed for a member now: it has a free slot, and no shared backoff holds it back. */
  isFree({ memberId, address }: Dialed): boolean {
    const authority = authorityIn(address);
    if ((this.#underWay.get(authority) ?? 0) >= MAX_DIALS_AT_ONCE) return false;
    return this.#isKnownAt(memberId, authority) ||
      !this.#rests.isResting(this.#restOf(memberId, authority), this.#runtime.monotonicMs());
  }

  /** Dials, and records whether the member was there. */
  async dial<T extends { readonly id: string }>(
    { memberId, address }: Dialed,
    dial: () => Promise<T>,
  ): Promise<T> {
    const authority = authorityIn(address);
    const atOnce = this.#underWay.get(authority) ?? 0;
    if (atOnce >= MAX_DIALS_AT_ONCE) {
      const text = `${address} has ${atOnce} dials under way; nothing was sent to ${memberId}.`;
      throw new HearsayError("busy", text);
    }
    this.#underWay.set(authority, atOnce + 1);
    try {
      const found = await dial();
      this.#foundAt.set(found.id, authority);
      if (found.id === memberId) this.#rests.succeeded(this.#restOf(memberId, authority));
      else this.#failed(memberId, authority);
      return found;
    } catch (error) {
      this.#failed(memberId, authority);
      throw error;
    } finally {
      const left = this.#underWay.get(authority)! - 1;
      if (left > 0) this.#underWay.set(authority, left);
      else this.#underWay.delete(authority);
    }
  }

  /** Records that a member answered at an address, as the address of a seed. */
  recordFound({ memberId, address }: Dialed): void {
    this.#foundAt.set(memberId, authorityIn(address));
  }

  /**
   * Records the address that a member named in a handshake. The address is not proven, but the member itself named it.
   * So ids that a peer invents at this address do not delay the dials to the member.
   */
  recordClaimed({ memberId, address }: Dialed): void {
    this.#claimedAt.set(memberId, authorityIn(address));
  }

  /** Drops the notes of all other members. */
  retain(ids: ReadonlySet<string>): void {
    for (const notes of [this.#foundAt, this.#claimedAt]) {
      for (const id of notes.keys()) if (!ids.has(id)) notes.delete(id);
    }
  }

  /**
   * A member once found at the address has its own backoff elsewhere, so its failures are not recorded here for other
   * members.
   */
  #failed(memberId: string, authority: string): void {
    if (this.#isKnownAt(memberId, authority)) return;
    this.#rests.failed(this.#restOf(memberId, authority), {
      nowMs: this.#runtime.monotonicMs(),
      random: this.#runtime.random(),
    });
  }

  /**
   * The key of a member's shared backoff. For each address, members that have shaken hands share one backoff, and
   * members known only by hearsay share another.
   */
  #restOf(memberId: string, authority: string): string {
    return this.#claimedAt.get(memberId) === authority ? `claimed ${authority}` : authority;
  }

  #isKnownAt(memberId: string, authority: string): boolean {
    return this.#foundAt.get(memberId) === authority;
  }
}

/** The host and port in one form, without the path. */
function authorityIn(address: string): string {
  return authorityOf(address) ?? address;
}
