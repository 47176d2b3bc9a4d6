import { assert, assertEquals, assertLessOrEqual } from "../../../deps/std_assert.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { ENVELOPE_BYTES, versionsBytes } from "../../../engine/state/size.ts";
import {
  deliver,
  drawFrom,
  entry,
  exchange,
  handshake,
  heartbeat,
  makeCluster,
  memberDelta,
  set,
  TestClock,
} from "../harness.ts";
import { bytesOf, idsOf, Owners, pairAmong } from "../many_members.ts";

Deno.test("limits: a message has exactly gossipMaxSend members if more are pending, own state included (E7)", () => {
  for (const gossipMaxSend of [1, 2, 3, 7, 50]) {
    const clock = new TestClock();
    const { a, b, others } = pairAmong(80, clock, { gossipMaxSend });
    set(a, "own", 1, clock);
    new Owners(clock).change(a, others);
    const { delta } = a.disseminate("b");
    assertEquals([delta.members.length, delta.partial], [gossipMaxSend, true]);
    assertEquals(delta.members[0]?.id, "a");
    assertEquals(new Set(idsOf(delta)).size, gossipMaxSend);
    assertEquals(exchange(a, b, { clock }).request.members.length, gossipMaxSend);
  }
});

Deno.test("limits: a reply has the same limit (E7)", () => {
  const clock = new TestClock();
  const { a, b, others } = pairAmong(20, clock, { gossipMaxSend: 4 });
  set(b, "own", 1, clock);
  new Owners(clock).change(b, others);
  const { reply } = exchange(a, b, { clock });
  assertEquals([reply?.delta.members.length, reply?.delta.partial], [4, true]);
  assertEquals(reply?.delta.members[0]?.id, "b");
});

Deno.test("limits: a message with room for everything is not partial (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(9, clock, { gossipMaxSend: 10 });
  set(a, "own", 1, clock);
  new Owners(clock).change(a, others);
  const { delta } = a.disseminate("b");
  assertEquals([delta.members.length, delta.partial], [10, false]);
});

Deno.test("disseminate: sends own state, then half of the members by round-robin and half by their latest change (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(40, clock, { gossipMaxSend: 8 });
  const [earlier, later] = [others.slice(0, 20), others.slice(20)];
  const owners = new Owners(clock);
  owners.change(a, earlier);
  owners.change(a, later);
  set(a, "own", 1, clock);
  const sent = idsOf(a.disseminate("b").delta);
  assertEquals(sent[0], "a");
  // The latest changes go first, because the fewest members have them.
  assertEquals(sent.filter((id) => later.includes(id)), later.slice(-3).reverse());
  assertEquals(sent.filter((id) => earlier.includes(id)), earlier.slice(0, 4));
});

Deno.test("disseminate: treats statistics of heartbeats like any other change (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(40, clock, { gossipMaxSend: 8 });
  const [changing, counting] = [others.slice(0, 20), others.slice(20)];
  new Owners(clock).change(a, changing);
  new Owners(clock, heartbeat).change(a, counting);
  const sent = idsOf(a.disseminate("b").delta);
  assertEquals(sent.filter((id) => counting.includes(id)), counting.slice(-4).reverse());
});

Deno.test("disseminate: with gossipMaxSend 1 own state and the state of others alternate (E7)", () => {
  const clock = new TestClock();
  const { a, b, others } = pairAmong(4, clock, { gossipMaxSend: 1 });
  const owners = new Owners(clock);
  const sentIds: string[] = [];
  for (let round = 0; round < 8; round++) {
    set(a, "own", round, clock);
    owners.change(a, others);
    sentIds.push(...idsOf(exchange(a, b, { clock }).request));
  }
  assertEquals(sentIds, ["a", "m0", "a", "m1", "a", "m2", "a", "m3"]);
});

Deno.test("limits: small members fit into a message beside large members (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(10, clock, { maxMessageBytes: 32_768 });
  const large = new Owners(clock, (number) => entry("k", number, "x".repeat(11_000)));
  const small = new Owners(clock);
  large.change(a, others.slice(0, 5));
  small.change(a, others.slice(5));
  const { delta } = a.disseminate("b");
  assertEquals(idsOf(delta).sort(), ["m3", "m4", ...others.slice(5)]);
  assert(delta.partial);
});

Deno.test("limits: a delta larger than the room left is cut after an entry (E7)", () => {
  const clock = new TestClock();
  const { a, b } = pairAmong(2, clock, { maxMessageBytes: 32_768 });
  for (let key = 0; key < 10; key++) set(a, `k${key}`, "x".repeat(900), clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const entries = Array.from({ length: 10 }, (_, index) => entry(`k${index}`, index + 1, "x".repeat(900)));
  deliver(
    a,
    "relay",
    [memberDelta("m0", incarnation, entries), memberDelta("m1", incarnation, entries)],
    clock,
  );
  const counts = () => a.disseminate("b").delta.members.map(({ id, entries }) => `${id} ${entries.length}`);
  assertEquals(counts(), ["a 10", "m1 10", "m0 5"]);
  exchange(a, b, { clock });
  // The rest is sent after the acknowledgement.
  exchange(a, b, { clock });
  assertEquals([counts(), b.view.entriesOf("m0").length, b.view.entriesOf("m1").length], [[], 10, 10]);
});

Deno.test("limits: reported versions in an answer reduce the room for members (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(60, clock, { maxMessageBytes: 16_384 });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  new Owners(clock, (number) => entry("k", number, "x".repeat(200))).change(a, others);
  const holds = new Map(Array.from({ length: 50 }, (_, index) => [`n${index}`, { incarnation, number: 1 }]));
  const without = a.disseminate("b").delta;
  const beside = a.disseminate("b", { holds }).delta;
  const room = 16_384 - ENVELOPE_BYTES;
  assertLessOrEqual(bytesOf(without), room);
  assertLessOrEqual(bytesOf(beside) + versionsBytes(holds), room);
  assert(beside.members.length < without.members.length);
  assert(bytesOf(beside) + versionsBytes(holds) > room - 1_000);
});

Deno.test("limits: with room for a tenth of the cluster in a message, all state reaches all members within some twenty rounds (E7)", () => {
  const clock = new TestClock();
  const ids = Array.from({ length: 60 }, (_, index) => `m${index}`);
  const engines = makeCluster(ids, clock, { settings: { gossipMaxSend: 6 } });
  const draw = drawFrom(7);
  for (const one of engines) set(one, "k", 1, clock);
  const missing = () => engines.reduce((sum, one) => sum + ids.length - [...one.view.memberIds()].length, 0);
  let rounds = 0;
  for (; missing() > 0 && rounds < 100; rounds++) {
    for (const one of engines) {
      const other = engines[draw(engines.length)]!;
      if (other === one) continue;
      handshake(one, other, clock);
      exchange(one, other, { clock });
    }
  }
  assertLessOrEqual(rounds, 22);
});

Deno.test("disseminate: own state goes first again after a message with room for all members (E7)", () => {
  const clock = new TestClock();
  const { a, b, others } = pairAmong(4, clock, { gossipMaxSend: 1 });
  set(a, "own", 1, clock);
  exchange(a, b, { clock });
  set(a, "own", 2, clock);
  new Owners(clock).change(a, others);
  assertEquals(idsOf(a.disseminate("b").delta), ["a"]);
});
