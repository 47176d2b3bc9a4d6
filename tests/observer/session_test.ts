import { assert, assertEquals, assertMatch, assertRejects } from "../../deps/std_assert.ts";
import { Observer, OBSERVER_TIMEOUT_MS, RequestFailed, WrongCluster } from "../../observer/client.ts";
import type { Facts, MembersPage, ObservedAmounts, ValuesPage } from "../../observer/protocol.ts";
import { HearsayError, join, type JoinOptions, type Node } from "../../mod.ts";
import { join as joinWs } from "../../node/join_ws.ts";
import { MemberMeters } from "../../operations/metrics/mod.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { eventually } from "../security/waits.ts";

const CONFIG = { gossipInterval: 50, gossipRequestTimeout: 300 };

function member(options: Partial<JoinOptions> = {}): Promise<Node> {
  return join({ cluster: "orders", listen: { port: 0 }, log: false, config: CONFIG, ...options });
}

/** Sets one value at both members, and resolves when all agree on it. */
async function consensusOn(one: Node, two: Node): Promise<{ readonly reached: boolean }> {
  const agreed = Promise.withResolvers<{ readonly reached: boolean }>();
  one.registerConsensusCheck("agreed", undefined, { onReached: () => agreed.resolve({ reached: true }) });
  for (const node of [one, two]) node.setState("agreed", 1);
  return await agreed.promise;
}

Deno.test("observer: is in no list of members, and does not prevent agreement", async () => {
  await using one = await member({ id: "ada" });
  await using two = await member({ id: "ben", seeds: [one.address] });
  await two.whenMembers(2);
  await using observer = await Observer.connect(one.address);
  const { members } = await observer.ask<MembersPage>("members");
  assertEquals(members.map(({ id, status }) => [id, status]), [["ada", "alive"], ["ben", "alive"]]);
  const { reached } = await consensusOn(one, two);
  assert(reached);
  await one.converged({ signal: AbortSignal.timeout(5_000) });
  assertEquals(one.members.map(({ id }) => id), ["ada", "ben"]);
  assertEquals(observer.welcome.cluster, "orders");
});

Deno.test("observer: reads values, explanations, the spread of a value, amounts and the snapshot", async () => {
  await using one = await member({ id: "ada", meters: new MemberMeters() });
  await using two = await member({ id: "ben", seeds: [one.address] });
  await two.whenMembers(2);
  await one.setStateRequest("version", "1.4", { acknowledgedBy: 1 });
  await using observer = await Observer.connect(one.address);
  const { values } = await observer.ask<ValuesPage>("values", { key: "version" });
  assertEquals(values.map(({ memberId, value }) => [memberId, value]), [["ada", "1.4"]]);
  const explanation = await observer.ask<{ status: string }>("explain", { memberId: "ben" });
  assertEquals(explanation.status, "alive");
  const spread = await observer.ask<{ have: number; of: number }>("seenBy", { key: "version" });
  assertEquals([spread.have, spread.of], [2, 2]);
  const next = one.events.subscribe("PhaseChanged").getReader();
  for (;;) {
    const { counts, amounts } = await observer.ask<ObservedAmounts>("amounts");
    assert(counts!.sent.bytes > 0);
    assertEquals(amounts!.connections.ready, 1);
    if (counts!.peers.some(({ peerId }) => peerId === "ben")) break;
    one.setState("version", "1.5");
    await next.read();
  }
  await next.cancel();
  const snapshot = await observer.ask<{ self: string }>("snapshot");
  assertEquals(snapshot.self, "ada");
  const facts = await observer.ask<Facts>("facts");
  assertEquals([facts.counts.alive, facts.hasKeys, facts.settings.gossipInterval], [2, false, 50]);
});

Deno.test("observer: a member without meters reports its members, and no traffic", async () => {
  await using node = await member();
  await using observer = await Observer.connect(node.address);
  const { members, counts, amounts } = await observer.ask<ObservedAmounts>("amounts");
  assertEquals([members.alive, counts, amounts], [1, null, null]);
});

Deno.test("observer: follows the values of a key, deletions too, and events by type", async () => {
  await using node = await member({ id: "ada" });
  await using observer = await Observer.connect(node.address);
  node.setState("k", 1);
  const values = (await observer.follow({ key: "k" })).getReader();
  assertEquals((await values.read()).value?.event?.["value"], 1);
  const events = (await observer.follow({ types: ["GossipUpdate"] })).getReader();
  node.setState("k", 2);
  node.deleteState("k");
  assertEquals((await values.read()).value?.event?.["value"], 2);
  assertEquals((await values.read()).value?.event?.["deleted"], true);
  assertEquals((await events.read()).value?.event?.["key"], "k");
  await values.cancel();
  await events.cancel();
});

