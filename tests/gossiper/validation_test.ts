import { assertEquals, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import type { Gossiper } from "../../gossiper/gossiper.ts";
import { TestCluster } from "../requirements/harness.ts";

/** Each public call with options, by its name. They are of any type, as in a program without type checks. */
const CALLS: Readonly<Record<string, (gossiper: Gossiper, options: unknown) => unknown>> = {
  converged: (gossiper, options) => gossiper.converged(options as never),
  reached: (gossiper, options) => gossiper.registerConsensusCheck("k").reached(options as never),
  setStateRequest: (gossiper, options) => gossiper.setStateRequest("k", 1, options as never),
  start: (gossiper, options) => gossiper.start(options as never),
  subscribe: (gossiper, options) => gossiper.events.subscribe("MemberJoined", options as never),
  watch: (gossiper, options) => gossiper.watch("k", options as never),
  watchMembers: (gossiper, options) => gossiper.watchMembers(options as never),
  whenMembers: (gossiper, options) => gossiper.whenMembers(2, options as never),
};

/** The last line of the error of a call. Times out in the virtual time if the call waits. */
async function refusal(cluster: TestCluster, call: (gossiper: Gossiper) => unknown): Promise<string> {
  const { gossiper } = cluster.of("a");
  const refused = assertRejects(async () => await call(gossiper), ConfigurationError);
  return (await cluster.finish(refused)).message.split("\n").at(-1)!.trim();
}

for (const [name, call] of Object.entries(CALLS)) {
  Deno.test(`${name}: refuses an unknown option, and names the intended option (R12.3)`, async () => {
    await using cluster = new TestCluster(["a", "b"]);
    cluster.make("a");
    const text = await refusal(cluster, (gossiper) => call(gossiper, { signl: AbortSignal.abort() }));
    assertEquals(text, "`signl` is not an option (did you mean signal?).");
  });

  Deno.test(`${name}: refuses an AbortSignal in place of options (R12.3)`, async () => {
    await using cluster = new TestCluster(["a", "b"]);
    cluster.make("a");
    const text = await refusal(cluster, (gossiper) => call(gossiper, AbortSignal.abort()));
    assertEquals(text, "`options` must be `{ signal }`; got an AbortSignal.");
  });

  Deno.test(`${name}: refuses options that are no object, and a signal that is no AbortSignal (R12.3)`, async () => {
    await using cluster = new TestCluster(["a", "b"]);
    cluster.make("a");
    for (const given of [null, 500, [], () => {}]) {
      const text = await refusal(cluster, (gossiper) => call(gossiper, given));
      assertEquals(text.startsWith("`options` must be an object; got "), true, text);
    }
    const text = await refusal(cluster, (gossiper) => call(gossiper, { signal: 500 }));
    assertEquals(text.startsWith("`signal` must be an AbortSignal"), true, text);
  });
}

Deno.test("options: a misspelled number is refused and changes nothing (R12.3)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const { gossiper } = cluster.make("a");
  const acknowledgeBy = (gossiper: Gossiper) =>
    gossiper.setStateRequest("k", 1, { acknowledgeBy: 1 } as never);
  assertEquals(
    await refusal(cluster, acknowledgeBy),
    "`acknowledgeBy` is not an option (did you mean acknowledgedBy?).",
  );
  assertEquals(gossiper.getState("k").size, 0);
  const timeout = (gossiper: Gossiper) => gossiper.whenMembers(2, { timeout: 500 } as never);
  assertEquals(await refusal(cluster, timeout), "`timeout` is not an option. Allowed: signal, stableFor.");
});

Deno.test("registerConsensusCheck: refuses an extractor and callbacks that are no functions (R12.3)", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  const fieldsOf = (call: () => unknown) =>
    assertThrows(call, ConfigurationError).problems.map(({ field }) => field);
  const value = (value: unknown) => value;
  assertEquals(fieldsOf(() => gossiper.registerConsensusCheck("k", { onLost() {} } as never)), ["extractor"]);
  assertEquals(fieldsOf(() => gossiper.registerConsensusCheck("k", value, (() => {}) as never)), [
    "callbacks",
  ]);
  assertEquals(fieldsOf(() => gossiper.registerConsensusCheck("k", value, { onReach() {} } as never)), [
    "callbacks.onReach",
  ]);
  assertEquals(fieldsOf(() => gossiper.registerConsensusCheck("k", value, { onLost: 5 } as never)), [
    "callbacks.onLost",
  ]);
});

Deno.test("setState: the error for a value names its key, but no secret (R4.2)", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  const textOf = (key: string, value: unknown) =>
    assertThrows(() => gossiper.setState(key, value), HearsayError).message;
  assertEquals(
    textOf("load", { cpu: undefined }),
    'The key "load" cannot take this value: value.cpu must be a JSON value; got undefined. Nothing was changed.',
  );
  const trap = {
    get cpu() {
      throw new Error("no");
    },
  };
  assertEquals(
    textOf("load", trap),
    'The key "load" cannot take this value: reading it threw Error: no. Nothing was changed.',
  );
  assertEquals(textOf("user:pa55@host", NaN).includes("pa55"), false);
});
