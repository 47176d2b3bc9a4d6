/**
 * Members whose records have kinds, on an in-memory network and a virtual clock.
 *
 * @module
 */

import { fixedMembers } from "../../discovery/fixed.ts";
import { recordOf, TestCluster } from "../requirements/harness.ts";

/** Starts members that know each other's kinds, and waits until they agree. */
export async function confirmed(
  ids: readonly string[],
  { kindsOf, actorStatistics = {} }: {
    readonly kindsOf: (id: string) => readonly string[];
    /** The counts of a member, by id; those of others report none. */
    readonly actorStatistics?: Readonly<Record<string, () => Readonly<Record<string, number>>>>;
  },
): Promise<TestCluster> {
  const cluster = new TestCluster(ids);
  const records = ids.map((id) => ({ ...recordOf(id), kinds: kindsOf(id) }));
  for (const self of records) {
    const counts = actorStatistics[self.id];
    const made = cluster.make(self.id, {
      ...(counts && { actorStatistics: counts }),
      cluster: { self, discovery: fixedMembers(records) },
    });
    await made.gossiper.start();
  }
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}
