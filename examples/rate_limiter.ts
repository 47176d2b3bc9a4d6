/**
 * A rate limiter: each client may send five requests in ten seconds, to all members together. Start it in three terminals:
 *
 * ```sh
 * deno task rate_limiter --port 7001
 * deno task rate_limiter --port 7002 --seed ws://127.0.0.1:7001
 * deno task rate_limiter --port 7003 --seed ws://127.0.0.1:7001
 * ```
 *
 * `curl -i http://127.0.0.1:7001/ada` answers 200, and 429 from the sixth time on, at whichever port. A member that is
 * killed takes nothing along: the others count its requests until their window ends.
 *
 * @module
 */

import { type MapNode, mapOf, type StateMap } from "../maps/mod.ts";
import { join, leaveOnSignals, type Node, serve } from "../mod.ts";
import { operations } from "../operations/mod.ts";
import { readFlags } from "./flags.ts";

/** Options of a {@linkcode RateLimiter}. */
export interface RateLimiterOptions {
  /** The most requests of one client in one window, at all members together. */
  readonly limit: number;
  /** The length of a window, in milliseconds. */
  readonly windowMs: number;
  /** The wall clock, in milliseconds. */
  readonly now?: () => number;
}

/** Limits the requests of clients at all members together. Each member has a counter of its own for each client. */
export class RateLimiter {
  readonly #counts: StateMap<number>;
  readonly #options: Required<RateLimiterOptions>;

  /** Makes the limiter of a member. All members must have the same options. */
  constructor(node: MapNode, options: RateLimiterOptions) {
    this.#counts = mapOf(node, "requests");
    this.#options = { now: Date.now, ...options };
  }

  /** Counts a request, unless the client has sent too many; returns true if it may pass. */
  allows(client: string): boolean {
    const { limit, windowMs, now } = this.#options;
    const key = this.#keyOf(client);
    if (this.#counts.sum(key) >= limit) return false;
    // The counter ends with its window, also at the others, if this member is gone by then.
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1, { expiresAfter: windowMs - now() % windowMs });
    return true;
  }

  /** The requests of a client that passed in this window, at all members. */
  used(client: string): number {
    return this.#counts.sum(this.#keyOf(client));
  }

  /** A counter belongs to one window, because a value is read up to one `gossipInterval` too long. */
  #keyOf(client: string): string {
    const { windowMs, now } = this.#options;
    return `${Math.floor(now() / windowMs)} ${client}`;
  }
}

if (import.meta.main) await main();

async function main(): Promise<void> {
  const flags = readFlags({
    usage: `
Answers each client five times in a window, together with the other members.

  --seconds <number>   the length of a window, the same at all members (default: 10)
  --port <number>      the port to listen on (default: a free one)
  --seed <address>     the address of another member; may be repeated
  --help               this text
`,
    once: ["port", "seconds"],
    many: ["seed"],
  });
  const ready = Promise.withResolvers<readonly [Node, Promise<RateLimiter>]>();
  const server = serve({ hostname: "127.0.0.1", port: flags.port() ?? 0 }, async (request, info) => {
    const [node, limiter] = await ready.promise;
    return await node.handler(request, info) ?? answer(request, await limiter);
  });
  const advertise = { host: "127.0.0.1", port: server.addr.port };
  const node = await join({ cluster: "limiter", advertise, seeds: flags.seeds() });
  const seconds = flags.wholeNumber("seconds", { least: 1, most: 100_000_000 }) ?? 10;
  const limiter = new RateLimiter(node, { limit: 5, windowMs: 1_000 * seconds });
  // A new member lacks the counts of the others: without the wait each restart lets a client pass five times more.
  const counted = operations(node).whenReady().catch(() => {}); // rejects if the member leaves
  ready.resolve([node, counted.then(() => limiter)]);
  leaveOnSignals(node);
  console.log(`http://127.0.0.1:${server.addr.port}/<client> counts. Seed of others: ${node.address}`);
}

function answer(request: Request, limiter: RateLimiter): Response {
  const client = new URL(request.url).pathname.slice(1);
  const isAllowed = limiter.allows(client);
  return Response.json({ client, used: limiter.used(client) }, { status: isAllowed ? 200 : 429 });
}
