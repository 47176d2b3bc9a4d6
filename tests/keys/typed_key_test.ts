import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "../../deps/std_assert.ts";
import { z } from "../../deps/zod.ts";
import { v } from "../../deps/valibot.ts";
import { HearsayError } from "../../common/errors.ts";
import { key, type StandardSchema } from "../../keys/mod.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { TestCluster } from "../requirements/harness.ts";
import { type Load, LOADS, schemaOf } from "./schemas.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 2_000 };

/** Members that know each other. */
async function confirmed(ids: readonly string[] = ["a", "b"]): Promise<TestCluster> {
  const cluster = await TestCluster.started(ids, { config: CONFIG });
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}

/** The code and the text of an error. */
function thrownBy(act: () => unknown): [string, string] {
  const { code, message } = assertThrows(act, HearsayError);
  return [code, message];
}

for (const [vendor, schema] of Object.entries(LOADS)) {
  Deno.test(`typed key (${vendor}): sets a valid value at every member, and the setter refuses an invalid value`, async () => {
    await using cluster = await confirmed();
    const [a, b] = [cluster.of("a").gossiper, cluster.of("b").gossiper];
    const load = key("load", schema);
    load.set(a, { cpu: 0.5, zone: "eu" });
    await cluster.runUntil(() => load.get(b).size === 1);
    const got = load.get(b).get("a")!;
    assertEquals(got, b.getState<Load>("load").get("a")!);
    const [code, message] = thrownBy(() => load.set(a, { cpu: "much" } as never));
    assertEquals(code, "invalid_value");
    assert(
      /^The key "load" cannot take this value: .*cpu.*number.*\. Nothing was changed\.$/.test(message),
      message,
    );
    assertEquals(load.get(a).get("a")!.value, { cpu: 0.5, zone: "eu" });
    await assertRejects(() => load.setRequest(a, {} as never), HearsayError, "cpu");
    await cluster.finish(load.setRequest(a, { cpu: 1 }, { acknowledgedBy: "all" }));
    assertEquals(load.get(b).get("a")!.value, { cpu: 1 });
    assertEquals([load.delete(a), load.delete(a), load.get(a).size], [true, false, 0]);
  });

  Deno.test(`typed key (${vendor}): leaves out an invalid value of a peer, and emits one event until the value is valid`, async () => {
    await using cluster = await confirmed();
    const [a, b] = [cluster.of("a").gossiper, cluster.of("b").gossiper];
    const load = key("load", schema);
    const misfits = () => cluster.of("b").emitted("InvalidValue");
    load.set(b, { cpu: 0.1 });
    a.setState("load", { cpu: "much" });
    await cluster.runUntil(() => b.getState("load").size === 2);
    for (let times = 0; times < 3; times++) assertEquals([...load.get(b).keys()], ["b"]);
    await cluster.runtime.settle();
    assertEquals(misfits().length, 1);
    const { memberId, key: name, issues } = misfits()[0]!;
    assertEquals([memberId, name, issues.length], ["a", "load", 1]);
    assert(/cpu.*number/.test(issues[0]!), issues[0]);

    load.set(a, { cpu: 0.7 });
    await cluster.runUntil(() => load.get(b).size === 2);
    a.setState("load", { cpu: "much" });
    await cluster.runUntil(() => load.get(b).size === 1);
    await cluster.runtime.settle();
    assertEquals(misfits().length, 2);
  });
}

