// Attacks by observers: clients that may read, and should harm nothing else.

import { assert, assertEquals, assertMatch, assertRejects } from "../../deps/std_assert.ts";
import { clusterKeys, newClusterKey, tokenFor } from "../../security/cluster_keys.ts";
import { authorityOf } from "../../common/canonical_address.ts";
import { realRuntime, type Runtime } from "../../common/runtime.ts";
import { HearsayError, join, type JoinOptions, type Node } from "../../mod.ts";
import { Observer } from "../../observer/client.ts";
import {
  MAX_OBSERVERS,
  MAX_REQUEST_LENGTH,
  MAX_REQUESTS_PER_SECOND,
  MAX_SUBSCRIPTIONS,
  MAX_WAITING_REQUESTS,
  type MembersPage,
  OBSERVER_IDLE_MS,
} from "../../observer/protocol.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { ObserverSession } from "../../observer/session.ts";
import { eventually } from "./waits.ts";

const CONFIG = { gossipInterval: 50, gossipRequestTimeout: 300 };

function member(options: Partial<JoinOptions> = {}): Promise<Node> {
  return join({ cluster: "orders", listen: { port: 0 }, log: false, config: CONFIG, ...options });
}

/** A bare socket, open. */
async function open(node: Node, headers: Readonly<Record<string, string>> = {}) {
  const socket = new WebSocket(`${node.address}/gossip`, { protocols: ["hearsay.observe.v1"], headers });
  const closed = new Promise<CloseEvent>((close) => socket.addEventListener("close", close));
  await new Promise((opened, reject) => {
    socket.addEventListener("open", opened);
    socket.addEventListener("error", (event) => {
      event.preventDefault();
      reject(new Error((event as ErrorEvent).message));
    });
  });
  return {
    socket,
    closed,
    async [Symbol.asyncDispose]() {
      socket.close();
      await closed;
    },
  };
}

Deno.test("observer: without a token, or with a token of another key or cluster, it is refused before the upgrade", async () => {
  const key = await newClusterKey();
  await using node = await member({ authentication: { keys: [key] } });
  const cases = [
    {},
    { keys: [await newClusterKey()], cluster: "orders" },
    { keys: [key], cluster: "bills" },
    { token: "no.token.atall" },
  ];
  for (const options of cases) {
    const error = await assertRejects(() => Observer.connect(node.address, options), HearsayError);
    assertEquals(error.code, "unauthorized");
  }
  await using observer = await Observer.connect(node.address, { keys: [key], cluster: "orders" });
  assertEquals((await observer.ask<MembersPage>("members")).of, 1);
});

Deno.test("observer: a member without the key cannot pretend to have it", async () => {
  const key = await newClusterKey();
  await using pretender = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "hearsay.observe.v1" });
    socket.addEventListener("message", ({ data }) => {
      const { id } = JSON.parse(data);
      const protocol = { latest: 2, oldest: 2 };
      const answer = { version: "0.2.0", self: "ada", cluster: "orders", wallMs: 1, maySet: false, protocol };
      socket.send(JSON.stringify({ id, answer }));
    });
    return response;
  });
  const error = await assertRejects(
    () => Observer.connect(`ws://127.0.0.1:${pretender.addr.port}`, { keys: [key], cluster: "orders" }),
    HearsayError,
  );
  assertEquals(error.code, "unauthorized");
});

Deno.test("observer: a token is valid for one connection, and a withdrawn key ends its observers", async () => {
  const [key, later] = [await newClusterKey(), await newClusterKey()];
  await using node = await member({ authentication: { keys: [key] } });
  const authority = authorityOf(node.address)!;
  const { token } = await clusterKeys({ keys: [key], cluster: "orders", id: "eve" }).credentials({
    authority,
  });
  await using first = await open(node, { authorization: `Bearer ${token}` });
  await assertRejects(() => open(node, { authorization: `Bearer ${token}` }), Error, "401");
  node.setKeys([later]);
  assertEquals((await first.closed).code, 4401);
});

