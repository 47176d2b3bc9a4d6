/**
 * An insider fills the memory of members: with large states, and with invented members.
 *
 * @module
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assert, assertEquals, assertLess } from "../../deps/std_assert.ts";
import { MEMBER_KEY } from "../../engine/types.ts";
import { join, type Node, type PartialConfig } from "../../mod.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { entry, memberDelta } from "../engine/harness.ts";
import { Insider, newIdentity } from "./attacker.ts";

/** Patient: large messages of three members and an insider are handled by one thread here. */
const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 2_000, heartbeatExpiration: 20_000 };
const MIB = 2 ** 20;

class Cluster implements AsyncDisposable {
  readonly key: string;
  readonly config: PartialConfig;
  readonly nodes: Node[] = [];

  private constructor(key: string, config: PartialConfig) {
    this.key = key;
    this.config = { ...CONFIG, ...config };
  }

  /** So many honest members that know each other. */
  static async of(count: number, config: PartialConfig): Promise<Cluster> {
    const cluster = new Cluster(await newClusterKey(), config);
    for (let index = 0; index < count; index++) await cluster.add();
    await eventually(() => cluster.isWhole);
    return cluster;
  }

  /** One more, that knows the first. */
  async add(): Promise<Node> {
    const node = await join({
      cluster: "orders",
      listen: { port: 0 },
      seeds: this.nodes.slice(0, 1).map(({ address }) => address),
      config: this.config,
      authentication: { keys: [this.key] },
    });
    this.nodes.push(node);
    node.setState("k", node.member.id);
    return node;
  }

  /** True if each honest member has the state of each, and counts it as active. */
  get isWhole(): boolean {
    return this.nodes.every((node) => {
      const active = new Set(
        node.members.filter(({ status }) => status === "alive").map(({ id }) => id),
      );
      const values = node.getState("k");
      return this.nodes.every(({ member: { id } }) => active.has(id) && values.get(id)?.value === id);
    });
  }

  get rooms() {
    return this.nodes.map((node) => node.snapshot().room);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}

async function eventually(isTrue: () => boolean, timeoutMs = 20_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`It did not come true: ${isTrue}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function heapUsed(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return Deno.memoryUsage().heapUsed;
}

/** True if a request was answered before the connection ended. */
async function isAnswered({ wire }: Insider, id: string): Promise<boolean> {
  const isThere = () => wire.received.some((message) => message.type === "reply" && message.id === id);
  while (!isThere() && wire.socket.readyState === WebSocket.OPEN) {
    await new Promise((resolve) => setTimeout(resolve, 70));
  }
  return isThere();
}

Deno.test("room: an insider that sends large states under 74 ids, which honest members relay, fills at most maxHeldBytes of each member (E15)", async () => {
  const maxHeldBytes = 64 * MIB;
  await using cluster = await Cluster.of(3, { maxHeldBytes });
  const [first] = cluster.nodes;
  const blocked: string[] = [];
  for (const node of cluster.nodes) {
    void (async () => {
      for await (const event of node.events.subscribe("MemberBlocked")) {
        if (event.type === "MemberBlocked") blocked.push(event.memberId);
      }
    })();
  }
  const value = Array.from({ length: 120_000 }, () => []);
  const before = heapUsed();
  const identity = await newIdentity();
  for (let index = 0; index < 74;) {
    // It is thrown out where it sends too much at once, and comes back.
    await using insider = await Insider.withHandshake(first!.address, {
      key: cluster.key,
      as: identity,
      signs: false,
    });
    for (; index < 74; index++) {
      const id = insider.gossip(memberDelta(`m${index}`, insider.incarnation, [entry("k", 1, value)]));
      if (!await isAnswered(insider, id)) break;
    }
  }
  await eventually(() => cluster.rooms[0]!.refused > 0);
  await eventually(() => cluster.rooms.every(({ bytes }) => bytes > maxHeldBytes / 2));
  cluster.nodes[1]!.setState("news", 1);
  await eventually(() => cluster.nodes.every((node) => node.getState("news").size === 1));
  for (const { bytes } of cluster.rooms) assertLess(bytes, maxHeldBytes);
  // The three share one heap here; without the limit it would be 900 MiB and more.
  assertLess(heapUsed() - before, 3 * maxHeldBytes);
  assert(cluster.isWhole);
  // Those that pass it on are not to blame.
  const honest = new Set(cluster.nodes.map(({ member }) => member.id));
  assertEquals(blocked.filter((id) => honest.has(id)), []);
});

Deno.test("room: an insider that invents more than maxMembers members keeps no newcomer out, and displaces no member (E15)", async () => {
  await using cluster = await Cluster.of(3, { maxMembers: 20 });
  const [first] = cluster.nodes;
  await using insider = await Insider.withHandshake(first!.address, { key: cluster.key, signs: false });
  const invented = (count: number) =>
    Array.from({ length: 40 }, (_, index) => {
      const id = `m${index}`;
      const record = entry(MEMBER_KEY, 1, { id, host: "127.0.0.1", port: 9, kinds: [] });
      return memberDelta(id, insider.incarnation, [record], { count });
    });
  let count = 0;
  // They are kept alive by its word, for as long as it goes on.
  const inventing = setInterval(() => {
    if (insider.wire.socket.readyState === WebSocket.OPEN) insider.gossip(...invented(++count));
  }, 100);
  try {
    await eventually(() => cluster.nodes.every((node) => node.members.length >= 20));
    await cluster.add();
    await cluster.add();
    await eventually(() => cluster.isWhole);
  } finally {
    clearInterval(inventing);
  }
  for (const node of cluster.nodes) assertLess([...node.snapshot().members].length, 22);
});
