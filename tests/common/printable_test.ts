import { assert, assertEquals, assertLess } from "../../deps/std_assert.ts";
import { ConnectionClosed, HearsayError } from "../../common/errors.ts";
import { describe } from "../../options/rules.ts";
import { MAX_PRINTED, printable, printableJson } from "../../common/printable.ts";
import { PeerRefused } from "../../protocol/refusal.ts";
import { show } from "../../protocol/check.ts";

/** Terminal commands, a line that resembles another log entry, and marks that reverse text. */
const HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\n2026-01-01 root logged in\x7f\x9b31m\u2028\u202e\u2066\u200f";
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

Deno.test("printable: escapes the control characters of terminals and logs, and truncates long text", () => {
  assertEquals(printable("a\x1b[0m\n\u202e\x9b"), "a\\u001b[0m\\u000a\\u202e\\u009b");
  assertEquals(printable("bücher 日本 🎉"), "bücher 日本 🎉");
  assertEquals(printable("a".repeat(50), 10), `${"a".repeat(10)}…`);
  assertEquals(printable("🎉".repeat(10), 5), `${"🎉".repeat(2)}…`);
  assert(printable("\ud800").isWellFormed());
});

Deno.test("printable: escapes invisible characters, so that two ids do not look alike", () => {
  for (const char of ["\u034f", "\u115f", "\u180b", "\u3164", "\ufe0f", "\uffa0", "\u{e0100}"]) {
    const code = char.codePointAt(0)!.toString(16);
    assertEquals(printable(`ada${char}`), `ada\\u${code.length > 4 ? `{${code}}` : code.padStart(4, "0")}`);
    assertEquals(printableJson(char).includes(char), false, code);
    assertEquals(JSON.parse(printableJson(char)), char);
  }
});

Deno.test("printableJson: escapes characters that a terminal or a page could obey, and a parser reads the value unchanged", () => {
  const data = { id: `${HOSTILE}<script>\u{e0001}🎉`, list: [HOSTILE, 1, null] };
  const json = printableJson(data);
  assert(!UNPRINTABLE.test(json) && !json.includes("<") && !/\p{Cf}/u.test(json), json);
  assertEquals(JSON.parse(json), data);
});

Deno.test("printable: errors and shown values have no unescaped or unbounded text of a peer", () => {
  const texts = [
    new PeerRefused({ type: "error", code: "busy", message: HOSTILE }).message,
    new PeerRefused({ type: "error", code: "busy", message: "x".repeat(100_000) }).message,
    new ConnectionClosed(4400, HOSTILE).message,
    new HearsayError("connection", `At ws://a is not ${HOSTILE}.`).message,
    JSON.stringify(new HearsayError("connection", HOSTILE)),
    describe(HOSTILE),
    show(HOSTILE),
  ];
  for (const text of texts) {
    assert(!UNPRINTABLE.test(text), JSON.stringify(text));
    assertLess(text.length, 7 * MAX_PRINTED);
  }
});
