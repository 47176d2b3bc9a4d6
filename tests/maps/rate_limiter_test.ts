// The example, on a network in memory: 20,000 clients at three members.

import { assert, assertEquals } from "../../deps/std_assert.ts";
import { RateLimiter } from "../../examples/rate_limiter.ts";
import { TestCluster } from "../requirements/harness.ts";

const CLIENTS = Array.from({ length: 20_000 }, (_, at) => `10.0.${at >> 8}.${at & 255}`);
const WINDOW_MS = 60_000;
const LIMIT = 5;

Deno.test("rate limiter: three members limit 20,000 clients together, also after one was killed, until the window ends (E16)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const limiterOf = (id: string) => {
    const { gossiper, runtime } = cluster.of(id);
    return new RateLimiter(gossiper, { limit: LIMIT, windowMs: WINDOW_MS, now: () => runtime.wallMs() });
  };
  const [a, b, c] = [limiterOf("a"), limiterOf("b"), limiterOf("c")];
  // A window begins.
  await cluster.advance(WINDOW_MS - cluster.of("a").runtime.wallMs() % WINDOW_MS);
  for (const client of CLIENTS) assert(a.allows(client) && b.allows(client) && c.allows(client));
  const all = (limiter: RateLimiter, used: number) =>
    CLIENTS.every((client) => limiter.used(client) === used);
  const tookMs = await cluster.runUntil(() => all(a, 3) && all(b, 3) && all(c, 3));
  console.log(`rate limiter: 60,000 counters were known to all members after ${tookMs} ms of virtual time`);
  cluster.crash("c");
  await cluster.runUntil(() => cluster.of("a").gossiper.members.some(({ status }) => status === "failed"));
  assert(all(a, 3), "the counters of a killed member count on");
  for (const client of CLIENTS) assert(a.allows(client));
  await cluster.runUntil(() => all(b, 4));
  for (const client of CLIENTS) assert(b.allows(client));
  assertEquals(CLIENTS.filter((client) => b.allows(client)), []);
  await cluster.runUntil(() => all(a, LIMIT));
  assertEquals(CLIENTS.filter((client) => a.allows(client)), []);
  const left = WINDOW_MS - cluster.of("a").runtime.wallMs() % WINDOW_MS;
  await cluster.advance(left);
  assert(all(a, 0) && all(b, 0), "the next window begins at 0");
  await cluster.advance(400);
  assertEquals([cluster.of("a"), cluster.of("b")].map(({ gossiper }) => gossiper.keys().length), [0, 0]);
  assert(a.allows(CLIENTS[0]!));
});
