import { assert, assertEquals } from "../../deps/std_assert.ts";
import type { EngineEvent } from "../../engine/events.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import { configure } from "../../options/configuration.ts";
import { EngineHost } from "../../gossiper/engine_host.ts";
import { EventStream } from "../../contracts/event_stream.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { TestCluster, type TestMember } from "./harness.ts";

/** One event of every kind of the engine; the compiler reports a missing one. */
const EVERY_EVENT: { readonly [T in EngineEvent["type"]]: Extract<EngineEvent, { type: T }> } = {
  ConflictDetected: { type: "ConflictDetected", memberId: "b", reason: "value", key: "k", sequenceNumber: 1 },
  Confirmed: { type: "Confirmed", digest: "0123456789abcdef" },
  ConsensusLost: { type: "ConsensusLost", checkId: "consensus-1", key: "k" },
  ConsensusReached: { type: "ConsensusReached", checkId: "consensus-1", key: "k", value: { a: 1 } },
  Disseminated: { type: "Disseminated", peerId: "b", members: 1, entries: 2 },
  GossipUpdate: {
    type: "GossipUpdate",
    memberId: "b",
    key: "k",
    value: [1],
    sequenceNumber: 3,
    deleted: false,
  },
  Isolated: { type: "Isolated" },
  IncarnationRenewed: { type: "IncarnationRenewed", incarnation: "0123456789ab-01234567" },
  MemberBlocked: { type: "MemberBlocked", memberId: "b", reason: "expired" },
  MemberFailed: { type: "MemberFailed", memberId: "b", reason: "crashed" },
  MemberForgotten: { type: "MemberForgotten", memberId: "b" },
  MemberJoined: { type: "MemberJoined", memberId: "b" },
  MemberLeft: { type: "MemberLeft", memberId: "b" },
  MemberSuspected: { type: "MemberSuspected", memberId: "b" },
  MemberUnblocked: { type: "MemberUnblocked", memberId: "b" },
  PhaseChanged: { type: "PhaseChanged", from: "diffusing", to: "confirmed" },
  ReconcilingRequested: { type: "ReconcilingRequested", peerId: "b" },
  Rejoined: { type: "Rejoined" },
  SelfBlocked: { type: "SelfBlocked", reason: "expired", peerId: "b" },
  StateDropped: { type: "StateDropped", memberId: "b", limit: "maxMembers", count: 2 },
  SuspicionEnded: { type: "SuspicionEnded", memberId: "b" },
};

Deno.test("events: every kind of event of the engine is published once, at once and in order (R3.4)", async () => {
  const eventStream = new EventStream();
  const engineHost = new EngineHost({
    id: "a",
    openMembership: false,
    settings: configure(),
    runtime: new VirtualRuntime(),
    eventStream,
    onFatal: (error) => {
      throw error;
    },
  });
  const all = eventStream.subscribe();
  const byType = Object.entries(EVERY_EVENT).map(([type, event]) =>
    [eventStream.subscribe(type as EngineEvent["type"]), event] as const
  );
  const events = Object.values(EVERY_EVENT);
  engineHost.do(() => ({ events }));
  engineHost.do(() => ({ events: events.toReversed() }));
  eventStream.close();
  assertEquals(await Array.fromAsync(all), [...events, ...events.toReversed()]);
  for (const [stream, event] of byType) assertEquals(await Array.fromAsync(stream), [event, event]);
});

Deno.test("events: report the whole history of a cluster (R3.4)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"], {
    config: { heartbeatExpiration: 2_000, blockedProbeInterval: 1_000, departedRetention: 5_000 },
  });
  const a = cluster.of("a");
  await cluster.runUntil(() => cluster.isConfirmed());
  a.events.length = 0;
  a.gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  const { digest } = a.gossiper.snapshot();
  const reported = a.events.filter(({ type }) => type !== "Disseminated");
  assertEquals(reported.filter((event) => !("key" in event && event.key === HEARTBEAT_KEY)).slice(0, 2), [
    {
      type: "GossipUpdate",
      memberId: "a",
      key: "k",
      value: 1,
      sequenceNumber: ownNumber(a, "k"),
      deleted: false,
    },
    { type: "PhaseChanged", from: "confirmed", to: "diffusing" },
  ]);
  assertEquals(reported.filter(({ type }) => type === "PhaseChanged" || type === "Confirmed").slice(-2), [
    { type: "PhaseChanged", from: "diffusing", to: "confirmed" },
    { type: "Confirmed", digest },
  ]);
  assertEquals(new Set(a.emitted("Disseminated").map(({ peerId }) => peerId)), new Set(["b", "c"]));
  // The link to c breaks and heals.
  cluster.network.cut("memory://a:1", "memory://c:1");
  cluster.network.cut("memory://b:1", "memory://c:1");
  const hasBlocked = (id: string) => cluster.of(id).emitted("MemberBlocked").length > 0;
  await cluster.runUntil(() => hasBlocked("a") && hasBlocked("c"));
  cluster.network.heal();
  await cluster.runUntil(() => a.emitted("MemberUnblocked").length === 1);
  assertEquals([a.emitted("MemberBlocked"), a.emitted("MemberUnblocked")], [
    [{ type: "MemberBlocked", memberId: "c", reason: "expired" }],
    [{ type: "MemberUnblocked", memberId: "c" }],
  ]);
  assert(cluster.of("c").emitted("SelfBlocked").length + cluster.of("c").emitted("MemberBlocked").length > 0);
  await cluster.stop("c");
  await cluster.runUntil(() => a.emitted("MemberForgotten").length === 1);
  assertEquals(a.emitted("MemberBlocked").at(-1), { type: "MemberBlocked", memberId: "c", reason: "left" });
});

/** The number of a member's own entry. */
function ownNumber({ id, gossiper }: TestMember, key: string): number {
  return gossiper.getState(key).get(id)!.sequenceNumber;
}
