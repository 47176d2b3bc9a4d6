/**
 * Runs mutants, each on a copy of the tree, and reports whether a test fails.
 *
 * @module
 */

import { type Mutant, textWith } from "./mutants_of.ts";
import type { Step } from "./plan.ts";

/**
 * The fate of a mutant. `failed`: a test failed. `timed out`: the tests took several times as long as without
 * the mutant. `survived`: all tests passed.
 */
export type Outcome = "failed" | "timed out" | "survived";

/** No step takes longer without a mutant. */
const LONGEST_MS = 600_000;
/** The tests differ by half from run to run; an endless loop takes any time. */
const LIMIT_FACTOR = 4;

/** A mutant's fate. */
export interface Verdict {
  readonly name: string;
  readonly outcome: Outcome;
  /** The first failed test, or the process if it failed before any test. */
  readonly by?: string;
  readonly elapsedMs: number;
}

/** How mutants are run. */
export interface RunOptions {
  /** The tree; it is copied, never changed. */
  readonly root: string;
  /** The tests of a file, in order. */
  readonly plan: (file: string) => readonly Step[];
  /** How many run at once; the number of cores by default. */
  readonly parallel?: number;
  /** A mutant never times out earlier; 60 s by default. */
  readonly leastLimitMs?: number;
  /** Called with each verdict as it comes. */
  readonly onVerdict?: (verdict: Verdict, mutant: Mutant) => void | Promise<void>;
}

/**
 * Runs all of them; returns the verdicts in the order of the mutants, and the tests that were left out because they fail
 * without a mutant.
 */
export async function runMutants(
  mutants: readonly Mutant[],
  options: RunOptions,
): Promise<{ verdicts: Verdict[]; red: string[] }> {
  const { root, plan, parallel = navigator.hardwareConcurrency, leastLimitMs = 60_000, onVerdict } = options;
  const verdicts: Verdict[] = [];
  const waiting = [...mutants.entries()];
  const baseline = new Baseline(leastLimitMs);
  const work = async () => {
    await using copy = await copyOf(root);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, mutant] = next;
      const verdict = await judge(mutant, { tree: copy.path, steps: plan(mutant.file), baseline });
      verdicts[index] = verdict;
      await onVerdict?.(verdict, mutant);
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, mutants.length) }, work));
  return { verdicts, red: [...baseline.red] };
}

async function judge(
  mutant: Mutant,
  { tree, steps, baseline }: {
    readonly tree: string;
    readonly steps: readonly Step[];
    readonly baseline: Baseline;
  },
): Promise<Verdict> {
  const path = `${tree}/${mutant.file}`;
  const text = await Deno.readTextFile(path);
  let elapsedMs = 0;
  for (const step of steps) {
    const run = async (green: Step, limitMs: number) => {
      await Deno.writeTextFile(path, textWith(text, mutant));
      return await runStep(green, { tree, limitMs }).finally(() => Deno.writeTextFile(path, text));
    };
    const noticed = await meet(step, { run, tree, baseline });
    elapsedMs += noticed.elapsedMs;
    if (noticed.outcome !== "survived") return { ...noticed, name: mutant.name, elapsedMs };
  }
  return { name: mutant.name, outcome: "survived", elapsedMs };
}

/** Runs one step with a mutant, and again wherever the failure says nothing of the mutant. */
async function meet(
  step: Step,
  { run, tree, baseline }: {
    readonly run: (green: Step, limitMs: number) => Promise<StepResult>;
    readonly tree: string;
    readonly baseline: Baseline;
  },
): Promise<Omit<Verdict, "name">> {
  let elapsedMs = 0;
  for (let green = baseline.green(step); green !== undefined; green = baseline.green(step)) {
    const limitMs = baseline.limitMs(green);
    const result = await run(green, limitMs);
    ({ elapsedMs } = result);
    if (result.passed) break;
    if (result.isTimedOut) {
      // The machine may be busy, and the mutant harmless.
      if (await baseline.measure(green, tree) <= limitMs) {
        return { outcome: "timed out", by: subjectOf(green), elapsedMs };
      }
    } else if (await baseline.isGreen(green, result.failed?.file, tree)) {
      return { outcome: "failed", by: result.failed?.text ?? subjectOf(green), elapsedMs };
    }
  }
  return { outcome: "survived", elapsedMs };
}

/**
 * The tests without a mutant. They run when something depends on them: a file when it first notices a mutant, a step when
 * a mutant first takes too long. So a mutant is decided in seconds, and no red test counts.
 */
