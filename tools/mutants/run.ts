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

/** No step takes longer without a mutant. */
const LONGEST_MS = 600_000;
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
 * Runs all of them; returns the verdicts in the order of the mutants, and the tests that were left out because they fail
 * without a mutant.
 */
export async function runMutants(
  mutants: readonly Mutant[],
  options: RunOptions,
): Promise<{ verdicts: Verdict[]; red: string[] }> {
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
    const prepared = await baseline.prepare(step, tree);
    if (prepared === undefined) continue;
    const { green, limitMs } = prepared;
    const run = async (limitMs: number) => {
      await Deno.writeTextFile(path, textWith(text, mutant));
      return await runStep(green, { tree, limitMs }).finally(() => Deno.writeTextFile(path, text));
    };
    let result = await run(limitMs);
    if (result.isTimedOut) {
      // The machine may be busier than it was, and the mutant harmless.
      const limitNowMs = await baseline.limitNowMs(green, tree);
      if (limitNowMs > limitMs) result = await run(limitNowMs);
    }
    elapsedMs += result.elapsedMs;
    if (result.isTimedOut) {
      return { name: mutant.name, outcome: "timed out", by: subjectOf(green), elapsedMs };
    }
    if (!result.passed) {
      return { name: mutant.name, outcome: "failed", by: result.failed?.text ?? subjectOf(green), elapsedMs };
    }
  }
  return { name: mutant.name, outcome: "survived", elapsedMs };
}

/** The tests without a mutant: whether they pass, and how long they take. Each file runs when a step first needs it. */
class Baseline {
  readonly #leastLimitMs: number;
  /** By file, or by the arguments of a step without files; undefined where it is red. */
  readonly #elapsedMs = new Map<string, Promise<number | undefined>>();
  /** The tests that fail without a mutant, and say nothing about one. */
  readonly red = new Set<string>();

  constructor(leastLimitMs: number) {
    this.#leastLimitMs = leastLimitMs;
  }

  /** A step without its red files, and how long it may take; undefined where none is left. */
  async prepare(step: Step, tree: string): Promise<{ green: Step; limitMs: number } | undefined> {
    const keys = keysOf(step);
    const missing = keys.filter((key) => !this.#elapsedMs.has(key));
    if (missing.length > 0) {
      const measured = this.#measure(only(step, missing), tree);
      for (const key of missing) {
        this.#elapsedMs.set(key, measured.then((ms) => this.red.has(key) ? undefined : ms / missing.length));
      }
    }
    const elapsed = await Promise.all(keys.map((key) => this.#elapsedMs.get(key)!));
    const green = keys.filter((_, index) => elapsed[index] !== undefined);
    if (green.length === 0) return undefined;
    const elapsedMs = elapsed.reduce<number>((sum, each) => sum + (each ?? 0), 0);
    return { green: only(step, green), limitMs: this.#limitFor(elapsedMs) };
  }

  /** The limit of a green step, measured anew. */
  async limitNowMs(step: Step, tree: string): Promise<number> {
    return this.#limitFor((await runStep(step, { tree, limitMs: LONGEST_MS })).elapsedMs);
  }

  /** Runs a step, and again without the file that fails, until all others have passed. */
  async #measure(step: Step, tree: string): Promise<number> {
    const { passed, failed, elapsedMs } = await runStep(step, { tree, limitMs: LONGEST_MS });
    if (passed) return elapsedMs;
    const keys = keysOf(step);
    const bad = keys.filter((key) => key === failed?.file);
    for (const key of bad.length > 0 ? bad : keys) this.red.add(key);
    const rest = keys.filter((key) => !this.red.has(key));
    return rest.length === 0 ? 0 : await this.#measure(only(step, rest), tree);
  }

  #limitFor(elapsedMs: number): number {
    return Math.max(this.#leastLimitMs, LIMIT_FACTOR * elapsedMs);
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
