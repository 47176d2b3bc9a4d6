import { assert, assertEquals, assertStringIncludes } from "../../deps/std_assert.ts";
import { join } from "../../node/join.ts";
import { DEFAULT_CONFIG } from "../../options/configuration.ts";
import { faultOf } from "../../options/configuration_rules.ts";
import { parseConfig } from "../../options/yaml.ts";
import { keyProblems } from "../../security/key_strength.ts";
import { PRODUCT } from "../../tools/house_rules.ts";

const ROOT = new URL("../../", import.meta.url);

/** One document, by its path from the root. */
interface Document {
  readonly path: string;
  readonly text: string;
}

/** The README and all files in docs/. */
async function documents(): Promise<Document[]> {
  const paths = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
  for await (const { name } of Deno.readDir(new URL("docs", ROOT))) {
    if (name.endsWith(".md")) paths.push(`docs/${name}`);
  }
  return await Promise.all(
    paths.sort().map(async (path) => ({ path, text: await Deno.readTextFile(new URL(path, ROOT)) })),
  );
}

/** A block of code, and its output by the comment above it. */
interface Example {
  readonly info: string;
  readonly code: string;
  readonly prints: string | undefined;
}

/** All fenced blocks. `<!-- prints: some text -->` above one marks an example to run until stopped. */
function examplesIn({ text }: Document): Example[] {
  const blocks = text.matchAll(/(?:^<!-- prints: (.+?) -->\s*)?^```([^\n]*)\n(.*?)^```$/gms);
  return [...blocks].map(([, prints, info = "", code = ""]) => ({ info, code, prints }));
}

/** The text without its blocks of code. */
function proseOf({ text }: Document): string {
  return text.replace(/^```.*?^```$/gms, "");
}

/** The id of a heading, as on GitHub. */
function anchorOf(heading: string): string {
  return heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replace(/\s/g, "-");
}

Deno.test("documents: every relative link leads to a file, and to a heading if it names a heading", async () => {
  const broken: string[] = [];
  for (const document of await documents()) {
    for (const [, link = ""] of proseOf(document).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [file = "", anchor] = link.split("#");
      const target = file === ""
        ? document.path
        : new URL(file, new URL(document.path, ROOT)).href.replace(ROOT.href, "");
      const text = await Deno.readTextFile(new URL(target, ROOT)).catch(async () =>
        (await Deno.stat(new URL(target, ROOT)).catch(() => undefined))?.isDirectory ? "" : undefined
      );
      const anchors = [...text?.matchAll(/^#+ (.+)$/gm) ?? []].map(([, heading = ""]) => anchorOf(heading));
      if (text === undefined || (anchor !== undefined && !anchors.includes(anchor))) {
        broken.push(`${document.path}: ${link}`);
      }
    }
  }
  assertEquals(broken, []);
});

Deno.test("documents: every named task exists, and README or CONTRIBUTING names every task", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))) as {
    tasks: Record<string, unknown>;
  };
  const unknown: string[] = [];
  const named = new Set<string>();
  for (const { path, text } of await documents()) {
    for (const [, task = ""] of text.matchAll(/\b(?:deno|deno@\S+) task ([a-z][\w:-]*)/g)) {
      if (["README.md", "CONTRIBUTING.md"].includes(path)) named.add(task);
      if (!Object.hasOwn(tasks, task)) unknown.push(`${path}: ${task}`);
    }
  }
  assertEquals(unknown, []);
  assertEquals(Object.keys(tasks).filter((task) => !named.has(task)), []);
});

Deno.test("docs/SECURITY.md: links every claim and every limit to a test file", async () => {
  const text = await Deno.readTextFile(new URL("docs/SECURITY.md", ROOT));
  const tables = text.split("\n\n").map((block) => block.split("\n").map(lastCell))
    .filter(([header]) => header === "test");
  assertEquals(tables.length, 4);
  const unlinked = tables.flatMap(([, , ...cells]) => cells).filter((cell) =>
    !/^\[\w+_test\]\(\.\.\/tests\/[\w/]+_test\.ts\)(, \[\w+_test\]\(\.\.\/tests\/[\w/]+_test\.ts\))*$/.test(
      cell,
    )
  );
  // That each link leads to a file is true of all documents.
  assertEquals(unlinked, []);
});

