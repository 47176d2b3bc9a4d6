/**
 * Counts the work of one member.
 *
 * @module
 */

import { HearsayError } from "../../common/errors.ts";
import type {
  BlockEnd,
  DepartureEnd,
  ExchangeEnd,
  ExchangeOutcome,
  MeteredMember,
  MeterReport,
  Meters,
  ReceivedPush,
  SentPush,
  SpreadShare,
} from "../../contracts/meters.ts";
import type { BlockReason } from "../../engine/types.ts";
import { assertOptions, type Rules, wholeNumber } from "../../options/rules.ts";
import type { Message } from "../../protocol/message.ts";
import { Histogram } from "./histogram.ts";
import { countsOf, PeerTimes } from "./report.ts";

/** Options of {@linkcode MemberMeters}. */
export interface MemberMetersOptions {
  /**
   * The longest block that counts as false, in milliseconds; 60,000 by default. A block is false if its member lived all
   * the time. Lower: only short blocks count, as after a pause of a process. Higher: long partitions count too.
   */
  readonly falseBlockWithin?: number;
}

/** The number and the bytes of the messages of one kind. */
export interface Traffic {
  /** The number of messages. */
  messages: number;
  /** Their size in bytes of UTF-8. */
  bytes: number;
}

/** Upper bounds in seconds: from a request within one machine to one that takes as long as a timeout. */
const EXCHANGE_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** Upper bounds in seconds: from a timer that fires on time to a process that was suspended. */
const DELAY_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** Upper bounds in seconds: from one push to a member that does not answer until it is blocked. */
const LAG_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** The kinds of messages, so that each has a count from the start. A kind is the type on the wire. */
const KINDS: Readonly<Record<Exclude<Message["type"], "unknown"> | "ping" | "pong", true>> = {
  ack: true,
  error: true,
  gossip: true,
  heartbeat: true,
  hello: true,
  ping: true,
  pong: true,
  push: true,
  reconcile: true,
  reply: true,
  suspect: true,
};
/** The most kinds. More than there are: a transport of another library may name kinds of its own. */
const MAX_KINDS = 32;

const OPTIONS: Rules<MemberMetersOptions> = {
  falseBlockWithin: wholeNumber({ least: 0, unit: "milliseconds" }),
};

/**
 * Counts the work of one member, for {@linkcode metrics} and `otelMeters`. Give it to `join` of one member only. It keeps a
 * fixed number of counters, whatever the size of the cluster.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { MemberMeters, metrics } from "@hearsay/gossip/metrics";
 *
 * const meters = new MemberMeters();
 * await using node = await join({ cluster: "orders", listen: { port: 0 }, meters });
 * console.assert(metrics(meters).includes('hearsay_members{status="alive"} 1'), node.id);
 * ```
 */
export class MemberMeters implements Meters {
  /** The messages that were sent, by kind. */
  readonly sentTraffic: ReadonlyMap<string, Readonly<Traffic>> = trafficByKind();
  /** The messages that were received, by kind. */
  readonly receivedTraffic: ReadonlyMap<string, Readonly<Traffic>> = trafficByKind();
  /** The exchanges that this member began, by outcome; durations in seconds. */
  readonly exchanges: Readonly<Record<ExchangeOutcome, Histogram>>;
  /** The pushes to peers, by outcome. */
  readonly sentPushes: Readonly<Record<SentPush, number>> = { congested: 0, needless: 0, sent: 0 };
  /** The pushes of peers, by outcome. */
  readonly receivedPushes: Readonly<Record<ReceivedPush, number>> = { ignored: 0, merged: 0, refused: 0 };
  /** The blocks of other members, by reason. */
  readonly blocks: Readonly<Record<BlockReason, number>> = { crashed: 0, expired: 0, left: 0, topology: 0 };
  /** The blocks of members that lived, by reason. */
  readonly falseBlocks: Readonly<Record<"crashed" | "expired", number>> = { crashed: 0, expired: 0 };
  /** The durations of rounds, in seconds. */
  readonly rounds: Histogram = new Histogram(EXCHANGE_BOUNDS);
  /** The delays of the event loop, in seconds, one for each round. */
  readonly eventLoopDelays: Histogram = new Histogram(DELAY_BOUNDS);
  /** The times from a set until a share of the other active members has acknowledged it, in seconds. */
  readonly lags: Readonly<Record<SpreadShare, Histogram>> = {
    0.5: new Histogram(LAG_BOUNDS),
    0.95: new Histogram(LAG_BOUNDS),
    1: new Histogram(LAG_BOUNDS),
  };
  readonly #falseBlockWithin: number;
  readonly #peerTimes = new PeerTimes();
  #droppedLags = 0;
  #member: MeteredMember | undefined;

