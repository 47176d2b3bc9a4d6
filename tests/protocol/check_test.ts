import {
  assertEquals,
  assertLessOrEqual,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import { TYPE } from "../../engine/types.ts";
import { ConnectionClosed } from "../../common/errors.ts";
import { JsonPath, MAX_LISTED, readNames, readNumber, readWhole, wholeOf } from "../../protocol/check.ts";
import { ANY, gossipOf, HELLO, read } from "./messages.ts";

Deno.test("decode: an error never repeats a peer's text at length", () => {
  const error = assertThrows(() => read({ ...HELLO, cluster: "x".repeat(100_000) }), ConnectionClosed);
  assertLessOrEqual(error.message.length, 200);
  const long = { [`${"y".repeat(100_000)}`]: "HERE" };
  const text = JSON.stringify(
    gossipOf({ sequenceNumber: "1", value: { "@type": `${ANY}${TYPE.value}`, value: long } }),
  );
  const deep = assertThrows(() => read(text.replace('"HERE"', "1e999")), ConnectionClosed);
  assertLessOrEqual(deep.message.length, 1000);
});

Deno.test("readWhole, wholeOf: read a negative zero as zero, so that each number has a single form (P3)", () => {
  const place = new JsonPath("number");
  assertEquals(Object.is(readWhole(-0, place, { min: 0, max: 9 }), 0), true);
  assertEquals(Object.is(readNumber(-0, place), 0), true);
  assertEquals(Object.is(wholeOf(-0, 0), 0), true);
});

Deno.test("readNames: accepts as many names as a member may have kinds, and names the place of an invalid name (P2)", () => {
  const place = new JsonPath("kinds");
  const most = Array.from({ length: MAX_LISTED }, (_, index) => `k${index}`);
  assertEquals(readNames(most, place), most);
  const faultOf = (given: unknown) => assertThrows(() => readNames(given, place), ConnectionClosed).message;
  assertStringIncludes(
    faultOf([...most, "one more"]),
    'kinds: must be a list of at most 256, was "a list of 257".',
  );
  assertStringIncludes(faultOf(["a", ""]), 'kinds["1"]: must be a well-formed string of 1 to 256 bytes');
  assertStringIncludes(faultOf("a"), "kinds: must be an array");
});
