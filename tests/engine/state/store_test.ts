import { assert, assertEquals, assertNotEquals } from "../../../deps/std_assert.ts";
import { ConsensusCheck } from "../../../engine/consensus.ts";
import { SetHash } from "../../../engine/state/digest.ts";
import type { EngineEvent } from "../../../engine/events.ts";
import { NO_INCARNATION } from "../../../engine/incarnation.ts";
import { nameOfState, Store } from "../../../engine/state/store.ts";
import { HEARTBEAT_KEY } from "../../../engine/types.ts";
import { entry, heartbeat, tombstone } from "../harness.ts";
import { INCARNATION } from "../incarnations.ts";
import { at } from "../instants.ts";

const LATER = "018bcfe56801-80000000";

/** A store of the member `self`, in which these are active, and the events that it emitted since it was last asked. */
function makeStore(...active: readonly string[]) {
  const events: EngineEvent[] = [];
  const store = new Store("self", (event) => events.push(event));
  for (const id of active) store.activate(id);
  const updates = () =>
    events.splice(0).map((event) => {
      assert(event.type === "GossipUpdate");
      const { memberId, key, sequenceNumber, value, deleted } = event;
      return [memberId, key, sequenceNumber, deleted ? "deleted" : value];
    });
  return { store, updates };
}

/** The names that a new store gives the same active members, where nothing is removed or changed on the way. */
function namesAnew(store: Store): string[] {
  const [digest, active, lives] = [new SetHash(), new SetHash(), new SetHash()];
  for (const id of store.active) {
    const member = store.log.get(id);
    if (member) digest.addSum(member.sum);
    active.add(id);
    lives.add(id, member?.incarnation ?? "");
  }
  return [digest, active, lives].map(String);
}

function assertNamed(store: Store): void {
  assertEquals([store.digest, store.activeHash, store.incarnationsHash], namesAnew(store));
}

Deno.test("Store: digest, active hash and hash of incarnations follow every change (E12)", () => {
  const { store } = makeStore("self", "a", "b");
  assertNamed(store);
  const a = store.addMember("a", INCARNATION);
  assertNamed(store);
  store.put(a, [entry("k", 1, 1), entry("l", 2, 1)], at(1));
  assertNamed(store);
  const gone = store.addMember("gone", INCARNATION);
  store.put(gone, [entry("k", 1, 1)], at(1));
  assertNamed(store);
  const renewed = store.replace(a, [entry("k", 1, 1)], { incarnation: LATER, floor: 0, now: at(2) });
  assertNamed(store);
  store.replace(gone, [], { incarnation: LATER, floor: 0, now: at(2) });
  assertNamed(store);
  store.activate("gone");
  assertNamed(store);
  store.activate("gone");
  assertNamed(store);
  store.put(renewed, [tombstone("k", 2)], at(3));
  assertNamed(store);
  store.deactivate("a");
  store.deactivate("a");
  assertNamed(store);
  store.activate("a");
  assertNamed(store);
  store.removeMember("gone");
  assertNamed(store);
  store.removeMember("gone");
  store.removeMember("a");
  assertNamed(store);
  assertNotEquals(store.activeHash, makeStore("self").store.activeHash);
});

Deno.test("Store.sorted: is built again when a member is added, dropped, active or inactive", () => {
  const { store } = makeStore("self", "b", "a");
  for (const id of ["self", "a", "b"]) store.addMember(id, INCARNATION);
  const ids = () => [...store.sorted.ids];
  assertEquals(ids(), ["a", "b", "self"]);
  assert(store.sorted === store.sorted);
  store.addMember("c", INCARNATION);
  store.activate("c");
  assertEquals(ids(), ["a", "b", "c", "self"]);
  store.deactivate("b");
  assertEquals(ids(), ["a", "c", "self"]);
  const before = store.sorted;
  store.removeMember("c");
  assert(store.sorted !== before);
  const between = store.sorted;
  store.addMember("c", INCARNATION);
  assert(store.sorted !== between);
});