Deno.test("documents: every file that is named in code style exists", async () => {
  const missing: string[] = [];
  for (const document of await documents()) {
    for (const [, path = ""] of proseOf(document).matchAll(/`((?:[\w.-]+\/)+[\w.-]*(?:\.ts|\.json|\/))`/g)) {
      if (!await Deno.stat(new URL(path, ROOT)).catch(() => undefined)) {
        missing.push(`${document.path}: ${path}`);
      }
    }
  }
  assertEquals(missing, []);
});

Deno.test("docs/SECURITY.md: each link to a test has the name of its file", async () => {
  const text = await textOf("docs/SECURITY.md");
  const links = [...text.matchAll(/\[(\w+_test)\]\(\S*?(\w+_test)\.ts\)/g)];
  assert(links.length > 0);
  assertEquals(links.filter(([, label, file]) => label !== file).map(([link]) => link), []);
});

Deno.test("docs/events-and-errors.md: has every event and every error code, and no other", async () => {
  const [events = "", errors = ""] = (await textOf("docs/events-and-errors.md")).split("\n## Errors\n");
  const sources = ["engine/events.ts", "contracts/events.ts", "contracts/cluster.ts"];
  const types = (await Promise.all(sources.map(textOf))).flatMap((source) =>
    [...source.matchAll(/^ {2}readonly type: "(\w+)";$/gm)].map(([, type]) => type!)
  );
  assertEquals(firstCellsOf(events).sort(), types.sort());
  const [, union = ""] = (await textOf("common/errors.ts")).split("export type ErrorCode =");
  const codes = [...union.split(";")[0]!.matchAll(/"(\w+)"/g)].map(([, code]) => code!);
  assertEquals(firstCellsOf(errors).sort(), codes.sort());
});

Deno.test("docs/events-and-errors.md: has the fields of every event, and every value that a field can have", async () => {
  const [events = ""] = (await textOf("docs/events-and-errors.md")).split("\n## Errors\n");
  const rows = new Map(rowsOf(events).map((cells) => [cells[0]!.replaceAll("`", ""), cells]));
  const types = await eventTypes();
  assert(types.length > 30);
  for (const { name, fields } of types) {
    const [, named = "", text = ""] = rows.get(name) ?? [];
    assertEquals(
      [...named.matchAll(/`(\w+)`(\?)?/g)].map(([, field, mark = ""]) => `${field}${mark}`),
      fields.map(({ name, isOptional }) => `${name}${isOptional ? "?" : ""}`),
      name,
    );
    const words = fields.flatMap(({ words }) => words);
    assertEquals(words.filter((word) => !text.includes(`\`${word}\``)), [], name);
  }
});

/** A field of an event. */
interface EventField {
  readonly name: string;
  readonly isOptional: boolean;
  /** The values of a field with a fixed set of texts. */
  readonly words: readonly string[];
}

/** Every event with its fields but for `type`. */
async function eventTypes(): Promise<
  readonly { readonly name: string; readonly fields: readonly EventField[] }[]
