/**
 * The errors of this library: one class, distinguished by `code`.
 *
 * @module
 */

import { printable, printableError } from "./printable.ts";

/** The kind of a failure, as a stable word. */
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
  | "read_only"
  | "refused"
  | "stopped"
  | "timeout"
  | "too_large"
  | "unauthorized"
  | "unknown_member";

/** An error of this library. Its text says whether anything was changed. */
export class HearsayError extends Error {
  /** The class's own name, also after minification. */
  override readonly name: string = "HearsayError";
  /** The kind of the failure, as a stable word. */
  readonly code: ErrorCode;

  /** Makes an error with a stable code and a sentence for people. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    // A peer may have written a part of the text. A configuration error comes from this process, and has several lines.
    super(
      code === "invalid_configuration" ? message : printable(message),
      options && "cause" in options ? { cause: printableError(options.cause) } : options,
    );
    this.code = code;
  }

  /** The fields for a structured log; `JSON.stringify` would skip the text of an error. */
  toJSON(): { readonly name: string; readonly code: ErrorCode; readonly message: string } {
    const { name, code, message } = this;
    return { name, code, message };
  }
}

/** No process listens at an address: its machine refused the connection. */
export class ConnectionRefused extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "ConnectionRefused";

  /** Makes an error with a sentence for people. */
  constructor(message: string, options?: ErrorOptions) {
    super("connection", message, options);
  }
}

/** The reason of a closed connection: a WebSocket close code and a few words. Either side may close. */
export class ConnectionClosed extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "ConnectionClosed";
  /** The close code (rule P6). */
  readonly closeCode: number;

  /** Makes a reason to close a connection. */
  constructor(closeCode: number, reason: string, options?: ErrorOptions) {
    super(closeCode === CLOSE.unauthorized ? "unauthorized" : "connection", reason, options);
    this.closeCode = closeCode;
  }
}

/** The close codes of rule P6. */
export const CLOSE = {
  done: 1000,
  goingAway: 1001,
  goingAwayDialer: 4001,
  invalid: 4400,
  unauthorized: 4401,
  refused: 4403,
  noHello: 4408,
  secondConnection: 4409,
  tooLarge: 4413,
} as const;
