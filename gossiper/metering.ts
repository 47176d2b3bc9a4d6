/**
 * Connects a running gossiper with its meters: blocks, lag, and the amounts that are read on demand.
 *
 * @module
 */

import { endsWithProofOfLife } from "../engine/membership/block_list.ts";
import { BoundedMap } from "../common/bounded_map.ts";
import { HearsayError } from "../common/errors.ts";
import type { Runtime } from "../common/runtime.ts";
import type { Cluster } from "../contracts/cluster.ts";
import type { Amounts, ExchangeOutcome, Meters } from "../contracts/meters.ts";
import type { HearsayEvent } from "../contracts/event_stream.ts";
import { type BlockReason, HEARTBEAT_KEY, type Incarnation } from "../engine/types.ts";
import { PeerRefused } from "../protocol/refusal.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import type { FlushResult } from "./departure.ts";
import type { EngineHost } from "./engine_host.ts";
import type { Loop } from "./loop.ts";
import { SpreadLag } from "./spread_lag.ts";
import type { Topology } from "./topology.ts";
import { membersOf } from "./views.ts";

/** The dependencies of a {@linkcode Metering}. */
export interface MeteringOptions {
  readonly meters: Meters;
  readonly cluster: Cluster;
  readonly engineHost: EngineHost;
  readonly topology: Topology;
  readonly peers: ConnectionPool;
  readonly loop: Loop;
  /** The most members. */
  readonly maxMembers: number;
}

/** A block that has not ended. */
interface OpenBlock {
  readonly reason: BlockReason;
  readonly sinceMs: number;
  readonly incarnation: Incarnation | undefined;
  readonly heartbeat: number;
}

/** An ended block of a member that was not heard since. */
interface EndedBlock extends OpenBlock {
  readonly durationMs: number;
}

/** Reports events of the engine of one member. */
export class Metering {
  readonly #options: MeteringOptions;
  readonly #blocks: BoundedMap<string, OpenBlock>;
  readonly #ended: BoundedMap<string, EndedBlock>;
  readonly #lag: SpreadLag;
  readonly #startMs: number;
  #hasMet = false;