> {
  const sources = await Promise.all([
    "engine/events.ts",
    "contracts/events.ts",
    "contracts/cluster.ts",
    "protocol/shared_settings.ts",
  ].map(textOf));
  const types = await textOf("engine/types.ts");
  const wordsIn = (type: string) => [...type.matchAll(/"(\w+)"/g)].map(([, word]) => word!);
  const wordsOf = (type: string): string[] => {
    const [, excluded] = /^Exclude<BlockReason, "(\w+)">$/.exec(type) ?? [];
    if (excluded !== undefined) return wordsOf("BlockReason").filter((word) => word !== excluded);
    const aliases = type.match(/\b(?:BlockReason|Phase)\b/g) ?? [];
    const definitions = aliases.map((alias) =>
      new RegExp(`^export type ${alias} = (.*);$`, "m").exec(types)![1]!
    );
    return [type, ...definitions].flatMap(wordsIn);
  };
  const interfaces = sources.flatMap((
    source,
  ) => [...source.matchAll(/^export interface (\w+)(?: extends (\w+))? \{\n(.*?)^\}/gms)]).map((
    [, name = "", base, body = ""],
  ) => ({
    name,
    base,
    fields: [...body.matchAll(/^ {2}readonly (\w+)(\?)?: (.*);$/gm)].map((
      [, name = "", mark, type = ""],
    ) => ({
      name,
      isOptional: mark !== undefined,
      words: wordsOf(type),
    })),
  }));
  return interfaces.filter(({ fields }) => fields.some(({ name }) => name === "type"))
    .map(({ name, base, fields }) => {
      const inherited = interfaces.find((each) => each.name === base)?.fields ?? [];
      return { name, fields: [...fields, ...inherited].filter((field) => field.name !== "type") };
    });
}

Deno.test("docs/configuration.md: has every setting with its default; docs/SECURITY.md has every setting that limits clients", async () => {
  const rows = [
    ...rowsOf(await textOf("docs/configuration.md")),
    ...rowsOf(await textOf("docs/SECURITY.md")),
  ].filter(([name = ""]) => Object.hasOwn(DEFAULT_CONFIG, name.replaceAll("`", "")));
  const defaults: Record<string, unknown> = { ...DEFAULT_CONFIG };
  const wrong = rows.filter(([name = "", value = ""]) =>
    valueOf(value) !== defaults[name.replaceAll("`", "")]
  );
  assertEquals(wrong, []);
  assertEquals(new Set(rows.map(([name = ""]) => name.replaceAll("`", ""))), new Set(Object.keys(defaults)));
  const named = firstCellsOf(await textOf("docs/configuration.md"));
  assertEquals(named.filter((name) => !Object.hasOwn(defaults, name)), []);
});

Deno.test("settings: docs/configuration.md and the doc comments state the range that the rules have", async () => {
  const numbers = Object.keys(DEFAULT_CONFIG).filter((name) =>
    typeof DEFAULT_CONFIG[name as keyof typeof DEFAULT_CONFIG] === "number"
  );
  const comments = commentsOfSettings(await textOf("options/configuration.ts"));
  const rows = new Map(
    rowsOf(await textOf("docs/configuration.md")).map(([name = "", , range = ""]) => [
      name.replaceAll("`", ""),
      range,
    ]),
  );
  assert(numbers.length > 15);
  for (const name of numbers) {
    assertRange(name, comments.get(name) ?? "");
    const range = rows.get(name);
    if (range !== undefined) assertRange(name, range);
  }
  for (const name of ["detectCrashes", "spread"]) {
    for (const [, value = ""] of rows.get(name)!.matchAll(/`(.+?)`/g)) {
      assertEquals(faultOf(name, JSON.parse(value)), undefined, `${name}: ${value}`);
    }
  }
});

/** The text of the doc comment above each setting, on one line. */
function commentsOfSettings(source: string): ReadonlyMap<string, string> {
  const settings = source.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\s+readonly (\w+):/g);
  return new Map(
    [...settings].map(([, comment = "", name = ""]) => [name, comment.replace(/\s*\*\s*/g, " ")]),
  );
}

/** Fails unless the first range in a text is exactly that of the setting's rule. */
function assertRange(name: string, text: string): void {
  const amount = String.raw`(an?|[\d,]*\d)(?: ?(ms|minutes|hour|days?|KiB|MiB|GiB|TiB))?`;
  const [range, ...parts] = new RegExp(`${amount} to ${amount}`).exec(text) ?? [];
  assert(range !== undefined, `${name} has no range: ${text}`);
  const [least, most] = [amountOf(parts[0]!, parts[1]), amountOf(parts[2]!, parts[3])] as const;
  for (const value of [least, most]) assertEquals(faultOf(name, value), undefined, `${name}: ${value}`);
  for (const value of [least - 1, most + 1]) {
    assert(faultOf(name, value) !== undefined, `${name} also takes ${value}: ${range}`);
  }
  assertEquals(faultOf(name, Infinity) === undefined, /\bor `Infinity`/.test(text), name);
}

