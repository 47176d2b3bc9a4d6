import { assertEquals, assertNotEquals } from "../../../deps/std_assert.ts";
import { Sum } from "../../../engine/digest.ts";

function sumOf(...all: readonly (readonly string[])[]): string {
  const sum = new Sum();
  for (const fields of all) sum.add(...fields);
  return sum.toString();
}

Deno.test("E12 an empty sum is sixteen zeros", () => {
  assertEquals(new Sum().toString(), "0000000000000000");
});

Deno.test("E12 one hash is that of the fields joined by U+0000, seed 0 before seed 1, sixteen digits", () => {
  // By github.com/twmb/murmur3: SeedSum32(0, "member\0life\0key\x007"), SeedSum32(1, …).
  assertEquals(sumOf(["member", "life", "key", "7"]), "d161696839af4def");
  assertEquals(sumOf(["abc"]), "b3dd93faaa75e9ff");
  // Seed 1 over one zero byte gives 0: leading zeros are written.
  assertEquals(sumOf(["", ""]), "514e28b700000000");
});

Deno.test("E12 a sum adds both halves apart, each modulo 2^32", () => {
  // b3dd93fa + 43ed676a = f7cafb64; aa75e9ff + 9bf54592 = 1466b2f91, of which the carry is dropped.
  assertEquals(sumOf(["abc"], ["abcd"]), "f7cafb64466b2f91");
  // b3dd93fa + 9bbfd75f = 14f9d6b59; aa75e9ff + b8079b46 = 1627d8545.
  assertEquals(sumOf(["abc"], ["ab"]), "4f9d6b59627d8545");
});

Deno.test("E12 the order in which things were added makes no difference", () => {
  assertEquals(sumOf(["a", "1"], ["b", "2"], ["c", "3"]), sumOf(["c", "3"], ["a", "1"], ["b", "2"]));
});

Deno.test("E12 fields cannot run into each other", () => {
  assertNotEquals(sumOf(["ab", "c"]), sumOf(["a", "bc"]));
  assertNotEquals(sumOf(["a", "b"]), sumOf(["b", "a"]));
});

Deno.test("E12 what was added twice counts twice", () => {
  assertNotEquals(sumOf(["a"], ["a"]), "0".repeat(16));
  assertNotEquals(sumOf(["a"], ["a"]), sumOf(["a"]));
});

Deno.test("E12 what is removed leaves no trace, also before the others and below zero", () => {
  const sum = new Sum();
  sum.remove("x", "1");
  sum.add("y", "2");
  sum.add("x", "1");
  assertEquals(sum.toString(), sumOf(["y", "2"]));
});

Deno.test("E12 sums are added to and taken out of each other", () => {
  const whole = new Sum();
  const part = new Sum();
  part.add("a");
  part.add("b");
  whole.add("c");
  whole.addSum(part);
  assertEquals(whole.toString(), sumOf(["a"], ["b"], ["c"]));
  assertEquals(part.toString(), sumOf(["a"], ["b"]));
  whole.removeSum(part);
  assertEquals(whole.toString(), sumOf(["c"]));
});
