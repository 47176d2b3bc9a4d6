import { assert, assertEquals, assertNotEquals } from "../../deps/std_assert.ts";
import { HEARTBEAT_KEY, type Phase } from "../../engine/types.ts";
import { seededRandom } from "../../testing/memory_random.ts";
import { TestCluster } from "./harness.ts";
import { replyTo, ScriptedPeer } from "./scripted_peer.ts";

/** The phases of a member in order, its present one first. */
function phasesOf(cluster: TestCluster, id: string): Phase[] {
  const changes = cluster.of(id).emitted("PhaseChanged");
  for (const [index, { from }] of changes.entries()) {
    if (index > 0) assertEquals(from, changes[index - 1]!.to);
  }
  return [...changes.slice(0, 1).map(({ from }) => from), ...changes.map(({ to }) => to)];
}

Deno.test("phase: is diffusing from a set until every active peer acknowledged it (R3.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  cluster.network.setFaults({ delayMs: 50 });
  const a = cluster.of("a").gossiper;
  await cluster.runUntil(() => cluster.isConfirmed());
  a.setState("k", 1);
  assertEquals(a.phase, "diffusing");
  const holders = () => ["b", "c"].filter((id) => cluster.of(id).value("a", "k") === 1).length;
  await cluster.runUntil(() => holders() === 2);
  // Both have the state, but neither knows that before the replies arrive.
  assertEquals(a.phase, "diffusing");
  await cluster.runUntil(() => a.phase === "confirmed");
  a.deleteState("k");
  assertEquals(a.phase, "diffusing");
  await cluster.finish(a.converged());
  assertEquals([a.phase, cluster.of("b").values("k"), cluster.of("c").values("k")], ["confirmed", {}, {}]);
});

Deno.test("phase: is diffusing while a peer lacks state of a third member, or while a peer cannot be reached (R3.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.network.cut("memory://a:1", "memory://c:1");
  cluster.network.cut("memory://b:1", "memory://c:1");
  cluster.of("b").gossiper.setState("k", 1);
  await cluster.advance(5_000);
  assertEquals(cluster.of("a").value("b", "k"), 1);
  assertEquals(cluster.of("a").gossiper.phase, "diffusing");
  // Once it is blocked it is inactive, and no wait needs it.
  await cluster.runUntil(() => cluster.isConfirmed(["a", "b"]));
  assertEquals([cluster.of("a").blocked, cluster.of("c").value("b", "k")], [{ c: "expired" }, undefined]);
});

Deno.test("phase: heartbeats alone do not end confirmed (R3.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const count = () => cluster.members.map((member) => member.emitted("PhaseChanged").length);
  const before = count();
  await cluster.advance(10_000);
  assertEquals(count(), before);
});

Deno.test("phase: is reconciling while a peer lacks state that it had acknowledged (R3.5)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await using peer = new ScriptedPeer(cluster, "b");
  const a = cluster.make("a");
  await a.gossiper.start();
  a.gossiper.setState("k", "kept");
  await cluster.runUntil(() => a.gossiper.phase === "confirmed" && peer.received.length > 1);
  const { incarnation } = a.gossiper.members.find(({ isSelf }) => isSelf)!;
  let gap = true;
  peer.answer = (message) => {
    if (message.type !== "gossip") return undefined;
    const reply = replyTo(message);
    if (!gap || reply.type !== "reply") return reply;
    return { ...reply, holds: new Map([["a", { incarnation: incarnation!, number: 0 }]]) };
  };
  await cluster.runUntil(() => a.gossiper.phase === "reconciling");
  gap = false;
  await cluster.runUntil(() => a.gossiper.phase !== "reconciling");
  // It was sent everything again, from the beginning.
  const own = peer.last("gossip")!.delta.members.find(({ id }) => id === "a")!;
  assertEquals(own.after, 0);
  assert(own.entries.some(({ key, value }) => key === "k" && value === "kept"));
  assertEquals(a.gossiper.phase, "confirmed");
  assertEquals(phasesOf(cluster, "a").slice(-3), ["confirmed", "reconciling", "confirmed"]);
});

