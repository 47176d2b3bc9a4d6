import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../gossiper/errors.ts";
import { MAX_LATE_REQUESTS, type Question, Requests } from "../../gossiper/requests.ts";

const HELLO: Question = { kind: "hello" };

Deno.test("R2.5 one request is under way at a time: another is refused as busy until the first is answered", () => {
  const requests = new Requests("d");
  const first = requests.begin(HELLO);
  assertEquals([first.id, requests.isBusy], ["d1", true]);
  const error = assertThrows(() => requests.begin(HELLO), HearsayError);
  assertEquals(error.code, "busy");
  assertEquals([requests.take("d1"), requests.isBusy], [first, false]);
  assertEquals(requests.begin(HELLO).id, "d2");
});

Deno.test("E5 an answer to a request that timed out still finds it, once, and only the latest are remembered", () => {
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

Deno.test("P6 what was never asked is told apart from what was asked long ago", () => {
  const requests = new Requests("d");
  requests.take(requests.begin(HELLO).id);
  const made = ["d1", "d2", "d0", "d01", "d", "a1", "d1e0", "d9999999999999999"];
  assertEquals(made.filter((id) => requests.made(id)), ["d1"]);
  assertEquals(requests.take("d1"), undefined);
});

Deno.test("R9.1 whoever waits until no request is under way waits for those that follow at once as well", async () => {
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
