import { assert, assertEquals } from "../../deps/std_assert.ts";
import { measureSystem } from "../../bench/peers/measure_system.ts";
import { SYSTEMS } from "../../bench/peers/systems.ts";

Deno.test({
  name: "bench:peers: measures three Hearsay processes",
  // The benchmark reads processor time from /proc.
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const { command, version } = await SYSTEMS[0]!.build(() => {});
    const phases: string[] = [];
    const load = {
      members: 3,
      gossipIntervalMs: 100,
      fanOut: 3,
      sets: 3,
      idleMs: 500,
      warmUpMs: 0,
      settleMs: 0,
      kill: false,
    };
    const { figures, joinCpuSeconds, whyNoBytes, falselyGone } = await measureSystem(command, {
      load,
      report: (sentence) => phases.push(sentence),
    });
    assert(version.includes(Deno.version.deno));
    assertEquals(phases.length, 4);
    assert(figures.spreadMedianMs > 0 && figures.spreadP95Ms >= figures.spreadMedianMs);
    assert(figures.idleCpuSeconds >= 0 && figures.joinSeconds >= 0);
    assertEquals(figures.killSeconds, null);
    // Heartbeats cross the network even while nothing changes.
    assert(whyNoBytes === undefined ? figures.idleBytes! > 0 : figures.idleBytes === null);
    assertEquals(falselyGone, 0);
    assert(joinCpuSeconds >= 0 && joinCpuSeconds < 600);
  },
});
