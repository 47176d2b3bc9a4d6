import { assert, assertEquals } from "../../deps/std_assert.ts";
import { canonicalize } from "../../deps/canonicalize.ts";
import { join, type Node } from "../../mod.ts";
import type * as Browser from "../../browser/mod.ts";
import { newClusterKey, tokenFor } from "../../security/cluster_keys.ts";
import { canonicalize as canonicalizeInPage } from "../../tools/bundle/canonicalize.ts";
import { compress } from "../../tools/bundle/compress.ts";
import { SUBPROTOCOL } from "../../transport/web_socket/web_socket.ts";
import { bundled } from "../browser/bundled.ts";
import { Program } from "../process/program.ts";
import { eventually, hears } from "../security/waits.ts";

/** The most bytes of the module in the gzip format, as the task writes it: 60 KiB. */
const MAX_BYTES = 60 * 1024;
const CONFIG = { gossipInterval: 50, gossipRequestTimeout: 300, heartbeatExpiration: 5_000 };

const text = await bundled();

const page: typeof Browser = await import(`data:text/javascript,${encodeURIComponent(text)}`);

Deno.test("bundle: the compressed module of pages has at most 60 KiB, and decompresses to the module", async () => {
  const compressed = await compress(text);
  assert(compressed.length <= MAX_BYTES, `${compressed.length} bytes`);
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
  assertEquals(await new Response(stream).text(), text);
});

Deno.test("bundle: has the exports of browser/mod.ts, no import, and no syntax later than ES2022", () => {
  assertEquals(Object.keys(page).sort(), ["BrowserNode", "HearsayError", "join", "leaveOnPageHide"]);
  assertEquals(text.match(/\bimport\b *["'({]|}from *["']/g), null);
  // The task itself fails on any later syntax; this one is in the sources.
  assertEquals(text.match(/\b(await )?using [\w$]+ *=/g), null);
});

Deno.test("bundle: no part of the module needs Deno", () => {
  const inCode = text.replaceAll(/"[^"]*"/g, '""');
  assertEquals(inCode.match(/\b(Deno|process)\b\.\w+/g), null);
});

Deno.test("bundle: a member in a page continues after a request without an answer", async () => {
  await using process = Program.member({ id: "ada", port: 0, seeds: [], config: CONFIG });
  const [, address] = await process.until(/"address":"(ws:[^"]+)"/);
  await using node = await page.join({ cluster: "faults", seeds: [address!], config: CONFIG });
  await node.whenMembers(2, { signal: AbortSignal.timeout(10_000) });
  const failures = node.events.subscribe("RequestFailed").getReader();
  await process.type("block 2000");
  assertEquals((await failures.read()).value!.peerId, "ada");
  await process.until(/unblocked/);
  node.setState("k", "after");
  await process.until(/"after"/);
});

Deno.test("bundle: its canonical JSON has the same text as the package's", () => {
  for (
    const value of [
      { b: 1, a: [{ d: null, c: "é\u2028" }], "": true, "10": 1, "9": 2, é: 1, "\u{1F600}": 2, "\uFB33": 3 },
      [],
      {},
      "x",
      1e21,
      -0,
      0.1,
      null,
      [[1], { a: {} }],
    ]
  ) {
    assertEquals(canonicalizeInPage(value), canonicalize(value));
  }
});

const PEER = "018bcfe56800-1f3a9c02";

/** A peer with hand-written messages: it answers a handshake, and then sends these. */
function servePeer(messages: readonly object[], received: (message: Record<string, unknown>) => void) {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL });
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      received(message);
      if (message.type !== "hello" || message.id[0] !== "d") return;
      const member = { id: "peer", host: "127.0.0.1", port: 1, kinds: [] };
      const hello = { ...message, member, incarnation: PEER, count: 0 };
      for (const each of [hello, ...messages]) socket.send(JSON.stringify(each));
    };
    return response;
  });
}

