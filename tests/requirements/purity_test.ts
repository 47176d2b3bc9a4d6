import { assert, assertEquals, assertNotEquals } from "../../deps/std_assert.ts";
import type { Engine } from "../../engine/engine.ts";
import { seededRandom } from "../../testing/memory_random.ts";
import houseRules from "../../tools/house_rules.ts";
import { sourceFiles } from "../../tools/source_files.ts";
import {
  entry,
  eventsOf,
  exchange,
  handshake,
  makeCluster,
  memberDelta,
  note,
  reconcile,
  remove,
  set,
  TestClock,
} from "../engine/harness.ts";
import { deltaOf } from "./scripted_peer.ts";

const ROOT = new URL("../../", import.meta.url);

/** The globals for clocks, random numbers, waits and I/O, by every name. */
const OUTSIDE = new Set([
  ...["Date", "Temporal", "performance", "crypto", "setTimeout", "setInterval", "setImmediate"],
  ...["queueMicrotask", "Promise", "fetch", "WebSocket", "EventTarget", "ReadableStream", "WritableStream"],
  ...["BroadcastChannel", "MessageChannel", "Worker", "Deno", "process", "navigator", "console"],
  ...["localStorage", "globalThis", "self", "window", "eval", "Function", "WeakRef", "FinalizationRegistry"],
]);

/** Finds in the syntax tree the constructs with no use in a pure and synchronous module. */
const purity: Deno.lint.Plugin = {
  name: "purity",
  rules: {
    pure: {
      create: (context) => ({
        Identifier(node) {
          if (OUTSIDE.has(node.name)) context.report({ node, message: node.name });
        },
        MemberExpression(node) {
          const { object, property } = node;
          if (object.type !== "Identifier" || object.name !== "Math") return;
          if (property.type === "Identifier" && property.name === "random") {
            context.report({ node, message: "random" });
          }
        },
        AwaitExpression: (node) => context.report({ node, message: "await" }),
        ImportExpression: (node) => context.report({ node, message: "import()" }),
        FunctionDeclaration: (node) => node.async && context.report({ node, message: "async" }),
        FunctionExpression: (node) => node.async && context.report({ node, message: "async" }),
        ArrowFunctionExpression: (node) => node.async && context.report({ node, message: "async" }),
      }),
    },
  },
};

/** The impure names in a text. */
function impurities(file: string, text: string): string[] {
  return Deno.lint.runPlugin(purity, file, text).map(({ message }) => message);
}

Deno.test("engine: does no I/O, reads no clock, draws no random number and awaits nothing (R3.1)", async () => {
  const files = await Array.fromAsync(sourceFiles(ROOT, "engine"));
  assert(
    files.includes("engine/engine.ts") && files.includes("engine/liveness/heartbeats.ts") &&
      files.length > 10,
  );
  for (const file of files) {
    const text = await Deno.readTextFile(new URL(file, ROOT));
    assertEquals(impurities(file, text), [], file);
    assertEquals(Deno.lint.runPlugin(houseRules, file, text).map(({ id }) => id), [], file);
  }
  // The check itself finds each of these.
  const impure = [
    "export const a = Date.now();",
    "export const a = Math.random();",
    "export async function a() {}",
    "export const a = async () => {};",
    "export const a = await import('x');",
    "export const a = Deno.cwd();",
    "globalThis.fetch('x');",
  ];
  for (const text of impure) assertNotEquals(impurities("a.ts", text), [], text);
});

/** Text with every difference between two results, also maps and missing values. */
function written(outcome: unknown): string {
  return JSON.stringify(outcome, (_key, value) => {
    if (value instanceof Map) return { map: [...value] };
    if (value instanceof Set) return { set: [...value] };
    return value === undefined ? { nothing: true } : value;
  });
}