/** A number as a document writes it: `1,000`, `30 days`, `an hour`. */
function amountOf(digits: string, unit: string | undefined): number {
  const units: Readonly<Record<string, number>> = {
    minutes: 60_000,
    hour: 3_600_000,
    day: 86_400_000,
    days: 86_400_000,
    KiB: 2 ** 10,
    MiB: 2 ** 20,
    GiB: 2 ** 30,
    TiB: 2 ** 40,
  };
  return (/\d/.test(digits) ? Number(digits.replaceAll(",", "")) : 1) * (units[unit ?? ""] ?? 1);
}

Deno.test("docs/configuration.md: its YAML is docs/gossip.yaml, which its example reads", async () => {
  const [yaml = ""] = (await documents()).filter(({ path }) => path === "docs/configuration.md")
    .flatMap(examplesIn).filter(({ info }) => info === "yaml").map(({ code }) => code);
  assertEquals(yaml, await textOf("docs/gossip.yaml"));
  assertEquals(parseConfig(yaml).blockedProbeInterval, Infinity);
});

Deno.test("docs/guide.md: has every option of join, and no other", async () => {
  const [, options = ""] = (await textOf("node/join_options.ts")).split("export interface JoinOptions");
  const [, shared = ""] = (await textOf("node/join_security.ts")).split("export interface SecurityOptions");
  const names = [options, shared].flatMap((text) =>
    [...text.split("\n}\n")[0]!.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name!)
  );
  const [, page = ""] = (await textOf("docs/guide.md")).split("\n## Join\n");
  assertEquals(firstCellsOf(page.split("\n## ")[0]!).sort(), names.sort());
});

Deno.test("README.md: every member of a node in its table exists", async () => {
  await using node = await join({ cluster: "documents", listen: { port: 0 } });
  const [, calls = ""] = (await textOf("README.md")).split("\n## Calls\n");
  const names = [...calls.split("\n## ")[0]!.matchAll(/`node\.(\w+)/g)].map(([, name]) => name!);
  assert(names.length > 10);
  assertEquals(names.filter((name) => !(name in node)), []);
});

Deno.test("docs/node-and-bun.md: names every function that only Deno can run", async () => {
  const texts =
    (await Promise.all(PRODUCT.map((folder) => textsUnder(new URL(`${folder}/`, ROOT), { deep: true }))))
      .flat();
  const names = texts.flatMap((text) =>
    [...text.matchAll(/\bassertDeno\("(\w+)"/g)].map(([, name]) => name!)
  );
  assert(names.length > 5);
  const [, page = ""] = (await textOf("docs/node-and-bun.md")).split("\n## What does not work\n");
  assertEquals(names.filter((name) => !page.includes(`\`${name}\``)), []);
});

