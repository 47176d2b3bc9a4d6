import { assert, assertEquals } from "../../deps/std_assert.ts";
import { barrier, consensusBy, consensusOf } from "../../consensus/mod.ts";
import { TestCluster } from "../requirements/harness.ts";

const MEMBERS = 32;
const IDS = Array.from({ length: MEMBERS }, (_, index) => `m${index}`);
/** The time of a message in transit, in virtual milliseconds. */
const DELAY_MS = 10;

/** 32 members that know each other, 10 ms apart. */
async function confirmed(loss: number, seed: number): Promise<TestCluster> {
  const cluster = await TestCluster.started(IDS, { seed });
  cluster.network.setFaults({ delayMs: DELAY_MS, loss });
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}

/** The time from the last arrival until every member has passed, in virtual milliseconds. */
async function barrierMs(loss: number, seed: number): Promise<number> {
  await using cluster = await confirmed(loss, seed);
  const arrive = (id: string) => {
    const { gossiper, runtime } = cluster.of(id);
    return barrier(gossiper, { key: "import", step: 3, members: MEMBERS, timeout: 60_000, runtime });
  };
  const waits = IDS.slice(1).map(arrive);
  await cluster.advance(3_000);
  const lastMs = cluster.runtime.monotonicMs();
  waits.push(arrive(IDS[0]!));
  for (const passed of await cluster.finish(Promise.all(waits))) assertEquals(passed.length, MEMBERS);
  return cluster.runtime.monotonicMs() - lastMs;
}

Deno.test("barrier: 32 members 10 ms apart pass within 15 ms of the last arrival", async () => {
  const tookMs = await barrierMs(0, 1);
  assert(tookMs >= DELAY_MS && tookMs <= 15, `${tookMs} ms`);
});

Deno.test("barrier: with a tenth of the messages lost, 32 members pass within a second of the last arrival", async () => {
  for (const seed of [1, 2, 3]) {
    const tookMs = await barrierMs(0.1, seed);
    assert(tookMs <= 1_000, `seed ${seed}: ${tookMs} ms`);
  }
});

Deno.test("consensusOf, consensusBy: 32 members 10 ms apart see a value within 15 ms of the last set", async () => {
  await using cluster = await confirmed(0, 1);
  const checks = IDS.map((id) => {
    const { gossiper, runtime } = cluster.of(id);
    const read = consensusBy(gossiper, (states) => {
      const values = new Set(states.values().map((state) => state.get("one")));
      return values.size === 1 ? [...values][0] : undefined;
    }, { runtime });
    return [consensusOf(gossiper, ["one", "two"]), read] as const;
  });
  for (const id of IDS) for (const key of ["one", "two"]) cluster.of(id).gossiper.setState(key, 1);
  await cluster.advance(3_000);
  const lastMs = cluster.runtime.monotonicMs();
  for (const id of IDS) cluster.of(id).gossiper.setState("one", 2);
  const seen = () => checks.every(([of, by]) => of.value?.[0] === 2 && by.value === 2);
  await cluster.runUntil(seen);
  const tookMs = cluster.runtime.monotonicMs() - lastMs;
  assert(tookMs >= DELAY_MS && tookMs <= 15, `${tookMs} ms`);
  for (const check of checks.flat()) check[Symbol.dispose]();
});
