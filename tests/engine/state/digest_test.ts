import { assertEquals, assertNotEquals } from "../../../deps/std_assert.ts";
import { SetHash } from "../../../engine/state/digest.ts";

function sumOf(...all: readonly (readonly string[])[]): string {
  const sum = new SetHash();
  for (const fields of all) sum.add(...fields);
  return sum.toString();
}

Deno.test("digest: an empty sum is sixteen zeros (E12)", () => {
  assertEquals(new SetHash().toString(), "0000000000000000");
});

Deno.test("digest: hashes the fields joined by U+0000, with seed 0 before seed 1, in sixteen digits (E12)", () => {
  // By github.com/twmb/murmur3: SeedSum32(0, "member\0life\0key\x007"), SeedSum32(1, …).
  assertEquals(sumOf(["member", "life", "key", "7"]), "d161696839af4def");
  assertEquals(sumOf(["abc"]), "b3dd93faaa75e9ff");
  // Seed 1 over one zero byte gives 0: leading zeros are written.
  assertEquals(sumOf(["", ""]), "514e28b700000000");
});

Deno.test("digest: a sum adds each half modulo 2^32 (E12)", () => {
  // b3dd93fa + 43ed676a = f7cafb64; aa75e9ff + 9bf54592 = 1466b2f91, whose carry is dropped.
  assertEquals(sumOf(["abc"], ["abcd"]), "f7cafb64466b2f91");
  // b3dd93fa + 9bbfd75f = 14f9d6b59; aa75e9ff + b8079b46 = 1627d8545.
  assertEquals(sumOf(["abc"], ["ab"]), "4f9d6b59627d8545");
});

Deno.test("digest: the order of additions makes no difference (E12)", () => {
  assertEquals(sumOf(["a", "1"], ["b", "2"], ["c", "3"]), sumOf(["c", "3"], ["a", "1"], ["b", "2"]));
});

Deno.test("digest: fields with another boundary or order have another sum (E12)", () => {
  assertNotEquals(sumOf(["ab", "c"]), sumOf(["a", "bc"]));
  assertNotEquals(sumOf(["a", "b"]), sumOf(["b", "a"]));
});

Deno.test("digest: a field that is added twice counts twice (E12)", () => {
  assertNotEquals(sumOf(["a"], ["a"]), "0".repeat(16));
  assertNotEquals(sumOf(["a"], ["a"]), sumOf(["a"]));
});

Deno.test("digest: a removal before its addition leaves no trace (E12)", () => {
  const sum = new SetHash();
  sum.remove("x", "1");
  sum.add("y", "2");
  sum.add("x", "1");
  assertEquals(sum.toString(), sumOf(["y", "2"]));
});

Deno.test("digest: sums can be added to and subtracted from each other (E12)", () => {
  const whole = new SetHash();
  const part = new SetHash();
  part.add("a");
  part.add("b");
  whole.add("c");
  whole.addSum(part);
  assertEquals(whole.toString(), sumOf(["a"], ["b"], ["c"]));
  assertEquals(part.toString(), sumOf(["a"], ["b"]));
  whole.removeSum(part);
  assertEquals(whole.toString(), sumOf(["c"]));
});
