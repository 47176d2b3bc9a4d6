/**
 * The errors that this library raises: one class, told apart by `code`.
 *
 * @module
 */

import { printable, printableError } from "./printable.ts";

/** What went wrong, as a stable word. */
export type ErrorCode =
  | "already_started"
  | "blocked"
  | "busy"
  | "cannot_listen"
  | "connection"
  | "incompatible"
  | "invalid_configuration"
  | "invalid_key"
  | "invalid_value"
  | "not_started"
  | "refused"
  | "stopped"
  | "timeout"
  | "too_large"
  | "unauthorized"
  | "unknown_member";

/** An error of this library. The text is one sentence that says whether anything changed. */
export class HearsayError extends Error {
  /** The class's own name, also after minification. */
  override readonly name: string = "HearsayError";
  /** What went wrong, as a stable word. */
  readonly code: ErrorCode;

  /** Makes an error with a stable code and a sentence for people. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    // Much of what a message quotes was written by a peer. Of what is configured nothing was, and it has lines.
    super(
      code === "invalid_configuration" ? message : printable(message),
      options && "cause" in options ? { cause: printableError(options.cause) } : options,
    );
    this.code = code;
  }

  /** What goes into a structured log: an error's text is no property that `JSON.stringify` would see. */
  toJSON(): { readonly name: string; readonly code: ErrorCode; readonly message: string } {
    const { name, code, message } = this;
    return { name, code, message };
  }
}

/** Nobody listens at an address that was dialled: its machine answered, and no process did. */
export class ConnectionRefused extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "ConnectionRefused";

  /** Makes an error with a sentence for people. */
  constructor(message: string, options?: ErrorOptions) {
    super("connection", message, options);
  }
}

/** The reason with which a connection is closed, by either side: a WebSocket close code and a few words. */
export class ConnectionClosed extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "ConnectionClosed";
  /** The close code (rule P6). */
  readonly closeCode: number;

  /** Makes a reason to close a connection with. */
  constructor(closeCode: number, reason: string, options?: ErrorOptions) {
    super(closeCode === CLOSE.unauthorized ? "unauthorized" : "connection", reason, options);
    this.closeCode = closeCode;
  }
}

/** The close codes of rule P6. */
export const CLOSE = {
  done: 1000,
  goingAway: 1001,
  goingAwayDialler: 4001,
  invalid: 4400,
  unauthorized: 4401,
  refused: 4403,
  noHello: 4408,
  secondConnection: 4409,
  tooLarge: 4413,
} as const;
