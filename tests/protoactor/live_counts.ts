/**
 * Actor counts in a cluster of real members of protoactor-go and Hearsay members.
 *
 * @module
 */

import { assertEquals } from "../../deps/std_assert.ts";
import { allList, live } from "./live_harness.ts";
import { eventually, type MemberProcess, Processes } from "./processes.ts";

/** Enough identities that protoactor-go places some at each of two members. */
const IDENTITIES = Array.from({ length: 12 }, (_, index) => `cart-${index + 1}`);

/** Waits until a member reads exactly these counts of a kind. */
async function readsCounts(
  reader: MemberProcess,
  kind: string,
  expected: ReadonlyMap<string, number>,
): Promise<void> {
  await eventually(`${reader.kind} reads the counts of ${kind}`, async () => {
    const { counts } = await reader.ask({ op: "counts", kind });
    const read = Object.entries(counts as Readonly<Record<string, Readonly<Record<string, number>>>>)
      .filter(([, byKind]) => Object.hasOwn(byKind ?? {}, kind)).map(([id, byKind]) => [id, byKind[kind]]);
    return JSON.stringify(read.sort()) === JSON.stringify([...expected].sort()) || counts;
  });
}

live(
  "mixed cluster: Hearsay members read the actor counts of Go members, and Go members those of Hearsay members, after each change (R6.2)",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 4 });
    const [one, other, deno, second] = await Promise.all([
      processes.go({ kind: "cart" }),
      processes.go({ kind: "cart" }),
      processes.deno(),
      processes.deno(),
    ]);
    const all = [one, other, deno, second];
    await allList(all);
    const counts = new Map([[one.id, 0], [other.id, 0]]);
    for (const reader of all) await readsCounts(reader, "cart", counts);

    const placed = new Map<string, string>();
    for (const identity of IDENTITIES) {
      const { address } = await one.ask({ op: "activate", kind: "cart", identity });
      const { id } = [one, other].find(({ record }) => `${record.host}:${record.port}` === address)!;
      placed.set(identity, id);
      counts.set(id, counts.get(id)! + 1);
    }
    // Both have some, so that a count of the wrong member would show.
    assertEquals([...counts.values()].every((count) => count > 0), true);
    for (const reader of all) await readsCounts(reader, "cart", counts);

    await deno.ask({ op: "setCounts", value: { cart: 7, order: 2 ** 40 } });
    counts.set(deno.id, 7);
    for (const reader of all) await readsCounts(reader, "cart", counts);
    for (const reader of all) await readsCounts(reader, "order", new Map([[deno.id, 2 ** 40]]));

    const [gone] = IDENTITIES;
    await one.ask({ op: "stop", kind: "cart", identity: gone });
    counts.set(placed.get(gone!)!, counts.get(placed.get(gone!)!)! - 1);
    await deno.ask({ op: "setCounts", value: {} });
    counts.delete(deno.id);
    for (const reader of all) await readsCounts(reader, "cart", counts);
    for (const reader of all) await readsCounts(reader, "order", new Map());
  },
);
