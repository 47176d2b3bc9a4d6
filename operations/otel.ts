/**
 * The metrics and spans of a member for OpenTelemetry: `@hearsay/gossip/otel`. It uses `npm:@opentelemetry/api`. Deno's own
 * exporter sends them, with `OTEL_DENO=true` and `OTEL_EXPORTER_OTLP_ENDPOINT`.
 *
 * @module
 */

import { printable } from "../common/printable.ts";
import type { DepartureEnd, ExchangeEnd, MeteredMember, SpreadShare } from "../contracts/meters.ts";
import {
  type Attributes,
  type Histogram,
  metrics,
  type Observable,
  SpanKind,
  SpanStatusCode,
  trace,
} from "../deps/opentelemetry.ts";
import { assertOptions, type Rules, wholeNumber } from "../options/rules.ts";
import { ATTRIBUTES, DISTRIBUTED, type Distributed, type Labels, OBSERVED } from "./metrics/catalog.ts";
import { MemberMeters, type MemberMetersOptions } from "./metrics/member_meters.ts";

/** The name of the instrumentation scope. */
const SCOPE = "@hearsay/gossip";

/** Options of {@linkcode otelMeters}. */
export interface OtelMetersOptions extends MemberMetersOptions {
  /**
   * One exchange in this many has a span; 100 by default. A member at the defaults begins about three exchanges a
   * second while its state changes. Lower: more spans to send and to store. Joins and departures always have a span.
   */
  readonly exchangesPerSpan?: number;
}

const OPTIONS: Rules<OtelMetersOptions> = {
  falseBlockWithin: wholeNumber({ least: 0, unit: "milliseconds" }),
  exchangesPerSpan: wholeNumber({ least: 1 }),
};

/**
 * Makes meters that report to OpenTelemetry. They count as {@linkcode MemberMeters} do, so that `metrics` of
 * `@hearsay/gossip/metrics` works with them too.
 *
 * @throws {ConfigurationError} if an option is invalid.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { otelMeters } from "@hearsay/gossip/otel";
 *
 * // deno run --allow-net with OTEL_DENO=true OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
 * await using node = await join({ cluster: "orders", listen: { port: 0 }, meters: otelMeters() });
 * console.log(node.id);
 * ```
 */
export function otelMeters(options: OtelMetersOptions = {}): OtelMeters {
  return new OtelMeters(options);
}

/** Meters that report to OpenTelemetry; {@linkcode otelMeters} makes them. Dispose of them to end the report. */
export class OtelMeters extends MemberMeters implements Disposable {
  readonly #exchangesPerSpan: number;
  readonly #tracer = trace.getTracer(SCOPE);
  readonly #rounds: Histogram = histogramOf(DISTRIBUTED.round, this.rounds.bounds);
  readonly #exchanges: Histogram = histogramOf(DISTRIBUTED.exchange, this.exchanges.done.bounds);
  readonly #lags: Histogram = histogramOf(DISTRIBUTED.lag, this.lags[1].bounds);
  readonly #delays: Histogram = histogramOf(DISTRIBUTED.eventLoop, this.eventLoopDelays.bounds);
  #untilSpan = 1;
  #stop: () => void = () => {};

  /**
   * Called by {@linkcode otelMeters}.
   *
   * @throws {ConfigurationError} if an option is invalid.
   */
  constructor(options: OtelMetersOptions = {}) {
    assertOptions(options, OPTIONS);
    const { exchangesPerSpan = 100, ...others } = options;
    super(others);
    this.#exchangesPerSpan = exchangesPerSpan;
  }

  /** Called by the member. */
  override started(member: MeteredMember): void {
    super.started(member);
    this.#stop = observe(this, member);
  }

  /** Called by the member. */
  override roundEnded(durationMs: number): void {
    super.roundEnded(durationMs);
    this.#rounds.record(durationMs / 1_000);
  }