class Baseline {
  /** Tests that fail without a mutant too; they prove nothing. */
  readonly red = new Set<string>();
  readonly #leastLimitMs: number;
  readonly #limitsMs = new Map<string, number>();
  readonly #checked = new Map<string, Promise<boolean>>();

  constructor(leastLimitMs: number) {
    this.#leastLimitMs = leastLimitMs;
  }

  /** A step without its failing files; undefined if none is left. */
  green(step: Step): Step | undefined {
    const keys = keysOf(step).filter((key) => !this.red.has(key));
    return keys.length === 0 ? undefined : only(step, keys);
  }

  limitMs({ args }: Step): number {
    return this.#limitsMs.get(args.toSorted().join(" ")) ?? this.#leastLimitMs;
  }

  /** Measures a step, and returns how long it may take from now on. */
  async measure(step: Step, tree: string): Promise<number> {
    const { passed, failed, elapsedMs } = await runStep(step, { tree, limitMs: LONGEST_MS });
    if (!passed) this.#noteRed(step, failed?.file);
    const limitMs = passed ? Math.max(this.#leastLimitMs, LIMIT_FACTOR * elapsedMs) : Infinity;
    if (passed) this.#limitsMs.set(step.args.toSorted().join(" "), limitMs);
    return limitMs;
  }

  /** True if the file that failed, or the whole step, passes without a mutant. */
  isGreen(step: Step, file: string | undefined, tree: string): Promise<boolean> {
    const checked = file !== undefined && step.files.includes(file) ? only(step, [file]) : step;
    const key = checked.args.join(" ");
    const known = this.#checked.get(key) ?? runStep(checked, { tree, limitMs: LONGEST_MS }).then((result) => {
      if (!result.passed) this.#noteRed(checked, result.failed?.file);
      return result.passed;
    });
    this.#checked.set(key, known);
    return known;
  }

  #noteRed(step: Step, file: string | undefined): void {
    const keys = keysOf(step);
    for (const key of file !== undefined && keys.includes(file) ? [file] : keys) this.red.add(key);
  }
}

function keysOf({ args, files }: Step): readonly string[] {
  return files.length > 0 ? files : [args.join(" ")];
}

/** A step with some of its files alone. */
function only({ args, files }: Step, chosen: readonly string[]): Step {
  const isLeft = (each: string) => files.includes(each) && !chosen.includes(each);
  return { args: args.filter((each) => !isLeft(each)), files: files.filter((each) => !isLeft(each)) };
}

function subjectOf({ args, files }: Step): string {
  return files.length === 1 ? files[0]! : args.find((each) => each.endsWith(".ts")) ?? args.join(" ");
}

interface StepResult {
  readonly passed: boolean;
  readonly isTimedOut: boolean;
  readonly failed: Failed | undefined;
  readonly elapsedMs: number;
}

async function runStep(
  { args }: Step,
  { tree, limitMs }: { readonly tree: string; readonly limitMs: number },
): Promise<StepResult> {
  const startedMs = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: tree,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    child.kill("SIGKILL");
  }, limitMs);
  const { success, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  const output = `${decoder.decode(stdout)}\n${decoder.decode(stderr)}`;
  return {
    passed: success,
    isTimedOut,
    failed: firstFailed(output),
    elapsedMs: performance.now() - startedMs,
  };
}

/** The first test that failed. */
interface Failed {
  readonly file: string;
  readonly text: string;
}

/** The reporter's line of a failure: `name => ./tests/unit/x_test.ts:3:6`, or of a file that could not be loaded. */
function firstFailed(output: string): Failed | undefined {
  const [, name, file] = /^(.+) => \.\/(.+?_test\.ts):\d+:\d+$/m.exec(output) ?? [];
  if (file !== undefined) return { file, text: `${file}: ${name}` };
  const [, unloaded] = /^\.\/(.+?_test\.ts) \(uncaught error\)/m.exec(output) ?? [];
  return unloaded === undefined ? undefined : { file: unloaded, text: unloaded };
}

/** Not needed to run a test. */
const LEFT_OUT = new Set([".git", "node_modules", "coverage"]);

/** A copy of the tree, removed when it is disposed of. */
async function copyOf(root: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "mutants_" });
  await copyFolder(root, path);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function copyFolder(from: string, to: string): Promise<void> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    if (LEFT_OUT.has(name)) continue;
    if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
    if (!isDirectory) continue;
    await Deno.mkdir(`${to}/${name}`);
    await copyFolder(`${from}/${name}`, `${to}/${name}`);
  }
}
