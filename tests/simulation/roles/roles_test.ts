import { assert, assertEquals, assertGreater } from "../../../deps/std_assert.ts";
import { FAULTS, runTrial, type TrialOptions } from "./trials.ts";

/** The trials of each fault. Their seeds are fixed, so the measured times are too. */
const TRIALS = 8;

for (const fault of Object.keys(FAULTS)) {
  Deno.test(`roles: after "${fault}" no two members lead or own a key at once, and epochs rise`, async () => {
    for (let seed = 1; seed <= TRIALS; seed++) {
      const { leadersMs, ownersMs, faults } = await runTrial(fault, { seed });
      assertEquals({ seed, leadersMs, ownersMs, faults }, { seed, leadersMs: 0, ownersMs: 0, faults: [] });
    }
  });
}

Deno.test("roles: in new runs of any fault no epoch has two leaders, and no epoch is below an earlier epoch", async () => {
  const base = crypto.getRandomValues(new Uint32Array(1))[0]! % 1e9;
  console.log(`roles: deno task simulate --roles 2 --from ${base}`);
  for (const fault of Object.keys(FAULTS)) {
    for (const seed of [base, base + 1]) {
      const { faults } = await runTrial(fault, { seed });
      assertEquals({ fault, seed, faults }, { fault, seed, faults: [] });
    }
  }
});

/** The longest time with two leaders in six trials. */
async function longestOf(fault: string, options: Partial<TrialOptions>): Promise<number> {
  let longest = 0;
  for (let seed = 1; seed <= 6; seed++) {
    longest = Math.max(longest, (await runTrial(fault, { seed, ...options })).leadersMs);
  }
  return longest;
}

Deno.test("roles: without `heardWithin` a member that seems dead leads beside the next leader, for up to 3.8 s", async () => {
  const longest = await longestOf("cut off, refusing", { heardWithin: 3_600_000 });
  assert(longest > 2_000 && longest <= 3_800, `${longest} ms`);
});

Deno.test("roles: with `atLeast` of 1 both sides of a partition have a leader, as docs/roles.md says", async () => {
  assertGreater(await longestOf("partition, silent", { atLeast: 1 }), 5_000);
});
