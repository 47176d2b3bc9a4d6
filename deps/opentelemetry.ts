/**
 * The interface of OpenTelemetry. Deno implements it if `OTEL_DENO` is set. Do not use a later minor version: a version
 * above Deno's own finds no implementation, and measures nothing.
 *
 * @module
 */

export { metrics, SpanKind, SpanStatusCode, trace } from "npm:@opentelemetry/api@1.9.0";
export type {
  Attributes,
  Histogram,
  MeterProvider,
  Observable,
  TracerProvider,
} from "npm:@opentelemetry/api@1.9.0";
