/**
 * Detects crashed members by their sockets (rules C1 to C4 in `docs/ALGORITHM.md`): a killed process resets its
 * connections, and its port refuses new connections. A partition, a suspended process or a slow network causes neither;
 * such failures are left to `heartbeatExpiration`.
 *
 * @module
 */

import { CONFIRM_AFTER_MS } from "../engine/liveness/suspicions.ts";
import type { Suspect } from "../protocol/message.ts";
import { isDialable } from "../contracts/cluster.ts";
import type { EngineHost } from "./engine_host.ts";
import { ConnectionRefused, HearsayError } from "../common/errors.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import { Replaced } from "./dials.ts";
import { BoundedMap } from "../common/bounded_map.ts";
import { inRandomOrder } from "../common/random_order.ts";
import { TokenBucket } from "../common/token_bucket.ts";
import { deadlineAfter, sleep } from "../common/runtime.ts";
import type { Topology } from "./topology.ts";

/** The least number of dials before a crash is confirmed. The address must refuse each dial. */
const DIALS = 5;
/**
 * The share of the wait for a crash between the first two dials. Members that suspect a crash may know different last
 * heartbeat counts. A member that learns a newer count restarts its wait. So the members inform each other a second
 * time soon after the first.
 */
const SHARE_BEFORE_SECOND_DIAL = 1 / 21;
/** The most doublings of the time between dials after the first {@linkcode DIALS}. 3: a dial at least every 2.7 s. */
const MAX_DOUBLINGS = 3;
/** The number of peers that get a suspicion. 8: almost surely one of them hears from the suspect if it lives. */
const INFORMED_PEERS = 8;
/** The most members that are dialed at a time to find out if this member's own network is broken. */
const MAX_ASKED = 3;
/** The dials per second for suspicions of peers. Without a limit a hostile peer could make this member dial at will. */
const MAX_HEARSAY_PER_SECOND = 32;

/** The most members whose evidence is remembered. Other members are left to `heartbeatExpiration`. */
const MAX_REMEMBERED = 1_024;

/** The dependencies of a {@linkcode CrashWatch}. */
export interface CrashWatchOptions {
  readonly engineHost: EngineHost;
  readonly peers: ConnectionPool;
  readonly topology: Topology;
  readonly settings: {
    readonly detectCrashes: boolean;
    readonly gossipRequestTimeout: number;
    readonly heartbeatExpiration: number;
  };
}

/** Makes a watch; `undefined` without `detectCrashes`. */
export function watchCrashes(options: CrashWatchOptions): CrashWatch | undefined {
  return options.settings.detectCrashes ? new CrashWatch(options) : undefined;
}

/** Dials members that may have crashed. */
export class CrashWatch {
  readonly #options: CrashWatchOptions;
  readonly #watched = new Map<string, Promise<void>>();
  /**
   * By member id: the time of the last evidence. Its connection broke, an expected answer did not arrive, or a peer
   * suspected it.
   */
  readonly #evidenceMs = new BoundedMap<string, number>(MAX_REMEMBERED);
  readonly #ending = new AbortController();
  readonly #hearsay: TokenBucket;
  readonly #waitMs: number;

  /** Makes a watch without suspects. */
  constructor(options: CrashWatchOptions) {
    this.#options = options;
    this.#hearsay = new TokenBucket(MAX_HEARSAY_PER_SECOND, options.engineHost.runtime);
    this.#waitMs = Math.min(CONFIRM_AFTER_MS, options.settings.heartbeatExpiration / 2);
  }

  /** Dials a member whose last connection broke. */
  onConnectionBroken(id: string): void {
    this.#evidenceMs.set(id, this.#options.engineHost.runtime.monotonicMs());
    this.#watch(id, { isHearsay: false });
  }