  /** Begins to report. */
  constructor(options: MeteringOptions) {
    const { meters, cluster, engineHost, maxMembers } = options;
    const { runtime, view } = engineHost;
    this.#options = options;
    this.#blocks = new BoundedMap(maxMembers);
    this.#ended = new BoundedMap(maxMembers);
    this.#startMs = runtime.monotonicMs();
    this.#lag = new SpreadLag({
      meters,
      monotonicMs: () => runtime.monotonicMs(),
      peers: () => view.activePeers().length,
      acknowledgedBy: (number) => view.acknowledgedBy(number),
    });
    engineHost.onEvent((event) => this.#onEvent(event));
    const { id } = cluster.self;
    meters.started({ id, cluster: cluster.name, runtime, amounts: () => this.#amounts() });
  }

  /**
   * A peer acknowledged state, or sent its own state in an exchange. The lag is checked only here: a check after every
   * call of the engine would cost a busy member 5 % of its processor time.
   */
  onExchanged(): void {
    this.#lag.check();
    for (const [id, block] of this.#ended) this.#judge(id, block);
  }

  /** A handshake succeeded. */
  onHandshake(): void {
    if (this.#hasMet) return;
    this.#hasMet = true;
    this.#options.meters.joined(this.#options.engineHost.runtime.monotonicMs() - this.#startMs);
  }

  #onEvent(event: HearsayEvent): void {
    switch (event.type) {
      case "GossipUpdate": {
        const isOwn = event.memberId === this.#options.engineHost.view.id && event.key !== HEARTBEAT_KEY;
        if (isOwn) this.#lag.begin(event.sequenceNumber);
        return;
      }
      case "IncarnationRenewed":
        return this.#lag.clear();
      case "MemberBlocked":
        return this.#onBlocked(event.memberId, event.reason);
      case "MemberUnblocked":
        return this.#onUnblocked(event.memberId);
      case "MemberLeft":
      case "MemberFailed":
        // The sets no longer wait for this member.
        return this.#lag.check();
      case "MemberForgotten":
        this.#blocks.delete(event.memberId);
        return void this.#ended.delete(event.memberId);
    }
  }

  #onBlocked(id: string, reason: BlockReason): void {
    const { meters, engineHost: { view, runtime } } = this.#options;
    this.#ended.delete(id);
    this.#blocks.set(id, {
      reason,
      sinceMs: runtime.monotonicMs(),
      incarnation: view.incarnationOf(id),
      heartbeat: view.heartbeatOf(id)?.number ?? 0,
    });
    meters.blocked(reason);
  }

  #onUnblocked(id: string): void {
    const block = this.#blocks.get(id);
    if (!block) return;
    this.#blocks.delete(id);
    const { runtime } = this.#options.engineHost;
    const ended = { ...block, durationMs: runtime.monotonicMs() - block.sinceMs };
    this.#ended.set(id, ended);
    this.#judge(id, ended);
  }

  /**
   * A blocked member was alive all the time if it is heard again in the same incarnation. A handshake alone is no
   * proof, because it may have no count.
   */
  #judge(id: string, { reason, incarnation, heartbeat, durationMs }: EndedBlock): void {
    const { meters, engineHost: { view } } = this.#options;
    const isSame = view.incarnationOf(id) === incarnation;
    if (isSame && (view.heartbeatOf(id)?.number ?? 0) <= heartbeat) return;
    this.#ended.delete(id);
    meters.unblocked({ reason, durationMs, wasAlive: isSame && endsWithProofOfLife(reason) });
  }

  #amounts(): Amounts {
    const { cluster, engineHost: { view }, topology, peers, loop } = this.#options;
    const members = { alive: 0, suspected: 0, failed: 0, left: 0 };
    const viewed = { engine: view, topology, cluster: cluster.name, ownEnd: undefined, seeds: [] };
    for (const { status } of membersOf(viewed)) members[status]++;
    const sessions = peers.sessions();
    const { keys, pending } = view.footprint;
    return {
      members,
      rounds: loop.rounds,
      skippedRounds: loop.skipped,
      connections: {
        ready: sessions.length,
        handshake: Math.max(0, peers.served - sessions.length - peers.readers().size),
      },
      stateBytes: { own: view.ownBytes, others: view.room.bytes },
      keys,
      queues: {
        outbox: sessions.reduce((sum, { unsent }) => sum + unsent, 0),
        events: cluster.eventStream.unread,
        pending,
      },
      oldestSpreadMs: this.#lag.oldestMs,
    };
  }
}

/** Runs an exchange, and reports its outcome. */
export async function meterExchange(
  exchange: () => Promise<void>,
  { meters, runtime, peerId }: {
    readonly meters: Meters;
    readonly runtime: Runtime;
    readonly peerId: string;
  },
): Promise<void> {
  const beginMs = runtime.monotonicMs();
  const report = (outcome: ExchangeOutcome) =>
    meters.exchanged({ peerId, outcome, durationMs: runtime.monotonicMs() - beginMs });
  try {
    await exchange();
  } catch (error) {
    report(outcomeOf(error));
    throw error;
  }
  report("done");
}

/** The meters of a cluster, if it has meters, and the clock. */
interface Metered {
  readonly cluster: Pick<Cluster, "meters">;
  readonly engineHost: { readonly runtime: Runtime };
}

/** Runs a round, and reports its duration. */
export function meterRound(round: () => Promise<void>, { cluster, engineHost }: Metered): Promise<void> {
  const { meters } = cluster;
  if (!meters) return round();
  const { runtime } = engineHost;
  const beginMs = runtime.monotonicMs();
  return round().then(() => meters.roundEnded(runtime.monotonicMs() - beginMs));
}

/** Runs a departure, and reports its result. */
export async function meterDeparture(
  leave: () => Promise<FlushResult>,
  { cluster, engineHost: { runtime } }: Metered,
): Promise<FlushResult> {
  const beginMs = runtime.monotonicMs();
  const result = await leave();
  cluster.meters?.departed({ ...result, durationMs: runtime.monotonicMs() - beginMs });
  return result;
}

const OUTCOMES: ReadonlySet<string> = new Set<ExchangeOutcome>([
  "busy",
  "connection",
  "refused",
  "stopped",
  "timeout",
]);

function outcomeOf(error: unknown): ExchangeOutcome {
  if (error instanceof PeerRefused) return "refused";
  const code = error instanceof HearsayError ? error.code : "";
  return OUTCOMES.has(code) ? code as ExchangeOutcome : "failed";
}
