/**
 * The tests that must notice a mutant of a file, the nearest and cheapest first.
 *
 * @module
 */

import { distancesFrom, type ImportGraph } from "./import_graph.ts";

/** One process: its arguments for Deno, and its test files. */
export interface Step {
  readonly args: readonly string[];
  /** Empty for the simulator. */
  readonly files: readonly string[];
}

/** The slow test files, with their seconds on one busy core: each is a step of its own, at the end. */
export const SLOW_TESTS: ReadonlyMap<string, number> = new Map([
  ["tests/security/later_incarnations_test.ts", 5],
  ["tests/engine/sync/starvation_test.ts", 6],
  ["tests/simulation/fuzz_test.ts", 7],
  ["tests/security/signatures_test.ts", 8],
  ["tests/simulation/properties_test.ts", 8],
  ["tests/protoactor/call_test.ts", 9],
  ["tests/gossiper/spread_test.ts", 12],
  ["tests/members/near_first_test.ts", 12],
  ["tests/requirements/many_keys_test.ts", 24],
  ["tests/requirements/bad_input_test.ts", 25],
  ["tests/engine/sync/cost_test.ts", 27],
  ["tests/simulation/protoactor_test.ts", 32],
  ["tests/engine/state/many_keys_test.ts", 62],
  ["tests/engine/chaos_test.ts", 65],
]);

/**
 * Tests that start programs, measure the process's memory, read the source, or draw their seeds: a mutant must meet the
 * same tests every time.
 */
const LEFT_OUT =
  /^tests\/(process|protoactor|security\/attacks)\/|\/(simulation\/(simulation|memory)|import_by_url)_test\.ts$/;

const SIMULATOR = "tests/simulation/main.ts";
/** 40 seeds take about as long as the slowest test file. */
const SIMULATE = [
  "run",
  "--no-check",
  "--allow-read",
  SIMULATOR,
  "--from",
  "1",
  "--seeds",
  "40",
  "--threads",
  "1",
];

/** The permissions of `deno task test`: a few tests need a missing one. */
const TEST = [
  ...["test", "--no-check", "--no-prompt", "--fail-fast"],
  ...["--allow-net=127.0.0.1", "--allow-read", "--allow-write", "--allow-run"],
  "--allow-env=WS_NO_BUFFER_UTIL,WS_NO_UTF_8_VALIDATE,COLORTERM,FORCE_COLOR,LOG,NODE_ENV,NO_COLOR,PRODUCTION,TERM",
];

/** The extent of a plan: the near tests alone, all but the slowest, or all. */
export type Extent = "near" | "quick" | "all";

/** In a quick plan no test file takes longer: what thousands of survivors would spend a week in is left out. */
const QUICK_SECONDS = 15;

/** Plans the steps for a file. */
export function planFor(file: string, graph: ImportGraph, extent: Extent = "all"): Step[] {
  const tests = [...graph.keys()].filter((each) => each.endsWith("_test.ts") && !LEFT_OUT.test(each))
    .map((test) => ({ test, distance: distancesFrom(test, graph).get(file) ?? Infinity }))
    .filter(({ distance }) => distance < Infinity)
    .sort((a, b) => a.distance - b.distance || (a.test < b.test ? -1 : 1));
  const isNear = ({ test, distance }: Reaching) => distance === 1 || isOfFolder(test, file);
  const isSlow = ({ test }: Reaching) => SLOW_TESTS.has(test);
  const near = tests.filter((each) => isNear(each) && !isSlow(each));
  if (extent === "near") return stepsOf([near]);
  const wide = tests.filter((each) => !isNear(each) && isWide(each) && !isSlow(each));
  const mostSeconds = extent === "quick" ? QUICK_SECONDS : Infinity;
  const slow = tests.filter((each) => isSlow(each) && (isNear(each) || isWide(each)))
    .filter(({ test }) => SLOW_TESTS.get(test)! <= mostSeconds)
    .sort((a, b) => SLOW_TESTS.get(a.test)! - SLOW_TESTS.get(b.test)!);
  const isSimulated = distancesFrom(SIMULATOR, graph).has(file);
  return [
    ...stepsOf([near, wide, ...slow.map((each) => [each])]),
    ...(isSimulated ? [{ args: SIMULATE, files: [] }] : []),
  ];
}

interface Reaching {
  readonly test: string;
  readonly distance: number;
}

function stepsOf(groups: readonly (readonly Reaching[])[]): Step[] {
  return groups.filter(({ length }) => length > 0).map((group) => {
    const files = group.map(({ test }) => test);
    return { args: [...TEST, ...files], files };
  });
}

/** The tests of a folder are in the folder of its name under `tests`. */
function isOfFolder(test: string, file: string): boolean {
  return test.startsWith(`tests/${file.split("/")[0]}/`);
}

/** The tests of no single folder. */
function isWide({ test }: Reaching): boolean {
  return /^tests\/(requirements|security|simulation)\//.test(test);
}
