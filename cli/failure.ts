/**
 * The end of the command: its exit codes, and its errors in one line.
 *
 * @module
 */

import { messageOf } from "../common/error_text.ts";
import { HearsayError } from "../common/errors.ts";
import { printable } from "../common/printable.ts";
import { RequestFailed } from "../observer/client.ts";
import type { RequestFault } from "../observer/protocol.ts";
import { ConfigurationError } from "../options/configuration_error.ts";

/** The exit codes, in `docs/operating.md` too. */
export const EXIT = {
  /** All went well. */
  ok: 0,
  /** The command found a fault, or did not find what was asked for. */
  fault: 1,
  /** The command line, or a file that it names, is wrong. */
  usage: 2,
  /** No member could be reached. */
  unreachable: 3,
  /** A member refused. */
  refused: 4,
} as const;

/** An exit code. */
export type ExitCode = typeof EXIT[keyof typeof EXIT];

/** An error with its exit code. */
export class CommandFailure extends Error {
  /** The exit code of the command. */
  readonly exitCode: ExitCode;

  /** Makes an error. The message has the rule, the given value, and advice. */
  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The exit codes of refused requests. */
const OF_REQUEST: { readonly [fault in RequestFault]?: ExitCode } = {
  forbidden: EXIT.refused,
  invalid: EXIT.usage,
};

/** The exit code of an error. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandFailure) return error.exitCode;
  if (error instanceof ConfigurationError) return EXIT.usage;
  if (error instanceof RequestFailed) return OF_REQUEST[error.fault] ?? EXIT.fault;
  if (error instanceof Deno.errors.NotCapable) return EXIT.usage;
  if (!(error instanceof HearsayError)) return EXIT.fault;
  switch (error.code) {
    case "invalid_configuration":
    case "invalid_key":
      return EXIT.usage;
    case "incompatible":
    case "refused":
    case "unauthorized":
      return EXIT.refused;
    case "connection":
    case "timeout":
      return EXIT.unreachable;
    default:
      return EXIT.fault;
  }
}

/** The text of an error as one printable line. */
export function lineOf(error: unknown): string {
  return printable(messageOf(error).replace(/\s*\n\s*/g, " "));
}