Deno.test("observer: the pages of members have every member once", async () => {
  const blocked = Array.from({ length: 1_203 }, (_, at) => `gone-${String(at).padStart(4, "0")}`);
  const discovery: JoinOptions["discovery"] = {
    openMembership: false,
    run: ({ self, eventStream }, { signal }) => {
      const others = blocked.map((id) => ({ id, host: "127.0.0.1", port: 1, kinds: [] }));
      eventStream.publish({ type: "ClusterTopology", members: [self, ...others], blocked });
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    },
  };
  await using node = await member({ id: "ada", discovery });
  await eventually(() => node.members.length === 1_204);
  await using observer = await Observer.connect(node.address);
  const ids: string[] = [];
  let page: MembersPage | undefined;
  do {
    page = await observer.ask<MembersPage>("members", page?.next === undefined ? {} : { after: page.next });
    ids.push(...page.members.map(({ id }) => id));
  } while (page.next !== undefined);
  assertEquals(ids, ["ada", ...blocked]);
});

Deno.test("observer: sets keys of the observed member, and only if the member permits it", async () => {
  await using open = await member({ id: "ada", observers: { maySet: true } });
  await using observer = await Observer.connect(open.address);
  assertEquals(observer.welcome.maySet, true);
  const { memberId } = await observer.ask<{ memberId: string }>("set", { key: "k", value: [1] });
  assertEquals(memberId, "ada");
  assertEquals(open.getState("k").get("ada")?.value, [1]);
  await observer.ask("set", { key: "k" });
  assertEquals(open.getState("k").size, 0);
  const own = await assertRejects(() => observer.ask("set", { key: "heathbeat", value: 1 }), RequestFailed);
  assertEquals(own.fault, "invalid");

  await using closed = await member();
  await using reader = await Observer.connect(closed.address);
  const error = await assertRejects(() => reader.ask("set", { key: "k", value: 1 }), RequestFailed);
  assertEquals([error.fault, reader.welcome.maySet, closed.getState("k").size], ["forbidden", false, 0]);
});

Deno.test("observer: the observer refuses a member of another cluster, and the member refuses an unknown request", async () => {
  await using node = await member();
  await assertRejects(() => Observer.connect(node.address, { cluster: "bills" }), WrongCluster);
  await using observer = await Observer.connect(node.address, { cluster: "orders" });
  for (const [ask, parameters] of [["shutdown", {}], ["values", {}], ["values", { key: 5 }]] as const) {
    const error = await assertRejects(() => observer.ask(ask, parameters), RequestFailed);
    assertEquals(error.fault, "invalid");
  }
  const types = await assertRejects(() => observer.follow({ types: ["NoSuchEvent"] }), RequestFailed);
  assertMatch(types.message, /NoSuchEvent/);
  assertEquals((await observer.ask<MembersPage>("members")).of, 1);
});

Deno.test("observer: ends when the member leaves, and the member does not wait for it", async () => {
  const node = await member();
  await using observer = await Observer.connect(node.address);
  const followed = (await observer.follow({ types: ["MemberJoined"] })).getReader();
  await node.stop();
  await assertRejects(async () => {
    while (!(await followed.read()).done);
    await observer.ask("ping");
  }, HearsayError);
});

Deno.test("observers: with `false`, observers are refused with 426, and peers are not", async () => {
  await using node = await member({ observers: false });
  await using peer = await member({ seeds: [node.address] });
  await peer.whenMembers(2);
  await assertRejects(() => Observer.connect(node.address), HearsayError, "426");
});

Deno.test("observer: the facts list the troubles from before the connection, with their number", async () => {
  await using node = await member();
  for (let count = 0; count < 3; count++) {
    node.events.publish({
      type: "SelfUnreachable",
      address: "ws://x",
      error: new HearsayError("connection", "no"),
    });
  }
  await using observer = await Observer.connect(node.address);
  const { troubles } = await observer.ask<Facts>("facts");
  assertEquals(troubles.map(({ times, event }) => [times, event.type, event["error"]]), [
    [3, "SelfUnreachable", { name: "HearsayError", message: "no", code: "connection" }],
  ]);
});

Deno.test("observer: a member with servers and sockets of Node can be observed too", async () => {
  const node = await joinWs({ cluster: "orders", listen: { port: 0 }, log: false, config: CONFIG });
  {
    await using observer = await Observer.connect(node.address);
    assertEquals((await observer.ask<MembersPage>("members")).of, 1);
  }
  await node.stop();
});

Deno.test("observer: abandons a subscription that the member never answers", async () => {
  const subscribed = Promise.withResolvers<void>();
  const answer = {
    version: "1",
    self: "ada",
    cluster: "orders",
    wallMs: 1,
    protocol: { latest: 2, oldest: 2 },
  };
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.addEventListener("message", ({ data }) => {
      const { id, ask } = JSON.parse(data);
      if (ask === "hello") socket.send(JSON.stringify({ id, answer }));
      else subscribed.resolve();
    });
    return response;
  });
  const runtime = new VirtualRuntime({ seed: 1 });
  await using observer = await Observer.connect(`ws://127.0.0.1:${server.addr.port}`, { runtime });
  const refused = assertRejects(() => observer.follow({ key: "k" }), HearsayError, "The answer to subscribe");
  await subscribed.promise;
  await runtime.advance(OBSERVER_TIMEOUT_MS);
  assertEquals((await refused).code, "timeout");
});