Deno.test("Store: an id is active, inactive or unknown, by its stored state and its membership", () => {
  const { store } = makeStore("self", "a", "b");
  const sets = () => [[...store.active], [...store.inactive], store.takeUnknown(9).toSorted()];
  assertEquals(sets(), [["self", "a", "b"], [], ["a", "b", "self"]]);
  store.addMember("self", INCARNATION);
  store.addMember("a", INCARNATION);
  store.addMember("c", INCARNATION);
  assertEquals(sets(), [["self", "a", "b"], ["c"], ["b"]]);
  store.activate("c");
  store.deactivate("a");
  store.deactivate("b");
  assertEquals(sets(), [["self", "c"], ["a"], []]);
  store.removeMember("a");
  store.removeMember("c");
  assertEquals(sets(), [["self", "c"], [], ["c"]]);
});

Deno.test("nameOfState: joins the digest and the hash of the active members", () => {
  assertEquals(nameOfState("digest", "active"), "digest/active");
});

Deno.test("Store.convergence: counts the active peers only (E12)", () => {
  const { store } = makeStore("self", "a");
  store.convergence.set("a", { acknowledged: "state" });
  store.convergence.set("b", { acknowledged: "state" });
  const agreeing = () => ["self", "a", "b"].filter((id) => store.convergence.agrees(id, "state"));
  assertEquals(agreeing(), ["a"]);
  store.activate("b");
  store.convergence.set("b", { acknowledged: "state" });
  assertEquals(agreeing(), ["a", "b"]);
  store.deactivate("a");
  assertEquals(agreeing(), ["b"]);
});

Deno.test("Store.takeUnknown: returns at most the given number of ids, each in its turn", () => {
  const { store } = makeStore("a", "b", "c");
  assertEquals([store.takeUnknown(2), store.takeUnknown(2), store.takeUnknown(0)], [
    ["a", "b"],
    ["c", "a"],
    [],
  ]);
});

Deno.test("Store.peers: are the active ids without this member's id, in any order of removals (E6)", () => {
  const { store } = makeStore("self", "a", "b", "c", "d");
  const peers = () => store.peers.toSorted();
  assertEquals(peers(), ["a", "b", "c", "d"]);
  for (const [gone, rest] of [["b", "acd"], ["d", "ac"], ["self", "ac"], ["a", "c"], ["c", ""]] as const) {
    store.deactivate(gone);
    assertEquals(peers(), [...rest], gone);
  }
  store.activate("c");
  store.activate("a");
  assertEquals(peers(), ["a", "c"]);
});

Deno.test("Store.put: emits an update for each key that is set, and for each value that is deleted (R5.5)", () => {
  const { store, updates } = makeStore("a");
  const a = store.addMember("a", INCARNATION);
  store.put(a, [entry("k", 1, 7), tombstone("never set", 2), heartbeat(3), tombstone("k", 4)], at(5));
  assertEquals(updates(), [["a", "k", 1, 7], ["a", "k", 4, "deleted"]]);
  store.put(a, [tombstone(HEARTBEAT_KEY, 5)], at(5));
  assertEquals(updates(), [["a", HEARTBEAT_KEY, 5, "deleted"]]);
  assertEquals(a.get("k")?.timestampMs, 1_000_005);
  assertEquals([...store.log.changes.newestFirst(0)][0], a);
  assertEquals(a.changedSerial, store.log.serial);
});

