/**
 * All metrics of a member: names, units and values. Names and units are those of the semantic conventions of OpenTelemetry.
 *
 * @module
 */

import type { Amounts } from "../../contracts/meters.ts";
import type { Histogram } from "./histogram.ts";
import type { MemberMeters, Traffic } from "./member_meters.ts";

/** The labels of a value, by name. */
export type Labels = Readonly<Record<string, string>>;

/** One value of a metric. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** One histogram of a metric. */
export interface HistogramSample {
  readonly labels: Labels;
  readonly histogram: Histogram;
}

/** The fields of every metric. */
interface Named {
  /** Its name in OpenTelemetry. */
  readonly name: string;
  /** Its name in Prometheus, without the suffix of a histogram's series. */
  readonly text: string;
  /** Its unit as UCUM writes it, such as `s`, `By` and `{member}`. */
  readonly unit: string;
  /** Its description, as a sentence. */
  readonly help: string;
}

/**
 * A metric that is read on demand. `counter`: it only rises. `updown`: an amount that adds up over members. `gauge`: an
 * amount that does not.
 */
export interface Observed extends Named {
  readonly kind: "counter" | "gauge" | "updown";
  /** Its values now. */
  readonly read: (meters: MemberMeters, amounts: Amounts) => readonly Sample[];
}

/** A metric with a distribution. */
export interface Distributed extends Named {
  readonly kind: "histogram";
  /** Its histograms. */
  readonly read: (meters: MemberMeters) => readonly HistogramSample[];
}

/** The attribute of OpenTelemetry for each label of Prometheus. */
export const ATTRIBUTES: Labels = {
  direction: "network.io.direction",
  kind: "hearsay.message.kind",
  outcome: "hearsay.push.outcome",
  owner: "hearsay.state.owner",
  queue: "hearsay.queue.name",
  reason: "hearsay.block.reason",
  share: "hearsay.lag.share",
  stage: "hearsay.connection.stage",
  status: "hearsay.member.status",
};

/** The metrics that are read on demand. */
export const OBSERVED: readonly Observed[] = [
  {
    name: "hearsay.members",
    text: "hearsay_members",
    kind: "updown",
    unit: "{member}",
    help: "Known members by status, this one included.",
    read: (_, { members }) => by("status", members),
  },
  {
    name: "hearsay.rounds",
    text: "hearsay_rounds_total",
    kind: "counter",
    unit: "{round}",
    help: "Rounds of gossip since the start.",
    read: (_, { rounds }) => single(rounds),
  },
  {
    name: "hearsay.skipped_rounds",
    text: "hearsay_skipped_rounds_total",
    kind: "counter",
    unit: "{round}",
    help: "Rounds skipped because an earlier round or the process was late.",
    read: (_, { skippedRounds }) => single(skippedRounds),
  },
  {
    name: "hearsay.pushes",
    text: "hearsay_pushes_total",
    kind: "counter",
    unit: "{push}",
    help: "Pushes of changes between the rounds, by direction and outcome.",
    read: ({ sentPushes, receivedPushes }) => [
      ...by("outcome", sentPushes, { direction: "transmit" }),
      ...by("outcome", receivedPushes, { direction: "receive" }),
    ],
  },
  {
    name: "hearsay.messages",
    text: "hearsay_messages_total",
    kind: "counter",
    unit: "{message}",
    help: "Messages by kind and direction.",
    read: (meters) => traffic(meters, ({ messages }) => messages),
  },
  {
    name: "hearsay.network.io",
    text: "hearsay_network_io_bytes_total",
    kind: "counter",
    unit: "By",
    help: "Bytes of messages by kind and direction, without the frames of WebSocket and TLS.",
    read: (meters) => traffic(meters, ({ bytes }) => bytes),
  },
  {
    name: "hearsay.connections",
    text: "hearsay_connections",
    kind: "updown",
    unit: "{connection}",
    help: "Open connections: ready, and those whose handshake is under way.",
    read: (_, { connections }) => by("stage", connections),
  },
  {
    name: "hearsay.state.size",
    text: "hearsay_state_size_bytes",
    kind: "updown",
    unit: "By",
    help: "Approximate memory for the state: this member's own, and that of all others.",
    read: (_, { stateBytes }) => by("owner", stateBytes),
  },
  {
    name: "hearsay.state.keys",
    text: "hearsay_state_keys",
    kind: "updown",
    unit: "{key}",
    help: "Keys of all members, deleted ones included.",
    read: (_, { keys }) => single(keys),
  },
  {
    name: "hearsay.queue.length",
    text: "hearsay_queue_length",
    kind: "updown",
    unit: "{item}",
    help:
      "Unsent messages (outbox), unread events (events), and members that peers lack entries of (pending).",
    read: (_, { queues }) => by("queue", queues),
  },
  {
    name: "hearsay.blocks",
    text: "hearsay_blocks_total",
    kind: "counter",
    unit: "{block}",
    help: "Blocks of other members, by reason.",
    read: ({ blocks }) => by("reason", blocks),
  },
  {
    name: "hearsay.false_blocks",
    text: "hearsay_false_blocks_total",
    kind: "counter",
    unit: "{block}",
    help: "Blocks of members that lived all the time and soon proved it, by reason.",
    read: ({ falseBlocks }) => by("reason", falseBlocks),
  },
  {
    name: "hearsay.lag.oldest",
    text: "hearsay_lag_oldest_seconds",
    kind: "gauge",
    unit: "s",
    help:
      "Age of the oldest measured set of this member that an active member has not acknowledged; 0 if all have.",
    read: (_, { oldestSpreadMs }) => single(oldestSpreadMs / 1_000),
  },
  {
    name: "hearsay.lag.dropped",
    text: "hearsay_lag_dropped_total",
    kind: "counter",
    unit: "{measurement}",
    help:
      "Measurements of the lag that ended early: a later set took the place, the member became alone, or a new incarnation began.",
    read: ({ droppedLags }) => single(droppedLags),
  },
];

