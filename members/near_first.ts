/**
 * Gossip that stays within a zone where possible (rule S4). Pushes go to only a few members of each other zone, the
 * bridges. Rounds draw one far peer for several near peers.
 *
 * @module
 */

import { inRandomOrder } from "../common/random_order.ts";
import type { Changes } from "../engine/transactions.ts";
import { SIGNING_KEY } from "../engine/types.ts";
import { SILENT_DIVISOR } from "../engine/view.ts";
import type { ConnectionPool } from "../gossiper/connection_pool.ts";
import type { Insight } from "../gossiper/insight.ts";
import type { PushTo, Routes } from "../gossiper/routes.ts";
import { DIRECT_MEMBERS, RELAYS } from "../gossiper/spread.ts";
import type { Session } from "../protocol/session.ts";
import { described, DESCRIPTION_KEY } from "./reading.ts";

/**
 * The number of members in each other zone to which a change is pushed. 2: after one lost push, or with one crashed
 * bridge, the zone still gets the change before the next round. More: the bytes across zones grow in proportion.
 */
const BRIDGES = 2;
/**
 * The number of near peers for each far peer in the rounds. 8: with two zones of twelve members, about nine exchanges
 * in each round still cross zones. Fewer: more bytes across zones. More: agreement and heartbeats cross later.
 */
const NEAR_PER_FAR = 8;

/**
 * The share of heartbeats on a silent connection that become requests. 1 in 8: a dead connection between two zones is
 * found within minutes at rest, and within a few rounds after a change. Lower: it is found later. Higher: more bytes
 * cross zones.
 */
const ASKED_SHARE = 1 / 8; // mutant replace-value 2: one in nine finds it as well.

/** The routes of a member with a zone. Peers without a zone, or without `nearFirst`, are near to all. */
export class NearFirst implements Routes {
  readonly #insight: Insight;
  readonly #peers: ConnectionPool;

  /** Called by `describeMember`. */
  constructor(insight: Insight, peers: ConnectionPool) {
    this.#insight = insight;
    this.#peers = peers;
  }

  /** All near peers, the far peers that are due, and by lot one far peer for each eight near ones. */
  turn(ids: readonly string[]): readonly string[] {
    const [far, near] = partition(ids, (id) => this.isFar(id));
    if (near.length === 0 || this.#signs) return ids;
    // Broken connections show crashes. If a member can be connected to all, its unconnected far peers come in every turn, so
    // that all connections are made as fast as without `nearFirst`.
    // mutant move-bound: with as many peers as connections, draws by lot make all connections as well.
    const isMesh = ids.length < this.#insight.config.maxConnections;
    const isDue = (id: string) => isMesh && !this.#peers.session(id) || !this.#isHeard(id);
    const [due, lot] = partition(far, isDue);
    return [...near, ...due, ...this.#some(lot, Math.ceil(near.length / NEAR_PER_FAR))];
  }

  /** True for a member of another zone, if both have `nearFirst`. */
  isFar(id: string): boolean {
    const own = this.#zoneOf(this.#insight.host.view.id);
    const zone = this.#zoneOf(id);
    return own !== undefined && zone !== undefined && zone !== own;
  }

  /** True while all members are known to agree, and newer heartbeats of the peer arrive, from itself or by relays. */
  isAtRest(id: string): boolean {
    const { runtime, view } = this.#insight.host;
    if (view.phase !== "confirmed" || this.#signs || !this.isFar(id) || !this.#isHeard(id)) return false;
    // mutant move-bound: a draw of exactly this share makes no difference.
    return !view.isSilent(id) || runtime.random() >= ASKED_SHARE;
  }

  /** Own changes go to all near peers and to bridges; a change of another zone goes on to all near peers. */
  push({ own, others }: Changes, sessions: readonly Session[], pushTo: PushTo): void {
    const { host: { view }, config: { gossipFanOut } } = this.#insight;
    const [far, near] = partition(sessions, ({ peer }) => this.isFar(peer!.id));
    const [farIds, nearIds] = partition([...others], (id) => this.isFar(id));
    const nearActive = view.activePeers().filter((id) => !this.isFar(id)).length;
    // mutant move-bound: a zone of exactly so many members works either way.
    const isFew = nearActive < DIRECT_MEMBERS;
    const plan = new Plan();
    if (own) {
      const relay = !isFew || near.length < nearActive;
      plan.add(isFew ? near : this.#some(near, gossipFanOut), [view.id], relay);
      plan.add(this.#bridges(far), [view.id], true);
    }
    // mutant move-bound: a push without members is not sent.
    if (farIds.length > 0) plan.add(isFew ? near : this.#some(near, RELAYS), farIds, !isFew);
    if (nearIds.length > 0) plan.add(this.#some(near, RELAYS), nearIds, true);
    for (const [session, { ids, relay }] of plan.pushes) pushTo(session, ids, { relay });
  }

  /** True if a heartbeat of a peer arrived within a quarter of the expiration, from itself or by relays. */
  #isHeard(id: string): boolean {
    const { host: { runtime, view }, config: { heartbeatExpiration } } = this.#insight;
    const report = view.heartbeatReport(id);
    if (!report) return false;
    // mutant move-bound: a moment later is as good.
    return runtime.monotonicMs() - report.monotonicMs <= heartbeatExpiration / SILENT_DIVISOR;
  }

  /** Up to two random sessions with each other zone. */
  #bridges(far: readonly Session[]): Session[] {
    const zones = new Map<string, number>();
    return this.#some(far, far.length).filter(({ peer }) => {
      const zone = this.#zoneOf(peer!.id)!;
      const count = zones.get(zone) ?? 0;
      zones.set(zone, count + 1);
      return count < BRIDGES;
    });
  }

  /**
   * True if members sign. Each member must then hear every other member itself (rule L4), so rounds treat near and far
   * peers alike.
   */
  get #signs(): boolean {
    const { view } = this.#insight.host;
    return view.get(view.id, SIGNING_KEY) !== undefined;
  }

  /** The zone of a member with `nearFirst`. */
  #zoneOf(id: string): string | undefined {
    const { host: { view }, topology } = this.#insight;
    // mutant drop-fallback: `described` reads kinds only without a description, and the topology has each member here.
    const { zone, nearFirst } = described(topology.get(id)?.kinds ?? [], view.get(id, DESCRIPTION_KEY));
    return nearFirst ? zone : undefined;
  }

  #some<T>(items: readonly T[], count: number): T[] {
    const { runtime } = this.#insight.host;
    return [...inRandomOrder(items, () => runtime.random()).take(count)];
  }
}

/** Two lists, in the order of the items: those that fit, and the others. */
function partition<T>(items: readonly T[], fits: (item: T) => boolean): readonly [fitting: T[], others: T[]] {
  const fitting: T[] = [];
  const others: T[] = [];
  for (const item of items) (fits(item) ? fitting : others).push(item);
  return [fitting, others];
}

/** The pushes that go out together: one to each session, because a peer limits the rate of messages. */
class Plan {
  readonly pushes = new Map<Session, { readonly ids: Set<string>; relay: boolean }>();

  add(sessions: readonly Session[], ids: readonly string[], relay: boolean): void {
    for (const session of sessions) {
      const planned = this.pushes.get(session) ?? { ids: new Set(), relay: false };
      for (const id of ids) planned.ids.add(id);
      planned.relay ||= relay;
      this.pushes.set(session, planned);
    }
  }
}
