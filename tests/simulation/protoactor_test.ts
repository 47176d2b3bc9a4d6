import { assert, assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { MixedCluster } from "./protoactor/mixed_cluster.ts";

const SEEDS = 12;

Deno.test("protoactor: Hearsay members converge after faults, and are confirmed only if all members have their state (E3, E12, R3.5)", async () => {
  let claims = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    await using cluster = await MixedCluster.started({ seed, hearsay: 2 + seed % 3, go: 1 + seed % 3 });
    try {
      await cluster.injectFaults(12_000);
      cluster.calm();
      await cluster.rest(15_000);
      const [first, ...others] = cluster.hearsay.map(({ gossiper }) => cluster.lasting(gossiper));
      for (const other of others) assertEquals(other, first);
      for (const { gossiper } of cluster.hearsay) assertEquals(gossiper.phase, "confirmed");
    } catch (error) {
      throw new Error(`Seed ${seed} failed.`, { cause: error });
    }
    claims += cluster.claims;
  }
  assertGreater(claims, SEEDS * 50);
});

Deno.test("protoactor: Hearsay members converge after partitions longer than heartbeatExpiration (E3, E10, E12)", async () => {
  for (let seed = 301; seed < 301 + SEEDS; seed++) {
    const options = { seed, hearsay: 2 + seed % 3, go: 1 + seed % 3, heartbeatExpiration: 2_500 };
    await using cluster = await MixedCluster.started(options);
    try {
      await cluster.injectFaults(15_000);
      cluster.calm();
      await cluster.rest(30_000);
      const [first, ...others] = cluster.hearsay.map(({ gossiper }) => cluster.lasting(gossiper));
      for (const other of others) assertEquals(other, first);
      for (const { gossiper } of cluster.hearsay) {
        const blocked = gossiper.blockedMembers.filter(({ id }) => id.startsWith("h"));
        assertEquals(blocked, []);
      }
    } catch (error) {
      throw new Error(`Seed ${seed} failed.`, { cause: error });
    }
  }
});

Deno.test("protoactor: after faults both kinds of members have equal maps of Hearsay members (P3)", async () => {
  let [filled, received] = [0, 0];
  for (let seed = 401; seed < 401 + SEEDS; seed++) {
    await using cluster = await MixedCluster.started({ seed, hearsay: 2, go: 2 });
    await cluster.injectFaults(12_000);
    cluster.calm();
    await cluster.rest(15_000);
    for (const owner of cluster.hearsay) {
      const { id } = owner.gossiper;
      const own = cluster.mapAtHearsay(owner.gossiper, id);
      if (Object.keys(own).length > 0) filled++;
      for (const { gossiper } of cluster.hearsay) assertEquals(cluster.mapAtHearsay(gossiper, id), own);
      for (const go of cluster.go) assertEquals(cluster.mapAt(go, id) ?? {}, own, `seed ${seed}: ${go.id}`);
    }
    // A Go member sends a map once, even if the letter is lost; but Hearsay members have the same one.
    for (const { id } of cluster.go) {
      const [one, other] = cluster.hearsay.map(({ gossiper }) => cluster.mapAtHearsay(gossiper, id));
      assertEquals(one, other, `seed ${seed}: ${id}`);
      if (Object.keys(one!).length > 0) received++;
    }
  }
  assertGreater(filled, SEEDS);
  assertGreater(received, SEEDS);
});

Deno.test("protoactor: a value of a Hearsay member reaches every Go member at 50 % loss", async () => {
  for (let seed = 101; seed <= 106; seed++) {
    await using cluster = await MixedCluster.started({ seed, hearsay: 2, go: 3 });
    cluster.network.loss = 0.5;
    const [{ gossiper }] = cluster.hearsay as [typeof cluster.hearsay[0]];
    await cluster.rest(1_000);
    gossiper.setState("fact", seed);
    let acknowledged = false;
    const waiting = gossiper.setStateRequest("sure", seed, { acknowledgedBy: "all" }).then(() =>
      acknowledged = true
    );
    await cluster.runtime.runUntil(() => acknowledged, { withinMs: 120_000 });
    await waiting;
    const { id } = gossiper.members.find(({ isSelf }) => isSelf)!;
    for (const member of cluster.go) {
      assert(member.held(id, "sure"), `${member.id} was reported to have acknowledged it`);
    }
  }
});

Deno.test("protoactor: a value that a Go member sends to one Hearsay member reaches the others, although it is sent only once", async () => {
  await using cluster = await MixedCluster.started({ seed: 7, hearsay: 3, go: 1 });
  await cluster.rest(3_000);
  const [go] = cluster.go;
  // At 60 % loss the letter reaches some of the Hearsay members at most.
  cluster.network.loss = 0.6;
  go!.set("fact", { typeUrl: "type.googleapis.com/google.protobuf.Empty", value: new Uint8Array() });
  await cluster.rest(4_000);
  cluster.calm();
  await cluster.rest(3_000);
  const holders = cluster.hearsay.filter(({ gossiper }) => gossiper.getState("fact").has(go!.id));
  assert(holders.length === 0 || holders.length === 3, `${holders.length} of 3 have it`);
  assertEquals(holders.length, 3);
});

Deno.test("protoactor: Hearsay members block a killed Go member, and no other member (R6.3, E10)", async () => {
  await using cluster = await MixedCluster.started({
    seed: 3,
    hearsay: 2,
    go: 3,
    heartbeatExpiration: 5_000,
  });
  await cluster.rest(8_000);
  for (const { gossiper } of cluster.hearsay) assertEquals(gossiper.blockedMembers, []);
  for (const member of cluster.go) assertEquals([...member.blocked], []);
  const [killed] = cluster.go;
  killed!.kill();
  await cluster.rest(8_000);
  for (const { gossiper } of cluster.hearsay) {
    assertEquals(gossiper.blockedMembers.map(({ id, reason }) => [id, reason]), [[killed!.id, "expired"]]);
  }
});

Deno.test("protoactor: members of both kinds learn that a Hearsay member left (R9.2)", async () => {
  await using cluster = await MixedCluster.started({ seed: 5, hearsay: 2, go: 4 });
  await cluster.rest(3_000);
  const [leaver, stayer] = cluster.hearsay as [typeof cluster.hearsay[0], typeof cluster.hearsay[0]];
  const id = leaver.transport.self.id;
  const stopping = leaver.gossiper.stop();
  await cluster.rest(3_000);
  assertEquals((await stopping).flushed, true);
  assertEquals(stayer.gossiper.members.find((member) => member.id === id)?.status, "left");
  for (const member of cluster.go) {
    assert(member.blocked.has(id), `${member.id} has not blocked the member that left`);
  }
});

Deno.test("protoactor: a Go member is received again after a partition, with the values set meanwhile (E10)", async () => {
  await using cluster = await MixedCluster.started({
    seed: 9,
    hearsay: 2,
    go: 1,
    heartbeatExpiration: 4_000,
  });
  await cluster.rest(3_000);
  const [go] = cluster.go as [typeof cluster.go[0]];
  cluster.network.partition(new Map([[go.address, 1]]));
  // Shorter than heartbeatExpiration: a Go member never unblocks.
  await cluster.rest(2_000);
  go.set("fact", { typeUrl: "type.googleapis.com/google.protobuf.Empty", value: new Uint8Array() });
  cluster.calm();
  await cluster.rest(4_000);
  for (const { gossiper } of cluster.hearsay) {
    assertEquals(gossiper.blockedMembers, []);
    assert(gossiper.getState("fact").has(go.id));
  }
});
