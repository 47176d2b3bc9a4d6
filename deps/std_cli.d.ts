/** What of a command line is read, and how. */
export interface ParseArgsOptions {
  /** Flags without a value. */
  readonly boolean?: readonly string[];
  /** Flags with a value; `""` where it is missing. */
  readonly string?: readonly string[];
  /** Flags that may be given more than once: a list, empty where the flag is missing. */
  readonly collect?: readonly string[];
  /** Called with everything that was not asked for; returning `false` leaves it out. */
  readonly unknown?: (argument: string, key?: string, value?: unknown) => unknown;
}

/** The flags by name, and everything that is no flag under `_`. */
export function parseArgs(args: readonly string[], options?: ParseArgsOptions): Record<string, unknown>;