Deno.test("Store.replace: emits the entries that differ, and keeps the times of the equal entries (R5.4, E8)", () => {
  const { store, updates } = makeStore("a");
  const before = store.addMember("a", INCARNATION);
  Object.assign(before, { heartbeatCount: 9 });
  store.put(
    before,
    [entry("same", 1, 1), entry("other", 2, 1), entry("gone", 3, 1), tombstone("t", 4)],
    at(5),
  );
  before.ackedByAll = 2;
  updates();
  const entries = [entry("same", 1, 1), entry("other", 2, 9), tombstone("t", 4), entry("new", 6, 1)];
  const after = store.replace(before, entries, { incarnation: INCARNATION, floor: 5, now: at(50) });
  assertEquals(updates(), [["a", "other", 2, 9], ["a", "new", 6, 1], ["a", "gone", 3, "deleted"]]);
  assertEquals(["same", "other"].map((key) => after.get(key)?.timestampMs), [1_000_005, 1_000_050]);
  assertEquals([after.floor, after.ackedByAll, after.heartbeatCount, store.tombstones], [5, 2, 9, 1]);
  assertEquals(store.log.get("a") === after && store.log.serial, after.changedSerial);
  // In another life everything is new, and what was counted and settled before says nothing.
  const renewed = store.replace(after, [entry("same", 1, 1)], { incarnation: LATER, floor: 0, now: at(60) });
  assertEquals(updates(), [["a", "same", 1, 1], ["a", "other", 2, "deleted"], ["a", "new", 6, "deleted"]]);
  assertEquals([renewed.ackedByAll, renewed.heartbeatCount, store.tombstones], [0, 0, 0]);
  assertEquals(renewed.get("same")?.timestampMs, 1_000_060);
});

Deno.test("Store.replace: another number, text or type under a key is a change (R5.5)", () => {
  const { store, updates } = makeStore("a");
  const old = entry("k", 1, 1);
  for (const changed of [{ ...old, number: 2 }, { ...old, json: "1.0" }, { ...old, type: "other" }, old]) {
    const a = store.addMember("a", INCARNATION);
    store.put(a, [old], at(1));
    updates();
    store.replace(a, [changed], { incarnation: INCARNATION, floor: 0, now: at(2) });
    assertEquals(updates().length, changed === old ? 0 : 1);
    store.removeMember("a");
  }
});

Deno.test("Store.replace: takes a new serial even if it has no entries (E6)", () => {
  const { store } = makeStore("a");
  const before = store.addMember("a", INCARNATION);
  const { serial } = store.log;
  const after = store.replace(before, [], { incarnation: LATER, floor: 3, now: at(1) });
  assertEquals([store.log.serial, after.changedSerial, after.floor], [serial + 1, serial + 1, 3]);
});

Deno.test("Store.removeMember: emits the deletion of each value, and drops the tombstones", () => {
  const { store, updates } = makeStore("a");
  store.put(store.addMember("a", INCARNATION), [entry("k", 1, 1), tombstone("t", 2)], at(1));
  updates();
  store.removeMember("a");
  assertEquals([updates(), store.log.get("a"), store.tombstones], [
    [["a", "k", 1, "deleted"]],
    undefined,
    0,
  ]);
  store.removeMember("unknown");
  assertEquals(updates(), []);
});

Deno.test("Store.addCheck: a check follows the values of active members (E13)", () => {
  const { store } = makeStore("a", "b");
  const a = store.addMember("a", INCARNATION);
  const b = store.addMember("b", INCARNATION);
  store.put(a, [entry("k", 1, 1)], at(1));
  const check = new ConsensusCheck("check", "k", (value) => JSON.stringify(value));
  store.addCheck(check);
  const agreed = () => check.evaluate(store.active.size);
  assertEquals(agreed(), undefined);
  store.put(b, [entry("other", 1, 1)], at(1));
  assertEquals(agreed(), undefined);
  store.put(b, [entry("k", 2, 1)], at(1));
  assertEquals(agreed(), "1");
  store.put(store.addMember("c", INCARNATION), [entry("k", 1, 2)], at(1));
  assertEquals(agreed(), "1");
  store.activate("c");
  assertEquals(agreed(), undefined);
  store.deactivate("c");
  assertEquals(agreed(), "1");
  store.put(store.log.get("c")!, [entry("k", 2, 1)], at(1));
  store.activate("c");
  assertEquals(agreed(), "1");
  store.deactivate("c");
  const renewed = store.replace(b, [entry("k", 1, 3)], { incarnation: LATER, floor: 0, now: at(2) });
  assertEquals(agreed(), undefined);
  store.put(renewed, [entry("k", 2, 1)], at(2));
  assertEquals(agreed(), "1");
  const emptied = store.replace(renewed, [], { incarnation: LATER, floor: 0, now: at(3) });
  assertEquals(agreed(), undefined);
  store.put(emptied, [entry("k", 3, 1)], at(3));
  assertEquals(agreed(), "1");
  store.removeMember("b");
  assertEquals(agreed(), undefined);
});

