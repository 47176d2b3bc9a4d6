import { assertEquals, assertLess, assertLessOrEqual } from "../../deps/std_assert.ts";
import { join } from "../../mod.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import {
  CLIENT_PAUSE_MS,
  MAX_PAUSED_REFUSALS,
  PROMPT_CLIENTS_PER_SECOND,
  PROMPT_REFUSALS_PER_SECOND,
  REFUSAL_PAUSE_MS,
  RefusalPace,
} from "../../transport/web_socket/refusal_pace.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";

/** Where all that was refused has been answered with, in order. */
function refusing() {
  const runtime = new VirtualRuntime();
  const pace = new RefusalPace(runtime);
  let answered = 0;
  const refuse = (count: number) => {
    for (let each = 0; each < count; each++) {
      void Promise.resolve(pace.pass(new Response(null, { status: 401 }), undefined)).then(() => answered++);
    }
  };
  return { runtime, pace, refuse, answered: () => answered };
}

Deno.test("RefusalPace: answers the first 100 refusals of a second at once, and the others after a pause", async () => {
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

Deno.test("RefusalPace: handles the first 100 clients of a second at once, and the others after a short pause", async () => {
  const runtime = new VirtualRuntime();
  const pace = new RefusalPace(runtime);
  for (let count = 0; count < PROMPT_CLIENTS_PER_SECOND; count++) assertEquals(pace.arrival(), undefined);
  let isOver = false;
  const arrival = pace.arrival()!.then(() => isOver = true);
  await runtime.advance(CLIENT_PAUSE_MS - 1);
  assertEquals(isOver, false);
  await runtime.advance(1);
  await arrival;
  pace.end();
  assertEquals(pace.arrival(), undefined);
});

Deno.test("RefusalPace: delays the second refusal of a connection", async () => {
  const runtime = new VirtualRuntime();
  const pace = new RefusalPace(runtime);
  const response = new Response(null, { status: 401 });
  const from = (port: number) => ({ transport: "tcp", hostname: "10.0.0.7", port }) as const;
  assertEquals(pace.pass(response, from(1)), response);
  const again = pace.pass(response, from(1));
  assertEquals([pace.pass(response, from(2)), pace.paused], [response, 1]);
  await runtime.advance(REFUSAL_PAUSE_MS);
  assertEquals([await again, pace.paused], [response, 0]);
});

Deno.test("RefusalPace: keeps a bounded number of refusals waiting; the oldest is answered to make room, and none waits after the end", async () => {
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

Deno.test("RefusalPace: wrong tokens that are pipelined are refused at a bounded rate, and a member with the key joins meanwhile", async () => {
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
    await two.converged({ signal: AbortSignal.timeout(10_000) });
    assertLess(performance.now() - startMs, 10_000);
    const seconds = (performance.now() - startMs) / 1_000;
    const answered = clients.reduce((sum, client) => sum + client.answered(), 0);
    // One at once, and one after each pause, for each connection.
    const most = connections * (seconds * 1_000 / REFUSAL_PAUSE_MS + 2);
    assertLessOrEqual(answered, most);
  }
});
