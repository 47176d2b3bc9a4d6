/**
 * Builds and runs Go programs with protoactor-go, if Go is installed.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";

/** The folder of the Go module. */
const DIRECTORY = new URL("./", import.meta.url);
/** The time limit of a first download. */
const DOWNLOAD_BOUND_MS = 180_000;
/** The time limit of a build; the first one takes about a minute on two processors. */
const BUILD_BOUND_MS = 300_000;
/** The interval of progress reports. */
const PROGRESS_MS = 10_000;

/** Options of {@linkcode run}. */
export interface RunOptions {
  /** Its standard input. */
  readonly input?: string;
  /** The time limit, in milliseconds. */
  readonly boundMs: number;
  /** Called with each line of its standard error. */
  readonly onLine?: (line: string) => void;
}

/** The reason why Go programs cannot be built here; `undefined` if they can. Downloads missing modules. */
export async function whyNoGo(): Promise<string | undefined> {
  try {
    await run("go", ["version"], { boundMs: 10_000 });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "there is no `go` on the PATH";
    return `\`go version\` fails: ${(error as Error).message}`;
  }
  try {
    // Downloads the sources of all packages without compiling them.
    await run("go", ["list", "-deps", "-test", "./..."], { boundMs: DOWNLOAD_BOUND_MS });
    return undefined;
  } catch (error) {
    return `the Go modules cannot be downloaded: ${(error as Error).message}`;
  }
}

/** Builds a program of the module and returns its path. Reports progress at intervals. */
export async function build(
  { program, into, report }: {
    readonly program: string;
    readonly into: string;
    readonly report: (sentence: string) => void;
  },
): Promise<string> {
  let packages = 0;
  const progress = setInterval(
    () => report(`Building ${program} of protoactor-go: ${packages} packages compiled so far.`),
    PROGRESS_MS,
  );
  try {
    const path = `${into}/${program}`;
    const onLine = () => void packages++;
    await run("go", ["build", "-v", "-o", path, `./${program}`], { boundMs: BUILD_BOUND_MS, onLine });
    return path;
  } finally {
    clearInterval(progress);
  }
}

/** Runs a command in the module's folder and returns its standard output. Throws with its errors if it fails. */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { input, boundMs, onLine } = options;
  const child = new Deno.Command(command, {
    args: [...args],
    cwd: DIRECTORY,
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let late = false;
  const bound = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, boundMs);
  try {
    const [output, errors, , { success }] = await Promise.all([
      new Response(child.stdout).text(),
      linesOf(child.stderr, onLine),
      input === undefined ? undefined : write(child.stdin, input),
      child.status,
    ]);
    if (success) return output;
    const why = late
      ? `it exceeded its limit of ${boundMs} ms`
      : `${errors.slice(-40).join("\n")}${output.slice(-4000)}`;
    throw new Error(`${command} ${args.join(" ")} failed: ${why}`);
  } finally {
    clearTimeout(bound);
  }
}

async function linesOf(
  stream: ReadableStream<Uint8Array>,
  onLine?: (line: string) => void,
): Promise<string[]> {
  const lines: string[] = [];
  const decoded = stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of decoded) {
    lines.push(line);
    onLine?.(line);
    // Only the last lines are shown.
    if (lines.length > 100) lines.shift();
  }
  return lines;
}

/** Writes the text. A program that ends before it has read all of it reports the error itself. */
async function write(stream: WritableStream<Uint8Array>, text: string): Promise<void> {
  try {
    await new Response(text).body!.pipeTo(stream);
  } catch {
    // Its exit status reports the failure.
  }
}
