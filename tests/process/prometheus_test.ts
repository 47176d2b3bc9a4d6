import { assert, assertEquals, assertGreater, assertLess } from "../../deps/std_assert.ts";
import { reasonWithout } from "../discovery/etcd_server.ts";
import type { MeteredMemberOptions } from "./metered_member.ts";
import { freePorts } from "./ports.ts";
import { eventually, Program } from "./program.ts";

const withoutPrometheus = await reasonWithout("prometheus", { args: ["--version"], package: "prometheus" });

/** A Prometheus that reads these ports every second, until it is disposed of. */
class Prometheus implements AsyncDisposable {
  readonly #origin: string;
  readonly #folder: string;
  readonly #child: Deno.ChildProcess;

  private constructor(parts: { readonly port: number; readonly folder: string }) {
    this.#origin = `http://127.0.0.1:${parts.port}`;
    this.#folder = parts.folder;
    // A shell that ends it when its own standard input ends, and so also when the test is killed.
    const script =
      'prometheus "$@" </dev/null >/dev/null 2>&1 & pid=$!; cat >/dev/null; kill -9 $pid; wait $pid';
    this.#child = new Deno.Command("sh", {
      args: [
        "-c",
        script,
        "prometheus",
        `--config.file=${parts.folder}/prometheus.yml`,
        `--storage.tsdb.path=${parts.folder}/data`,
        `--web.listen-address=127.0.0.1:${parts.port}`,
      ],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  static async start(ports: readonly number[]): Promise<Prometheus> {
    const folder = await Deno.makeTempDir({ prefix: "prometheus_" });
    const targets = ports.map((port) => `"127.0.0.1:${port}"`).join();
    await Deno.writeTextFile(
      `${folder}/prometheus.yml`,
      `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs: [{ job_name: hearsay, static_configs: [{ targets: [${targets}] }] }]
`,
    );
    const [port] = freePorts(1);
    const prometheus = new Prometheus({ port: port!, folder });
    await eventually("Prometheus is ready", async () => {
      const response = await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => undefined);
      await response?.body?.cancel();
      return response?.ok ?? false;
    });
    return prometheus;
  }

  /** The values of an expression, one for each series. */
  async query(expression: string): Promise<readonly number[]> {
    const url = `${this.#origin}/api/v1/query?query=${encodeURIComponent(expression)}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    const { status, error, data } = await response.json();
    assertEquals(status, "success", `${expression}: ${error}`);
    return data.result.map(({ value: [, text] }: { readonly value: readonly [number, string] }) =>
      Number(text)
    );
  }

  /** Waits until an expression has values that fit, and returns them. */
  async until(
    expression: string,
    fits: (values: readonly number[]) => boolean,
  ): Promise<readonly number[]> {
    let last: readonly number[] = [];
    await eventually(`${expression} fits`, async () => {
      last = await this.query(expression);
      return fits(last);
    }, { withinMs: 30_000 });
    return last;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Starts a member of three. */
function memberAt(index: number, ports: readonly number[], metricsPorts: readonly number[]): Program {
  const options: MeteredMemberOptions = {
    port: ports[index]!,
    metricsPort: metricsPorts[index]!,
    seeds: ports.map((port) => `ws://127.0.0.1:${port}`),
  };
  const permissions = ["--no-prompt", "--no-check", "--allow-net=127.0.0.1"];
  return new Program({
    args: ["run", ...permissions, "tests/process/metered_member.ts", JSON.stringify(options)],
  });
}

Deno.test({
  name: `Prometheus: reads three members, and answers for their members, rounds, lag and traffic${
    withoutPrometheus ? ` (skipped: ${withoutPrometheus})` : ""
  }`,
  ignore: withoutPrometheus !== undefined,
  fn: async () => {
    const [ports, metricsPorts] = [freePorts(3), freePorts(3)];
    await using first = memberAt(0, ports, metricsPorts);
    await using second = memberAt(1, ports, metricsPorts);
    await using third = memberAt(2, ports, metricsPorts);
    for (const member of [first, second, third]) await member.until(/^ready$/);
    await using prometheus = await Prometheus.start(metricsPorts);

    await prometheus.until("up", (values) => values.length === 3 && values.every((each) => each === 1));
    await prometheus.until('sum(hearsay_members{status="alive"})', ([sum]) => sum === 9);
    // 300 ms between two rounds.
    const rates = await prometheus.until(
      "rate(hearsay_rounds_total[10s])",
      (values) => values.length === 3 && values.every((each) => each > 2.5),
    );
    for (const rate of rates) assertLess(rate, 4);
    const lags = await prometheus.until(
      'histogram_quantile(0.95, sum by (le, instance) (rate(hearsay_lag_seconds_bucket{share="1"}[10s])))',
      (values) => values.length === 3 && values.every((each) => each > 0),
    );
    for (const lag of lags) assertLess(lag, 5);
    const traffic = await prometheus.until(
      'sum by (instance) (rate(hearsay_network_io_bytes_total{direction="transmit"}[10s]))',
      (values) => values.length === 3 && values.every((each) => each > 0),
    );
    assertEquals(traffic.length, 3);
    const done = 'sum by (instance) (hearsay_exchange_duration_seconds_count{outcome="done"})';
    for (const count of await prometheus.query(done)) assertGreater(count, 0);

    await third.end();
    const { success } = await third.ended();
    assert(success);
    await prometheus.until('sum(hearsay_members{status="left"})', ([sum]) => sum === 2);
    await prometheus.until('sum(hearsay_blocks_total{reason="left"})', ([sum]) => sum === 2);
  },
});
