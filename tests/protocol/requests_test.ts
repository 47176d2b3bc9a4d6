import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { MAX_LATE_REQUESTS, type Question, Requests } from "../../protocol/requests.ts";

const HELLO: Question = { kind: "hello" };

Deno.test("requests: a second one is refused as busy until the first is answered (R2.5)", () => {
  const requests = new Requests("d");
  const first = requests.begin(HELLO);
  assertEquals([first.id, requests.isBusy], ["d1", true]);
  const error = assertThrows(() => requests.begin(HELLO), HearsayError);
  assertEquals(error.code, "busy");
  assertEquals([requests.take("d1"), requests.isBusy], [first, false]);
  assertEquals(requests.begin(HELLO).id, "d2");
});

Deno.test("requests: a late answer is matched once, and only the latest timed-out requests are remembered (E5)", () => {
  const requests = new Requests("a");
  const late = Array.from({ length: MAX_LATE_REQUESTS + 1 }, () => {
    const request = requests.begin(HELLO);
    assertEquals(requests.expire(request), true);
    return request;
  });
  assertEquals(requests.take("a1"), undefined);
  assertEquals([requests.take("a2"), requests.take("a2")], [late[1], undefined]);
  assertEquals(requests.expire(late[1]!), false);
});

Deno.test("requests: an answer without a request is distinguished from a late one (P6)", () => {
  const requests = new Requests("d");
  requests.take(requests.begin(HELLO).id);
  const made = ["d1", "d2", "d0", "d01", "d", "a1", "d1e0", "d9999999999999999"];
  assertEquals(made.filter((id) => requests.made(id)), ["d1"]);
  assertEquals(requests.take("d1"), undefined);
});

Deno.test("requests: a wait until none is under way includes those that follow at once (R9.1)", async () => {
  const requests = new Requests("d");
  const first = requests.begin(HELLO);
  let isIdle = false;
  const waiting = requests.whenIdle().then(() => isIdle = true);
  requests.take(first.id);
  const second = requests.begin(HELLO);
  await Promise.resolve();
  await Promise.resolve();
  assertEquals(isIdle, false);
  requests.take(second.id);
  await waiting;
});
