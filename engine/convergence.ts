/**
 * How many active peers are known to hold all that this member holds, as a running count (rules E6, E12).
 *
 * @module
 */

/** What a peer is known to hold: states are named by a digest and the hash of the active ids. */
interface PeerStates {
  /** The state that it last sent. */
  sent: string | undefined;
  /** The state that another member knows it to have. */
  reported: string | undefined;
  /** By acknowledgement: this member's own state when the peer was known to lack nothing of it. */
  acknowledged: string | undefined;
}

/** Of most peers of a large cluster nothing is known for long: one object stands for all of them. */
const NOTHING: Readonly<PeerStates> = Object.freeze({
  sent: undefined,
  reported: undefined,
  acknowledged: undefined,
});

/** The digests that active peers are known to hold. */
export class ConvergenceTracker {
  readonly #peers = new Map<string, Readonly<PeerStates>>();
  readonly #counts = new Map<string, number>();
  #retractions = 0;

  /** The number of active peers. */
  get peers(): number {
    return this.#peers.size;
  }

  /** How often it was taken back that another member had reported a state of a peer. */
  get retractions(): number {
    return this.#retractions;
  }

  add(peerId: string): void {
    if (!this.#peers.has(peerId)) this.#peers.set(peerId, NOTHING);
  }

  remove(peerId: string): void {
    const known = this.#peers.get(peerId);
    if (known) this.#count(known, -1);
    this.#peers.delete(peerId);
  }

  /** Notes what a peer is known to hold; returns whether that changed. A peer that is not active is passed over. */
  set(
    peerId: string,
    change: {
      readonly sent?: string | undefined;
      readonly reported?: string | undefined;
      readonly acknowledged?: string | undefined;
    },
  ): boolean {
    const known = this.#peers.get(peerId);
    if (!known) return false;
    const sent = "sent" in change ? change.sent : known.sent;
    const reported = "reported" in change ? change.reported : known.reported;
    const acknowledged = "acknowledged" in change ? change.acknowledged : known.acknowledged;
    if (sent === known.sent && reported === known.reported && acknowledged === known.acknowledged) {
      return false;
    }
    if (reported === undefined && known.reported !== undefined) this.#retractions++;
    this.#count(known, -1);
    const now = { sent, reported, acknowledged };
    if (known === NOTHING) this.#peers.set(peerId, now);
    else Object.assign(known, now);
    this.#count(now, 1);
    return true;
  }

  /** The number of active peers known to hold the state of that name. */
  agreeing(state: string): number {
    return this.#counts.get(state) ?? 0;
  }

  /** Whether an active peer is known to hold the state of that name. */
  agrees(peerId: string, state: string): boolean {
    const known = this.#peers.get(peerId);
    return known !== undefined &&
      (known.sent === state || known.reported === state || known.acknowledged === state);
  }

  /** A peer counts once for each state, however often it is known to hold it. */
  #count({ sent, reported, acknowledged }: Readonly<PeerStates>, change: 1 | -1): void {
    this.#countState(sent, change);
    if (reported !== sent) this.#countState(reported, change);
    if (acknowledged !== sent && acknowledged !== reported) this.#countState(acknowledged, change);
  }

  #countState(state: string | undefined, change: 1 | -1): void {
    if (state === undefined) return;
    const count = (this.#counts.get(state) ?? 0) + change;
    if (count === 0) this.#counts.delete(state);
    else this.#counts.set(state, count);
  }
}