Deno.test("observer: with a token for reading it reads, and sets nothing even where observers may set keys", async () => {
  const key = await newClusterKey();
  await using node = await member({ authentication: { keys: [key] }, observers: { maySet: true } });
  const [cluster, address] = ["orders", node.address];
  const token = await tokenFor({ keys: [key], cluster, id: "eve", address, access: "read" });
  await using observer = await Observer.connect(address, { token });
  assertEquals([observer.welcome.maySet, (await observer.ask<MembersPage>("members")).of], [false, 1]);
  await assertRejects(() => observer.ask("set", { key: "k", value: 1 }), HearsayError, "for reading only");
  assertEquals(node.getState("k").size, 0);
});

Deno.test("observer: with a token for reading it gets no facts and no events, which may name clients and errors", async () => {
  const key = await newClusterKey();
  await using node = await member({ authentication: { keys: [key] } });
  const [cluster, address] = ["orders", node.address];
  const token = await tokenFor({ keys: [key], cluster, id: "eve", address, access: "read" });
  await using observer = await Observer.connect(address, { token });
  for (
    const [ask, fields] of [["facts", {}], ["subscribe", {}], ["subscribe", {
      types: ["ClientRefused"],
    }]] as const
  ) {
    await assertRejects(() => observer.ask(ask, fields), HearsayError, "members and their state only");
  }
  assertEquals(await observer.ask("subscribe", { key: "k" }), {});
});

Deno.test("observer: observers with tokens for reading take no place of an observer with the key", async () => {
  const key = await newClusterKey();
  await using node = await member({ authentication: { keys: [key] } });
  const [cluster, address, keys] = ["orders", node.address, [key]];
  const readers: Observer[] = [];
  for (let each = 0; each < MAX_OBSERVERS; each++) {
    const token = await tokenFor({ keys, cluster, id: `page-${each}`, address, access: "read" });
    readers.push(await Observer.connect(address, { token }));
  }
  const late = await tokenFor({ keys, cluster, id: "page", address, access: "read" });
  await assertRejects(() => Observer.connect(address, { token: late }), HearsayError);
  await using operator = await Observer.connect(address, { keys, cluster });
  assertEquals((await operator.ask<MembersPage>("members")).of, 1);
  for (const each of readers) await each[Symbol.asyncDispose]();
});

Deno.test("observer: costly requests are followed by rests, so that gossip has the processor", async () => {
  await using node = await member();
  const { socket, receive } = socketStub({ sent: [], closedWith: [], bufferedAmount: 0 });
  const rests: number[] = [];
  let nowMs = 0;
  const runtime = {
    ...realRuntime,
    // Each look at the clock shows 10 ms of work more.
    monotonicMs: () => nowMs += 10,
    setTimer: (delayMs: number, callback: () => void) => {
      if (delayMs < OBSERVER_IDLE_MS / 2) {
        rests.push(delayMs);
        queueMicrotask(callback);
      }
      return () => {};
    },
  };
  const session = sessionOf(node, socket, runtime);
  receive({ id: 1, ask: "members" });
  await eventually(() => rests.length > 0);
  assert(rests[0]! >= 150, `${rests}`);
  session.end(1000, "");
});

Deno.test("observer: even after a second of work the rest is fifteen times as long, so that eight observers stop no member", async () => {
  await using node = await member();
  const { socket, receive } = socketStub({});
  const rests: number[] = [];
  let nowMs = 0;
  const runtime = {
    ...realRuntime,
    monotonicMs: () => nowMs += 1_000,
    setTimer: (delayMs: number, callback: () => void) => {
      // The other timer is that of the silence.
      if (rests.push(delayMs) > 1) queueMicrotask(callback);
      return () => {};
    },
  };
  const session = sessionOf(node, socket, runtime);
  receive({ id: 1, ask: "members" });
  await eventually(() => rests.length > 1);
  assert(rests[1]! >= 15_000, `${rests}`);
  session.end(1000, "");
});

