import { assert, assertEquals, assertStringIncludes } from "../../../deps/std_assert.ts";
import { dashboard } from "../../../operations/dashboard/mod.ts";
import {
  HEARTBEAT_MS,
  MAX_SHARE,
  MAX_STREAMS,
  MIN_GAP_MS,
  REFRESH_MS,
  STALLED_MS,
  Streams,
} from "../../../operations/dashboard/streams.ts";
import { VirtualRuntime } from "../../../testing/virtual_runtime.ts";
import { TestCluster } from "../../requirements/harness.ts";
import { EventReader, LOCAL, requestOf } from "./requests.ts";
import { Site } from "./site.ts";

/** Streams of a document that the test changes. */
class Bench {
  readonly runtime = new VirtualRuntime();
  readonly leaving = new AbortController();
  readonly listeners = new Set<() => void>();
  readonly streams: Streams;
  document = '{"n":0}';
  made = 0;

  constructor() {
    this.streams = new Streams({
      runtime: this.runtime,
      signal: this.leaving.signal,
      onChange: (listener) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      },
    });
  }

  open(): EventReader {
    const makeDocument = () => {
      this.made++;
      return this.document;
    };
    return new EventReader(new Response(this.streams.open(makeDocument)!));
  }

  /** Changes the document, and notifies the streams. */
  change(n: number): void {
    this.document = `{"n":${n}}`;
    for (const listener of this.listeners) listener();
  }

  /** The number in the next document, and the time at which it came. */
  async next(reader: EventReader): Promise<[n: unknown, atMs: number] | "comment" | "end"> {
    let outcome: string | undefined;
    let isThere = false;
    reader.next().then((text) => {
      outcome = text;
      isThere = true;
    });
    await this.runtime.runUntil(() => isThere, { withinMs: 60_000 });
    if (outcome === undefined) return "end";
    if (outcome.startsWith(":")) return "comment";
    return [JSON.parse(/^data: (.*)$/m.exec(outcome)![1]!).n, this.runtime.monotonicMs()];
  }
}

Deno.test("streams: send the first document at once, and a later document when it differs", async () => {
  const bench = new Bench();
  const reader = bench.open();
  assertEquals(await bench.next(reader), [0, 0]);
  bench.document = '{"n":1}';
  assertEquals(await bench.next(reader), [1, REFRESH_MS]);
  await reader.cancel();
  assertEquals([bench.runtime.timers, bench.streams.count, bench.listeners.size], [0, 0, 0]);
});

Deno.test("streams: a change of membership is sent after the shortest gap, many changes as one document", async () => {
  const bench = new Bench();
  const reader = bench.open();
  await bench.next(reader);
  const next = bench.next(reader);
  for (let n = 1; n <= 50; n++) bench.change(n);
  assertEquals(await next, [50, MIN_GAP_MS]);
  await reader.cancel();
});

Deno.test("streams: a slow reader gets the latest document, and no document is made for it meanwhile", async () => {
  const bench = new Bench();
  const reader = bench.open();
  await bench.next(reader);
  const { made } = bench;
  for (let n = 1; n <= 20; n++) {
    bench.change(n);
    await bench.runtime.advance(MIN_GAP_MS);
  }
  assertEquals(bench.made, made);
  assertEquals((await bench.next(reader))[0], 20);
  assertEquals(bench.made, made + 1);
  await reader.cancel();
});

Deno.test("streams: send a comment if nothing has changed for long", async () => {
  const bench = new Bench();
  const reader = bench.open();
  await bench.next(reader);
  assertEquals(await bench.next(reader), "comment");
  assertEquals(bench.runtime.monotonicMs(), HEARTBEAT_MS);
  await reader.cancel();
});

Deno.test("streams: send the last document when the member leaves, and end", async () => {
  const bench = new Bench();
  const reader = bench.open();
  await bench.next(reader);
  bench.document = '{"n":9}';
  bench.leaving.abort();
  assertEquals((await bench.next(reader))[0], 9);
  assertEquals(await bench.next(reader), "end");
  assertEquals([bench.runtime.timers, bench.streams.count, bench.listeners.size], [0, 0, 0]);
});

Deno.test("streams: end when the client is gone, even during a wait", async () => {
  const bench = new Bench();
  const reader = bench.open();
  await bench.next(reader);
  const next = reader.next();
  await bench.runtime.settle();
  await reader.cancel();
  assertEquals(await next, undefined);
  assertEquals([bench.runtime.timers, bench.streams.count, bench.listeners.size], [0, 0, 0]);
});

Deno.test("streams: end for a reader that takes nothing, so that another reader gets its slot", async () => {
  const bench = new Bench();
  const reader = bench.open();
  await bench.next(reader);
  await bench.runtime.advance(STALLED_MS - 1);
  assertEquals(bench.streams.count, 1);
  await bench.runtime.advance(1);
  assertEquals([bench.streams.count, bench.runtime.timers], [0, 0]);
  assertEquals(await reader.next(), undefined);
});

Deno.test("streams: a failure to make a document ends the stream, and frees its slot", async () => {
  const bench = new Bench();
  const stream = bench.streams.open(() => {
    throw new TypeError("no document");
  })!;
  const reader = stream.getReader();
  const error = await reader.read().catch((error) => error);
  assertEquals([error.message, bench.streams.count, bench.runtime.timers], ["no document", 0, 0]);
});

