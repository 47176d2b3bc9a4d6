/**
 * Runs commands to their end, with a time limit and progress.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";

/** The default time limit, for short commands. */
const BOUND_MS = 10_000;
/** Lines of the standard error in an error's text. */
const ERROR_LINES = 20;

/** Options of {@linkcode output}. */
export interface CommandOptions {
  readonly cwd?: URL;
  readonly env?: Readonly<Record<string, string>>;
  /** The time limit, in milliseconds; 10,000 by default. */
  readonly boundMs?: number;
  /** Called with each line of the standard error. */
  readonly onLine?: (line: string) => void;
}

/**
 * Runs a command and returns its standard output.
 *
 * @throws {Error} if the program does not exist, fails, or exceeds its time limit.
 */
export async function output(command: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { boundMs = BOUND_MS, cwd, env, onLine } = options;
  const [program = "", ...args] = command;
  const bound = AbortSignal.timeout(boundMs);
  const child = new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: bound,
    ...(cwd && { cwd }),
    ...(env && { env: { ...env } }),
  }).spawn();
  const [text, errors, { success }] = await Promise.all([
    new Response(child.stdout).text(),
    lastLines(child.stderr, onLine),
    child.status,
  ]);
  if (success) return text;
  const why = bound.aborted ? `It took more than ${boundMs} ms.` : errors.join("\n");
  throw new Error(`\`${command.join(" ")}\` failed: ${why}`);
}

async function lastLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void = () => {},
): Promise<readonly string[]> {
  const lines: string[] = [];
  const text = stream.pipeThrough(new TextDecoderStream());
  for await (const line of text.pipeThrough(new TextLineStream())) {
    onLine(line);
    lines.push(line);
    if (lines.length > ERROR_LINES) lines.shift();
  }
  return lines;
}
