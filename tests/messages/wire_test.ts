import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { ConnectionClosed } from "../../common/errors.ts";
import { checkedPayload } from "../../messages/wire.ts";

Deno.test("messages: a peer's payload is frozen as it is: a copy of it would cost this member six times as much", () => {
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
