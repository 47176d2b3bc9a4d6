import { assert, assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { simulateAll } from "./pool.ts";
import { type Outcome, Simulation } from "./simulation.ts";

/** Seeds that failed once, each with the defect. Their runs are plain, as they were when they failed. */
const PLAIN_REGRESSIONS: readonly (readonly [seed: number, what: string])[] = [
  [15, "a duplicated request got two replies, and the acknowledgement of one counted for the other"],
  [56, "acknowledgements of an earlier process with the peer's id counted for the present one"],
  [186, "a peer with the full state counted as having the floor of a reset"],
  [220, "the defect of seed 186, and endless repairs"],
  [914229, "a suspended process was resumed by a refused dial"],
  [91000935, "the state of a forgotten member that came back was refused if it came in parts"],
  [97000280, "an old state of a forgotten member was merged"],
  [641257876, "a process that had left counted as living until its connections were closed"],
  [70009861, "a resumed process took the next refused dial for the end of its wait"],
];

/** New seeds of every run. */
const SEEDS = 300;
/** The first of them is below this, so that it stays short. */
const BASES = 1e9;

Deno.test("simulation: under faults of processes, clocks and links the invariants hold, and the cluster recovers (E1 to E14)", async () => {
  const base = crypto.getRandomValues(new Uint32Array(1))[0]! % BASES;
  console.log(`simulation: deno task simulate --from ${base} --seeds ${SEEDS}`);
  const outcomes = await assertAllPass(Array.from({ length: SEEDS }, (_, each) => base + each), {
    isPlain: false,
  });
  // Without a polite restart the bound of its phase was not checked.
  assertGreater(outcomes.filter(({ returnMs }) => !Number.isNaN(returnMs)).length, 0);
});

Deno.test("simulation: seeds that failed in the past pass", async () => {
  await assertAllPass(PLAIN_REGRESSIONS.map(([seed]) => seed), { isPlain: true });
});

async function assertAllPass(
  seeds: readonly number[],
  overrides: { readonly isPlain: boolean },
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const options = overrides.isPlain ? " --plain" : "";
  for await (const { outcome, log } of simulateAll(seeds, { overrides })) {
    const { seed, violation } = outcome;
    outcomes.push(outcome);
    assert(
      violation === undefined,
      [`seed ${seed}: ${violation}`, `deno task simulate --seed ${seed}${options}`, ...log].join("\n"),
    );
  }
  return outcomes;
}

Deno.test("simulation: seeds draw every discovery and every kind of address, a single seed, early clock steps, overlaps, maps, roles and zones", () => {
  const scenarios = Array.from({ length: 200 }, (_, seed) => new Simulation(seed).scenario);
  const drawn = new Set(scenarios.flatMap(({ discovery, addresses, seeds, faults, earlySteps, ...more }) => [
    discovery,
    addresses,
    `${seeds} seeds`,
    ...(earlySteps.chance > 0 ? ["early steps"] : []),
    ...(Number.isFinite(more.mapChangeEveryMs) ? ["maps"] : []),
    ...(more.roles ? ["roles"] : []),
    `${more.zones} zones`,
    ...faults.map(([, fault]) => fault),
  ]));
  const due = [
    ...["fixed", "seeds", "topology", "balancer", "name", "own", "ports", "paths", "1 seeds", "2 seeds"],
    ...["early steps", "polite restart", "overlap", "maps", "roles", "2 zones", "3 zones"],
  ];
  assertEquals(due.filter((each) => !drawn.has(each)), []);
});

Deno.test("simulation: equal seeds give equal event logs, byte for byte, and different seeds give different event logs", async () => {
  for (const seed of [2, 19, 20, 28, 44]) {
    const logs = await Promise.all([seed, seed, seed + 1].map(async (each) => {
      const simulation = new Simulation(each);
      const outcome = await simulation.run();
      return [...simulation.describe(), ...simulation.trace.lines(), JSON.stringify(outcome)].join("\n");
    }));
    assert(logs[0]!.length > 1_000);
    assertEquals(logs[0] === logs[1], true, `seed ${seed} has two event logs`);
    assertEquals(logs[0] === logs[2], false);
  }
});
