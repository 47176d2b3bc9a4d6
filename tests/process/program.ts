/**
 * Programs as real processes, with a bound on everything that is waited for.
 *
 * @module
 */

import type { MemberOptions } from "./member.ts";
import { TextLineStream } from "../../deps/std_streams.ts";

/** How long anything may take that a test does not bound itself: far longer than it does. */
export const BOUND_MS = 20_000;

/** How a {@linkcode Program} is started. */
export interface ProgramOptions {
  /** The arguments of `deno`. */
  readonly args: readonly string[];
  /** What is added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it runs on a terminal, by the program `script`; what it prints and what it is told then come together. */
  readonly onTerminal?: boolean;
  /** How many files and sockets it may have open at once (`ulimit -n`). */
  readonly maxDescriptors?: number | undefined;
}

/** A child process running Deno, and what it has printed. Disposing of it kills it. */
export class Program implements AsyncDisposable {
  /** The lines of its standard output so far. */
  readonly lines: string[] = [];
  /** Its standard error so far. */
  errors = "";
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #over: Promise<Deno.CommandStatus>;
  #changed = Promise.withResolvers<void>();
  #isOver = false;
  #hasExited = false;

  /** Starts it in the root of the checkout. */
  constructor(options: ProgramOptions) {
    const { env = {} } = options;
    const [command, ...args] = commandLineOf(options);
    this.#child = new Deno.Command(command, {
      args,
      cwd: new URL("../../", import.meta.url),
      env: { ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    void this.#child.status.then(() => this.#hasExited = true);
    this.#over = this.#follow();
  }

  /** Starts an example with the permissions of its task and no others. */
  static async example(name: string, ...args: string[]): Promise<Program> {
    return new Program({ args: [...await commandOf(name), ...args] });
  }

  /** Starts an example that is told by the environment. */
  static async exampleIn(
    env: Readonly<Record<string, string>>,
    name: string,
    options: Pick<ProgramOptions, "maxDescriptors"> = {},
  ): Promise<Program> {
    return new Program({ args: await commandOf(name), env, ...options });
  }

  /** Starts a member that does what it is told by lines. */
  static member(
    options: MemberOptions,
    { maxDescriptors }: Pick<ProgramOptions, "maxDescriptors"> = {},
  ): Program {
    const permissions = ["--no-prompt", "--no-check", "--allow-net=127.0.0.1"];
    const args = ["run", ...permissions, "tests/process/member.ts", JSON.stringify(options)];
    return new Program({ args, maxDescriptors });
  }

  /** Resolves with the first match among its lines, those already printed included. */
  async until(pattern: RegExp, { withinMs = BOUND_MS } = {}): Promise<RegExpExecArray> {
    const find = () => {
      for (const line of this.lines) {
        const match = pattern.exec(line);
        if (match) return match;
      }
      if (this.#isOver) throw new Error(`The program ended without ${pattern}:\n${this.#everything}`);
      return undefined;
    };
    return await this.#wait(find, { withinMs, what: `a line like ${pattern}` });
  }

  /** The number of its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** How its process ended; what it and its children have printed may not have been read by then. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#child.status;
  }

  /** Resolves with how it ended, when everything that it printed has been read. */
  async ended({ withinMs = BOUND_MS } = {}): Promise<Deno.CommandStatus> {
    await this.#wait(() => this.#isOver || undefined, { withinMs, what: "its end" });
    return await this.#over;
  }

  /** Writes a line to its standard input. */
  async type(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  /** Ends its standard input. */
  async end(): Promise<void> {
    await this.#input.close().catch(() => {});
  }

  /** Sends it a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its process may be gone while what it and its children printed is still being read.
    if (!this.#hasExited) this.#child.kill("SIGKILL");
    await this.#over;
  }

  async #wait<T>(
    look: () => T | undefined,
    { withinMs, what }: { readonly withinMs: number; readonly what: string },
  ): Promise<T> {
    let timeIsUp = false;
    const timeUp = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      timeIsUp = true;
      timeUp.resolve();
    }, withinMs);
    try {
      for (let found = look();; found = look()) {
        if (found !== undefined) return found;
        if (timeIsUp) throw new Error(`There was not ${what} within ${withinMs} ms:\n${this.#everything}`);
        await Promise.race([this.#changed.promise, timeUp.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #follow(): Promise<Deno.CommandStatus> {
    const { stdout, stderr } = this.#child;
    const [status] = await Promise.all([
      this.#child.status,
      this.#read(stdout, (line) => this.lines.push(line)),
      this.#read(stderr, (line) => this.errors += `${line}\n`),
    ]);
    // It may have closed the pipe itself.
    await this.#input.close().catch(() => {});
    this.#isOver = true;
    this.#tellChange();
    return status;
  }

  async #read(from: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
    for await (const line of from.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      take(line);
      this.#tellChange();
    }
  }

  #tellChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  get #everything(): string {
    return `${this.lines.join("\n")}\n${this.errors}`;
  }
}

function commandLineOf(
  { args, maxDescriptors, onTerminal = false }: ProgramOptions,
): readonly [string, ...string[]] {
  const deno = Deno.execPath();
  if (onTerminal) {
    const quoted = [deno, ...args].map((each) => `'${each}'`).join(" ");
    return ["script", "--quiet", "--return", "--echo", "never", "--command", quoted, "/dev/null"];
  }
  if (maxDescriptors === undefined) return [deno, ...args];
  return ["sh", "-c", `ulimit -n ${maxDescriptors} && exec "$0" "$@"`, deno, ...args];
}

/** How an example is run. */
async function commandOf(name: string): Promise<readonly string[]> {
  const text = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  const { command } = JSON.parse(text).tasks[name];
  return ["run", "--no-prompt", ...command.match(/--allow-\S+/g) ?? [], `examples/${name}.ts`];
}

/** Resolves when something outside of this process has come true, of which nothing tells; looks again and again. */
export async function eventually(
  what: string,
  isTrue: () => Promise<boolean>,
  { withinMs = BOUND_MS } = {},
): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!await isTrue()) {
    if (performance.now() > endMs) {
      throw new Error(`It did not come true within ${withinMs} ms that ${what}.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether a process runs; one that is over and that nobody has asked about does not. */
export async function isRunning(pid: number): Promise<boolean> {
  const script = 'kill -0 "$1" && ! grep -qs "^State:.*Z" "/proc/$1/status"';
  const { success } = await new Deno.Command("sh", {
    args: ["-c", script, "sh", String(pid)],
    stderr: "null",
  }).output();
  return success;
}
