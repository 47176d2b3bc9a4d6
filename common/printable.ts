/**
 * Text of others, made fit for a terminal and a log.
 *
 * @module
 */

/** How many UTF-16 units of a text are shown: the longest sentence of this library fits, a flood of text does not. */
export const MAX_PRINTED = 1_000;

/** Controls, marks that are not seen or turn text around, separators of lines, halves of characters. */
const NOT_PRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * A text with everything escaped that is not text, and cut after `most` UTF-16 units. The sentences of this library's errors
 * and events are fit to be printed; ids, kinds, hosts, keys and values are what their members chose, and go through this first.
 *
 * @example
 * ```ts
 * import { printable } from "@hearsay/gossip";
 *
 * console.assert(printable("ada\u001b[2J\n") === "ada\\u001b[2J\\u000a");
 * ```
 */
export function printable(text: string, most: number = MAX_PRINTED): string {
  const cut = text.length > most ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…` : text;
  return cut.replace(NOT_PRINTABLE, (char) => {
    const code = char.codePointAt(0)!.toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });
}

/** How many causes of an error are looked at, each the cause of the one before; those behind it are dropped. */
const MAX_CAUSES = 4;

/**
 * An error whose texts are fit for a terminal and a log: itself where they are, or else a copy of its class. The cause of an
 * error is printed with it, and a parser's error quotes what it was given.
 */
export function printableError(error: unknown, causesLeft: number = MAX_CAUSES): unknown {
  if (typeof error === "string") return printable(error);
  if (!(error instanceof Error)) return error;
  const message = printable(error.message);
  const name = printable(error.name);
  const cause = causesLeft > 0 ? printableError(error.cause, causesLeft - 1) : undefined;
  if (message === error.message && name === error.name && cause === error.cause) return error;
  // The stack begins with the message, and the places follow.
  const places = (error.stack ?? "").split("\n").filter((line) => /^ +at /.test(line));
  const copy: Error = Object.create(Object.getPrototypeOf(error), Object.getOwnPropertyDescriptors(error));
  const texts = {
    name,
    message,
    cause,
    stack: [`${name}: ${message}`, ...places.map((line) => printable(line))].join("\n"),
  };
  for (const [property, value] of Object.entries(texts)) {
    Object.defineProperty(copy, property, { value, configurable: true, writable: true });
  }
  return copy;
}
