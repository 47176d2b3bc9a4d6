/**
 * Text of others, made fit for a terminal and a log.
 *
 * @module
 */

/** How many UTF-16 units of a text are shown: the longest sentence of this library fits, a flood of text does not. */
export const MAX_PRINTED = 1_000;

/** Controls, marks that are not seen or turn text around, separators of lines, halves of characters. */
const NOT_PRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** A text with everything escaped that is not text, and cut where it is long. */
export function printable(text: string, most: number = MAX_PRINTED): string {
  const cut = text.length > most ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…` : text;
  return cut.replace(NOT_PRINTABLE, (char) => {
    const code = char.codePointAt(0)!.toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });
}