Deno.test("typed key: a watch emits valid values, and a deletion when a value becomes invalid", async () => {
  await using cluster = await confirmed();
  const [a, b] = [cluster.of("a").gossiper, cluster.of("b").gossiper];
  const load = key("load", LOADS.zod!);
  a.setState("load", "nothing that fits");
  await cluster.runUntil(() => cluster.isConfirmed());
  const updates: unknown[] = [];
  const over = new AbortController();
  const watching = (async () => {
    for await (const { memberId, value, deleted } of load.watch(b, { signal: over.signal })) {
      updates.push([memberId, value?.cpu, deleted]);
    }
  })();
  const set = async (value: unknown) => {
    a.setState("load", value);
    await cluster.runUntil(() =>
      JSON.stringify(b.getState("load").get("a")?.value) === JSON.stringify(value)
    );
    await cluster.runtime.settle();
  };
  for (const value of ["still nothing", { cpu: 1 }, { cpu: 2 }, "nothing", "nothing more", { cpu: 3 }]) {
    await set(value);
  }
  a.deleteState("load");
  await cluster.runUntil(() => b.getState("load").size === 0);
  await cluster.runtime.settle();
  over.abort();
  await watching;
  assertEquals(updates, [
    ["a", 1, false],
    ["a", 2, false],
    ["a", undefined, true],
    ["a", 3, false],
    ["a", undefined, true],
  ]);
});

Deno.test("typed key: a watch reads no update before its reader asks, ends with the member, and can be canceled", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  const load = key("load", LOADS.zod!);
  let checks = 0;
  const counted = key("load", schemaOf<number>((value) => (checks++, { value: value as number })));
  checks = 0;
  counted.set(gossiper, 1);
  const reader = counted.watch(gossiper).getReader();
  await cluster.runtime.settle();
  assertEquals(checks, 1); // by the setter
  assertEquals((await reader.read()).value?.value, 1);
  await reader.cancel();
  const ending = load.watch(gossiper).getReader();
  await cluster.stop("a");
  assertEquals((await ending.read()).done, true);
});

Deno.test("typed key: members send the schema's input and read its output", async () => {
  await using cluster = await confirmed();
  const [a, b] = [cluster.of("a").gossiper, cluster.of("b").gossiper];
  const since = key("since", z.object({ at: z.coerce.date<string>(), zone: z.string().default("eu") }));
  since.set(a, { at: "2026-01-02T00:00:00Z" });
  await cluster.runUntil(() => b.getState("since").size === 1);
  assertEquals(b.getState("since").get("a")!.value, { at: "2026-01-02T00:00:00Z" });
  const { at, zone } = since.get(b).get("a")!.value;
  assertEquals([at.getUTCFullYear(), zone], [2026, "eu"]);
});

Deno.test("typed key: a value that JSON cannot carry is refused, even if the schema accepts it", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  const [code] = thrownBy(() => key("since", z.date()).set(gossiper, new Date()));
  assertEquals([code, gossiper.getState("since").size], ["invalid_value", 0]);
});

Deno.test("typed key: consensus compares outputs, or a part of them; an invalid value counts as no value", async () => {
  await using cluster = await confirmed();
  const [a, b] = [cluster.of("a").gossiper, cluster.of("b").gossiper];
  const plan = key("plan", z.object({ at: z.coerce.date<string>(), by: z.string() }));
  const calls: unknown[] = [];
  using parts = plan.consensus(a, {
    by: ({ at }) => at.getUTCFullYear(),
    onReached: (year) => calls.push(year),
    onLost: () => calls.push("lost"),
  });
  using whole = plan.consensus(a);
  plan.set(a, { at: "2026-01-02", by: "a" });
  plan.set(b, { at: "2026-05-02", by: "b" });
  assertEquals(await cluster.finish(parts.reached()), 2026);
  assertEquals([parts.value, whole.value, whole.dissenters()], [2026, undefined, ["b"]]);
  plan.set(b, { at: "2026-01-02", by: "a" });
  const { at, by } = await cluster.finish(whole.reached());
  assertEquals([at.getUTCMonth(), by], [0, "a"]);
  b.setState("plan", { at: "2026-01-02" });
  await cluster.runUntil(() => parts.value === undefined);
  assertEquals(parts.dissenters(), ["b"]);
  await cluster.runtime.settle();
  assertEquals(calls, [2026, "lost"]);
  assertEquals(cluster.of("a").emitted("InvalidValue").map(({ memberId }) => memberId), ["b"]);
});