/** All output of a few members in a random script by this seed. */
function runScript(seed: number, { random = 0.25 }: { readonly random?: number } = {}): string[] {
  const clock = new TestClock();
  const draw = seededRandom(seed);
  const pick = <T>(items: readonly T[]) => items[Math.floor(draw() * items.length)]!;
  const ids = ["a", "b", "c", "d"];
  const settings = { heartbeatExpiration: 3_000, departedRetention: 8_000, tombstoneRetention: 4_000 };
  const engines = makeCluster(ids, clock, { settings, random });
  for (const engine of engines) {
    note(engine, engine.addCheck("check", "k1", (value) => JSON.stringify(value)));
  }
  const output: string[] = [];
  const acts: readonly ((engine: Engine, other: Engine) => unknown)[] = [
    (engine) => set(engine, pick(["k1", "k2", "k3"]), pick([1, "one", [1], { one: 1 }, null]), clock),
    (engine) => remove(engine, pick(["k1", "k2", "k3"]), clock),
    (engine) => note(engine, engine.countHeartbeat({ kind: Math.floor(draw() * 9) }, clock.now)),
    (engine) => note(engine, engine.tick(clock.now)),
    (engine, other) => handshake(engine, other, clock),
    (engine, other) => exchange(engine, other, { clock }),
    (engine, other) => exchange(engine, other, { clock }),
    (engine, other) => exchange(engine, other, { clock, lose: pick(["request", "reply", "ack"] as const) }),
    (engine, other) => reconcile(engine, other),
    (engine) => {
      const members = ids.filter(() => draw() < 0.9);
      return note(engine, engine.setTopology({ members, blocked: draw() < 0.1 ? ["d"] : [] }, clock.now));
    },
    (engine, other) => note(engine, engine.unblock(other.view.id, clock.now)),
    (engine, other) => note(engine, engine.onBlockedBy(other.view.id, "expired")),
    (engine) => draw() < 0.05 ? note(engine, engine.leave(clock.now)) : engine.takeDueProbes(clock.now),
    (engine) => {
      // Another process under its id draws a new incarnation.
      if (draw() > 0.1) return undefined;
      const incarnation = `${engine.view.incarnation.slice(0, 12)}-ffffffff`;
      const delta = deltaOf([memberDelta(engine.view.id, incarnation, [entry("k1", 1, "other")])]);
      return note(engine, engine.applyIncoming("b", delta, clock.now));
    },
  ];
  for (let step = 0; step < 400; step++) {
    const engine = pick(engines);
    const other = pick(engines.filter((each) => each !== engine));
    output.push(written(pick(acts)(engine, other)));
    if (draw() < 0.4) clock.advance(Math.floor(draw() * 500));
  }
  for (const engine of engines) {
    output.push(
      written([
        engine.view.digest,
        engine.view.activeHash,
        engine.view.phase,
        engine.view.blockedMembers(),
        engine.view.footprint,
      ]),
    );
    output.push(
      written(
        ids.map((
          id,
        ) => [engine.view.incarnationOf(id), engine.view.versionOf(id), engine.view.entriesOf(id)]),
      ),
    );
    output.push(written(eventsOf(engine).all));
  }
  return output;
}

/** Runs a function without clock and random source. */
function withoutClockAndChance<T>(run: () => T): T {
  const { now } = Date;
  const { random } = Math;
  const { now: monotonic } = performance;
  const forbidden = () => {
    throw new Error("The engine looked at a clock, or drew lots.");
  };
  Object.assign(Date, { now: forbidden });
  Object.assign(Math, { random: forbidden });
  performance.now = forbidden;
  try {
    return run();
  } finally {
    Object.assign(Date, { now });
    Object.assign(Math, { random });
    performance.now = monotonic;
  }
}

Deno.test("engine: equal inputs give equal outputs, bit for bit (R3.1)", () => {
  const kinds = new Set<string>();
  for (let seed = 1; seed <= 5; seed++) {
    const first = runScript(seed);
    const second = withoutClockAndChance(() => runScript(seed));
    for (const [index, text] of first.entries()) assertEquals(second[index], text, `seed ${seed}, ${index}`);
    assertEquals(second.length, first.length);
    for (const [, kind] of first.join("\n").matchAll(/"type":"([A-Z]\w+)"/g)) kinds.add(kind!);
  }
  // Otherwise the script no longer covers these events.
  for (
    const kind of ["IncarnationRenewed", "MemberBlocked", "MemberUnblocked", "Confirmed", "ConsensusReached"]
  ) {
    assert(kinds.has(kind), `${kind} is not among ${[...kinds]}`);
  }
});

Deno.test("engine: uses the random numbers that it is given: another number gives another renewed incarnation (R3.1)", () => {
  const incarnations = [0.25, 0.25, 0.75].map((random) =>
    runScript(3, { random }).join("\n").match(/"type":"IncarnationRenewed","incarnation":"[^"]+"/g)
  );
  assert(incarnations[0] !== null);
  assertEquals(incarnations[0], incarnations[1]);
  assertNotEquals(incarnations[0], incarnations[2]);
});
