import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import { configure, DEFAULT_CONFIG, type PartialConfig } from "../../options/configuration.ts";
import { EventStream } from "../../contracts/event_stream.ts";
import { Gossiper } from "../../gossiper/gossiper.ts";
import { ConfigurationError, loadConfig, parseConfig } from "../../options/yaml.ts";
import { MemoryNetwork } from "../../testing/memory.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";

const SIX = {
  gossipInterval: 200,
  gossipRequestTimeout: 400,
  gossipFanOut: 4,
  gossipMaxSend: 60,
  heartbeatExpiration: 9_000,
  gossipActorName: "rumours",
} as const;

const SIX_AS_YAML = `# six settings
gossipInterval: 200
gossipRequestTimeout: 400
gossipFanOut: 4
gossipMaxSend: 60
heartbeatExpiration: 9000
gossipActorName: rumours
`;

/** Runs `use` with a temporary file of this text. */
async function withFile<T>(text: string, use: (file: string) => Promise<T>): Promise<T> {
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(file, text);
    return await use(file);
  } finally {
    await Deno.remove(file);
  }
}

/** The problems in the error for an invalid text. */
function problemsOf(text: string, options?: Parameters<typeof parseConfig>[1]) {
  return assertThrows(() => parseConfig(text, options), ConfigurationError).problems;
}

Deno.test("configuration: the six settings are read from code (R12.1)", () => {
  assertEquals(configure(SIX), { ...DEFAULT_CONFIG, ...SIX });
});

Deno.test('configuration: the actor name is "gossip" by default (R12.1)', () => {
  assertEquals(configure().gossipActorName, "gossip");
});

Deno.test("configuration: the six settings are read from a YAML text (R12.1)", () => {
  assertEquals(parseConfig(SIX_AS_YAML), SIX);
});

Deno.test("configuration: the six settings are read from a YAML file, named by a path or by a URL (R12.1)", async () => {
  await withFile(SIX_AS_YAML, async (file) => {
    assertEquals(await loadConfig(file), { ...DEFAULT_CONFIG, ...SIX });
    assertEquals(await loadConfig(new URL(`file://${file}`)), { ...DEFAULT_CONFIG, ...SIX });
  });
});

Deno.test("configuration: a setting in code takes precedence over the file (R12.1)", async () => {
  await withFile(SIX_AS_YAML, async (file) => {
    const config = await loadConfig(file, { override: { gossipFanOut: 7, maxMembers: 20 } });
    assertEquals(config, { ...DEFAULT_CONFIG, ...SIX, gossipFanOut: 7, maxMembers: 20 });
    assert(Object.isFrozen(config));
  });
});

Deno.test("YAML: .inf is read as Infinity (R12.1)", () => {
  assertEquals(parseConfig("blockedProbeInterval: .inf"), { blockedProbeInterval: Infinity });
});

Deno.test("YAML: an empty mapping gives the defaults (R12.1)", async () => {
  assertEquals(parseConfig("{}"), {});
  await withFile("{}", async (file) => assertEquals(await loadConfig(file), DEFAULT_CONFIG));
});

Deno.test("YAML: names that belong to the caller are ignored (R12.1)", async () => {
  const text = "cluster: orders\nseeds: [ws://127.0.0.1:7001]\ngossipFanOut: 4\n";
  assertEquals(parseConfig(text, { ignore: ["cluster", "seeds"] }), { gossipFanOut: 4 });
  await withFile(text, async (file) => {
    assertEquals((await loadConfig(file, { ignore: ["cluster", "seeds"] })).gossipFanOut, 4);
    await assertRejects(() => loadConfig(file, { ignore: ["seeds"] }), ConfigurationError, "cluster");
  });
});

Deno.test("YAML: a missing file rejects with the error of the platform (R12.1)", async () => {
  await assertRejects(() => loadConfig("/no/such/file.yaml"), Deno.errors.NotFound);
});

Deno.test("YAML: an aborted signal stops the read and rejects with its reason (R12.1)", async () => {
  const reason = new Error("enough");
  await withFile(SIX_AS_YAML, async (file) => {
    const error = await assertRejects(() => loadConfig(file, { signal: AbortSignal.abort(reason) }));
    assertEquals(error, reason);
  });
});