Deno.test("Store.dropExpiredTombstones: drops deletions after the retention, but never a member's latest entry (E8)", () => {
  const { store } = makeStore("a");
  const a = store.addMember("a", INCARNATION);
  store.put(a, [entry("k", 1, 1), tombstone("k", 2)], at(100));
  store.put(a, [tombstone("l", 3)], at(150));
  store.dropExpiredTombstones(199, 100);
  assertEquals([store.tombstones, a.floor], [2, 0]);
  store.dropExpiredTombstones(200, 100);
  assertEquals([store.tombstones, a.floor], [1, 2]);
  // The latest says up to where the member is held; it is looked at again after as long.
  store.dropExpiredTombstones(250, 100);
  assertEquals([store.tombstones, a.floor], [1, 2]);
  store.put(a, [entry("m", 4, 1)], at(260));
  store.dropExpiredTombstones(349, 100);
  assertEquals([store.tombstones, a.floor], [1, 2]);
  store.dropExpiredTombstones(350, 100);
  assertEquals([store.tombstones, a.floor, a.get("l")], [0, 3, undefined]);
});

Deno.test("Store.dropExpiredTombstones: keeps the tombstones of an unversioned member (E8)", () => {
  const { store } = makeStore("a");
  const a = store.addMember("a", NO_INCARNATION);
  store.put(a, [tombstone("k", 5), entry("l", 9, 1)], at(100));
  store.dropExpiredTombstones(10_000, 100);
  assertEquals([store.tombstones, a.get("k")?.number], [1, 5]);
});

Deno.test("Store.put: a set of a deleted key removes its tombstone (E8)", () => {
  const { store } = makeStore("a");
  const a = store.addMember("a", INCARNATION);
  for (let number = 1; number < 10; number += 2) {
    store.put(a, [tombstone("k", number)], at(1));
    assertEquals(store.tombstones, 1);
    store.put(a, [entry("k", number + 1, 1)], at(1));
    assertEquals(store.tombstones, 0);
  }
});

Deno.test("Store.recordAckedByAll: drops the deletions that all members have acknowledged, but never a member's latest entry (E8)", () => {
  const { store } = makeStore("a");
  const a = store.addMember("a", INCARNATION);
  store.put(a, [tombstone("k", 1), tombstone("l", 2), tombstone("m", 3)], at(1));
  store.recordAckedByAll(a, 1);
  assertEquals([store.tombstones, a.ackedByAll, a.floor], [2, 1, 1]);
  store.recordAckedByAll(a, 0);
  assertEquals([store.tombstones, a.ackedByAll], [2, 1]);
  store.recordAckedByAll(a, 99);
  assertEquals([store.tombstones, a.ackedByAll, a.floor], [1, 3, 2]);
  const foreign = store.addMember("b", NO_INCARNATION);
  store.put(foreign, [tombstone("k", 1), entry("l", 2, 1)], at(1));
  store.recordAckedByAll(foreign, 99);
  assertEquals([foreign.ackedByAll, store.tombstones], [0, 2]);
});

Deno.test("Store.recordAllAcked: records the version of active members that have deletions, and of no other members (E8)", () => {
  const { store } = makeStore("a");
  const [a, b] = [store.addMember("a", INCARNATION), store.addMember("b", INCARNATION)];
  for (const member of [a, b]) store.put(member, [tombstone("k", 1), entry("l", 2, 1)], at(1));
  store.recordAllAcked();
  assertEquals([a.ackedByAll, b.ackedByAll, store.tombstones], [2, 0, 1]);
});
