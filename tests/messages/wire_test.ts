import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { ConnectionClosed } from "../../common/errors.ts";
import { assertAsk } from "../../messages/checks.ts";
import { checkedPayload, readWire } from "../../messages/wire.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";

Deno.test("messages: a peer's payload is frozen without a copy, which would take six times as much memory", () => {
  const payload: unknown = JSON.parse('{"list":[[],{"deep":[1]}],"__proto__":{"own":true}}');
  assertEquals(checkedPayload(payload) === payload, true);
  const { list } = payload as { list: [unknown, { deep: unknown }] };
  for (const part of [payload, list, list[0], list[1], list[1].deep]) assert(Object.isFrozen(part));
});

Deno.test("messages: a payload that is no JSON value, or nested too deep, closes the connection", () => {
  const deep: unknown = JSON.parse("[".repeat(65) + "]".repeat(65));
  for (const payload of [undefined, deep, ["\ud800"], { "\udc00": 1 }, JSON.parse("[1e999]")]) {
    const error = assertThrows(() => checkedPayload(payload), ConnectionClosed, "64 levels");
    assertEquals(error.closeCode, 4400);
  }
});

Deno.test("messages: a refusal without a reason is read, and an unknown refusal of a later version counts as failed", () => {
  const read = (error: string) =>
    readWire({ type: "unknown", name: "answer", fields: { number: 1, id: 2, error } });
  const refusal = { type: "answer", number: 1, confirm: false, id: 2, error: "failed", reason: "" } as const;
  assertEquals(read("no_such_word"), refusal);
});

Deno.test("ask: a question of the wrong form is refused, and the error names `question`", () => {
  for (const question of [undefined, null, "topic", {}]) {
    assertThrows(() => assertAsk(question), ConfigurationError, "`question` must be `{ topic, payload }`");
  }
});
