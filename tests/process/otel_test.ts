import { assert, assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { DISTRIBUTED, OBSERVED } from "../../operations/metrics/catalog.ts";
import type { MeteredMemberOptions } from "./metered_member.ts";
import { freePorts } from "./ports.ts";
import { eventually, Program } from "./program.ts";

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string };
}

interface Point {
  readonly attributes: readonly Attribute[];
  readonly asInt?: string;
  readonly asDouble?: number;
  readonly count?: string;
  readonly sum?: number;
  readonly explicitBounds?: readonly number[];
}

interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly sum?: { readonly dataPoints: readonly Point[]; readonly isMonotonic: boolean };
  readonly gauge?: { readonly dataPoints: readonly Point[] };
  readonly histogram?: { readonly dataPoints: readonly Point[] };
}

interface Span {
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
}

/** A receiver of OTLP in JSON. */
class Collector implements AsyncDisposable {
  /** The latest report of each metric, by name. */
  readonly metrics = new Map<string, Metric>();
  readonly spans: Span[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#take(request),
    );
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** The sum of a metric over all of its points that have an attribute with this value. */
  valueOf(name: string, attribute?: string): number {
    const metric = this.metrics.get(name);
    const points = (metric?.sum ?? metric?.gauge ?? metric?.histogram)?.dataPoints ?? [];
    return points
      .filter(({ attributes }) =>
        attribute === undefined || attributes.some(({ value }) => value.stringValue === attribute)
      )
      .reduce((sum, { asInt, asDouble, count }) => sum + Number(asInt ?? asDouble ?? count), 0);
  }

  async #take(request: Request): Promise<Response> {
    const body = await request.json();
    for (const { scopeMetrics } of body.resourceMetrics ?? []) {
      for (const { scope, metrics } of scopeMetrics) {
        if (scope.name !== "@hearsay/gossip") continue;
        for (const metric of metrics) this.metrics.set(metric.name, metric);
      }
    }
    for (const { scopeSpans } of body.resourceSpans ?? []) {
      for (const { scope, spans } of scopeSpans) {
        if (scope.name === "@hearsay/gossip") this.spans.push(...spans);
      }
    }
    return Response.json({});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

Deno.test("otel: Deno exports the metrics of a member, and spans of its join, its exchanges and its departure", async () => {
  await using collector = new Collector();
  const [port, other, metricsPort, otherMetricsPort] = freePorts(4) as [number, number, number, number];
  const start = (options: MeteredMemberOptions, env: Readonly<Record<string, string>>) =>
    new Program({
      args: [
        "run",
        "--no-prompt",
        "--no-check",
        "--allow-net=127.0.0.1",
        "tests/process/metered_member.ts",
        JSON.stringify(options),
      ],
      env,
    });
  await using peer = start({ port: other, metricsPort: otherMetricsPort, seeds: [] }, {});
  await peer.until(/^ready$/);
  await using member = start({ port, metricsPort, seeds: [`ws://127.0.0.1:${other}`] }, {
    OTEL_DENO: "true",
    OTEL_DENO_CONSOLE: "ignore",
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_METRIC_EXPORT_INTERVAL: "500",
  });
  await member.until(/^ready$/);
  await eventually(
    "two members are reported alive",
    () => Promise.resolve(collector.valueOf("hearsay.members", "alive") === 2),
  );
  await eventually(
    "the lag is reported",
    () => Promise.resolve(collector.valueOf("hearsay.lag.duration", "1") > 0),
  );
  for (const { name, unit, kind } of [...OBSERVED, ...Object.values(DISTRIBUTED)]) {
    const metric = collector.metrics.get(name);
    assertEquals(metric?.unit, unit, name);
    assertEquals(
      metric?.sum?.isMonotonic,
      { counter: true, updown: false, gauge: undefined, histogram: undefined }[kind],
      name,
    );
    assertEquals(metric?.histogram !== undefined, kind === "histogram", name);
  }
  assertGreater(collector.valueOf("hearsay.rounds"), 0);
  assertGreater(collector.valueOf("hearsay.exchange.duration"), 0);
  assertGreater(collector.valueOf("hearsay.network.io", "transmit"), 0);
  assertEquals(
    collector.metrics.get("hearsay.lag.duration")?.histogram?.dataPoints[0]?.explicitBounds?.[0],
    0.005,
  );

  await member.end();
  const { success } = await member.ended();
  assert(success, member.errors);
  const named = (name: string) => collector.spans.filter((span) => span.name === name);
  await eventually(
    "its departure is reported",
    () => Promise.resolve(named("hearsay.departure").length === 1),
  );
  assertEquals(named("hearsay.join").length, 1);
  const [exchange] = named("hearsay.exchange");
  assert(exchange);
  assertEquals(exchange.attributes.map(({ key }) => key).sort(), [
    "hearsay.cluster",
    "hearsay.member.id",
    "hearsay.peer.id",
  ]);
  assert(BigInt(exchange.endTimeUnixNano) > BigInt(exchange.startTimeUnixNano));
});
