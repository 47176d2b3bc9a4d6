import {
  assert,
  assertEquals,
  assertLessOrEqual,
  assertNotEquals,
  assertThrows,
} from "../../../deps/std_assert.ts";
import { HearsayError } from "../../../common/errors.ts";
import type { Member } from "../../../contracts/cluster.ts";
import { MAX_FILE_BYTES } from "../../../discovery/memory/peer_file.ts";
import { contentsOf, RememberedPeers, textOf } from "../../../discovery/memory/remembered_peers.ts";

const HOUR_MS = 3_600_000;
const random = () => 0;

function peer(id: string, port = 7001, host = `${id}.example`): Member {
  return { id, host, port, kinds: [] };
}

function idsOf(peers: RememberedPeers): string {
  return peers.list.map(({ member }) => member.id).join();
}

Deno.test("remembered peers: the peers that were active last come first, and an inactive peer keeps the time of its last activity", () => {
  const peers = new RememberedPeers({ maxPeers: 8, maxAge: HOUR_MS });
  peers.see([peer("a"), peer("b")], { nowMs: 1_000, random });
  peers.see([peer("a")], { nowMs: 2_000, random });
  assertEquals(peers.list.map(({ member, seenUnixMilliseconds }) => [member.id, seenUnixMilliseconds]), [
    ["a", 2_000],
    ["b", 1_000],
  ]);
});

Deno.test("remembered peers: a peer expires after maxAge without activity, and no sooner; an active peer never expires", () => {
  const peers = new RememberedPeers({ maxPeers: 8, maxAge: HOUR_MS });
  const startMs = 10 * HOUR_MS;
  peers.see([peer("a"), peer("b")], { nowMs: startMs, random });
  peers.see([peer("a")], { nowMs: startMs + HOUR_MS, random });
  assertEquals(idsOf(peers), "a,b");
  peers.see([peer("a")], { nowMs: startMs + HOUR_MS + 1, random });
  assertEquals(idsOf(peers), "a");
  // The clock steps: the active one stays.
  peers.see([peer("a")], { nowMs: startMs + 9 * HOUR_MS, random });
  assertEquals(idsOf(peers), "a");
});

Deno.test("remembered peers: a full set drops the peer that was inactive for longest, and never an active peer", () => {
  const peers = new RememberedPeers({ maxPeers: 2, maxAge: HOUR_MS });
  peers.see([peer("a")], { nowMs: 1, random });
  peers.see([peer("b")], { nowMs: 2, random });
  peers.see([peer("c")], { nowMs: 3, random });
  assertEquals(idsOf(peers), "c,b");
  peers.see([peer("c"), peer("d"), peer("e")], { nowMs: 4, random });
  assertEquals(idsOf(peers), "d,c");
  const { summary } = peers;
  peers.see([peer("e"), peer("d"), peer("c")], { nowMs: 5, random });
  assertEquals(peers.summary, summary);
});

Deno.test("remembered peers: members of a large cluster keep different peers, by chance", () => {
  const all = Array.from({ length: 100 }, (_, at) => peer(`m${at}`));
  const [one, other] = [0, 0.5].map((drawn) => {
    const peers = new RememberedPeers({ maxPeers: 4, maxAge: HOUR_MS });
    peers.see(all, { nowMs: 1, random: () => drawn });
    return peers;
  });
  assertEquals([one!.list.length, other!.list.length], [4, 4]);
  assertNotEquals(one!.summary, other!.summary);
});

Deno.test("remembered peers: an address has one peer, and a peer that moved has one address", () => {
  const peers = new RememberedPeers({ maxPeers: 8, maxAge: HOUR_MS });
  peers.see([peer("old", 7001, "Host")], { nowMs: 1, random });
  peers.see([peer("new", 7001, "host")], { nowMs: 2, random });
  assertEquals(idsOf(peers), "new");
  peers.see([peer("new", 7002, "host")], { nowMs: 3, random });
  assertEquals(peers.list.map(({ member }) => member.port), [7002]);
  peers.see([peer("next", 7001, "host")], { nowMs: 4, random });
  assertEquals(idsOf(peers), "next,new");
});

Deno.test("remembered peers: a member that cannot be dialed is not kept", () => {
  const peers = new RememberedPeers({ maxPeers: 8, maxAge: HOUR_MS });
  peers.see([peer("page", 0)], { nowMs: 1, random });
  assertEquals(idsOf(peers), "");
});

