/**
 * Lays out JSON data with one case per line, so that a change of one case is a change of one line.
 * `deno run --allow-read --allow-write tools/case_lines.ts docs/vectors/tags.json` lays out a file that was edited.
 *
 * @module
 */

/** A string, a bracket, a comma, a colon, or a number or word. */
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g;

/** An open list or object. */
interface Container {
  readonly closing: "]" | "}";
  /** True if each of its items stands on a line of its own. */
  readonly isBroken: boolean;
  isEmpty: boolean;
}

/**
 * Lays out a list of cases, or an object of which some fields are lists of cases. The tokens stay as they are: a
 * parsed and written `-0` would be 0, and a key such as `"10"` would move.
 *
 * @example
 * ```ts
 * import { assertEquals } from "../deps/std_assert.ts";
 * import { layOutCases } from "./case_lines.ts";
 *
 * assertEquals(layOutCases('[{"a":1},{"a":[2,3]}]'), '[\n{ "a": 1 },\n{ "a": [2, 3] }\n]\n');
 * assertEquals(layOutCases('{"of":"x","cases":[1,2]}'), '{\n  "of": "x",\n  "cases": [\n    1,\n    2\n  ]\n}\n');
 * ```
 */
export function layOutCases(json: string): string {
  const tokens = json.match(TOKENS) ?? [];
  const isList = tokens[0] === "[";
  const open: Container[] = [];
  let text = "";
  /** The space before an item or a closing bracket. */
  const gap = ({ isBroken, closing }: Container) =>
    isBroken ? `\n${isList ? "" : "  ".repeat(open.length)}` : closing === "}" ? " " : "";
  for (const token of tokens) {
    const container = open.at(-1);
    if (token === container?.closing) {
      open.pop();
      text += (container.isEmpty ? "" : gap(container)) + token;
      continue;
    }
    if (container?.isEmpty) text += gap(container);
    if (container) container.isEmpty = false;
    if (token === ",") text += container!.isBroken ? `,${gap(container!)}` : ", ";
    else text += token === ":" ? ": " : token;
    if (token === "[" || token === "{") {
      const isBroken = open.length === 0 || (open.length === 1 && !isList && token === "[");
      open.push({ closing: token === "[" ? "]" : "}", isBroken, isEmpty: true });
    }
  }
  return `${text}\n`;
}

if (import.meta.main) {
  for (const file of Deno.args) await Deno.writeTextFile(file, layOutCases(await Deno.readTextFile(file)));
}