/** The metrics with a distribution. All are in seconds. */
export const DISTRIBUTED = {
  round: {
    name: "hearsay.round.duration",
    text: "hearsay_round_duration_seconds",
    kind: "histogram",
    unit: "s",
    help: "Duration of rounds; a round lasts as long as its slowest exchange.",
    read: ({ rounds }) => [{ labels: {}, histogram: rounds }],
  },
  exchange: {
    name: "hearsay.exchange.duration",
    text: "hearsay_exchange_duration_seconds",
    kind: "histogram",
    unit: "s",
    help: "Duration of exchanges of state that this member began, by outcome.",
    read: ({ exchanges }) => histograms("outcome", exchanges),
  },
  lag: {
    name: "hearsay.lag.duration",
    text: "hearsay_lag_seconds",
    kind: "histogram",
    unit: "s",
    help: "Time from a set of this member until a share of the other active members has acknowledged it.",
    read: ({ lags }) => histograms("share", lags),
  },
  eventLoop: {
    name: "hearsay.event_loop.delay",
    text: "hearsay_event_loop_delay_seconds",
    kind: "histogram",
    unit: "s",
    help: "Delay of the timer of each round: the time that the event loop was busy with other work.",
    read: ({ eventLoopDelays }) => [{ labels: {}, histogram: eventLoopDelays }],
  },
} as const satisfies Readonly<Record<string, Distributed>>;

function single(value: number): readonly Sample[] {
  return [{ labels: {}, value }];
}

function by(label: string, values: Readonly<Record<string, number>>, labels: Labels = {}): Sample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { ...labels, [label]: name }, value }));
}

function histograms(label: string, values: Readonly<Record<string, Histogram>>): HistogramSample[] {
  return Object.entries(values).map(([name, histogram]) => ({ labels: { [label]: name }, histogram }));
}

function traffic(
  { sentTraffic, receivedTraffic }: MemberMeters,
  amount: (traffic: Readonly<Traffic>) => number,
): Sample[] {
  const samples = (direction: string, traffic: ReadonlyMap<string, Readonly<Traffic>>) =>
    Array.from(traffic, ([kind, each]) => ({ labels: { kind, direction }, value: amount(each) }));
  return [...samples("transmit", sentTraffic), ...samples("receive", receivedTraffic)];
}