Deno.test("bundle: its member answers a suspicion with the higher count that it knows (C2)", async () => {
  const answer = Promise.withResolvers<object>();
  const values = {
    k: { sequenceNumber: "1", value: { "@type": "type.googleapis.com/google.protobuf.Value", value: 1 } },
  };
  const push = {
    type: "push",
    request: { state: { members: { peer: { values } } } },
    ranges: { peer: [PEER, 0, 31] },
  };
  const suspect = { type: "suspect", member: "peer", incarnation: PEER, count: 29 };
  await using server = servePeer([push, suspect], (message) => {
    if (message.type === "suspect") answer.resolve(message);
  });
  await using _node = await page.join({
    cluster: "suspicions",
    seeds: [`ws://127.0.0.1:${server.addr.port}`],
    config: CONFIG,
  });
  const late = setTimeout(() => answer.reject(new Error("No answer came.")), 5_000);
  assertEquals(await answer.promise, { ...suspect, count: 31, alive: true });
  clearTimeout(late);
});

async function members(sign: boolean) {
  const keys = [await newClusterKey()];
  const options = { cluster: "pages", listen: { port: 0 }, config: CONFIG, authentication: { keys, sign } };
  const ada = await join(options);
  const ben = await join({ ...options, seeds: [ada.address] });
  const from = (access: "full" | "read") =>
    page.join({
      cluster: "pages",
      seeds: [ada.address, ben.address],
      config: CONFIG,
      sign,
      token: ({ id = "page", address }) => tokenFor({ keys, cluster: "pages", id, address, access }),
    });
  return { ada, ben, from };
}

/** Sets many keys and large values, and waits until the other side has them. */
async function exchange(one: Node, other: Browser.BrowserNode): Promise<void> {
  for (let index = 0; index < 200; index++) one.setState(`key ${index}`, { index, text: "x".repeat(index) });
  for (let index = 0; index < 200; index += 2) one.deleteState(`key ${index}`);
  one.setState("k", "last");
  await hears(other, one.id, "last");
  await eventually(() => other.getState("key 199").size === 1 && other.getState("key 198").size === 0);
}

for (const sign of [false, true]) {
  const what = sign ? "where members sign" : "with keys";
  Deno.test(`bundle: its member exchanges state, agrees, and leaves, ${what}`, async () => {
    const { ada, ben, from } = await members(sign);
    await using _ada = ada;
    await using _ben = ben;
    const node = await from("full");
    await exchange(ada, node);
    node.setState("k", { of: "page" });
    await eventually(() => JSON.stringify(ben.getState("k").get(node.id)?.value) === '{"of":"page"}');
    ada.setState("k", { of: "page" });
    ben.setState("k", { of: "page" });
    using check = node.registerConsensusCheck("k");
    assertEquals(await check.reached({ signal: AbortSignal.timeout(10_000) }), { of: "page" });
    await node.converged({ signal: AbortSignal.timeout(10_000) });
    assertEquals(node.snapshot().members.length, 3);
    assertEquals((await node.stop()).flushed, true);
    await eventually(() => ben.members.find(({ id }) => id === node.id)?.status === "left");
  });

  Deno.test(`bundle: its reader has the state of all members, ${what}`, async () => {
    const { ada, ben, from } = await members(sign);
    await using _ada = ada;
    await using _ben = ben;
    ben.setState("k", 1);
    await using node = await from("read");
    await exchange(ada, node);
    await hears(node, ben.id, 1);
  });
}

Deno.test("bundle: a misspelled option and an invalid setting are named", async () => {
  const join = page.join as (options: unknown) => Promise<unknown>;
  const messages: string[] = [];
  for (
    const options of [
      { cluster: "pages", seeds: [], tokens: 1 },
      { cluster: "pages", seeds: ["x"] },
      { cluster: "pages", seeds: [], config: { gossipInterval: "1" } },
      { cluster: "pages", seeds: [], config: { interval: 1 } },
    ]
  ) {
    messages.push(await join(options).then(() => "accepted", (error) => error.message.split("\n").at(-1)));
  }
  assertEquals(messages.map((message) => /tokens|seeds|gossipInterval|interval/.exec(message)?.[0]), [
    "tokens",
    "seeds",
    "gossipInterval",
    "interval",
  ]);
});