Deno.test("remembered peers: loads the latest peers of a file without expired peers, and takes a time ahead as now", () => {
  const peers = new RememberedPeers({ maxPeers: 2, maxAge: HOUR_MS });
  const seen = (id: string, seenUnixMilliseconds: number) => ({ member: peer(id), seenUnixMilliseconds });
  const nowMs = 10 * HOUR_MS;
  peers.load([
    seen("expired", nowMs - HOUR_MS - 1),
    seen("oldest", nowMs - HOUR_MS),
    seen("recent", nowMs - 5),
    seen("ahead", nowMs + HOUR_MS),
  ], nowMs);
  assertEquals(peers.list.map(({ member, seenUnixMilliseconds }) => [member.id, seenUnixMilliseconds]), [
    ["ahead", nowMs],
    ["recent", nowMs - 5],
  ]);
  const expiring = new RememberedPeers({ maxPeers: 2, maxAge: HOUR_MS });
  expiring.load([seen("expired", nowMs - HOUR_MS - 1), seen("oldest", nowMs - HOUR_MS)], nowMs);
  assertEquals(idsOf(expiring), "oldest");
});

Deno.test("text of a memory: the text of a memory can be read again, with URLs and without kinds", () => {
  const peers = [
    { member: { ...peer("a"), kinds: ["worker"] }, seenUnixMilliseconds: 2 },
    { member: { ...peer("b"), url: "wss://proxy.example/b" }, seenUnixMilliseconds: 1 },
  ];
  const text = textOf({ id: "me", peers }, "orders");
  assertEquals(JSON.parse(text).version, 1);
  const { id, peers: read } = contentsOf(text, "orders");
  assertEquals(id, "me");
  assertEquals(read, [
    { member: peer("a"), seenUnixMilliseconds: 2 },
    { member: { ...peer("b"), url: "wss://proxy.example/b" }, seenUnixMilliseconds: 1 },
  ]);
  assertEquals(contentsOf(textOf({ id: "me", peers: [] }, "orders"), "orders"), { id: "me", peers: [] });
});

Deno.test("text of a memory: stays within its limit, and leaves out the peers that were inactive for longest", () => {
  const long = "x".repeat(2_000);
  const peers = Array.from({ length: 400 }, (_, at) => ({
    member: { ...peer(`m${at}`), url: `wss://proxy.example/${long}` },
    seenUnixMilliseconds: 1_000 - at,
  }));
  const text = textOf({ id: "me", peers }, "orders");
  assertLessOrEqual(new TextEncoder().encode(text).length, MAX_FILE_BYTES);
  const read = contentsOf(text, "orders").peers.map(({ member }) => member.id);
  assert(read.length > 100 && read.length < 400);
  assertEquals(read, peers.slice(0, read.length).map(({ member }) => member.id));
});

Deno.test("text of a memory: a peer that just fits is kept", () => {
  const sizeWith = (length: number) => {
    const member = { ...peer("a"), url: `wss://proxy.example/${"x".repeat(length)}` };
    return new TextEncoder().encode(
      textOf({ id: "me", peers: [{ member, seenUnixMilliseconds: 1 }] }, "orders"),
    ).length;
  };
  // The estimate has one separator too many, of two bytes.
  const room = MAX_FILE_BYTES - 2 - sizeWith(0);
  assertEquals(sizeWith(room), MAX_FILE_BYTES - 2);
  assert(sizeWith(room + 1) < 1_000);
});

Deno.test("text of a memory: any other text is refused with the reason", () => {
  const good = JSON.parse(
    textOf({ id: "me", peers: [{ member: peer("a"), seenUnixMilliseconds: 1 }] }, "orders"),
  );
  const cases: readonly (readonly [given: unknown, reason: RegExp])[] = [
    [
      { ...good, cluster: "shop" },
      /must have the peers of the cluster "orders"; it has those of another cluster/,
    ],
    [{ ...good, version: 2 }, /must have version 1/],
    [{ ...good, format: "other" }, /must have the peers of a member; it has something else/],
    [null, /something else/],
    [[], /something else/],
    [{ ...good, id: undefined }, /damaged/],
    [{ ...good, id: "" }, /damaged/],
    [{ ...good, id: "x".repeat(257) }, /damaged/],
    [{ ...good, peers: {} }, /damaged/],
    [{ ...good, peers: [null] }, /damaged/],
    [{ ...good, peers: [{ ...good.peers[0], port: 0 }] }, /damaged/],
    [{ ...good, peers: [{ ...good.peers[0], host: "a/b" }] }, /damaged/],
    [{ ...good, peers: [{ ...good.peers[0], url: "http://a" }] }, /damaged/],
    [{ ...good, peers: [{ ...good.peers[0], seenUnixMilliseconds: "1" }] }, /damaged/],
    [{ ...good, peers: Array(1_025).fill(good.peers[0]) }, /damaged/],
  ];
  for (const [given, reason] of cases) {
    const error = assertThrows(() => contentsOf(JSON.stringify(given), "orders"), HearsayError);
    assert(reason.test(error.message), `${JSON.stringify(given)?.slice(0, 80)}: ${error.message}`);
    assertEquals(error.code, "invalid_value");
  }
  const most = JSON.stringify({ ...good, peers: Array(1_024).fill(good.peers[0]) });
  assertEquals(contentsOf(most, "orders").peers.length, 1_024);
  const cut = JSON.stringify(good).slice(0, -5);
  assertThrows(() => contentsOf(cut, "orders"), HearsayError, "It is neither used nor changed.");
});