  /** Called by the member. */
  override woken(lateMs: number): void {
    super.woken(lateMs);
    this.#delays.record(lateMs / 1_000);
  }

  /** Called by the member. */
  override exchanged(exchange: ExchangeEnd): void {
    super.exchanged(exchange);
    const { peerId, outcome, durationMs } = exchange;
    const failure = outcome === "done" ? {} : { "error.type": outcome };
    this.#exchanges.record(durationMs / 1_000, failure);
    if (--this.#untilSpan > 0) return;
    this.#untilSpan = this.#exchangesPerSpan;
    const attributes = { ...failure, "hearsay.peer.id": printable(peerId) };
    this.#span("hearsay.exchange", { durationMs, attributes, kind: SpanKind.CLIENT });
  }

  /** Called by the member. */
  override spread(share: SpreadShare, durationMs: number): void {
    super.spread(share, durationMs);
    this.#lags.record(durationMs / 1_000, { [ATTRIBUTES.share!]: String(share) });
  }

  /** Called by the member. */
  override joined(durationMs: number): void {
    super.joined(durationMs);
    this.#span("hearsay.join", { durationMs, attributes: {} });
  }

  /** Called by the member. */
  override departed(departure: DepartureEnd): void {
    super.departed(departure);
    const { durationMs, acknowledgedBy, wanted, flushed } = departure;
    const attributes = {
      "hearsay.departure.acknowledged_by": acknowledgedBy,
      "hearsay.departure.wanted": wanted,
      ...(!flushed && { "error.type": "not_acknowledged" }),
    };
    this.#span("hearsay.departure", { durationMs, attributes });
  }

  /** Ends the report of the amounts. */
  [Symbol.dispose](): void {
    this.#stop();
  }

  /** Records a span that ends now. */
  #span(
    name: string,
    { durationMs, attributes, kind = SpanKind.INTERNAL }: {
      readonly durationMs: number;
      readonly attributes: Attributes;
      readonly kind?: SpanKind;
    },
  ): void {
    const { id, cluster, runtime } = this.member!;
    const endTime = runtime.wallMs();
    const span = this.#tracer.startSpan(name, {
      kind,
      root: true,
      startTime: endTime - durationMs,
      attributes: { "hearsay.cluster": cluster, "hearsay.member.id": id, ...attributes },
    });
    if ("error.type" in attributes) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(endTime);
  }
}

/** Reports the amounts at each collection; returns the function that ends that. */
function observe(meters: MemberMeters, member: MeteredMember): () => void {
  const meter = metrics.getMeter(SCOPE);
  const make = {
    counter: (name: string, options: object) => meter.createObservableCounter(name, options),
    updown: (name: string, options: object) => meter.createObservableUpDownCounter(name, options),
    gauge: (name: string, options: object) => meter.createObservableGauge(name, options),
  };
  const observed = OBSERVED.map(({ name, kind, unit, help, read }) => ({
    read,
    instrument: make[kind](name, { unit, description: help }) as Observable,
  }));
  const instruments = observed.map(({ instrument }) => instrument);
  const report: Parameters<typeof meter.addBatchObservableCallback>[0] = (result) => {
    const amounts = member.amounts();
    for (const { instrument, read } of observed) {
      for (const { labels, value } of read(meters, amounts)) {
        result.observe(instrument, value, attributesOf(labels));
      }
    }
  };
  meter.addBatchObservableCallback(report, instruments);
  return () => meter.removeBatchObservableCallback(report, instruments);
}

function histogramOf({ name, unit, help }: Distributed, bounds: readonly number[]): Histogram {
  return metrics.getMeter(SCOPE).createHistogram(name, {
    unit,
    description: help,
    advice: { explicitBucketBoundaries: [...bounds] },
  });
}

function attributesOf(labels: Labels): Attributes {
  return Object.fromEntries(Object.entries(labels).map(([label, text]) => [ATTRIBUTES[label]!, text]));
}
