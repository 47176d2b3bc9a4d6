import { assertEquals, assertLessOrEqual } from "../../../deps/std_assert.ts";
import { ATTACKS, CONFIG, Siege } from "./measure.ts";

/** An attack may at most double the time to spread; single samples vary. */
const TWICE = 2;
const NEWS = 20;

Deno.test("attacks: with or without the cluster's key, updates take at most twice the time, no honest member is blocked, and no lie is stored", async (test) => {
  let peaceMs = 0;
  await test.step("without an attack", async () => {
    await using siege = await Siege.begin();
    peaceMs = (await siege.peace({ news: 3 * NEWS })).meanMs;
  });
  for (const attack of ATTACKS) {
    await test.step(attack, async () => {
      await using siege = await Siege.begin();
      const { meanMs } = await siege.under(attack, { news: NEWS });
      assertEquals([siege.blocked(), siege.lies()], [[], []]);
      // At least one interval is allowed: on two processors a flood delays a push by scheduling alone.
      assertLessOrEqual(meanMs, TWICE * Math.max(peaceMs, CONFIG.gossipInterval));
    });
  }
});
