import { assertEquals } from "../../deps/std_assert.ts";
import { Decisions } from "../../gossiper/decisions.ts";

Deno.test("decisions: a long reason is cut, with a mark at its end", () => {
  const decisions = new Decisions("a", { wallMs: () => 0 });
  for (const reason of ["r".repeat(256), "r".repeat(257), `${"r".repeat(255)}\u202e`]) {
    decisions.record("b", { kind: "refused", reason });
  }
  assertEquals(decisions.of("b").map(({ reason }) => reason!), [
    "r".repeat(256),
    `${"r".repeat(256)}…`,
    `${"r".repeat(255)}\\u202e`,
  ]);
});

/** The decisions about "b" as `kind times`, with the peer in between. */
function rowsOf(decisions: Decisions): string[] {
  return decisions.of("b").map(({ kind, peerId, times }) => [kind, peerId ?? [], times].flat().join(" "));
}

Deno.test("decisions: a repeated report of a peer raises its count until the next decision of this member", () => {
  let nowMs = 0;
  const decisions = new Decisions("a", { wallMs: () => nowMs++ });
  const suspected = (peerId: string) => decisions.record("b", { kind: "suspectedByPeer", peerId });
  decisions.record("b", { kind: "joined" });
  decisions.record("b", { kind: "suspected" });
  for (const peerId of ["c", "d", "e", "c", "d", "e", "c"]) suspected(peerId);
  decisions.record("b", { kind: "heardByPeer", peerId: "d" });
  suspected("e");
  decisions.record("b", { kind: "blocked", reason: "crashed" });
  suspected("c");
  assertEquals(rowsOf(decisions), [
    "joined 1",
    "suspected 1",
    "suspectedByPeer c 3",
    "suspectedByPeer d 2",
    "suspectedByPeer e 3",
    "heardByPeer d 1",
    "blocked 1",
    "suspectedByPeer c 1",
  ]);
  const { atUnixMilliseconds, lastAtUnixMilliseconds } = decisions.of("b")[2]!;
  assertEquals([atUnixMilliseconds, lastAtUnixMilliseconds], [2, 8]);
});

Deno.test("decisions: the reports of many peers drop no other decision", () => {
  const decisions = new Decisions("a", { wallMs: () => 0 });
  decisions.record("b", { kind: "joined" });
  decisions.record("b", { kind: "suspected" });
  for (let peer = 1; peer <= 31; peer++) {
    decisions.record("b", { kind: "suspectedByPeer", peerId: `p${peer}` });
  }
  decisions.record("b", { kind: "blocked", reason: "crashed" });
  assertEquals(rowsOf(decisions), [
    "joined 1",
    "suspected 1",
    ...Array.from({ length: 8 }, (_, at) => `suspectedByPeer p${24 + at} 1`),
    "blocked 1",
  ]);
});
