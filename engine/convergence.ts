/**
 * The number of active peers with the same state as this member, as a running count (rules E6, E12).
 *
 * @module
 */

/** The known states of a peer; the name of a state is a digest and the hash of the active ids. */
interface PeerStates {
  /** The state in the peer's last message. */
  sent: string | undefined;
  /** The state in a report of another member. */
  reported: string | undefined;
  /** This member's state, when the peer had acknowledged all of it. */
  acknowledged: string | undefined;
}

/** One object for all peers without a known state: in a large cluster most peers have no known state for long. */
const NOTHING: Readonly<PeerStates> = Object.freeze({
  sent: undefined,
  reported: undefined,
  acknowledged: undefined,
});

/** The known states of all active peers. */
export class ConvergenceTracker {
  readonly #peers = new Map<string, Readonly<PeerStates>>();
  readonly #counts = new Map<string, number>();
  #retractions = 0;

  /** The number of active peers. */
  get peers(): number {
    return this.#peers.size;
  }

  /** The number of reports that were taken back. */
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

  /** Records names of a peer's state; returns true if one changed. */
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

  /** The number of active peers with this state. */
  agreeing(state: string): number {
    return this.#counts.get(state) ?? 0;
  }

  /** True if an active peer has this state. */
  agrees(peerId: string, state: string): boolean {
    const known = this.#peers.get(peerId);
    return known !== undefined &&
      (known.sent === state || known.reported === state || known.acknowledged === state);
  }

  /** A peer counts once for each state, even if several sources name it. */
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
