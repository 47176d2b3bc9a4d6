/** A new member in a cluster of members with many keys each. */

import { assert, assertEquals, assertLess } from "../../deps/std_assert.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "./harness.ts";

/** Each member's state takes eleven messages, as 50,000 small keys do at the default `maxMessageBytes`. */
const KEYS = 3_125;
const CONFIG = { maxMessageBytes: 65_536, heartbeatExpiration: 5_000 };

Deno.test("many keys: a new member receives the many keys of ten members, and no heartbeat waits for them (E7)", async () => {
  const ids = Array.from({ length: 10 }, (_, index) => `m${index}`);
  await using cluster = await TestCluster.started(ids, { config: CONFIG });
  for (const id of ids) {
    for (let key = 0; key < KEYS; key++) cluster.of(id).gossiper.setState(`client-10.1.2.${key}`, key);
  }
  const holdsAll = (id: string) => {
    const { gossiper } = cluster.of(id);
    return gossiper.getState(`client-10.1.2.${KEYS - 1}`).size === ids.length;
  };
  await cluster.runUntil(() => ids.every(holdsAll), { withinMs: 60_000 });
  await cluster.make("newcomer").gossiper.start();
  await cluster.publish([...ids, "newcomer"]);
  const all = [...ids, "newcomer"];
  let rounds = 0;
  for (; !holdsAll("newcomer"); rounds++) {
    assert(rounds < 200, "The newcomer does not receive all.");
    await cluster.advance(300);
    // A count without room in its message would lag behind by more and more intervals.
    if (rounds < 15) continue;
    for (const id of all) {
      const own = cluster.of(id).gossiper.getState("heathbeat").get(id)!.sequenceNumber;
      for (const other of all) {
        const known = cluster.of(other).gossiper.getState("heathbeat").get(id)?.sequenceNumber ?? 0;
        assertLess(own - known, 12, `${other} lags behind the heartbeat of ${id}`);
      }
    }
  }
  assert(rounds > 15, `${rounds} rounds`);
  for (const member of cluster.members) {
    assertEquals([member.emitted("MemberBlocked"), member.emitted("ConflictDetected")], [[], []], member.id);
  }
});

Deno.test("many keys: a member sets and deletes 50 keys a second for minutes although a peer hears it by others alone (E8)", async () => {
  // The share of the default limit that 50 deletions a second may take.
  await using cluster = new TestCluster(["a", "b", "c"], { config: { maxKeysPerMember: 4_000 } });
  cluster.network.cut(memoryAddress("a", 1), memoryAddress("c", 1));
  for (const id of ["a", "b", "c"]) await cluster.make(id).gossiper.start();
  await cluster.runUntil(() => cluster.of("c").gossiper.getState("heathbeat").has("a"));
  const { gossiper } = cluster.of("a");
  for (let number = 0; number < 50 * 150; number++) {
    gossiper.setState(`client ${number}`, number);
    if (number >= 50) gossiper.deleteState(`client ${number - 50}`);
    await cluster.advance(20);
    if (number % 500 === 499) {
      await cluster.runUntil(() => cluster.of("c").value("a", `client ${number}`) === number, {
        withinMs: 1_000,
      });
      assertEquals(cluster.of("c").blocked, {});
    }
  }
  assertEquals(cluster.of("c").value("a", "client 0"), undefined);
});
