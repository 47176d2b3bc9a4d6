import { assertEquals, assertLess, assertLessOrEqual } from "../../deps/std_assert.ts";
import { join } from "../../mod.ts";
import { newClusterKey } from "../../transport/cluster_keys.ts";
import {
  MAX_PAUSED_REFUSALS,
  PROMPT_REFUSALS_PER_SECOND,
  REFUSAL_PAUSE_MS,
  RefusalPace,
} from "../../transport/refusal_pace.ts";
import { VirtualRuntime } from "../virtual_runtime.ts";

/** Where all that was refused has been answered with, in order. */
function refusing() {
  const runtime = new VirtualRuntime();
  const pace = new RefusalPace(runtime);
  let answered = 0;
  const refuse = (count: number) => {
    for (let each = 0; each < count; each++) {
      void Promise.resolve(pace.pass(new Response(null, { status: 401 }))).then(() => answered++);
    }
  };
  return { runtime, pace, refuse, answered: () => answered };
}

Deno.test("RefusalPace: answers so many refusals of a second at once, and the others after a pause", async () => {
  const { runtime, pace, refuse, answered } = refusing();
  refuse(PROMPT_REFUSALS_PER_SECOND + 50);
  await runtime.advance(0);
  assertEquals([answered(), pace.paused], [PROMPT_REFUSALS_PER_SECOND, 50]);
  await runtime.advance(REFUSAL_PAUSE_MS);
  assertEquals([answered(), pace.paused], [PROMPT_REFUSALS_PER_SECOND + 50, 0]);
  refuse(1);
  await runtime.advance(0);
  assertEquals(pace.paused, 0);
});

Deno.test("RefusalPace: keeps a bounded number waiting, of which the oldest makes room, and none after the end", async () => {
  const { runtime, pace, refuse, answered } = refusing();
  refuse(PROMPT_REFUSALS_PER_SECOND + MAX_PAUSED_REFUSALS + 7);
  await runtime.advance(0);
  assertEquals([answered(), pace.paused], [PROMPT_REFUSALS_PER_SECOND + 7, MAX_PAUSED_REFUSALS]);
  pace.end();
  refuse(PROMPT_REFUSALS_PER_SECOND);
  await runtime.advance(0);
  assertEquals(pace.paused, 0);
  assertEquals(answered(), 2 * PROMPT_REFUSALS_PER_SECOND + MAX_PAUSED_REFUSALS + 7);
});

/** The head of an upgrade with a token that is none. */
const HEAD = [
  "GET /gossip HTTP/1.1",
  "host: 127.0.0.1",
  "upgrade: websocket",
  "connection: Upgrade",
  "sec-websocket-version: 13",
  "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
  "sec-websocket-protocol: hearsay.v2",
  `authorization: Bearer ${"x".repeat(200)}`,
].join("\r\n") + "\r\n\r\n";

/** Writes requests to a member as fast as it takes them, until closed; counts what is answered. */
async function pipelining(address: string) {
  const { hostname, port } = new URL(address);
  const tcp = await Deno.connect({ hostname, port: Number(port) });
  let text = "";
  const decoder = new TextDecoder();
  const reading = (async () => {
    const bytes = new Uint8Array(65_536);
    // A reset is an end like another.
    for (let count; (count = await tcp.read(bytes).catch(() => null)) !== null;) {
      text += decoder.decode(bytes.subarray(0, count));
    }
  })();
  const many = new TextEncoder().encode(HEAD.repeat(100));
  const writing = (async () => {
    while (await tcp.write(many).catch(() => 0) > 0);
  })();
  return {
    answered: () => text.split("HTTP/1.1 401").length - 1,
    async [Symbol.asyncDispose]() {
      tcp.close();
      await Promise.all([reading, writing]);
    },
  };
}

Deno.test("wrong tokens that are pipelined are refused at a bounded rate, and a member with the key joins meanwhile", async () => {
  const keys = [await newClusterKey()];
  const options = { cluster: "orders", listen: { port: 0 }, authentication: { keys } };
  await using one = await join(options);
  const connections = 8;
  const startMs = performance.now();
  {
    await using pipes = new AsyncDisposableStack();
    const clients = [];
    for (let count = 0; count < connections; count++) clients.push(pipes.use(await pipelining(one.address)));
    await using two = await join({ ...options, seeds: [one.address] });
    await two.gossiper.converged({ signal: AbortSignal.timeout(10_000) });
    assertLess(performance.now() - startMs, 10_000);
    const seconds = (performance.now() - startMs) / 1_000;
    const answered = clients.reduce((sum, client) => sum + client.answered(), 0);
    // A burst, the rate, and what each connection gets after each pause.
    const most = (PROMPT_REFUSALS_PER_SECOND + connections) * (seconds + 1);
    assertLessOrEqual(answered, most);
  }
});