  /**
   * Makes meters that have counted nothing.
   *
   * @throws {ConfigurationError} if an option is invalid.
   */
  constructor(options: MemberMetersOptions = {}) {
    assertOptions(options, OPTIONS);
    this.#falseBlockWithin = options.falseBlockWithin ?? 60_000;
    const histogram = () => new Histogram(EXCHANGE_BOUNDS);
    this.exchanges = {
      busy: histogram(),
      connection: histogram(),
      done: histogram(),
      failed: histogram(),
      refused: histogram(),
      stopped: histogram(),
      timeout: histogram(),
    };
  }

  /** The member; `undefined` before its start. */
  get member(): MeteredMember | undefined {
    return this.#member;
  }

  /** The number of measurements of the lag that ended early. */
  get droppedLags(): number {
    return this.#droppedLags;
  }

  /**
   * Called by the member.
   *
   * @throws {HearsayError} with code `already_started` if another member has these meters.
   */
  started(member: MeteredMember): void {
    if (this.#member) {
      throw new HearsayError(
        "already_started",
        `The meters belong to the member ${this.#member.id}; each member needs its own. Nothing was started.`,
      );
    }
    this.#member = member;
  }

  /** Called by the transport. */
  sent(kind: string, bytes: number): void {
    count(this.sentTraffic, kind, bytes);
  }

  /** Called by the transport. */
  received(kind: string, bytes: number): void {
    count(this.receivedTraffic, kind, bytes);
  }

  /** Called by the member. */
  roundEnded(durationMs: number): void {
    this.rounds.record(durationMs / 1_000);
  }

  /** Called by the member. */
  woken(lateMs: number): void {
    this.eventLoopDelays.record(lateMs / 1_000);
  }

  /** Called by the member. */
  exchanged(exchange: ExchangeEnd): void {
    const { outcome, durationMs } = exchange;
    this.exchanges[outcome].record(durationMs / 1_000);
    this.#peerTimes.record(exchange);
  }

  /** Called by the member. */
  pushSent(outcome: SentPush): void {
    (this.sentPushes as Record<SentPush, number>)[outcome]++;
  }

  /** Called by the member. */
  pushReceived(outcome: ReceivedPush): void {
    (this.receivedPushes as Record<ReceivedPush, number>)[outcome]++;
  }

  /** Called by the member. */
  blocked(reason: BlockReason): void {
    (this.blocks as Record<BlockReason, number>)[reason]++;
  }

  /** Called by the member. */
  unblocked({ reason, durationMs, wasAlive }: BlockEnd): void {
    if (!wasAlive || durationMs > this.#falseBlockWithin) return;
    if (reason !== "crashed" && reason !== "expired") return;
    (this.falseBlocks as Record<"crashed" | "expired", number>)[reason]++;
  }

  /** Called by the member. */
  spread(share: SpreadShare, durationMs: number): void {
    this.lags[share].record(durationMs / 1_000);
  }

  /** Called by the member. */
  spreadDropped(): void {
    this.#droppedLags++;
  }

  /** Called by the member. These meters do not count it. */
  joined(_durationMs: number): void {}

  /** Called by the member. These meters do not count it. */
  departed(_departure: DepartureEnd): void {}

  /** Called for an observer, such as `hearsay top`. */
  report(): MeterReport {
    return { amounts: this.#member?.amounts() ?? null, counts: countsOf(this, this.#peerTimes) };
  }
}

function trafficByKind(): Map<string, Traffic> {
  return new Map(Object.keys(KINDS).map((kind) => [kind, { messages: 0, bytes: 0 }]));
}

/** Counts a message. A kind beyond the limit counts as `other`. */
function count(traffic: ReadonlyMap<string, Readonly<Traffic>>, kind: string, bytes: number): void {
  const map = traffic as Map<string, Traffic>;
  let counted = map.get(kind);
  if (counted === undefined) {
    const name = map.size < MAX_KINDS ? kind : "other";
    counted = map.get(name) ?? { messages: 0, bytes: 0 };
    map.set(name, counted);
  }
  counted.messages++;
  counted.bytes += bytes;
}
