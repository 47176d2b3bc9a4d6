import { assertEquals } from "../../../deps/std_assert.ts";
import { byCodePoint, murmur32Pair, murmur64, topologyHash } from "../../../engine/state/murmur3.ts";

/** Computed with github.com/twmb/murmur3 v1.2.2, the package of protoactor-go. */
const VECTORS: readonly [text: string, seed0: number, seed1: number, sum64: bigint][] = [
  ["", 0x00000000, 0x514e28b7, 0x0000000000000000n],
  ["a", 0x3c2569b2, 0x588adce8, 0x85555565f6597889n],
  ["ab", 0x9bbfd75f, 0xb8079b46, 0x938b11ea16ed1b2en],
  ["abc", 0xb3dd93fa, 0xaa75e9ff, 0xb4963f3f3fad7867n],
  ["abcd", 0x43ed676a, 0x9bf54592, 0xb87bb7d64656cd4fn],
  ["abcde", 0xe89b9af6, 0xffacb11b, 0x2036d091f496bbb8n],
  ["abcdef", 0x6181c085, 0xdcec560f, 0xe47d86bfaca3bf55n],
  ["abcdefg", 0x883c9b06, 0xfea97f80, 0xa6cd2f9fc09ee499n],
  ["abcdefgh", 0x49ddccc4, 0x35098aba, 0xcc8a0ab037ef8c02n],
  ["abcdefghi", 0x421406f0, 0x72deb1d0, 0x0547c0cff13c7964n],
  ["abcdefghij", 0x88927791, 0x2890dc18, 0xb6c15b0d772f8c99n],
  ["abcdefghijk", 0x5f3b25df, 0xd3983870, 0xa895d0b8df789d02n],
  ["abcdefghijkl", 0xa36f3d27, 0x559c983a, 0x8ef39bb1e67ae194n],
  ["abcdefghijklm", 0xf212161b, 0xdf5bce8f, 0x1648288da7c0fa73n],
  ["abcdefghijklmn", 0xf8526df0, 0x97fdb5a8, 0x91d094a7f5c375e0n],
  ["abcdefghijklmno", 0x9d09f7d2, 0x73ae54af, 0x8abe2451890c2ffbn],
  ["abcdefghijklmnop", 0xe76291ed, 0x985af2bc, 0xc4ca3ca3224cb723n],
  ["abcdefghijklmnopq", 0xb6655e4a, 0x859b0217, 0x7564747f88bda657n],
  ["abcdefghijklmnopqrstuvwxyz01234", 0xbb459ce9, 0x75516061, 0x4bf06228635658a8n],
  ["abcdefghijklmnopqrstuvwxyz012345", 0xd14e3386, 0x5153f358, 0x16a127b539e20ae3n],
  ["abcdefghijklmnopqrstuvwxyz0123456", 0x6f876ab7, 0x5161c1c8, 0xeea5f18b80c96088n],
  ["é", 0x10110787, 0xea1bc878, 0xc9187aa411d463e8n],
  ["żółć", 0xb29ba7eb, 0x4df0258b, 0xa8674223f1f7b3a5n],
  ["日本語のテキスト", 0xd03427f2, 0xf3d2a51a, 0xe8d3ac652a560caan],
  ["😀", 0xbeb42efa, 0x48aba8bd, 0x156db15587e0545cn],
  ["a😀b€c", 0x80b322af, 0xf463cbf3, 0xa49c369585a6b531n],
  ["member\u0000life\u0000key\u00007", 0xd1616968, 0x39af4def, 0x6907a22744926a0fn],
  ["\u0000", 0x514e28b7, 0x00000000, 0x4610abe56eff5cb5n],
  ["\u0000\u0000\u0000\u0000\u0000", 0x2d4db2f0, 0x72f7880e, 0x3df460ff3e17b53an],
  ["é".repeat(1000), 0xafda76ea, 0x7695760b, 0x1aa0411308d8c382n],
  ["x".repeat(5000), 0xd59aef3c, 0x94e3167b, 0x9588af73caa3175dn],
];

Deno.test("murmur3: 32-bit hashes equal the reference with both seeds, for every length of tail and beyond ASCII (E12)", () => {
  for (const [text, seed0, seed1] of VECTORS) assertEquals(murmur32Pair(text, 0, 1), [seed0, seed1], text);
});

Deno.test("murmur3: the results of both seeds are independent of their order (E12)", () => {
  const [a, b] = murmur32Pair("hello", 0, 1);
  assertEquals(murmur32Pair("hello", 1, 0), [b, a]);
  assertEquals(murmur32Pair("hello", 0, 0), [a, a]);
});

Deno.test("murmur3: 64-bit hashes equal the reference, for every length of tail and beyond ASCII (E14)", () => {
  for (const [text, , , sum64] of VECTORS) assertEquals(murmur64(text), sum64, text);
});

Deno.test("murmur3: a hash does not depend on the hash before it (E12)", () => {
  const [text, seed0, seed1] = VECTORS[7]!;
  murmur32Pair("z".repeat(100_000), 0, 1);
  assertEquals(murmur32Pair(text, 0, 1), [seed0, seed1]);
  assertEquals(murmur32Pair("", 0, 1), [0, 0x514e28b7]);
});

Deno.test("topology hash: is the hash of the sorted and joined ids, in decimal digits (E14)", () => {
  const joined = murmur64("abc").toString();
  assertEquals(topologyHash(["c", "a", "b"]), joined);
  assertEquals(topologyHash(new Set(["b", "c", "a"])), joined);
  assertEquals(joined, "13012657714217449575");
});

Deno.test("topology hash: ids are sorted as in Go, by UTF-8 bytes and not by UTF-16 units (E14)", () => {
  const encoder = new TextEncoder();
  const ids = [
    "",
    "a",
    "ab",
    "b",
    "\uffff",
    "\ue000",
    "\u{10000}",
    "😀",
    "é",
    "日",
    "a😀",
    "a\ue000",
    "\u{1d400}",
    "\u{1d7ff}",
  ];
  const hex = (id: string) =>
    [...encoder.encode(id)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const byBytes = [...ids].sort((left, right) => hex(left) < hex(right) ? -1 : 1);
  assertEquals([...ids].sort(byCodePoint), byBytes);
  for (const left of ids) {
    for (const right of ids) {
      const expected = Math.sign(byBytes.indexOf(left) - byBytes.indexOf(right));
      assertEquals(Math.sign(byCodePoint(left, right)), expected, `${left} and ${right}`);
    }
  }
  assertEquals(topologyHash(["\u{10000}", "\uffff"]), murmur64("\uffff\u{10000}").toString());
});
