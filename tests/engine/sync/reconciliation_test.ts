import { assertEquals } from "../../../deps/std_assert.ts";
import { Store } from "../../../engine/state/store.ts";
import type { Acknowledgements } from "../../../engine/sync/acknowledgements.ts";
import { AgreeingPeers } from "../../../engine/sync/agreeing_peers.ts";
import { PeerMemories } from "../../../engine/sync/peer_memory.ts";
import { NOT_REFUSED } from "../../../engine/sync/pending_members.ts";
import { Reconciliation } from "../../../engine/sync/reconciliation.ts";
import { INCARNATION } from "../incarnations.ts";

const WAITS = { incarnation: INCARNATION, after: 0, gap: false, resetEnd: 0, reset: false, ...NOT_REFUSED };

/** The comparisons of a member with an active peer `p`; at most so many members are pending. */
function makeReconciliation(mostPending: number) {
  const store = new Store("self", () => {});
  store.activate("p");
  const memories = new PeerMemories(mostPending);
  const reconciliation = new Reconciliation({ gossipInterval: 300, maxMessageBytes: 65_536 }, {
    selfId: "self",
    store,
    memories,
    agreeing: new AgreeingPeers({ selfId: "self", store, memories, signs: false }),
    acks: { recordUpToDate: () => {} } as unknown as Acknowledgements,
    emit: () => {},
  });
  return { store, memories, reconciliation };
}

/** A peer `p` whose pending members were dropped, and with which a comparison is under way. */
function comparingAfterDrop() {
  const { store, memories, reconciliation } = makeReconciliation(1);
  const peer = memories.touch("p");
  memories.addPending(peer, "m", WAITS);
  memories.addPending(memories.touch("q"), "m", WAITS);
  const delta = { digest: "0000000000000001", active: store.activeHash, members: [], partial: false };
  for (let times = 0; times < 2; times++) reconciliation.applyDigest(peer, delta, { isLacking: false });
  const parts = reconciliation.request("p");
  assertEquals([peer.pending.wasDropped, parts.length], [true, 1]);
  return { reconciliation, peer, part: parts[0]! };
}

Deno.test("Reconciliation: an answer shows the state of a peer whose pending members were dropped (E12)", () => {
  const { reconciliation, peer, part } = comparingAfterDrop();
  reconciliation.applyAnswer("p", { ...part, members: new Map() }, { last: true });
  assertEquals(peer.pending.wasDropped, false);
});

Deno.test("Reconciliation: without an answer, the dropped members of a peer stay unknown (E12)", () => {
  const { reconciliation, peer } = comparingAfterDrop();
  reconciliation.abandon("p");
  assertEquals(peer.pending.wasDropped, true);
});

Deno.test("Reconciliation: equal digests end the gap of a member that has departed (E12, R3.5)", () => {
  const { store, memories, reconciliation } = makeReconciliation(10);
  store.addMember("gone", INCARNATION);
  store.addMember("self", INCARNATION);
  const peer = memories.touch("p");
  memories.addPending(peer, "gone", { ...WAITS, gap: true });
  reconciliation.recordMatch(peer);
  assertEquals([peer.pending.has("gone"), memories.inRepair], [true, false]);
});
