/**
 * Runs the demo and draws what it printed as docs/demo.svg: `deno task record`.
 *
 * @module
 */

const ROOT = new URL("..", import.meta.url);
const FONT_SIZE = 13;
const LINE_HEIGHT = 18;
/** The width of a character of the monospace fonts that browsers use, as a share of the font size. */
const CHARACTER_WIDTH = 0.602;
const PADDING = 16;
/** The colors of the ANSI codes that the demo uses, readable on the dark background. */
const COLORS: Readonly<Record<string, string>> = {
  31: "#ff7b72",
  32: "#7ee787",
  33: "#e3b341",
  34: "#79c0ff",
  35: "#d2a8ff",
  36: "#56d4dd",
};

/** Text in one style. */
interface Span {
  readonly text: string;
  readonly color?: string | undefined;
  readonly bold: boolean;
  readonly dim: boolean;
}

const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["task", "demo", "--color"],
  cwd: ROOT,
}).output();
if (code !== 0) {
  console.error(new TextDecoder().decode(stderr));
  Deno.exit(code);
}
const lines = new TextDecoder().decode(stdout).trim().split("\n").map(spansOf);
await Deno.writeTextFile(new URL("docs/demo.svg", ROOT), svgOf(lines));
console.log(`docs/demo.svg: ${lines.length} lines.`);

/** The spans of a line, by its ANSI codes. */
function spansOf(line: string): Span[] {
  const spans: Span[] = [];
  let style: Omit<Span, "text"> = { bold: false, dim: false };
  // deno-lint-ignore no-control-regex -- the escape character begins each code
  for (const part of line.split(/(\x1b\[[\d;]*m)/)) {
    // deno-lint-ignore no-control-regex -- likewise
    const codes = /^\x1b\[([\d;]*)m$/.exec(part)?.[1];
    if (codes === undefined) {
      if (part !== "") spans.push({ text: part, ...style });
      continue;
    }
    for (const each of codes.split(";")) style = styleAfter(style, each);
  }
  return spans;
}

function styleAfter(style: Omit<Span, "text">, code: string): Omit<Span, "text"> {
  switch (code) {
    case "":
    case "0":
      return { bold: false, dim: false };
    case "1":
      return { ...style, bold: true };
    case "2":
      return { ...style, dim: true };
    case "22":
      return { ...style, bold: false, dim: false };
    case "39":
      return { ...style, color: undefined };
    default:
      return { ...style, color: COLORS[code] ?? style.color };
  }
}

function svgOf(lines: readonly (readonly Span[])[]): string {
  const columns = Math.max(...lines.map((spans) => spans.reduce((sum, { text }) => sum + text.length, 0)));
  const width = Math.ceil(columns * FONT_SIZE * CHARACTER_WIDTH) + 2 * PADDING;
  const height = lines.length * LINE_HEIGHT + 2 * PADDING;
  const rows = lines.flatMap((spans, index) => wordsOf(spans, PADDING + (index + 0.75) * LINE_HEIGHT));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Output of deno task demo">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="${FONT_SIZE}" fill="#e6edf3">
${rows.join("\n")}
</g>
</svg>
`;
}

/**
 * The texts of a line, each at its own column. Spaces between them would not last: `deno fmt` indents the parts of a
 * text, and a renderer without a monospace font gives each character another width.
 */
function wordsOf(spans: readonly Span[], y: number): string[] {
  const texts: string[] = [];
  let column = 0;
  for (const { text, ...style } of spans) {
    for (const { 0: words, index } of text.matchAll(/\S+(?: \S+)*/g)) {
      const x = PADDING + (column + index) * FONT_SIZE * CHARACTER_WIDTH;
      texts.push(`<text x="${x.toFixed(1)}" y="${y}"${attributesOf(style)}>${escaped(words)}</text>`);
    }
    column += text.length;
  }
  return texts;
}

function attributesOf({ color, bold, dim }: Omit<Span, "text">): string {
  return [
    color ? ` fill="${color}"` : "",
    bold ? ' font-weight="bold"' : "",
    dim ? ' opacity="0.6"' : "",
  ].join("");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
