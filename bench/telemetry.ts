/**
 * What metrics cost: the processor time of members without them, with those for Prometheus, and with those of OpenTelemetry.
 * The clusters run side by side, so that other load of the machine affects all alike.
 *
 * @module
 */

import { freePorts } from "../tests/process/ports.ts";
import { median } from "./measure.ts";
import type { TelemetryMemberOptions } from "./telemetry_member.ts";

const MEMBERS = 4;
const KINDS = ["none", "prometheus", "otel"] as const;
/** Seconds until the code is compiled and all connections are open. */
const WARM_UP_S = 20;
const PERIODS = 15;
const PERIOD_S = 4;

type Kind = typeof KINDS[number];

/** A cluster of processes. Disposal ends them. */
class Cluster implements AsyncDisposable {
  readonly #children: readonly Deno.ChildProcess[];

  constructor(kind: Kind, { setsPerSecond, collector }: { setsPerSecond: number; collector: string }) {
    const ports = freePorts(MEMBERS);
    const seeds = ports.map((port) => `ws://127.0.0.1:${port}`);
    this.#children = ports.map((port) => {
      const options: TelemetryMemberOptions = { port, seeds, metrics: kind, setsPerSecond };
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
    let ns = 0;
    for (const { pid } of this.#children) {
      for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) {
        const text = await Deno.readTextFile(`/proc/${pid}/task/${name}/schedstat`).catch(() => "0");
        ns += Number(text.split(" ")[0]);
      }
    }
    return ns / 1e6;
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

/** Prints the cost of each kind. */
async function measureAt(setsPerSecond: number, collector: string): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const clusters = new Map(KINDS.map((kind) => {
    return [kind, stack.use(new Cluster(kind, { setsPerSecond, collector }))] as const;
  }));
  await sleep(WARM_UP_S);
  const spent = new Map<Kind, number[]>(KINDS.map((kind) => [kind, []]));
  for (let period = 0; period < PERIODS; period++) {
    const before = new Map<Kind, number>();
    for (const [kind, cluster] of clusters) before.set(kind, await cluster.processorMs());
    await sleep(PERIOD_S);
    for (const [kind, cluster] of clusters) {
      spent.get(kind)!.push(await cluster.processorMs() - before.get(kind)!);
    }
  }
  console.log(`${MEMBERS} members, each with ${setsPerSecond} sets a second:`);
  const none = spent.get("none")!;
  for (const kind of KINDS) {
    const ms = spent.get(kind)!;
    const total = ms.reduce((sum, each) => sum + each, 0) / (PERIODS * PERIOD_S * MEMBERS);
    const ratio = median(ms.map((each, period) => each / none[period]!));
    const more = kind === "none"
      ? ""
      : `  ${((ratio - 1) * 100).toFixed(1)} % more (median of ${PERIODS} periods)`;
    console.log(`  ${kind.padEnd(10)} ${total.toFixed(2)} ms per second of a member${more}`);
  }
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
