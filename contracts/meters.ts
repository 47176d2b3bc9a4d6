/**
 * The interface between a member and its metrics. Without meters, each measurement costs only the check of an optional
 * field.
 *
 * @module
 */

import type { BlockReason } from "../engine/types.ts";
import type { Runtime } from "../common/runtime.ts";

/**
 * The outcome of an exchange of state. `done`: the reply is merged. `busy`: another request was under way, or the address
 * rests after failed dials. `connection`: there was no connection. `refused`: the peer refused. `timeout`: no reply in time.
 * `stopped`: this member leaves. `failed`: any other error.
 */
export type ExchangeOutcome = "busy" | "connection" | "done" | "failed" | "refused" | "stopped" | "timeout";

/**
 * The outcome of a push to a peer. `sent`: it was sent. `needless`: the peer has the entries already, or gets no gossip.
 * `congested`: the peer reads too slowly, so a later round sends the entries.
 */
export type SentPush = "congested" | "needless" | "sent";

/**
 * The outcome of a push from a peer. `merged`: its entries were merged. `ignored`: this member accepts no entries from
 * the peer now, for example because the peer is blocked. `refused`: its signatures are invalid.
 */
export type ReceivedPush = "ignored" | "merged" | "refused";

/** A share of the other active members: at least half, 95 %, or all. */
export type SpreadShare = 0.5 | 0.95 | 1;

/** Amounts of a member at one moment. */
export interface Amounts {
  /** The number of members of each status. */
  readonly members: { readonly [status in "alive" | "failed" | "left" | "suspected"]: number };
  /** The number of rounds since the start. */
  readonly rounds: number;
  /** The number of rounds skipped because an earlier round or this process was late. */
  readonly skippedRounds: number;
  /** The open connections with members: with a complete handshake (`ready`), and during the handshake (`handshake`). */
  readonly connections: { readonly handshake: number; readonly ready: number };
  /** The approximate memory for this member's own state and for all others', in bytes. */
  readonly stateBytes: { readonly others: number; readonly own: number };
  /** The number of keys of all members, including deleted keys. */
  readonly keys: number;
  /**
   * The lengths of the queues. `outbox`: unsent messages to all peers. `events`: unread events of all subscribers.
   * `pending`: members whose entries a peer still lacks, over all peers.
   */
  readonly queues: { readonly events: number; readonly outbox: number; readonly pending: number };
  /**
   * The age of the oldest measured set that an active member has not acknowledged, in milliseconds; 0 without such a
   * set.
   */
  readonly oldestSpreadMs: number;
}

/** The number and the bytes of messages. */
export interface Counted {
  /** The number of messages. */
  readonly messages: number;
  /** Their size in bytes of UTF-8. */
  readonly bytes: number;
}

/**
 * Durations in milliseconds, as upper bounds of a histogram. Without any duration, `halfMs` and `mostMs` are `null`.
 */
export interface Durations {
  /** The number of durations. */
  readonly count: number;
  /** Half of the durations are at most this long. */
  readonly halfMs: number | null;
  /** 95 % of the durations are at most this long. */
  readonly mostMs: number | null;
}

/** The work of a member since its start. */
export interface Counts {
  /** The messages that were sent, of all kinds. */
  readonly sent: Counted;
  /** The messages that were received, of all kinds. */
  readonly received: Counted;
  /** The exchanges that this member began, by outcome. */
  readonly exchanges: { readonly [outcome in ExchangeOutcome]: number };
  /** The times from a set until a share of the other active members had it. */
  readonly lag: { readonly half: Durations; readonly most: Durations; readonly all: Durations };
  /** The delays of the event loop. */
  readonly eventLoopDelay: Durations;
  /** The number of false blocks: blocks of members that lived. */
  readonly falseBlocks: number;
  /** The last exchange with each peer, the slowest first; at most 64. */
  readonly peers: readonly {
    readonly peerId: string;
    readonly outcome: ExchangeOutcome;
    readonly lastMs: number;
  }[];
}