Deno.test("observer: cannot fill the memory by subscriptions to keys with large values, not even if they grow later", async () => {
  await using node = await member();
  const runtime = new VirtualRuntime({ seed: 1 });
  const [sent, closedWith] = [[] as string[], [] as number[]];
  const { socket, receive } = socketStub({ sent, closedWith });
  sessionOf(node, socket, runtime);
  // Some 10 MiB on the heap.
  const large = Array.from({ length: 120_000 }, () => []);
  node.setState("k", large);
  receive({ id: 1, ask: "subscribe", key: "k" });
  receive({ id: 2, ask: "subscribe", key: "k" });
  await runtime.advance(15_000);
  const refused = sent.map((text) => JSON.parse(text)).find(({ error }) => error);
  assertEquals([refused.id, refused.error.code], [2, "too_large"]);
  receive({ id: 3, ask: "subscribe", key: "other" });
  await runtime.advance(1_000);
  assert(sent.some((text) => text === '{"id":3,"answer":{}}'));
  socket.bufferedAmount = 2 ** 20;
  node.setState("other", large);
  await runtime.advance(2_000);
  assertEquals(closedWith, [4413]);
});

Deno.test("observer: its subprotocol opens no session of a peer, whatever it sends", async () => {
  await using node = await member();
  await using client = await open(node);
  client.socket.send(JSON.stringify({ type: "hello", id: "1", cluster: "orders", member: { id: "eve" } }));
  assertEquals((await client.closed).code, 4400);
  assertEquals(node.members.length, 1);
});

Deno.test("observer: the ninth observer is refused, and another is accepted once one of the eight has gone", async () => {
  await using node = await member();
  const all = await Promise.all(Array.from({ length: MAX_OBSERVERS }, () => open(node)));
  await assertRejects(() => open(node), Error, "503");
  all[0]!.socket.close();
  await all[0]!.closed;
  await using next = await Observer.connect(node.address);
  assertEquals((await next.ask<MembersPage>("members")).of, 1);
  for (const each of all) await each[Symbol.asyncDispose]();
});

Deno.test("observer: a huge message, an invalid request or a flood closes only its own connection", async () => {
  await using node = await member();
  await using bystander = await Observer.connect(node.address);
  const attacks: readonly (readonly [number, (socket: WebSocket) => void])[] = [
    [4413, (socket) => socket.send(JSON.stringify({ id: 1, ask: "x".repeat(MAX_REQUEST_LENGTH) }))],
    [4400, (socket) => socket.send("{")],
    [4400, (socket) => socket.send(new Uint8Array(4))],
    [4400, (socket) => socket.send(JSON.stringify({ id: 1.5, ask: "ping" }))],
    [4413, (socket) => {
      for (let id = 0; id < 2 * MAX_REQUESTS_PER_SECOND; id++) {
        socket.send(JSON.stringify({ id, ask: "ping" }));
      }
    }],
  ];
  for (const [code, attack] of attacks) {
    await using client = await open(node);
    attack(client.socket);
    const closed = await client.closed;
    // The end of a flooded socket of Deno may come before its close frame.
    if (closed.code !== 0) assertEquals(closed.code, code);
  }
  assertEquals((await bystander.ask<MembersPage>("members")).of, 1);
});

Deno.test("observer: has a bounded number of subscriptions", async () => {
  await using node = await member();
  await using observer = await Observer.connect(node.address);
  for (let count = 0; count < MAX_SUBSCRIPTIONS; count++) await observer.follow({ key: `k${count}` });
  const error = await assertRejects(() => observer.follow({ key: "more" }), HearsayError);
  assertMatch(error.message, /at most 8 subscriptions/);
});