Deno.test("typed key: an asynchronous schema is refused when the key is made, or at the setter; a peer's value is left out", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  const always = v.objectAsync({ a: v.string() });
  const [code, message] = thrownBy(() => key("k", always));
  assertEquals(code, "invalid_configuration");
  assert(/^The schema of the key "k" must be synchronous; it returned a promise\./.test(message), message);

  const sometimes = key("k", z.object({ a: z.string().refine((text) => Promise.resolve(text !== "")) }));
  assertEquals(thrownBy(() => sometimes.set(gossiper, { a: "x" }))[0], "invalid_configuration");
  assertEquals(gossiper.getState("k").size, 0);
  gossiper.setState("k", { a: "x" });
  assertEquals(sometimes.get(gossiper).size, 0);
  await cluster.runtime.settle();
  assertEquals(cluster.of("a").emitted("InvalidValue").map(({ issues }) => issues), [
    ["the schema is asynchronous, and must not be"],
  ]);
});

Deno.test("typed key: a rejected promise of a schema does not end the process", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  const failing = key(
    "k",
    schemaOf<string>((value) => value === undefined ? { value: "" } : Promise.reject(new Error("later"))),
  );
  gossiper.setState("k", "x");
  assertEquals(failing.get(gossiper).size, 0);
  await cluster.runtime.settle();
});

Deno.test("typed key: a value whose schema throws is left out, and the exception is the cause of the setter's error", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  const cause = new RangeError("no such zone");
  const throwing = key(
    "k",
    schemaOf<string>(() => {
      throw cause;
    }),
  );
  gossiper.setState("k", "x");
  assertEquals(throwing.get(gossiper).size, 0);
  const error = assertThrows(() => throwing.set(gossiper, "x"), HearsayError, "the schema threw RangeError");
  assertEquals([error.code, error.cause], ["invalid_value", cause]);
});

Deno.test("typed key: the issues of an event are few, short and printable for any value of a peer", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  const quoting = key(
    "k",
    schemaOf<string>((value) => ({
      issues: Array.from({ length: 1_000 }, () => ({ message: String(value), path: ["x", { key: 5 }] })),
    })),
  );
  gossiper.setState("k", `\x1b[2J\r\n${"x".repeat(10_000)}`);
  assertEquals(quoting.get(gossiper).size, 0);
  await cluster.runtime.settle();
  const [{ issues } = { issues: [] }] = cluster.of("a").emitted("InvalidValue");
  assertEquals(issues.length, 8);
  assert(issues.every((text) => text.startsWith("x.5: \\u001b[2J") && text.length < 300), issues[0]);
});

Deno.test("typed key: refuses a schema without the standard interface, and keys that no program may set", () => {
  for (
    const given of [undefined, null, 5, () => ({}), {}, { "~standard": { version: 2, validate: () => ({}) } }]
  ) {
    const error = assertThrows(() => key("k", given as unknown as StandardSchema), ConfigurationError);
    assertEquals(error.problems.map(({ field }) => field), ["schema"]);
  }
  for (const name of ["", "topology", "hearsay.member", "\ud800"]) {
    assertEquals(thrownBy(() => key(name, LOADS.zod!))[0], "invalid_key", name);
  }
});

Deno.test("typed key: each node gets its own event about an invalid value", async () => {
  await using cluster = await confirmed();
  const load = key("load", LOADS.valibot!);
  cluster.of("a").gossiper.setState("load", 5);
  await cluster.runUntil(() => cluster.of("b").gossiper.getState("load").size === 1);
  for (const id of ["a", "b"]) assertInstanceOf(load.get(cluster.of(id).gossiper), Map);
  await cluster.runtime.settle();
  assertEquals(["a", "b"].map((id) => cluster.of(id).emitted("InvalidValue").length), [1, 1]);
});
