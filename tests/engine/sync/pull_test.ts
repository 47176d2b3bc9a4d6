import { assertEquals, assertLessOrEqual } from "../../../deps/std_assert.ts";
import { makeIncarnation, NO_INCARNATION } from "../../../engine/incarnation.ts";
import { versionsBytes } from "../../../engine/state/size.ts";
import type { KnownVersion } from "../../../engine/types.ts";
import { deliver, entry, exchange, makeEngine, memberDelta, note, set, TestClock } from "../harness.ts";
import { Owners, pairAmong } from "../many_members.ts";

Deno.test("pull: requests members without stored state, by round-robin, if not all have room (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(9, clock, { gossipMaxSend: 8 });
  const owners = new Owners(clock);
  owners.change(a, ["m2", "m0", "m1"]);
  const asked = () =>
    [...note(a, a.prepareGossip("b")).holds].map(([id, hold]) => [id, hold.incarnation, hold.number]);
  const nothing = (...ids: string[]) => ids.map((id) => [id, NO_INCARNATION, 0]);
  // The peer itself is never among them, though it uses its turn.
  assertEquals(asked(), nothing("m3", "m4", "m5"));
  assertEquals(asked(), nothing("m6", "m7", "m8"));
  assertEquals(asked(), nothing("m3", "m4", "m5", "m6"));
  owners.change(a, others.slice(4));
  assertEquals(asked(), nothing("m3"));
  owners.change(a, ["m3"]);
  assertEquals(asked(), []);
});

Deno.test("pull: requests neither the peer nor a blocked member, and no member if all have room (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(9, clock, { gossipMaxSend: 8 });
  new Owners(clock).change(a, others.slice(4));
  set(a, "k", 1, clock);
  const asked = () => [...note(a, a.prepareGossip("b")).holds.keys()].sort();
  assertEquals([...asked(), ...asked()].sort(), ["m0", "m0", "m1", "m1", "m2", "m3"]);
  note(a, a.setTopology({ members: ["a", "b", ...others], blocked: ["m0", "m3"] }, clock.now));
  assertEquals(asked(), ["m1", "m2"]);
  note(a, a.setTopology({ members: ["a", "b", ...others.slice(0, 6)], blocked: [] }, clock.now));
  assertEquals(asked(), []);
});

Deno.test("pull: takes at most an eighth of a message (E7)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock, { settings: { maxMessageBytes: 16_384 } });
  const ids = Array.from({ length: 60 }, (_, index) => `${index}`.padStart(200, "x"));
  note(a, a.setTopology({ members: ["a", ...ids], blocked: [] }, clock.now));
  const { holds } = note(a, a.prepareGossip("b"));
  assertLessOrEqual(versionsBytes(holds), 16_384 / 8);
  assertEquals(holds.size, 6);
});

Deno.test("pull: a member that the peer requests is sent from the peer's version, before other changed members (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(20, clock, { gossipMaxSend: 4 });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const owners = new Owners(clock);
  for (let change = 0; change < 2; change++) owners.change(a, others);
  const sentFor = (asked: ReadonlyMap<string, KnownVersion>) =>
    note(a, a.disseminate("b", { asked })).delta.members.map(({ id, after }) => `${id} after ${after}`);
  assertEquals(sentFor(new Map()).slice(1), ["m19 after 0", "m1 after 0", "m18 after 0"]);
  const asked = new Map([["m7", { incarnation, number: 1 }], ["m3", {
    incarnation: NO_INCARNATION,
    number: 0,
  }]]);
  assertEquals(sentFor(asked).slice(1), ["m7 after 1", "m3 after 0", "m19 after 0"]);
  // An ask for more than half of the slots is ignored beyond them.
  const all = new Map(others.map((id) => [id, { incarnation, number: 1 }]));
  assertEquals(sentFor(all).slice(1), ["m0 after 1", "m1 after 1", "m19 after 0"]);
  // State that the peer has already, and an unknown member, cause no delta.
  const idle = new Map([["m15", { incarnation, number: 2 }], ["who", { incarnation, number: 0 }], ["a", {
    incarnation,
    number: 0,
  }]]);
  assertEquals(sentFor(idle).slice(1), ["m19 after 0", "m7 after 0", "m18 after 0"]);
});

Deno.test("pull: neither raises nor lowers a known version of the peer (E7)", () => {
  const clock = new TestClock();
  const { a, b, others } = pairAmong(6, clock, { gossipMaxSend: 4 });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  new Owners(clock).change(a, others);
  const claims = new Map(others.map((id) => [id, { incarnation, number: 99 }]));
  note(a, a.disseminate("b", { asked: claims }));
  for (let round = 0; round < 4; round++) exchange(a, b, { clock });
  assertEquals(others.map((id) => b.view.versionOf(id)?.number), [1, 1, 1, 1, 1, 1]);
  const forgotten = new Map(others.map((id) => [id, { incarnation: NO_INCARNATION, number: 0 }]));
  assertEquals(note(a, a.disseminate("b", { asked: forgotten })).delta.members, []);
});

Deno.test("disseminate: does not remember the versions in a peer's pull (E7)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(20, clock, { gossipMaxSend: 4, departedRetention: 10_000 });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const owners = new Owners(clock);
  // Neither next by round-robin nor among the latest.
  owners.change(a, others.slice(0, 5));
  deliver(a, "relay", memberDelta("m5", incarnation, [entry("k", 1, 1), entry("l", 2, 1)]), clock);
  owners.change(a, others.slice(6));
  const afterOf = (asked: ReadonlyMap<string, KnownVersion>) =>
    note(a, a.disseminate("b", { asked })).delta.members.find(({ id }) => id === "m5")?.after;
  const claim = new Map([["m5", { incarnation, number: 1 }]]);
  assertEquals(afterOf(claim), 1);
  // State of a member that has been gone for half the retention is not sent, and the claim is not kept either
  // (E11).
  const withoutM5 = ["a", "b", ...others.filter((id) => id !== "m5")];
  note(a, a.setTopology({ members: withoutM5, blocked: [] }, clock.now));
  clock.advance(5_000);
  note(a, a.tick(clock.now));
  assertEquals(afterOf(claim), undefined);
  note(a, a.setTopology({ members: ["a", "b", ...others], blocked: [] }, clock.now));
  assertEquals(afterOf(new Map([["m5", { incarnation, number: 0 }]])), 0);
});
