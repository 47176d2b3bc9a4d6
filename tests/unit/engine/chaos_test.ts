import { run } from "./chaos_run.ts";

/** Seeds that once went wrong, with what was wrong then. */
const REGRESSIONS: readonly (readonly [seed: number, what: string])[] = [
  [1, "a member awaited its own heartbeat, and expired in its own eyes"],
  [34, "a gap erased the memory of a forgotten member, and a slower peer brought back an older state"],
  [20, "the digest published in an earlier life confirmed that a later one holds the same"],
  [20_003, "the same, where the earlier life's digest came after the greeting"],
  [10_199, "the block of a member that left outlasted its state, and no later life ended it"],
  [20_196, "the same, where the later life was heard of from others"],
  [10_117, "an owner's state was refused as forgotten, though it was back"],
  [10_022, "a life of which nothing was set yet could not be told of"],
];

/** The same, of half the length: found where messages carry who is alive. */
const LIVENESS_REGRESSIONS: readonly (readonly [seed: number, what: string])[] = [
  [1_103, "where a member had forgotten another, or held an earlier life of it, digests were never compared"],
  [1_227, "the same, and it blocked that member, of which it heard no count any more"],
  [1_645, "a late message of a process whose life was over confirmed what its successor did not hold"],
  [1_846, "the count of a life was taken for that of an earlier one that was held still"],
];

/** Where members sign. */
const SIGNED_REGRESSIONS: readonly (readonly [seed: number, what: string])[] = [
  [1_961_814_643, "a life between the one that was dropped and the one that was let in was taken for a fall"],
];

const SEEDS = 200;
const SIGNED_SEEDS = 100;

Deno.test("chaos: whatever the network does, no member has or reports wrong state, and all converge (E1, E3, E4, E5, E8 to E13)", () => {
  for (const [seed] of REGRESSIONS) run(seed, { rageMs: 6_000 });
  for (const [seed] of LIVENESS_REGRESSIONS) run(seed, { rageMs: 3_000 });
  const base = crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1;
  console.log(`chaos: seeds ${base} to ${base + SEEDS - 1}`);
  for (let seed = base; seed < base + SEEDS; seed++) run(seed, { rageMs: 2_000 });
});

Deno.test("chaos: where members sign, all state that would be merged is signed by its owner, and all converge (E1, E4, E8)", () => {
  for (const [seed] of REGRESSIONS) run(seed, { rageMs: 6_000, signed: true });
  for (const [seed] of SIGNED_REGRESSIONS) run(seed, { rageMs: 2_000, signed: true });
  const base = crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1;
  console.log(`chaos, signed: seeds ${base} to ${base + SIGNED_SEEDS - 1}`);
  for (let seed = base; seed < base + SIGNED_SEEDS; seed++) run(seed, { rageMs: 2_000, signed: true });
});
