import { assertEquals } from "../../../deps/std_assert.ts";
import { makeIncarnation, NO_INCARNATION } from "../../../engine/incarnation.ts";
import { maxPulled } from "../../../engine/sync/selection.ts";
import { versionBytes } from "../../../engine/state/size.ts";
import {
  deliver,
  entry,
  handshake,
  makeCluster,
  makePair,
  memberDelta,
  note,
  TestClock,
} from "../harness.ts";

Deno.test("PeerSync.recordReceived: received entries are not sent back to the peer, even if only a part of them had room (E4, E7)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock, { settings: { maxKeysPerMember: 2 } });
  note(a, a.setTopology({ members: ["a", "b", "c"], blocked: [] }, clock.now));
  const entries = [1, 2, 3, 4, 5, 6].map((number) => entry(`k${number}`, number, 1));
  const holds = deliver(a, "b", memberDelta("c", makeIncarnation(clock.wallMs, 0.5), entries), clock);
  assertEquals(holds.get("c")?.number, a.view.versionOf("c")?.number);
  assertEquals(a.disseminate("b").delta.members.map(({ id }) => id), []);
});

Deno.test("PeerSync.membersToPull: pulls members without stored state, if a message has no room for all (E7)", () => {
  const clock = new TestClock();
  const ids = ["a", "b", ...Array.from({ length: 20 }, (_, index) => `m${index}`)];
  const askedBy = (gossipMaxSend: number, maxMessageBytes = 1_048_576) => {
    const [a, b] = makeCluster(ids, clock, { settings: { gossipMaxSend, maxMessageBytes } });
    handshake(a, b!, clock);
    return [...note(a, a.prepareGossip("b")).holds];
  };
  assertEquals(askedBy(22), []);
  const asked = askedBy(21);
  // The peer itself has a turn too, and is not asked for.
  assertEquals(asked.length, maxPulled(21) - 1);
  for (const [id, hold] of asked) {
    assertEquals([id.startsWith("m"), hold], [true, { incarnation: NO_INCARNATION, number: 0 }]);
  }
  // An eighth of a message is for asking.
  assertEquals(askedBy(21, 8 * (versionBytes("m0") + versionBytes("m1"))).length, 2);
  assertEquals(askedBy(21, 8 * (versionBytes("m0") + versionBytes("m1")) - 1).length, 1);
});
