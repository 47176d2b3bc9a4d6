/**
 * Command-line flags of the examples.
 *
 * @module
 */

import { parseArgs } from "../deps/std_cli.ts";

/** The flags of an example. */
export interface FlagOptions {
  /** The text of `--help`. */
  readonly usage: string;
  /** Flags with a value that may be given once. */
  readonly once?: readonly string[];
  /** Flags with a value that may be given more than once. */
  readonly many?: readonly string[];
  /** Flags without a value. */
  readonly boolean?: readonly string[];
}

/** The flags that were given. */
export class Flags {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly #set: ReadonlySet<string>;

  /** Stores the values by flag, and the given flags without a value. */
  constructor(values: ReadonlyMap<string, readonly string[]>, set: ReadonlySet<string>) {
    this.#values = values;
    this.#set = set;
  }

  /** True if a flag without a value was given. */
  isSet(flag: string): boolean {
    return this.#set.has(flag);
  }

  /** The value of a flag; `undefined` if it was not given. */
  text(flag: string): string | undefined {
    return this.#values.get(flag)?.[0];
  }

  /** All values of a flag. */
  texts(flag: string): readonly string[] {
    return this.#values.get(flag) ?? [];
  }

  /** The value of a flag as an integer; ends the program if it is none, or out of range. */
  wholeNumber(
    flag: string,
    { least, most }: { readonly least: number; readonly most: number },
  ): number | undefined {
    const text = this.text(flag);
    if (text === undefined) return undefined;
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= least && number <= most) return number;
    return giveUp(
      `--${flag} must be an integer from ${least} to ${most}; got ${shown(text)}.`,
    );
  }

  /** The value of a flag as a port from 0 to 65535; ends the program if it is none. */
  port(flag = "port"): number | undefined {
    return this.wholeNumber(flag, { least: 0, most: 65_535 });
  }

  /** The values of a flag as addresses of members; ends the program if one is none. */
  seeds(flag = "seed"): readonly string[] {
    for (const text of this.texts(flag)) {
      if (!isAddress(text)) {
        giveUp(`--${flag} must be an address such as ws://127.0.0.1:7001; got ${shown(text)}.`);
      }
    }
    return this.texts(flag);
  }
}

/** Reads the command line. Ends the program after `--help`, and with code 2 after an error. */
export function readFlags({ usage, once = [], many = [], boolean = [] }: FlagOptions): Flags {
  const strangers: string[] = [];
  const given = parseArgs(Deno.args, {
    boolean: ["help", ...boolean],
    string: [...once, ...many],
    collect: [...once, ...many],
    unknown: (argument) => {
      strangers.push(shown(argument));
      return false;
    },
  });
  if (given.help === true) {
    console.log(usage.trim());
    Deno.exit(0);
  }
  if (strangers.length > 0) {
    giveUp(`Unknown argument: ${strangers.join(", ")}. Run with --help for the flags.`);
  }
  const values = new Map<string, readonly string[]>();
  for (const flag of [...once, ...many]) values.set(flag, given[flag] as string[]);
  for (const [flag, texts] of values) {
    if (texts.includes("")) giveUp(`--${flag} needs a value. Run with --help for the flags.`);
    if (once.includes(flag) && texts.length > 1) {
      giveUp(`--${flag} must be given at most once; got ${texts.length} values.`);
    }
  }
  return new Flags(values, new Set(boolean.filter((flag) => given[flag] === true)));
}

/** The text for an error; only its length if it may be a secret. */
export function shown(text: string): string {
  const mayBeSecret = text.length > 20 || text.includes("@");
  return mayBeSecret ? `a text of ${text.length} characters` : JSON.stringify(text);
}

/** True if a text is a ws: or wss: address with a host. */
export function isAddress(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^wss?:$/.test(url.protocol) && url.hostname !== "";
}

/** Prints a message and ends the program with code 2. */
export function giveUp(message: string): never {
  console.error(message);
  Deno.exit(2);
}
