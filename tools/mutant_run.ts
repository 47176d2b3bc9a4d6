/**
 * Runs small breaks of the code, each on a copy of the tree, and tells which of them a test notices.
 *
 * @module
 */

/** One small break, and the test that must turn red by it. */
export interface Mutant {
  /** The file to break, from the root of the tree. */
  readonly file: string;
  /** A text that occurs exactly once in it. */
  readonly find: string;
  /** What stands there instead. */
  readonly replace: string;
  /** The beginning of the name of the test that must turn red, such as `"R5.3 "` and some words more. */
  readonly test: string;
  /** The test files in which it is. */
  readonly files: readonly string[];
  /** How long its test may take, where that is longer than for the others. */
  readonly limitMs?: number;
}

/**
 * What became of a mutant. `killed` and `timed out` are as it should be; `survived` is a test that cannot
 * fail. `invalid`: the text was not found once, the test was not found or is red without the break, or
 * the break stops the code from being loaded at all.
 */
export type Outcome = "killed" | "timed out" | "survived" | "invalid";

/** A mutant and what became of it. */
export interface Verdict {
  readonly mutant: Mutant;
  readonly outcome: Outcome;
  /** With `invalid`: why. */
  readonly reason?: string;
  readonly elapsedMs: number;
}

/** How the mutants are run. */
export interface RunOptions {
  /** The tree; it is copied, never changed. */
  readonly root: string;
  /** How many run at once; the number of cores by default. */
  readonly parallel?: number;
  /** How long one may take; 60 s by default. One that takes longer has been noticed. */
  readonly limitMs?: number;
  /** Called with each verdict as it comes. */
  readonly onVerdict?: (verdict: Verdict) => void;
}

/** Runs all of them; the verdicts are in the order of the mutants. */
export async function runMutants(mutants: readonly Mutant[], options: RunOptions): Promise<Verdict[]> {
  const { root, parallel = navigator.hardwareConcurrency, limitMs = 60_000, onVerdict } = options;
  const verdicts: Verdict[] = [];
  const waiting = [...mutants.entries()];
  await using first = await copyOf(root);
  const green = await greenTests(mutants, { tree: first.path, parallel });
  const work = async (tree: string) => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, mutant] = next;
      const verdict = await judge(mutant, { tree, limitMs: mutant.limitMs ?? limitMs, green });
      verdicts[index] = verdict;
      onVerdict?.(verdict);
    }
  };
  const workOnCopy = async () => {
    await using copy = await copyOf(root);
    await work(copy.path);
  };
  const others = Math.max(0, Math.min(parallel, mutants.length) - 1);
  await Promise.all([work(first.path), ...Array.from({ length: others }, workOnCopy)]);
  return verdicts;
}

/** The names of the tests that pass in the tree as it is, by file; each file that a mutant names runs once. */
type Green = ReadonlyMap<string, ReadonlySet<string>>;

async function greenTests(
  mutants: readonly Mutant[],
  { tree, parallel }: { readonly tree: string; readonly parallel: number },
): Promise<Green> {
  const green = new Map<string, ReadonlySet<string>>();
  const names = [...new Set(mutants.map(({ test }) => test))];
  const waiting = [...new Set(mutants.flatMap((mutant) => mutant.files))];
  // One file at a time in a process: one that cannot be loaded must not hide the others.
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const { lines } = await runTests(tree, { files: [file], names, limitMs: 300_000 });
      const red = new Set(lines.filter(({ passed }) => !passed).map(({ name }) => name));
      green.set(file, new Set(lines.map(({ name }) => name).filter((name) => !red.has(name))));
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return green;
}

async function judge(
  mutant: Mutant,
  { tree, limitMs, green }: { readonly tree: string; readonly limitMs: number; readonly green: Green },
): Promise<Verdict> {
  const startedMs = performance.now();
  const verdict = (outcome: Outcome, reason?: string): Verdict => ({
    mutant,
    outcome,
    ...(reason === undefined ? {} : { reason }),
    elapsedMs: performance.now() - startedMs,
  });
  const path = `${tree}/${mutant.file}`;
  const text = await Deno.readTextFile(path).catch(() => undefined);
  if (text === undefined) return verdict("invalid", "there is no such file");
  const found = text.split(mutant.find).length - 1;
  if (found !== 1) return verdict("invalid", `the text to replace occurs ${found} times`);
  const named = mutant.files.flatMap((file) => [...green.get(file) ?? []])
    .filter((name) => name.startsWith(mutant.test));
  if (named.length === 0) return verdict("invalid", "no green test has that name");
  await Deno.writeTextFile(path, text.replace(mutant.find, () => mutant.replace));
  try {
    const { lines, timedOut, output } = await runTests(tree, {
      files: mutant.files,
      names: [mutant.test],
      limitMs,
    });
    if (timedOut) return verdict("timed out");
    const ran = lines.filter(({ name }) => named.includes(name));
    if (ran.some(({ passed }) => !passed)) return verdict("killed");
    if (ran.length === named.length) return verdict("survived");
    return verdict("invalid", `the tests could not run: ${lastError(output)}`);
  } finally {
    await Deno.writeTextFile(path, text);
  }
}

interface TestLine {
  readonly name: string;
  readonly passed: boolean;
}

interface TestRun {
  readonly lines: readonly TestLine[];
  readonly timedOut: boolean;
  readonly output: string;
}

/** Runs the tests of the files whose names begin with one of those given. */
async function runTests(
  tree: string,
  { files, names, limitMs }: {
    readonly files: readonly string[];
    readonly names: readonly string[];
    readonly limitMs: number;
  },
): Promise<TestRun> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "--no-check",
      "--allow-all",
      "--filter",
      `/^(${names.map(RegExp.escape).join("|")})/`,
      ...files,
    ],
    cwd: tree,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, limitMs);
  const { stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  const output = `${decoder.decode(stdout)}\n${decoder.decode(stderr)}`;
  return { lines: testLines(output), timedOut, output };
}

/** What the pretty reporter says of each test: `name ... ok (3ms)`. */
function testLines(output: string): TestLine[] {
  const lines: TestLine[] = [];
  // Of a test that prints, or that has steps, the name stands on two lines; only the last has the outcome.
  for (const [, name, outcome] of output.matchAll(/^(\S.*) \.\.\. (ok|FAILED|cancelled) \(/gm)) {
    lines.push({ name: name!, passed: outcome === "ok" });
  }
  return lines;
}

function lastError(output: string): string {
  return output.split("\n").findLast((line) => /error/i.test(line) && !/Test failed/.test(line))?.trim() ??
    "no reason was given";
}

/** What a copy leaves out: nothing of it is needed to run a test. */
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
