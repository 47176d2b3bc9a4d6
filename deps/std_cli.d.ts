/** Options of the parser. */
export interface ParseArgsOptions {
  /** Flags without a value. */
  readonly boolean?: readonly string[];
  /** Flags with a value; `""` if it is missing. */
  readonly string?: readonly string[];
  /** Flags that may be repeated: a list, empty if the flag is missing. */
  readonly collect?: readonly string[];
  /** Called with every other argument; returning `false` leaves it out. */
  readonly unknown?: (argument: string, key?: string, value?: unknown) => unknown;
}

/** The flags by name; other arguments are in `_`. */
export function parseArgs(args: readonly string[], options?: ParseArgsOptions): Record<string, unknown>;
