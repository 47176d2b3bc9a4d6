import { assertEquals } from "../../deps/std_assert.ts";
import { Skipped } from "../../tools/test.ts";

Deno.test("test task: lists each reason of skipped tests once, with their number, however the output is cut", () => {
  const output = [
    "DNS: one (skipped: no DNS server: apt-get install dnsmasq-base) ... ignored (0ms)",
    "merge: another ... ok (1ms)",
    "DNS: two (skipped: no DNS server: apt-get install dnsmasq-base) ... ignored (0ms)",
    "etcd: three (skipped: no etcd) ... ignored (0ms)",
    "",
  ].join("\n");
  const skipped = new Skipped();
  for (let at = 0; at < output.length; at += 7) {
    skipped.take(new TextEncoder().encode(output.slice(at, at + 7)));
  }
  assertEquals(skipped.lines(), [
    "Skipped 2 tests: no DNS server: apt-get install dnsmasq-base.",
    "Skipped 1 tests: no etcd.",
  ]);
});
