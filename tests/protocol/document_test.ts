import { assert, assertEquals } from "../../deps/std_assert.ts";
import {
  GRACEFULLY_LEFT_KEY,
  HEARTBEAT_KEY,
  MEMBER_KEY,
  SIGNING_KEY,
  TOPOLOGY_KEY,
  TYPE,
} from "../../engine/types.ts";
import { CLOSE } from "../../common/errors.ts";
import { decode, encode } from "../../protocol/codec.ts";
import {
  answerContent,
  questionContent,
  readWire,
  takenOf,
  topicContent,
  type Wire,
  wireMessage,
} from "../../messages/wire.ts";
import type { UnknownMessage } from "../../protocol/message.ts";
import { PRODUCT } from "../../tools/house_rules.ts";
import { sourceFiles } from "../../tools/source_files.ts";

/** The folders whose code sends codes: `common` defines the close codes, and `testing` only simulates a transport. */
const SENDERS = PRODUCT.filter((folder) => folder !== "common" && folder !== "testing");

const ROOT = new URL("../../", import.meta.url);
/** How the code reads a code that it does not know; no member sends it. */
const NEVER_SENT = ["other"];

async function textOf(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

/** The section of PROTOCOL.md under a heading of the second level. */
async function section(heading: string): Promise<string> {
  const [, rest] = (await textOf("docs/PROTOCOL.md")).split(`\n## ${heading}\n`);
  assert(rest !== undefined, heading);
  return rest.split("\n## ")[0]!;
}

/** The first cells in the rows of a text's tables, in backticks or bare. */
function firstCells(text: string): string[] {
  return [...text.matchAll(/^\| `?([^`|\s-][^`|\s]*)`? +\|/gm)].map(([, cell]) => cell!);
}

/** The texts of the product's files in these folders. */
async function sourcesOf(folders: readonly string[]): Promise<string[]> {
  const texts: string[] = [];
  for (const folder of folders) {
    for await (const file of sourceFiles(ROOT, folder)) texts.push(await textOf(file));
  }
  return texts;
}

/** The quoted words after the name of a constant or a type, up to the end of its statement. */
function wordsOf(text: string, name: string): string[] {
  const [, statement = ""] = text.split(new RegExp(`\\b${name}\\b`), 2);
  return [...statement.split(/;\n/)[0]!.matchAll(/"([a-z_]+)"/g)].map(([, word]) => word!);
}

Deno.test("PROTOCOL.md: its table has exactly the error codes that the code sends", async () => {
  const table = (await section("Errors")).split("\n| code ")[1]!;
  const documented = firstCells(table).filter((cell) => /^[a-z_]+$/.test(cell)).sort();
  const sent = new Set<string>();
  for (const source of await sourcesOf(SENDERS)) {
    for (const [, code] of source.matchAll(/\brefuse\(\s*"([a-z_]+)"/g)) sent.add(code!);
  }
  assertEquals(documented, [...sent].sort());
  const known = wordsOf(await textOf("protocol/message.ts"), "type RefusalCode");
  assert(known.length > 5);
  assertEquals(documented.filter((code) => !known.includes(code)), []);
  assertEquals(known.filter((code) => !sent.has(code) && !NEVER_SENT.includes(code)), []);
  for (const code of documented) {
    const read = decode(JSON.stringify({ type: "error", code, message: "" }), { maxMessageBytes: 1_000 });
    assertEquals<string | false>(read.type === "error" && read.code, code);
  }
});

Deno.test("PROTOCOL.md: its table has exactly the close codes that the code sends", async () => {
  const documented = firstCells(await section("Close codes")).filter((cell) => /^\d+$/.test(cell));
  assertEquals(documented.map(Number).sort(), Object.values(CLOSE).sort());
  const sources = (await sourcesOf(SENDERS)).join("\n");
  assertEquals(Object.keys(CLOSE).filter((name) => !sources.includes(`CLOSE.${name}`)), []);
});

Deno.test("PROTOCOL.md: its tables have the reasons of blocks, the reserved keys and the types of values", async () => {
  const reasons = wordsOf(await textOf("protocol/read.ts"), "BLOCK_REASONS");
  const documented = firstCells(await section("Blocking"));
  assertEquals(documented.filter((cell) => reasons.includes(cell)).sort(), [...reasons].sort());
  const keys = [GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, MEMBER_KEY, SIGNING_KEY, TOPOLOGY_KEY];
  assertEquals(firstCells(await section("Reserved keys")).filter((key) => key !== "key").sort(), keys.sort());
  const types = firstCells(await section("Values"));
  assertEquals(Object.values(TYPE).filter((type) => !types.includes(type)), []);
});

/** A message of the capability `messages`, as a member writes what it has read. */
function writtenAgain(wire: Wire): UnknownMessage {
  if (wire.type === "taken") return takenOf(wire.number);
  const json = JSON.stringify(wire.payload);
  if (wire.type === "message") return wireMessage(topicContent(wire.topic, json), wire);
  if (wire.type === "answer") return wireMessage(answerContent(wire.id, json), wire);
  return wireMessage(questionContent({ ...wire, json }), wire);
}

Deno.test("PROTOCOL.md: every type of message has an example, which the code reads and writes with the same fields", async () => {
  const text = await textOf("docs/PROTOCOL.md");
  const examples = [...text.matchAll(/^```json\n(.*?)^```$/gms)].map(([, json]) => json!);
  const types = new Set<string>();
  for (const example of examples) {
    const message = decode(example, { maxMessageBytes: 2 ** 20 });
    const isExtra = message.type === "unknown";
    types.add(isExtra ? message.name : message.type);
    const written = isExtra ? writtenAgain(readWire(message)!) : message;
    assertEquals(JSON.parse(encode(written)), JSON.parse(example));
  }
  const readers = await textOf("protocol/read.ts") + await textOf("messages/wire.ts");
  const read = [...readers.matchAll(/^ {4}case "([a-z]+)":/gm)];
  assert(read.length > 11);
  assertEquals([...types].sort(), read.map(([, type]) => type!).sort());
});
