/**
 * The terminal of the command: its streams, size, environment and signals.
 *
 * @module
 */

import { hostProcess } from "../common/host_process.ts";
import { realRuntime, type Runtime } from "../common/runtime.ts";

/** A terminal, or its substitute in a test. */
export interface Terminal {
  /** Writes to the standard output. */
  write(text: string): void;
  /** Writes to the standard error. */
  writeError(text: string): void;
  /** True if the standard output is a terminal. */
  readonly isTerminal: boolean;
  /** The width and height in characters, at this moment. */
  size(): { readonly columns: number; readonly rows: number };
  /** A variable of the environment; `undefined` if it is not set or may not be read. */
  env(name: string): string | undefined;
  /** Clock and timers. */
  readonly runtime: Runtime;
  /** Aborted by Ctrl-C and SIGTERM, once this property was read. A second signal then ends the process. */
  readonly signal: AbortSignal;
}

/** The width without a terminal. */
const USUAL_SIZE = { columns: 100, rows: 40 };

/** The terminal of this process. */
export function processTerminal(): Terminal {
  let interrupted: AbortController | undefined;
  return {
    write: (text) => writeAll(Deno.stdout, text),
    writeError: (text) => writeAll(Deno.stderr, text),
    isTerminal: Deno.stdout.isTerminal(),
    size: () => {
      try {
        return usable(Deno.consoleSize());
      } catch {
        return USUAL_SIZE;
      }
    },
    env: (name) => {
      const { state } = Deno.permissions.querySync({ name: "env", variable: name });
      return state === "granted" ? Deno.env.get(name) : undefined;
    },
    runtime: realRuntime,
    get signal() {
      return (interrupted ??= interruption()).signal;
    },
  };
}

/** The size of a terminal. Some terminals give 0 because they do not know theirs. */
export function usable({ columns, rows }: ReturnType<Terminal["size"]>): ReturnType<Terminal["size"]> {
  return { columns: columns || 80, rows: rows || 24 };
}

function interruption(): AbortController {
  const interrupted = new AbortController();
  const host = hostProcess();
  const onSignal = () => {
    if (interrupted.signal.aborted) host.exit(130);
    interrupted.abort();
  };
  host.on("SIGINT", onSignal);
  host.on("SIGTERM", onSignal);
  return interrupted;
}

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  try {
    let left = new TextEncoder().encode(text);
    while (left.length > 0) left = left.subarray(to.writeSync(left));
  } catch (error) {
    // The reader has gone, as in `hearsay events | head`.
    if (error instanceof Deno.errors.BrokenPipe) hostProcess().exit(0);
    throw error;
  }
}
