import { assertEquals, assertGreater, assertLessOrEqual } from "../../../deps/std_assert.ts";
import { DEFAULT_CONFIG } from "../../../mod.ts";
import { HOARDING_ATTACKS, Siege } from "./measure.ts";

for (const attack of HOARDING_ATTACKS) {
  Deno.test(`insider with ${attack}: updates still spread, no honest member is blocked, and no lie is stored (E15)`, async () => {
    await using siege = await Siege.begin();
    const { tries } = await siege.under(attack, { news: 5 });
    assertGreater(tries, 0);
    assertEquals([siege.blocked(), siege.lies()], [[], []]);
    for (const { bytes } of siege.rooms()) assertLessOrEqual(bytes, DEFAULT_CONFIG.maxHeldBytes);
  });
}