Deno.test("streams: are limited in number", async () => {
  const bench = new Bench();
  const readers = Array.from({ length: MAX_STREAMS }, () => bench.open());
  assertEquals(bench.streams.open(() => "{}"), undefined);
  await readers[0]!.cancel();
  assert(bench.streams.open(() => "{}"));
  bench.leaving.abort();
  assertEquals([bench.streams.count, bench.runtime.timers], [0, 0]);
});

Deno.test("streams: take a bounded share of the time to make documents, however long a document takes", async () => {
  const runtime = new VirtualRuntime();
  let spentMs = 0;
  let made = 0;
  const streams = new Streams({
    // Each document takes 40 ms.
    runtime: {
      monotonicMs: () => runtime.monotonicMs() + spentMs,
      wallMs: () => runtime.wallMs(),
      random: () => runtime.random(),
      setTimer: (delayMs, callback) => runtime.setTimer(delayMs, callback),
    },
    signal: new AbortController().signal,
    onChange: () => () => {},
  });
  const readers = Array.from({ length: MAX_STREAMS }, () => {
    const stream = streams.open(() => {
      spentMs += 40;
      return `{"n":${++made}}`;
    });
    const reader = new EventReader(new Response(stream!));
    void drain(reader);
    return reader;
  });
  await runtime.settle();
  const before = spentMs;
  await runtime.advance(30_000);
  const share = (spentMs - before) / (30_000 + spentMs - before);
  assert(share <= 1 / MAX_SHARE && made > 2 * MAX_STREAMS, `${made} documents, a share of ${share}`);
  await Promise.all(readers.map((reader) => reader.cancel()));
  assertEquals([runtime.timers, streams.count], [0, 0]);
});

async function drain(reader: EventReader): Promise<void> {
  while (await reader.next() !== undefined);
}

Deno.test("dashboard events: pages that open at once share a document, until the membership changes", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const { gossiper } = cluster.of("a");
  const show = dashboard(gossiper);
  await cluster.runUntil(() => cluster.isConfirmed());
  const open = async () => new EventReader((await show(requestOf("/dashboard/events"), LOCAL))!);
  gossiper.setState("n", 1);
  const [first, second] = [await open(), await open()];
  const valueIn = async (reader: EventReader) =>
    (await reader.data())!.state.keys.map(({ entries }) => entries[0]!.value);
  assertEquals(await valueIn(first), ["1"]);
  gossiper.setState("n", 2);
  // Made at the same time: it is the document of the first page.
  assertEquals(await valueIn(second), ["1"]);
  await cluster.stop("b");
  const next = valueIn(second);
  await cluster.runtime.advance(1_000);
  assertEquals(await next, ["2"]);
  for (const reader of [first, second]) await reader.cancel();
});

Deno.test("dashboard events: follow the member to its end, and a request after it gets 204", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const show = dashboard(cluster.of("a").gossiper);
  await cluster.runUntil(() => cluster.isConfirmed());
  const open = async () => (await show(requestOf("/dashboard/events"), LOCAL))!;
  const response = await open();
  assertEquals(response.headers.get("content-type"), "text/event-stream");
  const reader = new EventReader(response);
  assertEquals((await reader.data())!.counts.alive, 2);
  const next = reader.data();
  await cluster.stop("b");
  await cluster.advance(MIN_GAP_MS);
  assertEquals((await next)!.counts.left, 1);
  await cluster.stop("a");
  assertEquals((await reader.data())!.stopped, true);
  assertEquals(await reader.next(), undefined);
  assertEquals((await open()).status, 204);
  assertEquals((await show(requestOf("/dashboard/data"), LOCAL))!.status, 200);
});

Deno.test("dashboard events: a page above the limit is refused with a reason", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const show = dashboard(cluster.of("a").gossiper);
  for (let opened = 0; opened < MAX_STREAMS; opened++) await show(requestOf("/dashboard/events"), LOCAL);
  const refused = await show(requestOf("/dashboard/events"), LOCAL);
  assertEquals(refused!.status, 503);
  assertStringIncludes(await refused!.text(), "Too many pages");
  assertEquals((await show(requestOf("/dashboard/data"), LOCAL))!.status, 200);
});

Deno.test("dashboard events: clients that are gone free their slots", async () => {
  await using site = await Site.started(["ada"]);
  const clients = await Promise.all(Array.from({ length: MAX_STREAMS }, () => openAt(site)));
  assertEquals(clients.map(({ status }) => status), Array(MAX_STREAMS).fill(200));
  assertEquals((await openAt(site)).status, 503);
  for (const { client } of clients) client.abort();
  const until = performance.now() + 10_000;
  let last = await openAt(site);
  while (last.status === 503 && performance.now() < until) last = await openAt(site);
  assertEquals(last.status, 200);
  last.client.abort();
});

/** Opens a stream by HTTP, and reads its first part. */
async function openAt({ origin }: Site) {
  const client = new AbortController();
  const response = await fetch(`${origin}/dashboard/events`, { signal: client.signal });
  if (response.status === 200) await response.body!.getReader().read();
  else await response.body?.cancel();
  return { status: response.status, client };
}
