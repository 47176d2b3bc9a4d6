/**
 * Go, where there is one: whether protoactor-go can be built here, and programs that were built of it.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";

/** Where the Go module is. */
const DIRECTORY = new URL("./", import.meta.url);
/** What may come over the network the first time. */
const DOWNLOAD_BOUND_MS = 180_000;
/** protoactor-go and what it stands on take about a minute of two processors the first time. */
const BUILD_BOUND_MS = 300_000;
/** How often it is said how far a build has come. */
const PROGRESS_MS = 10_000;

/** How a command is run. */
export interface RunOptions {
  /** What it reads. */
  readonly input?: string;
  /** How long it may take, in milliseconds. */
  readonly boundMs: number;
  /** Called with each line of its standard error. */
  readonly onLine?: (line: string) => void;
}

/** Why nothing of Go can be built here; nothing where it can. What is missing is downloaded. */
export async function whyNoGo(): Promise<string | undefined> {
  try {
    await run("go", ["version"], { boundMs: 10_000 });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "there is no `go` on the PATH";
    return `\`go version\` fails: ${(error as Error).message}`;
  }
  try {
    // Needs the sources of every package, and compiles none.
    await run("go", ["list", "-deps", "-test", "./..."], { boundMs: DOWNLOAD_BOUND_MS });
    return undefined;
  } catch (error) {
    return `the Go modules cannot be had: ${(error as Error).message}`;
  }
}

/** Builds a program of the module and returns its path; tells now and then how far it has come. */
export async function build(
  { program, into, tell }: {
    readonly program: string;
    readonly into: string;
    readonly tell: (sentence: string) => void;
  },
): Promise<string> {
  let packages = 0;
  const progress = setInterval(
    () => tell(`Building ${program} of protoactor-go: ${packages} packages were compiled so far.`),
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

/** Runs a command in the module's folder; returns what it printed, and throws with its errors where it fails. */
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
      ? `it took more than ${boundMs} ms`
      : `${errors.slice(-40).join("\n")}${output.slice(-4000)}`;
    throw new Error(`${command} ${args.join(" ")} fails: ${why}`);
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
    // Only the end is ever shown.
    if (lines.length > 100) lines.shift();
  }
  return lines;
}

/** Writes it all; a program that ends before it has read everything says why by itself. */
async function write(stream: WritableStream<Uint8Array>, text: string): Promise<void> {
  try {
    await new Response(text).body!.pipeTo(stream);
  } catch {
    // Its exit status tells.
  }
}
