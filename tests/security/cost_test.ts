import { assertGreater, assertLess, assertLessOrEqual } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { NO_INCARNATION } from "../../engine/incarnation.ts";
import type { KnownVersions } from "../../engine/types.ts";
import type { Message } from "../../protocol/message.ts";
import { join } from "../../mod.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { encode } from "../../protocol/codec.ts";
import { TestCluster } from "../requirements/harness.ts";
import { deltaOf, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { entry, memberDelta } from "../engine/harness.ts";

/** How many bytes a member may send for each byte that it gets. */
const MOST_SENT = 8;
/** How often the time that an ordinary gossip takes for each of its bytes another message may take for each of its own. */
const MOST_WORK = 20;
/** How many others the member that is attacked holds state of. */
const MEMBERS = 500;
const TIMES = 50;

const IDS = Array.from({ length: MEMBERS }, (_, index) => `member-${index}`);

/** A message of a kind; `id` is a request id that was not used yet. */
type Making = (peer: ScriptedPeer, id: string, turn: number) => Message;

const GOSSIP: Making = (peer, id) => ({
  type: "gossip",
  id,
  memberId: peer.id,
  delta: deltaOf([]),
  liveness: { count: 0 },
});

/** The claim to hold nothing of so many members. */
function nothingOf(count: number): KnownVersions {
  return new Map(IDS.slice(0, count).map((id) => [id, { incarnation: NO_INCARNATION, number: 0 }]));
}

const MESSAGES: Readonly<Record<string, Making>> = {
  "a handshake": (peer, id) => peer.hello(id),
  "a gossip that asks for fifty members": (peer, id, turn) => {
    const gossip = GOSSIP(peer, id, turn);
    return gossip.type === "gossip" ? { ...gossip, holds: nothingOf(50) } : gossip;
  },
  "a heartbeat": (_peer, _id, turn) => ({ type: "heartbeat", liveness: { count: turn } }),
  "a comparison without members": (_peer, id) => ({
    type: "reconcile",
    id,
    part: { from: "", until: undefined, members: new Map() },
  }),
  "a comparison of a part that is empty": (_peer, id) => ({
    type: "reconcile",
    id,
    part: { from: "x", until: "y", members: new Map() },
  }),
  "a push that is to be passed on": (peer, _id, turn) => ({
    type: "push",
    relay: true,
    delta: {
      members: [memberDelta(peer.id, peer.incarnation, [entry("k", turn + 1, turn)], { after: turn })],
    },
  }),
  "a suspicion": (peer, _id, turn) => ({
    type: "suspect",
    memberId: IDS[turn % MEMBERS]!,
    incarnation: peer.incarnation,
    count: 0,
    isAlive: false,
  }),
  "an acknowledgement of nothing that was sent": () => ({ type: "ack", id: "d1", holds: nothingOf(50) }),
  "a refusal": () => ({ type: "error", code: "busy", message: "no" }),
  "a message of a type that is not known": () => ({ type: "unknown", name: "later" }),
};

function bytesOf(messages: readonly Message[]): number {
  return messages.reduce(
    (sum, message) => sum + (message.type === "unknown" ? 20 : encode(message).length),
    0,
  );
}

/** The cost of so many messages of a kind for a member that knows many others, after it has sent the peer all state. */
async function costOf(make: Making): Promise<{ readonly sent: number; readonly msPerByte: number }> {
  await using cluster = new TestCluster(["a", "A"]);
  // The connection that the smaller id dialed stays.
  await cluster.make("a", { cluster: { discovery: seeds([]) } }).gossiper.start();
  await using peer = new ScriptedPeer(cluster, "A");
  const deltas = IDS.map((id) =>
    memberDelta(id, peer.incarnation, [entry("hearsay.member", 1, recordOf(id))])
  );
  await peer.say("a", { ...GOSSIP(peer, "d2", 0), delta: deltaOf(deltas) } as Message);
  // Until its discovery has taken them for members.
  await cluster.runtime.advance(1_000);
  if (cluster.of("a").gossiper.members.length < MEMBERS) throw new Error("Not all are members.");
  const messages = Array.from({ length: TIMES }, (_, turn) => make(peer, `d${turn + 2}`, turn));
  peer.received.length = 0;
  const startMs = performance.now();
  await peer.say("a", ...messages);
  const ms = performance.now() - startMs;
  const received = bytesOf(messages) + bytesOf([peer.hello("d1")]);
  return { sent: bytesOf(peer.received) / received, msPerByte: ms / received };
}

function recordOf(id: string) {
  return { id, host: id, port: 0, kinds: [] };
}

Deno.test("cost: for no message does a member send many times its bytes, or work many times as long as for a gossip of that size", async (test) => {
  let ordinary = Infinity;
  await test.step("an ordinary gossip", async () => {
    for (let times = 0; times < 3; times++) {
      const { sent, msPerByte } = await costOf(GOSSIP);
      assertLessOrEqual(sent, MOST_SENT);
      ordinary = Math.min(ordinary, msPerByte);
    }
  });
  for (const [name, make] of Object.entries(MESSAGES)) {
    await test.step(name, async () => {
      let least = Infinity;
      // The least of several: another process may have had the processor.
      for (let times = 0; times < 3; times++) {
        const { sent, msPerByte } = await costOf(make);
        assertLessOrEqual(sent, MOST_SENT);
        least = Math.min(least, msPerByte);
        if (least <= MOST_WORK * ordinary) break;
      }
      assertLessOrEqual(least / ordinary, MOST_WORK);
    });
  }
});

// ---- before the upgrade

const UPGRADE = [
  "host: 127.0.0.1",
  "upgrade: websocket",
  "connection: Upgrade",
  "sec-websocket-version: 13",
  "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
  "sec-websocket-protocol: hearsay.v2",
];

const REQUESTS: Readonly<Record<string, readonly string[]>> = {
  "no token": UPGRADE,
  "a token that cannot be read": [...UPGRADE, "authorization: Bearer x"],
  "a token of three parts": [...UPGRADE, "authorization: Bearer e30.e30.e30"],
  "a token that is too long": [...UPGRADE, `authorization: Bearer ${"x".repeat(4_000)}`],
  "a token as a subprotocol": UPGRADE.map((line) =>
    line.replace("hearsay.v2", "hearsay.v2, hearsay.token.x")
  ),
  "a page of another origin": [...UPGRADE, "origin: https://evil.example"],
  "no upgrade": ["host: 127.0.0.1"],
  "another subprotocol": UPGRADE.map((line) => line.replace("hearsay.v2", "other")),
  "a host that is none": ["host: :", ...UPGRADE.slice(1)],
};

/** How many bytes come in answer to a request, for each of its own. */
async function answered(address: string, { path, lines }: { path: string; lines: readonly string[] }) {
  const { hostname, port } = new URL(address);
  using tcp = await Deno.connect({ hostname, port: Number(port) });
  const request = new TextEncoder().encode([`GET ${path} HTTP/1.1`, ...lines].join("\r\n") + "\r\n\r\n");
  await tcp.write(request);
  const answer = new Uint8Array(65_536);
  return (await tcp.read(answer))! / request.length;
}

Deno.test("cost: no request before the upgrade is answered with many times its bytes", async (test) => {
  await using node = await join({
    cluster: "orders",
    listen: { port: 0 },
    authentication: { keys: [await newClusterKey()] },
  });
  for (const [name, lines] of Object.entries(REQUESTS)) {
    await test.step(name, async () => {
      const factor = await answered(node.address, { path: "/gossip", lines });
      assertGreater(factor, 0);
      assertLess(factor, MOST_SENT);
    });
  }
  await test.step("another path", async () => {
    assertLess(await answered(node.address, { path: "/", lines: UPGRADE }), MOST_SENT);
  });
});