Deno.test("YAML: an invalid setting is named with its line (R12.3)", () => {
  assertEquals(problemsOf("# first\ngossipFanOut: 4\n'gossipInterval': 1.5\n", { name: "x.yaml" }), [{
    field: "gossipInterval",
    problem: "must be a whole number of milliseconds from 10 to 3600000",
    given: "1.5",
    allowed: "a whole number of milliseconds from 10 to 3600000",
    source: "x.yaml, line 3",
  }]);
});

Deno.test("configuration: one error names every invalid setting in file and code with its place (R12.3)", async () => {
  await withFile("gossipFanout: 3\ngossipInterval: fast\nheartbeatExpiration: 900\n", async (file) => {
    const override = { gossipInterval: 0, gossipRequestTimeout: 10, nonsense: 1 } as PartialConfig;
    const error = await assertRejects(() => loadConfig(file, { override }), ConfigurationError);
    assertEquals(error.problems.map(({ field, source }) => [field, source]), [
      ["gossipFanout", `${file}, line 1`],
      ["gossipInterval", `${file}, line 2`],
      ["gossipInterval", "code"],
      ["nonsense", "code"],
    ]);
    assertStringIncludes(
      error.message,
      `\`gossipFanout\` (${file}, line 1) is not a setting (did you mean gossipFanOut?); got`,
    );
  });
});

Deno.test("configuration: a rule between settings holds across file and code, and its error names the place of the invalid setting (R12.3)", async () => {
  await withFile("gossipFanOut: 4\nheartbeatExpiration: 900\n", async (file) => {
    const error = await assertRejects(
      () => loadConfig(file, { override: { gossipInterval: 1_000, maxConnections: 2 } }),
      ConfigurationError,
    );
    assertEquals(error.problems.map(({ field, source }) => [field, source]), [
      ["heartbeatExpiration", `${file}, line 2`],
      ["maxConnections", "code"],
    ]);
  });
});

Deno.test("YAML: a syntax error is reported with its line, beside the invalid settings in code (R12.3)", async () => {
  const bad = "gossipFanOut: 4\n  gossipInterval: 5\n";
  const [problem] = problemsOf(bad, { name: "bad.yaml" });
  assertEquals(problem?.source, "bad.yaml, line 2");
  assertStringIncludes(problem?.problem ?? "", "must be valid YAML (");
  await withFile(bad, async (file) => {
    const override = { gossipFanOut: 0 };
    const error = await assertRejects(() => loadConfig(file, { override }), ConfigurationError);
    assertEquals(error.problems.map(({ source }) => source), [`${file}, line 2`, "code"]);
  });
});

Deno.test("YAML: a duplicate name is reported with the second line (R12.3)", () => {
  const [problem, ...others] = problemsOf("gossipFanOut: 4\n\ngossipFanOut: 5\n");
  assertEquals(others, []);
  assertStringIncludes(problem?.problem ?? "", "duplicated key");
  assertEquals(problem?.given, '"gossipFanOut: 5"');
  assertEquals(problem?.source, "YAML, line 3");
});

Deno.test("YAML: an empty text, or a text of comments alone, is refused (R12.3)", () => {
  for (const text of ["", "\n\n", "# gossipFanOut: 4\n", "~\n"]) {
    assertEquals(problemsOf(text, { name: "x.yaml" }), [{
      field: "configuration",
      problem: "must not be empty",
      given: "nothing",
      allowed: "settings by name, or {} for none",
      source: "x.yaml, line 1",
    }]);
  }
});

Deno.test("YAML: a text that is not a mapping is refused (R12.3)", () => {
  for (const [text, given] of [["# a\n- gossipFanOut\n", "an array"], ["\nfast\n", '"fast"']] as const) {
    const [problem, ...others] = problemsOf(text, { name: "x.yaml" });
    assertEquals(others, []);
    assertEquals([problem?.given, problem?.source], [given, "x.yaml, line 2"]);
  }
  assertEquals(problemsOf("a: 1\n---\nb: 2\n")[0]?.source, "YAML, line 2");
});

