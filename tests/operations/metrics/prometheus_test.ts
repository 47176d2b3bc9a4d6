import { assertEquals, assertStringIncludes } from "../../../deps/std_assert.ts";
import { MemberMeters, metrics } from "../../../operations/metrics/mod.ts";
import { realRuntime } from "../../../common/runtime.ts";
import { reasonWithout } from "../../discovery/etcd_server.ts";
import { MeteredCluster } from "./cluster.ts";
import { namesIn, valueIn } from "./text.ts";

/** The reason why there is no Prometheus; `undefined` if there is one. */
const withoutPromtool = await reasonWithout("promtool", { args: ["--version"], package: "prometheus" });

const AMOUNTS = {
  members: { alive: 1, failed: 0, left: 0, suspected: 0 },
  rounds: 0,
  skippedRounds: 0,
  connections: { handshake: 0, ready: 0 },
  stateBytes: { others: 0, own: 0 },
  keys: 0,
  queues: { events: 0, outbox: 0, pending: 0 },
  oldestSpreadMs: 0,
};

Deno.test({
  name: `metrics: promtool accepts the text${withoutPromtool ? ` (skipped: ${withoutPromtool})` : ""}`,
  ignore: withoutPromtool !== undefined,
  fn: async () => {
    await using metered = await MeteredCluster.started(["a", "b"]);
    await metered.cluster.runUntil(() => metered.cluster.isConfirmed());
    const child = new Deno.Command("promtool", {
      args: ["check", "metrics"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(metered.text("a")));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assertEquals([code, output], [0, ""]);
  },
});

Deno.test("metrics: each metric has one header, and the text is empty before the start", async () => {
  assertEquals(metrics(new MemberMeters()), "");
  await using metered = await MeteredCluster.started(["a"]);
  const names = namesIn(metered.text("a"));
  assertEquals(new Set(names).size, names.length);
});

Deno.test("metrics: a label value with quotes, backslashes and line breaks is escaped", () => {
  const meters = new MemberMeters();
  meters.started({
    id: 'a"} 1\nevil 1\n',
    cluster: "back\\slash",
    runtime: realRuntime,
    amounts: () => AMOUNTS,
  });
  const text = metrics(meters);
  assertStringIncludes(text, String.raw`hearsay_member_info{id="a\"} 1\nevil 1\n",cluster="back\\slash"} 1`);
  assertEquals(text.split("\n").filter((line) => line.startsWith("evil")), []);
});

Deno.test("metrics: a histogram has cumulated buckets, a sum and a count", () => {
  const meters = new MemberMeters();
  meters.started({ id: "a", cluster: "c", runtime: realRuntime, amounts: () => AMOUNTS });
  for (const durationMs of [1, 20, 20, 9_000]) meters.exchanged({ peerId: "b", outcome: "done", durationMs });
  const text = metrics(meters);
  const value = (le: string) =>
    valueIn(text, `hearsay_exchange_duration_seconds_bucket{outcome="done",le="${le}"}`);
  assertEquals(["0.001", "0.01", "0.025", "5", "+Inf"].map(value), [1, 1, 3, 3, 4]);
  assertEquals(valueIn(text, 'hearsay_exchange_duration_seconds_count{outcome="done"}'), 4);
  assertEquals(valueIn(text, 'hearsay_exchange_duration_seconds_sum{outcome="done"}').toFixed(3), "9.041");
});
