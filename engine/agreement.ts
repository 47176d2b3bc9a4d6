/**
 * How many active peers are known to hold all that this member holds, as a running count (rules E6, E12).
 *
 * @module
 */

/** What a peer is known to hold: states are named by a digest and the hash of the active ids. */
interface Known {
  /** The state that it last sent. */
  sent?: string;
  /** The state that another member knows it to have. */
  reported?: string;
  /** By acknowledgement: this member's own state when the peer was known to lack nothing of it. */
  acknowledged?: string;
}

/** The states that a peer is known to hold. */
function statesOf({ sent, reported, acknowledged }: Known): Set<string | undefined> {
  return new Set([sent, reported, acknowledged]);
}

/** The digests that active peers are known to hold. */
export class Agreement {
  readonly #peers = new Map<string, Known>();
  readonly #counts = new Map<string, number>();

  /** The number of active peers. */
  get peers(): number {
    return this.#peers.size;
  }

  add(peerId: string): void {
    if (!this.#peers.has(peerId)) this.#peers.set(peerId, {});
  }

  remove(peerId: string): void {
    const known = this.#peers.get(peerId);
    if (known) this.#count(known, -1);
    this.#peers.delete(peerId);
  }

  /** Notes what a peer is known to hold; a peer that is not active is passed over. */
  set(
    peerId: string,
    change: {
      sent?: string | undefined;
      reported?: string | undefined;
      acknowledged?: string | undefined;
    },
  ): void {
    const known = this.#peers.get(peerId);
    if (!known) return;
    this.#count(known, -1);
    Object.assign(known, change);
    this.#count(known, 1);
  }

  /** The number of active peers known to hold the state of that name. */
  agreeing(state: string): number {
    return this.#counts.get(state) ?? 0;
  }

  /** Whether an active peer is known to hold the state of that name. */
  agrees(peerId: string, state: string): boolean {
    const known = this.#peers.get(peerId);
    return known !== undefined && statesOf(known).has(state);
  }

  #count(known: Known, change: 1 | -1): void {
    for (const state of statesOf(known)) {
      if (state === undefined) continue;
      const count = (this.#counts.get(state) ?? 0) + change;
      if (count === 0) this.#counts.delete(state);
      else this.#counts.set(state, count);
    }
  }
}