Deno.test("YAML: a setting without a value, or of another YAML type, is refused (R12.3)", () => {
  const text =
    "gossipInterval:\ngossipFanOut: 2026-01-01\ngossipMaxSend: yes\nmaxMembers: 0x10\n__proto__: {}\n";
  assertEquals(problemsOf(text).map(({ field, given }) => [field, given]), [
    ["__proto__", "an object"],
    ["gossipInterval", "null"],
    ["gossipFanOut", "an object"],
    ["gossipMaxSend", '"yes"'],
  ]);
});

/** A cluster reference of a member alone on an in-memory network. */
function aloneOn(network: MemoryNetwork, runtime: VirtualRuntime) {
  return {
    self: { id: "a", host: "a", port: 1, kinds: [] },
    name: "orders",
    eventStream: new EventStream(),
    transport: network.transport("a", 1),
    runtime,
  };
}

Deno.test("gossiper: is constructed from a configuration and a cluster, and uses both (R12.2)", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  const config = configure({ gossipInterval: 70, heartbeatExpiration: 5_000 });
  const gossiper = new Gossiper(config, aloneOn(network, runtime));
  assertEquals(gossiper.members.map(({ id }) => id), ["a"]);
  assertEquals(runtime.timers, 0);
  await gossiper.start();
  await runtime.settle();
  const beats = () => gossiper.getState(HEARTBEAT_KEY).get("a")?.sequenceNumber ?? 0;
  const first = beats();
  await runtime.advance(69);
  assertEquals(beats(), first);
  await runtime.advance(1);
  assert(beats() > first);
  const stopped = gossiper.stop();
  await runtime.advance(2_000);
  await stopped;
});

Deno.test("gossiper: is not constructed with invalid settings, and one error names all of them (R12.3)", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  const cluster = aloneOn(network, runtime);
  const config = { gossipInterval: -1, gossipFanOutt: 3, gossipActorName: "a/b" } as PartialConfig;
  const error = assertThrows(() => new Gossiper(config, cluster), ConfigurationError);
  assertEquals(error.code, "invalid_configuration");
  assertEquals(error.problems.map(({ field, given }) => [field, given]), [
    ["gossipInterval", "-1"],
    ["gossipFanOutt", "3"],
    ["gossipActorName", '"a/b"'],
  ]);
  for (const { allowed } of error.problems) assert(allowed.length > 0);
  assertEquals(runtime.timers, 0);
});

Deno.test("gossiper: is not constructed if the cluster lacks a required part (R12.3)", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  const cluster = aloneOn(network, runtime);
  const broken = { ...cluster, name: "", self: { ...cluster.self, port: 70_000 }, transport: undefined };
  const error = assertThrows(
    () => new Gossiper({ gossipFanOut: 0 }, broken as unknown as typeof cluster),
    ConfigurationError,
  );
  assertEquals(error.problems.map(({ field }) => field), [
    "gossipFanOut",
    "cluster.name",
    "cluster.self.port",
    "cluster.transport",
  ]);
});

Deno.test("gossiper: refuses exactly the actor kinds that a peer would refuse in the handshake (R12.3)", async () => {
  const runtime = new VirtualRuntime();
  await using network = new MemoryNetwork({ runtime });
  const cluster = aloneOn(network, runtime);
  const make = (kinds: string[]) => new Gossiper({}, { ...cluster, self: { ...cluster.self, kinds } });
  const refused = [
    [""],
    ["k".repeat(257)],
    ["\ud800"],
    Array.from({ length: 257 }, (_, index) => `k${index}`),
    Array.from({ length: 65 }, (_, index) => `${index}`.padEnd(256, "k")),
  ];
  for (const kinds of refused) {
    const error = assertThrows(() => make(kinds), ConfigurationError);
    assertEquals(error.problems.map(({ field }) => field), ["cluster.self.kinds"]);
  }
  make(["k".repeat(256)]);
  make(Array.from({ length: 256 }, (_, index) => `k${index}`));
  make(Array.from({ length: 64 }, (_, index) => `${index}`.padEnd(256, "k")));
});
