/**
 * `deno task attacks`: measures the figures of docs/SECURITY.md and prints them as a table.
 *
 * @module
 */

import { ATTACKS, HOARDING_ATTACKS, Siege } from "./measure.ts";

const chosen = Deno.args.length > 0 ? Deno.args : [...ATTACKS, ...HOARDING_ATTACKS];
console.log(`| ${"attack".padEnd(42)} | times |   mean | 90 of 100 | no attack = 1 |`);
console.log(`| ${"-".repeat(42)} | ----: | -----: | --------: | ------------: |`);
for (const attack of chosen) {
  await using siege = await Siege.begin();
  const peace = await siege.peace();
  const { tries, meanMs, p90Ms } = await siege.under(attack);
  const columns = [
    attack.padEnd(42),
    String(tries).padStart(5),
    `${meanMs.toFixed(0)} ms`.padStart(6),
    `${p90Ms.toFixed(0)} ms`.padStart(9),
    `× ${(meanMs / peace.meanMs).toFixed(2)}`.padStart(13),
  ];
  console.log(`| ${columns.join(" | ")} |`);
}
