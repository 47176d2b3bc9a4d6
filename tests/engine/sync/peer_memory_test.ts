import { assert, assertEquals } from "../../../deps/std_assert.ts";
import { PeerMemories } from "../../../engine/sync/peer_memory.ts";
import { NOT_REFUSED, type PendingMember } from "../../../engine/sync/pending_members.ts";
import { INCARNATION } from "../incarnations.ts";

const WAITS: PendingMember = {
  incarnation: INCARNATION,
  after: 0,
  gap: false,
  resetEnd: 0,
  reset: false,
  ...NOT_REFUSED,
};

function waitFor(memories: PeerMemories, peerId: string, memberIds: readonly string[]): void {
  const peer = memories.touch(peerId);
  for (const id of memberIds) memories.addPending(peer, id, WAITS);
}

function ids(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `m${index}`);
}

function waitingOf(memories: PeerMemories, peerId: string): string[] {
  return [...memories.peek(peerId)!.pending.ids()];
}

Deno.test("PeerMemory: the memory of all peers together is bounded (E6)", () => {
  const memories = new PeerMemories(60_000);
  for (let peer = 0; peer < 40; peer++) waitFor(memories, `p${peer}`, ids(2_000));
  assertEquals(memories.pendingCount, 60_000);
  const kept = [...memories.peers()].reduce((sum, { pending: waiting }) => sum + waiting.size, 0);
  assertEquals(kept, memories.pendingCount);
});

Deno.test("PeerMemory: drops all memory of the peers with the oldest sends, and only of as many as needed (E6)", () => {
  const memories = new PeerMemories(10);
  waitFor(memories, "p", ids(4));
  waitFor(memories, "q", ids(4));
  // Used again: p is now the newest.
  memories.touch("p");
  waitFor(memories, "r", ids(3));
  assertEquals([waitingOf(memories, "p").length, waitingOf(memories, "q").length], [4, 0]);
  assertEquals(waitingOf(memories, "r"), ids(3));
  assertEquals(memories.pendingCount, 7);
});

Deno.test("PeerMemory: records that pending entries of a peer were dropped, so that its empty list proves nothing (E6)", () => {
  const memories = new PeerMemories(5);
  memories.touch("idle");
  waitFor(memories, "p", ids(3));
  waitFor(memories, "q", ids(3));
  assertEquals(["idle", "p", "q"].map((id) => memories.peek(id)!.pending.wasDropped), [false, true, false]);
});

Deno.test("PeerMemory: a single peer keeps as many members as the limit, the longest pending members (E6)", () => {
  const memories = new PeerMemories(5);
  waitFor(memories, "p", ids(9));
  assertEquals(waitingOf(memories, "p"), ids(5));
  assertEquals(memories.pendingCount, 5);
  assert(memories.peek("p")!.pending.wasDropped);
});

Deno.test("PeerMemory: a pending member keeps its position when it changes again (E7)", () => {
  const memories = new PeerMemories(100);
  waitFor(memories, "p", ["a", "b", "c"]);
  memories.addPending(memories.touch("p"), "a", { ...WAITS, after: 7 });
  assertEquals(waitingOf(memories, "p"), ["a", "b", "c"]);
  assertEquals(memories.peek("p")!.pending.get("a")?.after, 7);
  memories.touch("p").pending.delete("a");
  memories.addPending(memories.touch("p"), "a", WAITS);
  assertEquals(waitingOf(memories, "p"), ["b", "c", "a"]);
  assertEquals(memories.pendingCount, 3);
});

Deno.test("PeerMemory: a repair is under way while some peer has a gap or a comparison (R3.5)", () => {
  const memories = new PeerMemories(100);
  const [p, q] = [memories.touch("p"), memories.touch("q")];
  memories.addPending(p, "a", WAITS);
  assertEquals(memories.inRepair, false);
  memories.addPending(p, "a", { ...WAITS, gap: true });
  memories.addPending(p, "a", { ...WAITS, gap: true });
  assertEquals(memories.inRepair, true);
  memories.addPending(p, "a", WAITS);
  assertEquals(memories.inRepair, false);
  memories.addPending(p, "a", { ...WAITS, gap: true });
  p.pending.delete("a");
  assertEquals(memories.inRepair, false);
  q.comparison.begin();
  q.comparison.begin();
  assertEquals(memories.inRepair, true);
  q.comparison.end();
  q.comparison.end();
  assertEquals(memories.inRepair, false);
});

Deno.test("PeerMemory: a repair ends with the memory of the peer, with its suspension, and when it is dropped (R3.5)", () => {
  for (const end of ["forget", "suspend", "makeRoom"] as const) {
    const memories = new PeerMemories(3);
    const peer = memories.touch("p");
    memories.addPending(peer, "a", { ...WAITS, gap: true });
    if (end !== "makeRoom") peer.comparison.begin();
    if (end === "makeRoom") waitFor(memories, "q", ids(3));
    else memories[end]("p");
    assertEquals(memories.inRepair, false, end);
  }
});

Deno.test("PeerMemory: members pending for a forgotten peer are not counted (E6)", () => {
  const memories = new PeerMemories(100);
  waitFor(memories, "p", ids(3));
  waitFor(memories, "q", ids(2));
  memories.forget("p");
  memories.forget("p");
  memories.forget("unknown");
  assertEquals(memories.pendingCount, 2);
  assertEquals(memories.peek("p"), undefined);
});

Deno.test("PeerMemory: a suspended peer keeps its pending members, but not its repair (E6)", () => {
  const memories = new PeerMemories(100);
  memories.addPending(memories.touch("p"), "a", { ...WAITS, after: 3, gap: true });
  memories.suspend("p");
  memories.suspend("unknown");
  assertEquals(memories.peek("p")!.pending.get("a"), { ...WAITS, after: 3 });
});

Deno.test("PeerMemory.recordPush: forgets the oldest push of more than 1,024 members (S2)", () => {
  const peer = new PeerMemories(10).touch("p");
  for (const id of ids(1_024)) peer.recordPush(id, { incarnation: INCARNATION, number: 1 });
  // Pushed again, it is the newest.
  peer.recordPush("m0", { incarnation: INCARNATION, number: 2 });
  peer.recordPush("other", { incarnation: INCARNATION, number: 1 });
  assertEquals([peer.pushed.size, peer.pushed.has("m0"), peer.pushed.has("m1")], [1_024, true, false]);
});
