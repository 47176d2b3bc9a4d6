/**
 * A terminal for tests of the command: it keeps what is written.
 *
 * @module
 */

import { main } from "../../cli/program.ts";
import type { Terminal } from "../../cli/terminal.ts";
import { realRuntime, type Runtime } from "../../common/runtime.ts";

/** Options of a {@linkcode FakeTerminal}. */
export interface FakeTerminalOptions {
  readonly isTerminal?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly runtime?: Runtime;
}

/** Keeps the output. */
export class FakeTerminal implements Terminal {
  /** The standard output. */
  output = "";
  /** The standard error. */
  errors = "";
  readonly isTerminal: boolean;
  readonly runtime: Runtime;
  readonly interruption = new AbortController();
  readonly #options: FakeTerminalOptions;
  #changed = Promise.withResolvers<void>();

  constructor(options: FakeTerminalOptions = {}) {
    this.#options = options;
    this.isTerminal = options.isTerminal ?? false;
    this.runtime = options.runtime ?? realRuntime;
  }

  get signal(): AbortSignal {
    return this.interruption.signal;
  }

  write(text: string): void {
    this.output += text;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  writeError(text: string): void {
    this.errors += text;
  }

  size() {
    return { columns: this.#options.columns ?? 80, rows: this.#options.rows ?? 24 };
  }

  env(name: string): string | undefined {
    return this.#options.env?.[name];
  }

  /** The lines of the output. */
  get lines(): string[] {
    return this.output.split("\n");
  }

  /** Resolves once the output has this text. Throws after 10 s. */
  async until(pattern: RegExp): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Error(`No ${pattern} in:\n${this.output}${this.errors}`)),
      10_000,
    );
    try {
      while (!pattern.test(this.output)) await Promise.race([this.#changed.promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Runs the command to its end. */
export async function run(
  args: readonly string[],
  options: FakeTerminalOptions = {},
): Promise<{ readonly code: number; readonly output: string; readonly errors: string }> {
  const terminal = new FakeTerminal(options);
  const code = await main(args, terminal);
  return { code, output: terminal.output, errors: terminal.errors };
}
