/**
 * What a source of members is given, without a gossiper: for tests of what it publishes.
 *
 * @module
 */

import type { Discovery, DiscoverySite, Member } from "../../../gossiper/cluster.ts";
import { EventStream, type HearsayEvent } from "../../../gossiper/event_stream.ts";
import { HearsayError } from "../../../gossiper/errors.ts";
import { realRuntime, type Runtime } from "../../../gossiper/runtime.ts";

/** How long, in milliseconds, anything may take before a test fails. */
const BOUND_MS = 10_000;

/** A member record at some place. */
export function memberOf(id: string, port = 7001): Member {
  return { id, host: "127.0.0.1", port, kinds: ["worker"] };
}

/** A site whose source runs from the start, and stops when this is disposed of. */
export class TestSite implements DiscoverySite, AsyncDisposable {
  readonly cluster: string;
  readonly self: Member;
  readonly runtime: Runtime;
  readonly eventStream = new EventStream({ capacity: 10_000 });
  readonly greeted: ReadableStream<Member>;
  readonly blockedProbeInterval = 100;
  /** The addresses that were greeted, in order. */
  readonly greetings: string[] = [];
  /** Everything that was published, in order. */
  readonly events: HearsayEvent[] = [];
  readonly #ending = new AbortController();
  #greeting!: ReadableStreamDefaultController<Member>;
  readonly #running: Promise<void>;
  readonly #collecting: Promise<void>;
  #changed = Promise.withResolvers<void>();

  /** Runs a source for a member. */
  constructor(
    discovery: Discovery,
    options: { readonly self: Member; readonly cluster?: string; readonly runtime?: Runtime },
  ) {
    this.self = options.self;
    this.cluster = options.cluster ?? "test";
    this.runtime = options.runtime ?? realRuntime;
    const { signal } = this.#ending;
    this.greeted = new ReadableStream({
      start: (controller) => {
        this.#greeting = controller;
        signal.addEventListener("abort", () => controller.close(), { once: true });
      },
    });
    this.#collecting = this.#collect();
    this.#running = discovery.run(this, { signal: this.#ending.signal });
  }

  activeIds(): ReadonlySet<string> {
    return new Set(this.ids);
  }

  addressOf({ host, port }: Member): string {
    return `ws://${host}:${port}`;
  }

  greet(address: string): Promise<Member> {
    this.greetings.push(address);
    return Promise.reject(new HearsayError("connection", `Nobody is greeted here: ${address}`));
  }

  watch(): ReadableStream<never> {
    return ended(this.#ending.signal);
  }

  reportSeeds(): void {}

  retryDelay(failures: number): number {
    return Math.min(20 * failures, 100);
  }

  /** The members as they were last published; none before that. */
  get members(): readonly Member[] {
    for (const event of this.events.toReversed()) if (event.type === "ClusterTopology") return event.members;
    return [];
  }

  /** Their ids. */
  get ids(): readonly string[] {
    return this.members.map(({ id }) => id);
  }

  /** What was told of failures: the sources' names, in order. */
  get failures(): readonly string[] {
    return this.events.flatMap((event) => event.type === "DiscoveryFailed" ? [event.source] : []);
  }

  /** Resolves when the condition holds: looked at with every event, and from time to time for what is none. */
  async until(condition: () => boolean, { withinMs = BOUND_MS } = {}): Promise<void> {
    const lateAt = performance.now() + withinMs;
    while (!condition()) {
      if (performance.now() > lateAt) throw new Error(`Not within ${withinMs} ms: ${condition}`);
      const tick = Promise.withResolvers<void>();
      const timer = setTimeout(tick.resolve, 20);
      await Promise.race([this.#changed.promise, tick.promise]);
      clearTimeout(timer);
    }
  }

  /** Resolves when just these are members. */
  untilIds(...ids: readonly string[]): Promise<void> {
    return this.until(() => this.ids.join() === ids.join());
  }

  /** Resolves when each of these addresses was greeted again and again, and no other meanwhile. */
  async untilGreeted(...addresses: readonly string[]): Promise<void> {
    let from = this.greetings.length;
    await this.until(() => {
      const since = this.greetings.slice(from);
      if (since.some((address) => !addresses.includes(address))) from = this.greetings.length;
      return addresses.every((wanted) => since.filter((address) => address === wanted).length > 3) &&
        since.every((address) => addresses.includes(address));
    });
  }

  /** Somebody was greeted, or greeted this member. */
  meet(member: Member): void {
    this.#greeting.enqueue(member);
  }

  /** Stops the source. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.eventStream.close();
    await this.#collecting;
  }

  async #collect(): Promise<void> {
    for await (const event of this.eventStream.subscribe()) {
      this.events.push(event);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }
}

/** A stream that brings nothing until the signal ends it. */
function ended(signal: AbortSignal): ReadableStream<never> {
  return new ReadableStream({
    start: (controller) => signal.addEventListener("abort", () => controller.close(), { once: true }),
  });
}

/** A port on loopback at which nobody listens now. */
export function freePort(): number {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr as Deno.NetAddr;
  probe.close();
  return port;
}
