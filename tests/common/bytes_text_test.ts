import { assertEquals } from "../../deps/std_assert.ts";
import { decodeOld, encodeOld, fromBase64Url, fromHex, toBase64Url, toHex } from "../../common/bytes_text.ts";

/** The bytes, or the name of the error. */
function outcomeOf(decode: (text: string) => Uint8Array, text: string): Uint8Array | string {
  try {
    return decode(text);
  } catch (error) {
    return (error as Error).name;
  }
}

Deno.test("bytes: have the same text with and without the newer methods of runtimes", () => {
  for (let length = 0; length < 200; length++) {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    const text = bytes.toBase64({ alphabet: "base64url", omitPadding: true });
    assertEquals([toBase64Url(bytes), encodeOld(bytes)], [text, text]);
    assertEquals([fromBase64Url(text), decodeOld(text)], [bytes, bytes]);
    assertEquals([toHex(bytes), fromHex(toHex(bytes))], [bytes.toHex(), bytes]);
  }
});

Deno.test("bytes: every text of few characters is decoded or refused in the same way by the newer and the older method", () => {
  const characters = ["A", "z", "9", "-", "_", "+", "/", "=", " ", "\n", "\v", "é", "."];
  let texts = [""];
  let refused = 0;
  for (let length = 0; length <= 4; length++) {
    for (const text of texts) {
      const expected = outcomeOf((each) => Uint8Array.fromBase64(each, { alphabet: "base64url" }), text);
      if (typeof expected === "string") refused++;
      assertEquals(outcomeOf(decodeOld, text), expected, JSON.stringify(text));
    }
    texts = texts.flatMap((text) => characters.map((character) => text + character));
  }
  assertEquals(refused > 10_000, true);
});
