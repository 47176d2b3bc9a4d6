import { run } from "./chaos_run.ts";

/** Seeds that failed once, with the fault. */
const REGRESSIONS: readonly (readonly [seed: number, what: string])[] = [
  [1, "a member waited for its own heartbeat, and blocked itself as expired"],
  [34, "a gap erased the memory of a forgotten member, and a slower peer brought back an older state"],
  [20, "the digest of an earlier incarnation confirmed the state of a later one"],
  [20_003, "an earlier incarnation's digest counted for a later one after the handshake"],
  [10_199, "the block of a member that left outlasted its state, and no later incarnation ended it"],
  [20_196, "that block, where other members sent the later incarnation"],
  [10_117, "an owner's state was refused as forgotten, though it was back"],
  [10_022, "an incarnation without entries could not be sent"],
];

/** Seeds of half the length: found where messages carry liveness. */
const LIVENESS_REGRESSIONS: readonly (readonly [seed: number, what: string])[] = [
  [
    1_103,
    "digests were never compared where a member had forgotten another, or had an earlier incarnation of it",
  ],
  [1_227, "that member then blocked the other, whose count did not arrive any more"],
  [1_645, "a late message of an ended process confirmed state that its successor did not have"],
  [1_846, "the count of an incarnation counted for an earlier one that was still stored"],
  [1_597_698_181, "the agreement of an ended process counted for the next one, which had no entries yet"],
];

/** Seeds with signatures. */
const SIGNED_REGRESSIONS: readonly (readonly [seed: number, what: string])[] = [
  [1_961_814_643, "an incarnation between the dropped one and the admitted one counted as a decrease"],
  [771_001_434, "a member was refused for its present incarnation again and again, and shook no hands"],
];

const SEEDS = 200;
const SIGNED_SEEDS = 100;

Deno.test("chaos: under any network faults no member has or reports wrong state, and all converge (E1, E3, E4, E5, E8 to E13)", () => {
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
