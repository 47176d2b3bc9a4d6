/**
 * Measures messages among members in one process, over WebSockets on loopback: how long a broadcast takes to be received by
 * all, how long a question takes until the last answer, and how much a busy sender gets through to one peer.
 *
 * `deno run --allow-net=127.0.0.1 bench/messages.ts`
 *
 * @module
 */

import { join, type Node } from "../mod.ts";
import { messagesOf } from "../messages/mod.ts";

const SIZES = [2, 10, 32];
const REPETITIONS = 200;
const BUSY_MS = 5_000;

if (import.meta.main) {
  for (const size of SIZES) await measure(size);
  Deno.exit();
}

async function measure(size: number): Promise<void> {
  const nodes = await cluster(size);
  const [first] = nodes;
  const messages = messagesOf(first!);
  const received = nodes.slice(1).map((node) => {
    const reader = messagesOf(node).subscribe("t").getReader();
    messagesOf(node).answer("q", () => 0.3);
    return reader;
  });
  const broadcast = await times(async () => {
    void messages.broadcast("t", { key: "prices" });
    await Promise.all(received.map((reader) => reader.read()));
  });
  const ask = await times(async () => {
    const { unanswered } = await messages.ask("all", { topic: "q" });
    if (unanswered.length > 0) throw new Error(JSON.stringify(unanswered));
  });
  console.log(`${size} members`, {
    "broadcast until all received it": broadcast,
    "ask until all answered": ask,
  });
  if (size === 2) console.log(await busy(first!, received[0]!));
  await Promise.all(nodes.map((node) => node.stop()));
}

/** Members that are all connected and know that all use messages. */
async function cluster(size: number): Promise<readonly Node[]> {
  const nodes: Node[] = [];
  for (let index = 0; index < size; index++) {
    const seeds = nodes.slice(0, 2).map(({ address }) => address);
    const node = await join({ cluster: "bench", listen: { port: 0 }, seeds, log: false });
    messagesOf(node);
    nodes.push(node);
  }
  await Promise.all(nodes.map((node) => node.whenMembers(size, { stableFor: 1_000 })));
  for (;;) {
    const results = await Promise.all(nodes.map((node) => messagesOf(node).broadcast("warm up", 1)));
    if (results.every(({ sent }) => sent.length === size - 1)) return nodes;
  }
}

/** The median and the 99th percentile of an action's time, in milliseconds. */
async function times(action: () => Promise<void>): Promise<string> {
  const all: number[] = [];
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    const beginMs = performance.now();
    await action();
    all.push(performance.now() - beginMs);
    // Below the rate for messages.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  all.sort((one, other) => one - other);
  const [median, late] = [0.5, 0.99].map((share) => all[Math.floor(share * all.length)]!.toFixed(1));
  return `median ${median} ms, p99 ${late} ms`;
}

/** A sender that never waits, with small and with the largest messages. */
async function busy(
  node: Node,
  reader: ReadableStreamDefaultReader<unknown>,
): Promise<Readonly<Record<string, number>>> {
  const rates: Record<string, number> = {};
  for (const bytes of [100, 60_000]) {
    // The rate allows a second's worth at once after a pause.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const payload = "x".repeat(bytes);
    let count = 0;
    let isOver = false;
    const counting = (async () => {
      while (!isOver) {
        await reader.read();
        count++;
      }
    })();
    const endMs = performance.now() + BUSY_MS;
    while (performance.now() < endMs) {
      await Promise.all(Array.from({ length: 20 }, () => messagesOf(node).broadcast("t", payload)));
    }
    isOver = true;
    rates[`messages of ${bytes} bytes per second to one peer`] = Math.round(count / BUSY_MS * 1_000);
    await messagesOf(node).broadcast("t", "last");
    await counting;
  }
  return rates;
}
