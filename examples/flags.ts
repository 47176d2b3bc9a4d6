/**
 * Flags of the examples, with errors for people.
 *
 * @module
 */

import { parseArgs } from "../deps/std_cli.ts";

/** What an example can be told. */
export interface FlagOptions {
  /** What `--help` prints. */
  readonly usage: string;
  /** Flags with a value that may be given once. */
  readonly once?: readonly string[];
  /** Flags with a value that may be given more than once. */
  readonly many?: readonly string[];
  /** Flags without a value. */
  readonly boolean?: readonly string[];
}

/** What an example was told. */
export class Flags {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly #set: ReadonlySet<string>;

  /** Keeps the values by flag, and which flags without a value were given. */
  constructor(values: ReadonlyMap<string, readonly string[]>, set: ReadonlySet<string>) {
    this.#values = values;
    this.#set = set;
  }

  /** True if a flag without a value was given. */
  isSet(flag: string): boolean {
    return this.#set.has(flag);
  }

  /** The value of a flag; `undefined` where it was not given. */
  text(flag: string): string | undefined {
    return this.#values.get(flag)?.[0];
  }

  /** All values of a flag. */
  texts(flag: string): readonly string[] {
    return this.#values.get(flag) ?? [];
  }

  /** The value of a flag that has to be a whole number; ends the program where it is not. */
  wholeNumber(
    flag: string,
    { least, most }: { readonly least: number; readonly most: number },
  ): number | undefined {
    const text = this.text(flag);
    if (text === undefined) return undefined;
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= least && number <= most) return number;
    return giveUp(
      `--${flag} must be a whole number from ${least} to ${most}, and not ${shown(text)}.`,
    );
  }

  /** The value of a flag that has to be a port; ends the program where it is not. */
  port(flag = "port"): number | undefined {
    return this.wholeNumber(flag, { least: 0, most: 65_535 });
  }

  /** The values of a flag that have to be addresses of members; ends the program where one is not. */
  seeds(flag = "seed"): readonly string[] {
    for (const text of this.texts(flag)) {
      if (!isAddress(text)) {
        giveUp(`--${flag} must be an address such as ws://127.0.0.1:7001, and not ${shown(text)}.`);
      }
    }
    return this.texts(flag);
  }
}

/** Reads the command line; `--help` and what cannot be understood end the program. */
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
  if (strangers.length > 0) giveUp(`${strangers.join(" and ")} cannot be understood; --help says what can.`);
  const values = new Map<string, readonly string[]>();
  for (const flag of [...once, ...many]) values.set(flag, given[flag] as string[]);
  for (const [flag, texts] of values) {
    if (texts.includes("")) giveUp(`--${flag} needs a value; --help says which.`);
    if (once.includes(flag) && texts.length > 1) {
      giveUp(`--${flag} was given ${texts.length} times, and may be once.`);
    }
  }
  return new Flags(values, new Set(boolean.filter((flag) => given[flag] === true)));
}

/** A text that was not understood, where it is too short for a key and has no password in it. */
export function shown(text: string): string {
  const mayBeSecret = text.length > 20 || text.includes("@");
  return mayBeSecret ? `a text of ${text.length} characters` : JSON.stringify(text);
}

/** Whether a text can be the address of a member. */
export function isAddress(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^wss?:$/.test(url.protocol) && url.hostname !== "";
}

/** Ends the program with a message for whoever started it. */
export function giveUp(message: string): never {
  console.error(message);
  Deno.exit(2);
}
