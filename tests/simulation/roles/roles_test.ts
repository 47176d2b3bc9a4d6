import { assertEquals, assertGreater } from "../../../deps/std_assert.ts";
import { FAULTS, runTrial } from "./trials.ts";

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

Deno.test("roles: in new runs of any fault no epoch has two leaders, and none is below an earlier one", async () => {
  const base = crypto.getRandomValues(new Uint32Array(1))[0]! % 1e9;
  console.log(`roles: deno task simulate --roles 2 --from ${base}`);
  for (const fault of Object.keys(FAULTS)) {
    for (const seed of [base, base + 1]) {
      const { faults } = await runTrial(fault, { seed });
      assertEquals({ fault, seed, faults }, { fault, seed, faults: [] });
    }
  }
});

Deno.test("roles: the simulation sees two leaders where `heardWithin` does not limit them", async () => {
  const { leadersMs } = await runTrial("cut off, refusing", { seed: 1, heardWithin: 3_600_000 });
  assertGreater(leadersMs, 3_000);
});

Deno.test("roles: with `atLeast` of 1 both sides of a partition have a leader, as docs/roles.md says", async () => {
  const { leadersMs } = await runTrial("partition, silent", { seed: 1, atLeast: 1 });
  assertGreater(leadersMs, 5_000);
});
