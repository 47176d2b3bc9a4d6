import { assertEquals, assertLessOrEqual } from "../../../deps/std_assert.ts";
import { Awareness, Doc, protocol } from "../../../deps/yjs.ts";
import { shareAwareness } from "../../../adapters/yjs/awareness.ts";
import { TestCluster } from "../../requirements/harness.ts";

const CLIENT = 77;

/** The awareness of `a`, and the entry of `b`, set as its program or an attacker would. */
async function watching(
  run: (seen: {
    readonly awareness: Awareness;
    readonly cluster: TestCluster;
    readonly set: (clientId: number, clock: number) => void;
  }) => Promise<void>,
): Promise<void> {
  await using cluster = await TestCluster.started(["a", "b"]);
  const doc = new Doc();
  const awareness = new Awareness(doc);
  const { gossiper, runtime } = cluster.of("a");
  shareAwareness(gossiper, awareness, { protocol, runtime });
  try {
    await run({
      awareness,
      cluster,
      set: (clientId, clock) =>
        cluster.of("b").gossiper.setState("awareness", { clientId, clock, state: { clock } }),
    });
  } finally {
    doc.destroy();
  }
}

Deno.test("remote states: a process that begins again with the client's id is shown, though its clock is lower", () =>
  watching(async ({ awareness, cluster, set }) => {
    const clock = () => awareness.getStates().get(CLIENT)?.clock;
    set(CLIENT, 9);
    await cluster.runUntil(() => clock() === 9);
    set(CLIENT, 1);
    await cluster.runUntil(() => clock() === 1);
    set(CLIENT, Number.MAX_SAFE_INTEGER);
    await cluster.runUntil(() => clock() === Number.MAX_SAFE_INTEGER);
    cluster.of("b").gossiper.deleteState("awareness");
    await cluster.runUntil(() => clock() === undefined);
    set(CLIENT, 2);
    await cluster.runUntil(() => clock() === 2);
  }));

Deno.test("remote states: a member that names ever more clients leaves no clocks behind", () =>
  watching(async ({ awareness, cluster, set }) => {
    for (let client = 1; client <= 50; client++) {
      set(client, 1);
      await cluster.runUntil(() => awareness.getStates().has(client));
    }
    assertEquals(awareness.getStates().size, 2);
    await cluster.advance(20_000);
    assertLessOrEqual(awareness.meta.size, 2);
  }));
