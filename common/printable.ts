/**
 * Makes texts of other processes safe for a terminal and a log.
 *
 * @module
 */

/** The default cut of a text, in UTF-16 units before escaping. 1,000: the longest sentence of this library fits. */
export const MAX_PRINTED = 1_000;

/** Controls, bidirectional marks, lone surrogates, unassigned characters, invisible characters, line separators. */
const NOT_PRINTABLE = /[\p{C}\p{DI}\p{Zl}\p{Zp}]/gu;
/** The characters of {@linkcode NOT_PRINTABLE}, and the beginning of a tag. */
const NOT_PRINTABLE_IN_JSON = /[\p{C}\p{DI}\p{Zl}\p{Zp}<]/gu;

/**
 * Escapes the unprintable characters of a text, and cuts it after `most` UTF-16 units. Errors and events of this library
 * are printable already. Use it for ids, kinds, hosts, keys and values, because their members chose them.
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

/**
 * JSON of plain data whose unprintable characters are escaped, so that a terminal or a page can show it. A parser reads the
 * data unchanged.
 */
export function printableJson(value: unknown): string {
  // In JSON only texts contain such characters, and JSON has an escape for each UTF-16 unit.
  return JSON.stringify(value).replace(
    NOT_PRINTABLE_IN_JSON,
    (char) => char.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
  );
}

/** The depth to which the causes of an error are kept. */
const MAX_CAUSES = 4;

/**
 * Returns an error with printable texts: the error itself if its texts are printable, otherwise a copy of the same
 * class. This includes the causes, because they are printed with the error, and a parser's error quotes its input.
 */
export function printableError(error: unknown, causesLeft: number = MAX_CAUSES): unknown {
  if (typeof error === "string") return printable(error);
  if (!(error instanceof Error)) return error;
  const message = printable(error.message);
  const name = printable(error.name);
  const cause = causesLeft > 0 ? printableError(error.cause, causesLeft - 1) : undefined;
  if (message === error.message && name === error.name && cause === error.cause) return error;
  // The stack starts with the message; its frames follow.
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