Deno.test("observer: loses events if it never reads, and gossip does not wait for it", async () => {
  const [sent, closedWith] = [[] as string[], [] as number[]];
  await using one = await member({ id: "ada" });
  await using two = await member({ seeds: [one.address] });
  await two.whenMembers(2);
  const full = socketStub({ sent, closedWith, bufferedAmount: 2 ** 20 });
  const session = sessionOf(one, full.socket);
  full.receive({ id: 1, ask: "subscribe", types: ["GossipUpdate"] });
  for (let count = 0; count < 2_000; count++) one.setState("k", count);
  await one.setStateRequest("k", "last", { acknowledgedBy: 1 });
  assertEquals(sent, []);
  full.socket.bufferedAmount = 0;
  await eventually(() => sent.some((text) => text.includes('"lost"')));
  const lost = sent.map((text) => JSON.parse(text).lost).find((count) => count !== undefined);
  assert(lost > 1_500, String(lost));
  session.end(1000, "");
});

Deno.test("observer: loses its place after some time if it sends nothing, or reads nothing", async () => {
  const runtime = new VirtualRuntime({ seed: 1 });
  await using node = await member();
  const silent = socketStub({});
  sessionOf(node, silent.socket, runtime);
  await runtime.advance(OBSERVER_IDLE_MS - 1);
  assertEquals(silent.closedWith, []);
  await runtime.advance(10);
  assertEquals(silent.closedWith, [1001]);
  const stalled = socketStub({ bufferedAmount: 2 ** 20 });
  sessionOf(node, stalled.socket, runtime);
  stalled.receive({ id: 1, ask: "ping" });
  await runtime.advance(20_000);
  assertEquals(stalled.closedWith, [4413]);
});

Deno.test("observer: above its rate, or with too many unanswered requests, it is closed", async () => {
  const runtime = new VirtualRuntime({ seed: 1 });
  await using node = await member();
  const fast = socketStub({});
  sessionOf(node, fast.socket, runtime);
  for (let id = 0; id < MAX_REQUESTS_PER_SECOND; id++) {
    fast.receive({ id, ask: "ping" });
    await runtime.settle();
  }
  assertEquals(fast.closedWith, []);
  fast.receive({ id: 0, ask: "ping" });
  assertEquals(fast.closedWith, [4413]);
  const unread = socketStub({ bufferedAmount: 2 ** 20 });
  sessionOf(node, unread.socket, runtime);
  // The first one is being answered.
  for (let id = 0; id <= MAX_WAITING_REQUESTS; id++) unread.receive({ id, ask: "ping" });
  assertEquals(unread.closedWith, []);
  unread.receive({ id: 0, ask: "ping" });
  assertEquals(unread.closedWith, [4413]);
});

/** A socket whose other side is the test. */
function socketStub(
  { sent = [], closedWith = [], bufferedAmount = 0 }: {
    readonly sent?: string[];
    readonly closedWith?: number[];
    readonly bufferedAmount?: number;
  },
) {
  const target = new EventTarget();
  const socket = Object.assign(target, {
    bufferedAmount,
    binaryType: "blob" as BinaryType,
    protocol: "hearsay.observe.v1",
    readyState: WebSocket.OPEN as number,
    send: (text: unknown) => void sent.push(String(text)),
    close: (code = 1000) => {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.readyState = WebSocket.CLOSED;
      closedWith.push(code);
      target.dispatchEvent(new CloseEvent("close", { code }));
    },
  });
  const receive = (message: object) =>
    target.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
  return { socket, receive, closedWith };
}

function sessionOf(node: Node, socket: ReturnType<typeof socketStub>["socket"], runtime?: Runtime) {
  return new ObserverSession(socket as unknown as ConstructorParameters<typeof ObserverSession>[0], {
    observed: {
      node,
      config: {} as never,
      runtime: runtime ?? realRuntime,
      hasKeys: false,
      signs: false,
      maySet: false,
      meters: undefined,
      troubles: { all: [] } as never,
      observers: () => 1,
    },
    client: { remote: "127.0.0.1:1", guard: undefined, isReader: false, ended: () => {} },
    early: [],
    over: () => {},
  });
}