Deno.test("docs/discovery.md: each source of members is exported from the stated module", async () => {
  const { exports } = JSON.parse(await textOf("deno.json")) as { exports: Readonly<Record<string, string>> };
  const missing: string[] = [];
  const sources = rowsOf(await textOf("docs/discovery.md")).filter(([cell = ""]) => cell.includes("("));
  for (const [cell = "", from = ""] of sources) {
    const path = exports[from.replaceAll("`", "").replace("@hearsay/gossip", ".")];
    const module: object = await import(new URL(path ?? "none", ROOT).href);
    for (const [, name = ""] of cell.matchAll(/`(\w+)\(/g)) {
      if (!(name in module)) missing.push(`${from}: ${name}`);
    }
  }
  assert(sources.length > 0);
  assertEquals(missing, []);
});

async function textOf(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

/** The cells of every row of every table, without the rows of headers. */
function rowsOf(text: string): string[][] {
  return text.split("\n").filter((line, index, lines) =>
    line.startsWith("| ") && !/^\| -/.test(line) && !/^\| -/.test(lines[index + 1] ?? "")
  ).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

/** The names in code in the first column of all tables. */
function firstCellsOf(text: string): string[] {
  return rowsOf(text).flatMap(([cell = ""]) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name!));
}

/** The value of a setting as a document writes it: `true`, `"text"`, `1,048,576`, `8 MiB, …`. */
function valueOf(cell: string): unknown {
  const [, code] = /^`(.+)`$/.exec(cell) ?? [];
  if (code !== undefined) return JSON.parse(code);
  const [, digits = "", unit] = /^`?([\d,]*\d)(?: (MiB))?/.exec(cell) ?? [];
  return Number(digits.replaceAll(",", "")) * (unit === undefined ? 1 : 2 ** 20);
}

/** The last cell of a table's row; empty where the line is none. */
function lastCell(line: string): string {
  return /^\|.*\|\s*([^|]*?)\s*\|$/.exec(line)?.[1] ?? "";
}

Deno.test("documents: every TypeScript example is run by `deno test --doc`, or here if its output is stated", async () => {
  let count = 0;
  for (const document of await documents()) {
    for (const { info, code, prints } of examplesIn(document)) {
      const [language, ...attributes] = info.split(/\s+/);
      if (!["ts", "typescript"].includes(language ?? "")) continue;
      count++;
      const left = attributes.includes("ignore");
      assertEquals(left, prints !== undefined, `${document.path}: ${code.split("\n")[0]}`);
      if (prints !== undefined) assertStringIncludes(await outputUntil(code, prints), prints);
    }
  }
  assert(count > 0);
});

/**
 * The output of an example until the text appears, it ends, or half a minute has passed; then it is stopped.
 */
async function outputUntil(code: string, text: string): Promise<string> {
  const runnable = code
    // The checkout itself, whatever the document imports from, and a free port.
    .replace(/(from ")[^"]*?((?:mod|gossiper\/yaml)\.ts")/g, (_, from, file) => `${from}${ROOT.href}${file}`)
    .replaceAll('"@hearsay/gossip"', JSON.stringify(new URL("mod.ts", ROOT).href))
    .replaceAll('"@hearsay/gossip/auth"', JSON.stringify(new URL("security/cluster_keys.ts", ROOT).href))
    .replaceAll('"@hearsay/gossip/yaml"', JSON.stringify(new URL("options/yaml.ts", ROOT).href))
    .replace(/\bport: \d+/g, "port: 0");
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-lock", "--check", "--allow-net=127.0.0.1", "-"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    signal: AbortSignal.timeout(30_000),
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(runnable));
  await input.close();
  let output = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += chunk;
    if (output.includes(text)) break;
  }
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended by itself.
  }
  await child.status;
  return output;
}

Deno.test("documents: no key in the documents, in comments or in an example is accepted as a cluster's key", async () => {
  const texts = (await documents()).map(({ text }) => text);
  for (const folder of ["docs/vectors", ".", "examples", ...PRODUCT]) {
    texts.push(...await textsUnder(new URL(`${folder}/`, ROOT), { deep: folder !== "." }));
  }
  const named = texts.flatMap((text) => text.match(/(?<![\w+/-])[\w+/-]{43,}={0,2}(?![\w+/-])/g) ?? []);
  const accepted = new Set(named).values().filter((text) => keyProblems([text]).length === 0);
  assert(named.length > 10);
  assertEquals([...accepted], []);
});

async function textsUnder(folder: URL, { deep }: { readonly deep: boolean }): Promise<string[]> {
  const texts: string[] = [];
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    if (isDirectory && deep) texts.push(...await textsUnder(new URL(`${name}/`, folder), { deep }));
    // The list of keys that are refused is what this looks for.
    const isText = /\.(ts|md|json|ya?ml|service)$/.test(name) &&
      !["known_keys.ts", "deno.json"].includes(name);
    if (isFile && isText) texts.push(await Deno.readTextFile(new URL(name, folder)));
  }
  return texts;
}