  /**
   * Dials a member again after it refused a dial of a round, if there is evidence and no heartbeat has come since. The
   * first dials may have ended in another way, because the next process at its address answers slowly while it starts.
   * A process that hung before it was killed has already lost its connections. And the address may have been in its
   * backoff when a peer suspected the member.
   */
  onFailure(id: string, error: unknown): void {
    const nowMs = this.#options.engineHost.runtime.monotonicMs();
    if (error instanceof HearsayError && error.code === "timeout") this.#evidenceMs.set(id, nowMs);
    const evidenceMs = this.#evidenceMs.get(id);
    if (evidenceMs === undefined || !isRefusal(error)) return;
    const heardMs = this.#options.engineHost.view.heartbeatReport(id)?.monotonicMs ?? -Infinity;
    // A heartbeat that was under way may arrive after the evidence.
    if (heardMs <= evidenceMs + this.#waitMs) this.#watch(id, { isHearsay: false });
  }

  /** Dials a member that a peer suspects, to find evidence or none, unless there is a connection with it. */
  onSuspect({ memberId, incarnation, isAlive }: Suspect): void {
    const { engineHost, peers } = this.#options;
    const { view } = engineHost;
    if (isAlive || memberId === view.id || view.incarnationOf(memberId) !== incarnation) return;
    if (peers.session(memberId) || !this.#hearsay.take(1)) return;
    this.#evidenceMs.set(memberId, engineHost.runtime.monotonicMs());
    this.#watch(memberId, { isHearsay: true });
  }

  /** Dials no more; resolves once no dial is under way. */
  async end(): Promise<void> {
    this.#ending.abort(new HearsayError("stopped", "This member has stopped."));
    await Promise.all(this.#watched.values());
  }

  #watch(id: string, { isHearsay }: { readonly isHearsay: boolean }): void {
    const { engineHost, topology } = this.#options;
    const member = topology.get(id);
    const isToWatch = member && isDialable(member) && id !== engineHost.view.id &&
      engineHost.view.activeIds().has(id);
    if (!isToWatch || this.#watched.has(id) || this.#ending.signal.aborted) return;
    const watching = this.#dialUntilClear(id, { isHearsay }).catch(() => {}).finally(() => {
      this.#watched.delete(id);
      engineHost.do((engine) => engine.clearSuspicion(id));
    });
    this.#watched.set(id, watching);
  }

  /**
   * Dials a member until it answers, its crash is confirmed, or a dial fails for another reason than a refusal. After a
   * peer's suspicion, dials respect the backoff of the address until the first refusal: a peer may invent any number of
   * ids there.
   */
  async #dialUntilClear(id: string, { isHearsay }: { readonly isHearsay: boolean }): Promise<void> {
    const { engineHost } = this.#options;
    const { signal } = this.#ending;
    const second = this.#waitMs * SHARE_BEFORE_SECOND_DIAL;
    const informed = new Set<string>();
    let refused = 0;
    while (engineHost.view.activeIds().has(id)) {
      const answer = await this.#dial(id, { ignoreBackoff: !isHearsay || refused > 0 });
      if (answer === "other" || !engineHost.view.activeIds().has(id)) return;
      if (answer === "refused") {
        refused++;
        engineHost.do((engine, now) => engine.suspect(id, now));
      }
      let delayMs = refused <= 1 ? second : (this.#waitMs - second) / (DIALS - 2);
      // Time alone proves nothing: this process may have been suspended.
      if (refused >= DIALS) {
        delayMs *= 2 ** Math.min(refused - DIALS, MAX_DOUBLINGS);
        if (await this.#hasWitness(id, informed)) {
          const { dueInMs } = engineHost.do((engine, now) =>
            engine.confirmCrash(id, { waitMs: this.#waitMs }, now)
          );
          if (dueInMs <= 0) return;
          // A heartbeat sent before the crash restarts the wait; the next dial comes at its end.
          delayMs = Math.min(delayMs, dueInMs);
        }
      }
      if (refused > 0) this.#inform(id, informed);
      // Rounded up: timers may be whole milliseconds, and a last dial just before the end would not count.
      await sleep(engineHost.runtime, Math.ceil(delayMs), { signal });
    }
  }

  /**
   * `refused` if the member is not at its address: nothing listens there, or another member has the address as its own,
   * such as the next process after a restart. `busy` if other dials to its host and port are under way.
   */
  async #dial(
    id: string,
    options: { readonly ignoreBackoff: boolean },
  ): Promise<"busy" | "other" | "refused"> {
    const { engineHost, peers, topology, settings } = this.#options;
    const member = topology.get(id);
    if (!member) return "other";
    using deadline = deadlineAfter(engineHost.runtime, settings.gossipRequestTimeout, `Dialing ${id}`, {
      signal: this.#ending.signal,
    });
    try {
      await peers.reach(member, { signal: deadline.signal, ...options });
      return "other";
    } catch (error) {
      if (isRefusal(error)) return "refused";
      // A backoff is respected, and a free slot is awaited.
      const isBusy = error instanceof HearsayError && error.code === "busy";
      return isBusy && options.ignoreBackoff ? "busy" : "other";
    }
  }

  /**
   * True if another member that is no suspect can be reached: then this member's own network is not the reason why the
   * suspect refuses. A connection counts if it is still open after the suspicion was sent on it. Without one, a few members
   * are dialed. With no other member there is nothing to ask.
   */
  async #hasWitness(id: string, informed: ReadonlySet<string>): Promise<boolean> {
    const { engineHost: { view, runtime }, peers } = this.#options;
    const others = [...view.activeIds()].filter((other) => other !== view.id && other !== id);
    if (others.length === 0) return true;
    const possible = others.filter((other) => !view.isSuspected(other));
    if (possible.some((other) => informed.has(other) && peers.session(other))) return true;
    for (const other of inRandomOrder(possible, () => runtime.random()).take(MAX_ASKED)) {
      await this.#dial(other, { ignoreBackoff: false });
      if (peers.session(other)) return true;
    }
    return false;
  }

  /** Sends a suspicion to peers, and adds their ids to those that were informed. */
  #inform(id: string, informed: Set<string>): void {
    const { engineHost, peers } = this.#options;
    const { view, runtime } = engineHost;
    const incarnation = view.incarnationOf(id);
    if (incarnation === undefined) return;
    const count = view.heartbeatOf(id)?.number ?? 0;
    const active = view.activeIds();
    const sessions = peers.sessions().filter(({ peer }) => active.has(peer!.id) && peer!.id !== id);
    for (const session of inRandomOrder(sessions, () => runtime.random()).take(INFORMED_PEERS)) {
      informed.add(session.peer!.id);
      session.suspect({ memberId: id, incarnation, count, isAlive: false });
    }
  }
}

/** True if nothing listens at the address of a member, or another member has the address as its own. */
function isRefusal(error: unknown): boolean {
  return error instanceof ConnectionRefused || error instanceof Replaced;
}
