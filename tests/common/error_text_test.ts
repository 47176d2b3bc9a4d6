import { assertEquals } from "../../deps/std_assert.ts";
import { errorText } from "../../common/error_text.ts";

Deno.test("errorText: returns name and message of an error, and the text of any other value", () => {
  assertEquals([new TypeError("No."), "No.", 5, undefined].map(errorText), [
    "TypeError: No.",
    "No.",
    "5",
    "undefined",
  ]);
});

Deno.test("errorText: does not throw for a value without a prototype, or with a getter that throws", () => {
  const hostile = new Error("No.");
  Object.defineProperty(hostile, "message", {
    get: () => {
      throw new Error("Never.");
    },
  });
  assertEquals([Object.create(null), hostile].map(errorText), Array(2).fill("an error without a text"));
});
