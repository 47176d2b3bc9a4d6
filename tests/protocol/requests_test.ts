import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { MAX_LATE_REQUESTS, MAX_UNACKNOWLEDGED, type Question, Requests } from "../../protocol/requests.ts";
import type { Message } from "../../protocol/message.ts";
import { deltaOf, replyTo } from "../requirements/scripted_peer.ts";
import { end, withScripted, withUnknownPeer } from "../requirements/scripted_pair.ts";

const HELLO: Question = { kind: "hello" };

Deno.test("requests: a second request is refused as busy until the first is answered (P4)", () => {
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

Deno.test("requests: an answer without a request is distinguished from a late answer", () => {
  const requests = new Requests("d");
  requests.take(requests.begin(HELLO).id);
  const made = ["d1", "d2", "d0", "d01", "d", "a1", "d1e0", "d9999999999999999"];
  assertEquals(made.filter((id) => requests.made(id)), ["d1"]);
  assertEquals(requests.take("d1"), undefined);
});

Deno.test("requests: a wait until no request is under way includes requests that follow at once (R9.1)", async () => {
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

Deno.test("session: two requests in a row without an answer in time close the connection; a single request does not", async () => {
  const { cluster, peer } = await withScripted();
  let unanswered = 0;
  peer.answer = (message) => message.type !== "gossip" || unanswered-- > 0 ? undefined : replyTo(message);
  await cluster.runUntil(() => peer.last("gossip") !== undefined);
  await cluster.runtime.settle();
  const handshakes = () => cluster.sentBy("a", "hello").length;
  const failures = () => cluster.of("a").emitted("RequestFailed").length;
  const before = handshakes();
  unanswered = 1;
  await cluster.advance(2_000);
  assertEquals([failures(), handshakes()], [1, before]);
  unanswered = 2;
  await cluster.advance(2_000);
  assertEquals([failures(), handshakes()], [3, before + 1]);
  await end(cluster, peer);
});

Deno.test("session: a reply after its timeout still counts (E5)", async () => {
  const { cluster, peer } = await withScripted();
  await cluster.runUntil(() => peer.last("gossip") !== undefined);
  await cluster.runtime.settle();
  cluster.of("a").gossiper.setState("k", 1);
  cluster.network.setFaults({ delayMs: 150 });
  await cluster.runUntil(() => cluster.of("a").emitted("RequestFailed").length > 0);
  const pending = cluster.of("a").gossiper.setStateRequest("late", 1, { acknowledgedBy: 1 });
  await cluster.finish(pending);
  cluster.network.heal();
  await end(cluster, peer);
});

Deno.test("session: the latest eight unacknowledged replies are remembered, and a late acknowledgement of them counts (E5)", async () => {
  const { cluster, peer } = await withUnknownPeer();
  const isHeld = async (firstAck: string) => {
    const request = cluster.of("a").gossiper.setStateRequest("k", firstAck, { acknowledgedBy: 1 });
    let isDone = false;
    request.then(() => isDone = true, () => {});
    const gossips = Array.from({ length: MAX_UNACKNOWLEDGED + 1 }, (_, index): Message => {
      return {
        type: "gossip",
        liveness: { count: 0 },
        id: `d${index + 2}`,
        memberId: "p",
        delta: deltaOf([]),
      };
    });
    await peer.say("a", ...gossips, { type: "ack", id: firstAck, holds: new Map() });
    return isDone;
  };
  assertEquals([await isHeld("d2"), await isHeld("d3")], [false, true]);
  assertEquals(peer.last("error"), undefined);
  await end(cluster, peer);
});
