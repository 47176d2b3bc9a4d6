/**
 * The width of texts on a terminal.
 *
 * @module
 */

/** Marks above or below the character before them. */
const NO_WIDTH = /^\p{M}$/u;
/** Characters of East Asia, and pictures, which take two columns. Blocks of "W" and "F" in Unicode's EastAsianWidth. */
const DOUBLE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u;

/** The number of columns of a printable text. */
export function widthOf(text: string): number {
  // Most texts are plain.
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const char of text) width += charWidth(char);
  return width;
}

/** A text, cut to this number of columns. The middle is left out, because ids differ at both ends. */
export function cut(text: string, most: number): string {
  if (widthOf(text) <= most) return text;
  const characters = [...text];
  const end = Math.floor((most - 1) / 2);
  const tail = fitting(characters.toReversed(), end).toReversed();
  // A mark belongs to a character that was left out.
  while (tail[0] !== undefined && NO_WIDTH.test(tail[0])) tail.shift();
  return [...fitting(characters, most - 1 - end), "…", ...tail].join("");
}

/** The codes of colors. */
// deno-lint-ignore no-control-regex -- an escape begins each
const CODE = /(\u001b\[[\d;]*m)/;

/**
 * A line, cut to this number of columns at its end. Its colors stay. It is cut between two words, because a part of a
 * number would be another number.
 */
export function cutEnd(line: string, most: number): string {
  // Every second part is a code.
  const parts = line.split(CODE);
  const plain = parts.filter((_, at) => at % 2 === 0).join("");
  if (widthOf(plain) <= most) return line;
  const head = fitting([...plain], Math.max(0, most - 1)).join("");
  const words = /\s/.test(plain[head.length]!) ? head : head.replace(/\S+$/, "");
  let left = (words.trim() === "" ? head : words.trimEnd()).length;
  const kept = parts.map((part, at) => {
    if (at % 2 === 1) return part;
    const text = part.slice(0, left);
    left -= text.length;
    return text;
  });
  return `${kept.join("")}…`;
}

/** The first characters that fit into this number of columns. */
function fitting(characters: readonly string[], most: number): string[] {
  let width = 0;
  const found: string[] = [];
  for (const char of characters) {
    width += charWidth(char);
    if (width > most) break;
    found.push(char);
  }
  return found;
}

function charWidth(char: string): number {
  return NO_WIDTH.test(char) ? 0 : DOUBLE.test(char) ? 2 : 1;
}
