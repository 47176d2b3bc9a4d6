import { assertEquals, assertGreater, assertLess, assertLessOrEqual } from "../../../deps/std_assert.ts";
import { CHANGES, measureZoneCluster } from "./measure.ts";

Deno.test("zones: with near first, fewer bytes cross zones, and changes and crashes are known in time, as docs/members.md says (S4, C3)", async () => {
  for (const sizes of [[12, 12], [8, 8, 8]]) {
    const [plain, nearFirst] = await Promise.all(
      [false, true].map((nearFirst) => measureZoneCluster({ seed: 1, sizes, nearFirst })),
    );
    assertGreater(plain!.idleBytes / nearFirst!.idleBytes, 2.2);
    assertLess(nearFirst!.idleBytes, 150 * 1_024);
    const bytesOfChange = ({ busyBytes, idleBytes }: typeof plain & object) =>
      (busyBytes - idleBytes) / CHANGES;
    assertGreater(bytesOfChange(plain!) / bytesOfChange(nearFirst!), 2.3);
    assertLess(nearFirst!.allIdleBytes, 1.1 * plain!.allIdleBytes);
    assertLess(plain!.allIdleBytes, 600 * 1_024);
    // One hop between zones takes 10 ms.
    assertLessOrEqual(Math.max(...plain!.spreadMs), 12);
    assertLessOrEqual(Math.max(...nearFirst!.spreadMs), 15);
    assertLess(Math.max(...nearFirst!.confirmedMs), 1_300);
    for (const { crashedMs, falseBlocks } of [plain!, nearFirst!]) {
      assertLess(crashedMs, 1_400);
      assertEquals(falseBlocks, 0);
    }
  }
});