Deno.test("phase: is reconciling while digests still differ and members are compared separately (R3.5)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await using peer = new ScriptedPeer(cluster, "b");
  const a = cluster.make("a");
  await a.gossiper.start();
  a.gossiper.setState("k", 1);
  let digest: string | undefined = "f".repeat(16);
  const phases = new Set<Phase>();
  peer.answer = (message) => {
    phases.add(a.gossiper.phase);
    if (message.type === "reconcile") {
      // It has no state, whatever it acknowledged.
      return { ...message, part: { ...message.part, members: new Map() } };
    }
    if (message.type !== "gossip") return undefined;
    const { active } = message.delta;
    return replyTo(message, { delta: { digest: digest ?? message.delta.digest, active, partial: false } });
  };
  await cluster.runUntil(() => peer.last("reconcile") !== undefined);
  assertEquals(a.emitted("ReconcilingRequested"), [{ type: "ReconcilingRequested", peerId: "b" }]);
  assertEquals([...peer.last("reconcile")!.part.members.keys()], ["a"]);
  await cluster.runtime.settle();
  assertEquals(a.gossiper.phase, "reconciling");
  digest = undefined;
  await cluster.runUntil(() => a.gossiper.phase === "confirmed");
  assert(phases.has("diffusing") && phases.has("reconciling"));
  const own = peer.last("gossip")!.delta.members.find(({ id }) => id === "a")!;
  assertEquals(own.after, 0);
});

Deno.test("phase: a member with a fixed list is not confirmed before it has met its peers (R3.5)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const a = cluster.make("a");
  await cluster.make("b").gossiper.start();
  a.gossiper.setState("k", 1);
  await a.gossiper.start();
  const converged = a.gossiper.converged().then(() => cluster.of("b").value("a", "k"));
  assertNotEquals(a.gossiper.phase, "confirmed");
  assertEquals(await cluster.finish(converged), 1);
});

/** A member's durable state: without heartbeats and digests, which change all the time. */
function lasting(cluster: TestCluster, holder: string): Map<string, string> {
  const { members } = cluster.of(holder).gossiper.snapshot();
  return new Map(
    members.flatMap(({ id, entries }) =>
      entries.filter(({ key }) => key !== HEARTBEAT_KEY)
        .map(({ key, value, sequenceNumber }) =>
          [`${id} ${key}`, `${sequenceNumber} ${JSON.stringify(value)}`] as const
        )
    ),
  );
}

/** True if a peer has all state of a member, or newer state. */
function holdsAll(
  cluster: TestCluster,
  { of, peer }: { readonly of: string; readonly peer: string },
): boolean {
  const theirs = lasting(cluster, peer);
  return [...lasting(cluster, of)].every(([name, text]) => {
    const other = theirs.get(name);
    return other !== undefined && Number.parseInt(other) >= Number.parseInt(text);
  });
}

Deno.test("phase: confirmed is never reported wrongly under any network faults (R3.5)", async () => {
  const ids = ["a", "b", "c"];
  for (let seed = 1; seed <= 2; seed++) {
    await using cluster = await TestCluster.started(ids, { seed, config: { gossipRequestTimeout: 200 } });
    await cluster.runUntil(() => cluster.isConfirmed());
    cluster.network.setFaults({
      delayMs: { min: 0, mean: 60, max: 400 },
      loss: 0.2,
      duplicate: 0.1,
      reorder: 0.1,
    });
    const random = seededRandom(seed);
    let confirmed = 0;
    const check = () => {
      for (const of of ids) {
        if (cluster.of(of).gossiper.phase !== "confirmed") continue;
        confirmed++;
        for (const peer of ids) {
          assert(holdsAll(cluster, { of, peer }), `seed ${seed}: ${peer} lacks of ${of}`);
        }
      }
      return false;
    };
    for (let step = 0; step < 8; step++) {
      cluster.of(ids[Math.floor(random() * 3)]!).gossiper.setState(`k${Math.floor(random() * 4)}`, step);
      const untilMs = cluster.runtime.monotonicMs() + random() * 3_000;
      await cluster.runUntil(() => check() || cluster.runtime.monotonicMs() >= untilMs);
    }
    cluster.network.setFaults({});
    await cluster.runUntil(() => cluster.isConfirmed());
    assert(confirmed > 10, `${confirmed}`);
  }
});
