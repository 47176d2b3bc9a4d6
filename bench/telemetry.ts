/**
 * The cost of metrics: the processor time of members without them, with those for Prometheus, and with those of OpenTelemetry.
 * The clusters run side by side, so that other load of the machine affects all alike.
 *
 * @module
 */

import { output } from "./peers/command.ts";
import { freePorts } from "../tests/process/ports.ts";
import type { TelemetryMemberOptions } from "./telemetry_member.ts";

const MEMBERS = 3;
/** `control` has no metrics either: its difference is the noise of the measurement. */
const KINDS = ["none", "control", "prometheus", "otel"] as const;
/** Seconds until the code is compiled and all connections are open. */
const WARM_UP_S = 15;
const MEASURED_S = 30;
/** Fresh clusters of each kind, because the connections of a cluster follow from chance. */
const REPETITIONS = 4;

type Kind = typeof KINDS[number];

/** A cluster of processes. Disposal ends them. */
class Cluster implements AsyncDisposable {
  readonly #children: readonly Deno.ChildProcess[];

  constructor(kind: Kind, { setsPerSecond, collector }: { setsPerSecond: number; collector: string }) {
    const ports = freePorts(MEMBERS);
    const seeds = ports.map((port) => `ws://127.0.0.1:${port}`);
    this.#children = ports.map((port) => {
      const options: TelemetryMemberOptions = {
        port,
        seeds,
        metrics: kind === "control" ? "none" : kind,
        setsPerSecond,
      };
      return new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-check",
          "--allow-net=127.0.0.1",
          new URL("telemetry_member.ts", import.meta.url).pathname,
          JSON.stringify(options),
        ],
        env: kind === "otel"
          ? { OTEL_DENO: "true", OTEL_DENO_CONSOLE: "ignore", OTEL_EXPORTER_OTLP_ENDPOINT: collector }
          : {},
        stdin: "piped",
        stdout: "null",
      }).spawn();
    });
  }

  /** The processor time of all members so far, user and system, in milliseconds. */
  async processorMs(): Promise<number> {
    // The first number of each thread is the time that it ran, in nanoseconds.
    const files = this.#children.map(({ pid }) => `/proc/${pid}/task/*/schedstat`);
    const lines = (await output(["sh", "-c", `cat ${files.join(" ")}`])).trimEnd().split("\n");
    return lines.reduce((sum, line) => sum + Number(line.split(" ")[0]), 0) / 1e6;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      await child.stdin.close();
      await child.status;
    }
  }
}

function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
}

/** The processor time of each kind in one repetition, in milliseconds. */
async function measureOnce(setsPerSecond: number, collector: string): Promise<Map<Kind, number>> {
  await using stack = new AsyncDisposableStack();
  const clusters = KINDS.map((kind) =>
    [kind, stack.use(new Cluster(kind, { setsPerSecond, collector }))] as const
  );
  await sleep(WARM_UP_S);
  const spent = new Map<Kind, number>();
  for (const [kind, cluster] of clusters) spent.set(kind, -await cluster.processorMs());
  await sleep(MEASURED_S);
  for (const [kind, cluster] of clusters) spent.set(kind, spent.get(kind)! + await cluster.processorMs());
  return spent;
}

/** Prints the cost of each kind. */
async function measureAt(setsPerSecond: number, collector: string): Promise<void> {
  const all: Map<Kind, number>[] = [];
  for (let time = 0; time < REPETITIONS; time++) all.push(await measureOnce(setsPerSecond, collector));
  const total = (kind: Kind) => all.reduce((sum, spent) => sum + spent.get(kind)!, 0);
  console.log(`${MEMBERS} members, each with ${setsPerSecond} sets a second:`);
  for (const kind of KINDS) {
    const perSecond = total(kind) / (REPETITIONS * MEASURED_S * MEMBERS);
    const ratios = all.map((spent) => `${percent(spent.get(kind)! / spent.get("none")!)} %`);
    const more = kind === "none" ? "" : `  ${percent(total(kind) / total("none"))} % (${ratios.join(", ")})`;
    console.log(`  ${kind.padEnd(10)} ${perSecond.toFixed(2)} ms per second of a member${more}`);
  }
}

/** A ratio as the difference in percent. */
function percent(ratio: number): string {
  return `${ratio > 1 ? "+" : ""}${((ratio - 1) * 100).toFixed(1)}`;
}

if (import.meta.main) {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    await request.body?.cancel();
    return Response.json({});
  });
  const collector = `http://127.0.0.1:${server.addr.port}`;
  for (const setsPerSecond of [0, 50]) await measureAt(setsPerSecond, collector);
  await server.shutdown();
}
