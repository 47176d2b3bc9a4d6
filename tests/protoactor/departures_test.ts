/**
 * Behavior in which Hearsay departs from protoactor-go on purpose. The tests with the same names in
 * `tests/protoactor/departures` show what protoactor-go does; `deno task interop` runs them.
 *
 * @module
 */

import { assertEquals } from "../../deps/std_assert.ts";
import { GRACEFULLY_LEFT_KEY } from "../../engine/types.ts";
import { TestCluster } from "../requirements/harness.ts";
import {
  deliver,
  eventsOf,
  exchange,
  heartbeat,
  makeCluster,
  makePair,
  memberDelta,
  note,
  set,
  SETTINGS,
  settle,
  TestClock,
  valueOf,
} from "../engine/harness.ts";

Deno.test("departures: a lost request is sent again (E5; protoactor-go: TestALostRequestIsNeverSentAgain)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "k", "first", clock);
  exchange(a, b, { clock, lose: "request" });
  assertEquals(valueOf(b, "a", "k"), undefined);
  exchange(a, b, { clock });
  assertEquals(valueOf(b, "a", "k"), "first");
});

Deno.test("departures: a delta without entries is recognized as empty (E5; protoactor-go: TestARequestIsSentThoughThereIsNothingToTell)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "k", 1, clock);
  settle([a, b], { clock });
  eventsOf(a).clear();
  const { delta, sent } = note(a, a.disseminate("b"));
  assertEquals([delta.members, sent.members.size, eventsOf(a).of("Disseminated")], [[], 0, []]);
});

Deno.test("departures: at most gossipMaxSend members are sent (E7; protoactor-go: TestOneMemberMoreThanTheMostIsSent)", () => {
  const clock = new TestClock();
  const ids = ["a", "b", "c", "d", "e", "f"];
  const [a, , ...others] = makeCluster(ids, clock, { settings: { gossipMaxSend: 3 } });
  set(a, "k", 1, clock);
  for (const other of others) {
    set(other, "k", 1, clock);
    exchange(other, a, { clock });
  }
  assertEquals(a.disseminate("b").delta.members.length, 3);
});

Deno.test("departures: the state of a departed member is dropped (E11; protoactor-go: TestTheStateOfADepartedMemberIsKeptAndPassedOn)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  set(c!, "k", "here", clock);
  exchange(c!, a, { clock });
  note(a, a.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  note(a, a.tick(clock.advance(SETTINGS.departedRetention / 2)));
  assertEquals(valueOf(a, "c", "k"), "here");
  exchange(a, b!, { clock });
  assertEquals(valueOf(b!, "c", "k"), undefined);
  note(a, a.tick(clock.advance(SETTINGS.departedRetention / 2)));
  assertEquals([valueOf(a, "c", "k"), eventsOf(a).of("MemberForgotten").length], [undefined, 1]);
});

Deno.test("departures: a newer heartbeat unblocks an expired member (E10; protoactor-go: TestABlockIsForEver)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  deliver(a, "c", { ...memberDelta("b", b!.view.incarnation, [heartbeat(1)]), count: 1 }, clock);
  blockTheSilent(a, clock);
  assertEquals(a.view.blockedMember("b")?.reason, "expired");
  deliver(a, "c", { ...memberDelta("b", b!.view.incarnation, [], { after: 1 }), count: 2 }, clock);
  assertEquals(a.view.blockedMember("b"), undefined);
});

Deno.test("departures: a member that never sent a heartbeat expires (E9; protoactor-go: TestAMemberThatNeverSentAHeartbeatNeverExpires)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  blockTheSilent(a, clock);
  assertEquals(a.view.blockedMember("b")?.reason, "expired");
});

Deno.test("departures: a consensus check succeeds (E13; protoactor-go: TestAConsensusCheckNeverSucceeds)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const check = cluster.of("a").gossiper.registerConsensusCheck("k", (value) => value);
  for (const { gossiper } of cluster.members) gossiper.setState("k", "same");
  assertEquals(await cluster.finish(check.reached()), "same");
});

Deno.test("departures: leaving takes as long as it needs to spread (R9.2; protoactor-go: TestLeavingHasOneTickAtMostToSpread)", async () => {
  const ids = ["a", "b", "c", "d", "e"];
  await using cluster = await TestCluster.started(ids, { config: { gossipFanOut: 3 } });
  await cluster.runUntil(() => cluster.isConfirmed());
  const result = await cluster.stop("a");
  assertEquals([result.wanted, result.flushed], [3, true]);
  const informed = ids.slice(1).filter((id) =>
    cluster.of(id).gossiper.getState(GRACEFULLY_LEFT_KEY).has("a")
  );
  assertEquals(informed.length >= 3, true, `${informed} were informed`);
});

Deno.test("departures: ages come from the monotonic clock (E9; protoactor-go: TestAgesCompareWallClocks)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b"], clock);
  deliver(a, "b", memberDelta("b", b!.view.incarnation, [heartbeat(1)]), clock);
  // The wall clock steps forward by an hour several times, then back, in less than heartbeatExpiration.
  const steps = SETTINGS.heartbeatExpiration / SETTINGS.gossipInterval - 1;
  for (let step = 0; step < steps; step++) {
    clock.wallMs += step < steps - 1 ? 3_600_000 : -100 * 3_600_000;
    note(a, a.tick(clock.advance(SETTINGS.gossipInterval)));
  }
  assertEquals(a.view.blockedMembers(), []);
});

/** Lets heartbeatExpiration pass in steps of one round, so that the process does not count as suspended. */
function blockTheSilent(engine: Parameters<typeof note>[0], clock: TestClock) {
  const steps = SETTINGS.heartbeatExpiration / SETTINGS.gossipInterval + 1;
  for (let step = 0; step < steps; step++) note(engine, engine.tick(clock.advance(SETTINGS.gossipInterval)));
}

Deno.test("departures: each departure from protoactor-go has a test on both sides", () => {
  const folder = new URL("departures/", import.meta.url);
  const go = [...Deno.readDirSync(folder)].map(({ name }) => Deno.readTextFileSync(new URL(name, folder)))
    .join();
  const theirs = [...go.matchAll(/^func (Test\w+)/gm)].map(([, name]) => name);
  const ours = Deno.readTextFileSync(new URL(import.meta.url)).matchAll(/; protoactor-go: (Test\w+)\)/g);
  const counterparts = [...ours].map(([, name]) => name);
  // This test has its counterpart in the vectors.
  assertEquals([...counterparts, "TestWhatThePinnedVersionIsCalled"].sort(), theirs.sort());
});
