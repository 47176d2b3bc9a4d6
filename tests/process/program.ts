/**
 * Child processes for tests. Every wait has a time limit.
 *
 * @module
 */

import type { MemberOptions } from "./member.ts";
import { TextLineStream } from "../../deps/std_streams.ts";

/** The default limit of a wait, far above what any needs. */
export const BOUND_MS = 20_000;

/** Options of a {@linkcode Program}. */
export interface ProgramOptions {
  /** The program; `deno` by default. */
  readonly command?: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** The folder in which it runs; the root of the checkout by default. */
  readonly folder?: string;
  /** Variables to add to its environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Runs it on a terminal, by the program `script`; its output then contains its input. */
  readonly onTerminal?: boolean;
  /** The limit of open files and sockets (`ulimit -n`). */
  readonly maxDescriptors?: number | undefined;
}

/** A child process, and its output. Disposal kills it. */
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

  /** Starts it. */
  constructor(options: ProgramOptions) {
    const { env = {}, folder = new URL("../../", import.meta.url) } = options;
    const [command, ...args] = commandLineOf(options);
    this.#child = new Deno.Command(command, {
      args,
      cwd: folder,
      env: { ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    void this.#child.status.then(() => this.#hasExited = true);
    this.#over = this.#follow();
  }

  /** Starts an example with exactly the permissions of its task. */
  static async example(name: string, ...args: string[]): Promise<Program> {
    return new Program({ args: [...await commandOf(name), ...args] });
  }

  /** Starts an example with environment variables. */
  static async exampleIn(
    env: Readonly<Record<string, string>>,
    name: string,
    options: Pick<ProgramOptions, "maxDescriptors"> = {},
  ): Promise<Program> {
    return new Program({ args: await commandOf(name), env, ...options });
  }

  /** Starts `tests/process/member.ts`. */
  static member(
    options: MemberOptions,
    { maxDescriptors }: Pick<ProgramOptions, "maxDescriptors"> = {},
  ): Program {
    const permissions = ["--no-prompt", "--no-check", "--allow-net=127.0.0.1"];
    const args = ["run", ...permissions, "tests/process/member.ts", JSON.stringify(options)];
    return new Program({ args, maxDescriptors });
  }

  /** Resolves with the first match in its lines, earlier ones included. */
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

  /** The id of its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The status of its process; its output may not be complete at that time. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#child.status;
  }

  /** Resolves with its status after all output was read. */
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
    // The process may have ended while its children still hold the output open.
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
        if (timeIsUp) {
          throw new Error(`Timeout after ${withinMs} ms. Waited for ${what}:\n${this.#everything}`);
        }
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
    // The process may have closed the pipe already.
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
  { command: deno = Deno.execPath(), args, maxDescriptors, onTerminal = false }: ProgramOptions,
): readonly [string, ...string[]] {
  if (onTerminal) {
    const quoted = [deno, ...args].map((each) => `'${each}'`).join(" ");
    // `exec`: a shell that waits for the program would end by Ctrl-C too, and its status would count.
    const command = `exec ${quoted}`;
    return ["script", "--quiet", "--return", "--echo", "never", "--command", command, "/dev/null"];
  }
  if (maxDescriptors === undefined) return [deno, ...args];
  return ["sh", "-c", `ulimit -n ${maxDescriptors} && exec "$0" "$@"`, deno, ...args];
}

/** The `deno` arguments of an example. */
async function commandOf(name: string): Promise<readonly string[]> {
  const text = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  const { command } = JSON.parse(text).tasks[name];
  return ["run", "--no-prompt", ...command.match(/--allow-\S+/g) ?? [], `examples/${name}.ts`];
}

/** Polls until a condition outside of this process is true. Throws after the time limit. */
export async function eventually(
  what: string,
  isTrue: () => Promise<boolean>,
  { withinMs = BOUND_MS } = {},
): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!await isTrue()) {
    if (performance.now() > endMs) {
      throw new Error(`Not true within ${withinMs} ms: ${what}.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** True if a process runs. A zombie does not run. */
export async function isRunning(pid: number): Promise<boolean> {
  const script = 'kill -0 "$1" && ! grep -qs "^State:.*Z" "/proc/$1/status"';
  const { success } = await new Deno.Command("sh", {
    args: ["-c", script, "sh", String(pid)],
    stderr: "null",
  }).output();
  return success;
}
