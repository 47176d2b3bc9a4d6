/**
 * Runs mutants, each on a copy of the tree, and says which of them a test notices.
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

/** The tests differ by half from run to run; an endless loop takes any time. */
const LIMIT_FACTOR = 4;

/** A mutant's fate. */
export interface Verdict {
  readonly name: string;
  readonly outcome: Outcome;
  /** The test that failed first, or the process that failed before any test. */
  readonly by?: string;
  readonly elapsedMs: number;
}

/** The way in which mutants are run. */
export interface RunOptions {
  /** The tree; it is copied, never changed. */
  readonly root: string;
  /** The tests of a file, in order. */
  readonly plan: (file: string) => readonly Step[];
  /** How many run at once; the number of cores by default. */
  readonly parallel?: number;
  /** A mutant never times out earlier; 20 s by default. */
  readonly leastLimitMs?: number;
  /** Called with each verdict as it comes. */
  readonly onVerdict?: (verdict: Verdict, mutant: Mutant) => void | Promise<void>;
}

/**
 * Runs all of them; returns the verdicts in the order of the mutants.
 *
 * @throws {Error} if the tests of a step fail without any mutant.
 */
export async function runMutants(mutants: readonly Mutant[], options: RunOptions): Promise<Verdict[]> {
  const { root, plan, parallel = navigator.hardwareConcurrency, leastLimitMs = 20_000, onVerdict } = options;
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
  return verdicts;
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
    const run = async (limitMs: number) => {
      await Deno.writeTextFile(path, textWith(text, mutant));
      return await runStep(step, { tree, limitMs }).finally(() => Deno.writeTextFile(path, text));
    };
    const limitMs = await baseline.limitMs(step, tree);
    let result = await run(limitMs);
    if (result.isTimedOut) {
      // The machine may be busier than it was, and the mutant harmless.
      const limitNowMs = await baseline.limitNowMs(step, tree);
      if (limitNowMs > limitMs) result = await run(limitNowMs);
    }
    elapsedMs += result.elapsedMs;
    if (result.isTimedOut) return { name: mutant.name, outcome: "timed out", by: subjectOf(step), elapsedMs };
    if (!result.passed) {
      return { name: mutant.name, outcome: "failed", by: result.failed ?? subjectOf(step), elapsedMs };
    }
  }
  return { name: mutant.name, outcome: "survived", elapsedMs };
}

/** The tests without a mutant: they pass, and take so long. Each file runs once, when a step first needs it. */
class Baseline {
  readonly #leastLimitMs: number;
  /** By file, or by the arguments of a step without files. */
  readonly #elapsedMs = new Map<string, Promise<number>>();

  constructor(leastLimitMs: number) {
    this.#leastLimitMs = leastLimitMs;
  }

  async limitMs(step: Step, tree: string): Promise<number> {
    const keys = step.files.length > 0 ? step.files : [step.args.join(" ")];
    const missing = keys.filter((key) => !this.#elapsedMs.has(key));
    if (missing.length > 0) {
      const args = step.args.filter((each) => !step.files.includes(each) || missing.includes(each));
      const measured = measure({ args, files: step.files.length > 0 ? missing : [] }, tree);
      for (const key of missing) this.#elapsedMs.set(key, measured.then((ms) => ms / missing.length));
    }
    const elapsed = await Promise.all(keys.map((key) => this.#elapsedMs.get(key)!));
    return this.#limitFor(elapsed.reduce((a, b) => a + b, 0));
  }

  /** The limit of a step, measured anew. */
  async limitNowMs(step: Step, tree: string): Promise<number> {
    return this.#limitFor(await measure(step, tree));
  }

  #limitFor(elapsedMs: number): number {
    return Math.max(this.#leastLimitMs, LIMIT_FACTOR * elapsedMs);
  }
}

async function measure(step: Step, tree: string): Promise<number> {
  const { passed, failed, output, elapsedMs } = await runStep(step, { tree, limitMs: 600_000 });
  if (passed) return elapsedMs;
  throw new Error(
    `The tests must pass without a mutant; ${failed ?? subjectOf(step)} failed.\n${output.slice(-4_000)}`,
  );
}

function subjectOf({ args, files }: Step): string {
  return files.length === 1 ? files[0]! : args.find((each) => each.endsWith(".ts")) ?? args.join(" ");
}

interface StepResult {
  readonly passed: boolean;
  readonly isTimedOut: boolean;
  /** The first test that failed, with its file. */
  readonly failed: string | undefined;
  readonly output: string;
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
    output,
    elapsedMs: performance.now() - startedMs,
  };
}

/** The reporter's line of a failure: `name => ./tests/unit/x_test.ts:3:6`. */
function firstFailed(output: string): string | undefined {
  const [, name, file] = /^(.+) => \.\/(.+?_test\.ts):\d+:\d+$/m.exec(output) ?? [];
  return file === undefined ? undefined : `${file}: ${name}`;
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