/** Amounts and counts, for observers. */
export interface MeterReport {
  /** The amounts at this moment; `null` before the start. */
  readonly amounts: Amounts | null;
  /** The work since the start. */
  readonly counts: Counts;
}

/** A member for its meters. */
export interface MeteredMember {
  /** Its id. */
  readonly id: string;
  /** The cluster's name. */
  readonly cluster: string;
  /** Its clocks. */
  readonly runtime: Runtime;
  /** Counts the amounts at this moment. It costs time in proportion to the members: call it once for each report. */
  amounts(): Amounts;
}

/** The end of an exchange of state with a peer. */
export interface ExchangeEnd {
  /** The peer's id. */
  readonly peerId: string;
  /** How it ended. */
  readonly outcome: ExchangeOutcome;
  /** Its duration in milliseconds, with the dial if there was no connection. */
  readonly durationMs: number;
}

/** The end of this member's departure. */
export interface DepartureEnd {
  /** Its duration in milliseconds. */
  readonly durationMs: number;
  /** The number of peers that acknowledged it, are leaving themselves, or are gone. */
  readonly acknowledgedBy: number;
  /** The number of peers that it was to reach. */
  readonly wanted: number;
  /** True if `wanted` peers acknowledged it in time. */
  readonly flushed: boolean;
}

/** The end of a block. */
export interface BlockEnd {
  /** The reason of the block. */
  readonly reason: BlockReason;
  /** Its duration in milliseconds. */
  readonly durationMs: number;
  /** True if the member proved that it lived during the block: it has the same incarnation and a newer heartbeat. */
  readonly wasAlive: boolean;
}

/**
 * Records the work of one member. The gossiper and the transport call it while they work, so that a method must be fast and
 * must not throw. `MemberMeters` of `@hearsay/gossip/metrics` implements it.
 *
 * @example Prints every exchange that fails
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { MemberMeters } from "@hearsay/gossip/metrics";
 * import type { ExchangeEnd, Meters } from "@hearsay/gossip/contracts";
 *
 * class LoudMeters extends MemberMeters implements Meters {
 *   override exchanged(exchange: ExchangeEnd): void {
 *     super.exchanged(exchange);
 *     if (exchange.outcome !== "done") console.log(exchange);
 *   }
 * }
 * await using node = await join({ cluster: "orders", listen: { port: 0 }, meters: new LoudMeters() });
 * console.log(node.id);
 * ```
 */
export interface Meters {
  /** The member starts. Called once, before all other methods except `sent` and `received`. */
  started(member: MeteredMember): void;
  /** A message was sent: its kind, and its size in bytes of UTF-8. */
  sent(kind: string, bytes: number): void;
  /** A valid message was received: its kind, and its size in bytes of UTF-8. */
  received(kind: string, bytes: number): void;
  /** A round ended; `durationMs` is the time since its start. */
  roundEnded(durationMs: number): void;
  /** The next round began late by `lateMs` milliseconds, because the event loop was busy. */
  woken(lateMs: number): void;
  /** An exchange that this member began has ended. */
  exchanged(exchange: ExchangeEnd): void;
  /** A push to a peer was sent or omitted. */
  pushSent(outcome: SentPush): void;
  /** A push of a peer was received. */
  pushReceived(outcome: ReceivedPush): void;
  /** This member blocked another member. */
  blocked(reason: BlockReason): void;
  /** A block ended, and its member was heard again or began another incarnation. */
  unblocked(block: BlockEnd): void;
  /**
   * A share of the other active members is known to have a set of this member, `durationMs` milliseconds after the set.
   */
  spread(share: SpreadShare, durationMs: number): void;
  /** The measurement of a set ended early: a later set replaced it, this member became alone, or an incarnation began. */
  spreadDropped(): void;
  /** The first handshake with another member succeeded, `durationMs` milliseconds after the start. */
  joined(durationMs: number): void;
  /** This member has left. */
  departed(departure: DepartureEnd): void;
  /** Reports the work so far to an observer. Without it, observers see no traffic and no lag. */
  report?(): MeterReport;
}
