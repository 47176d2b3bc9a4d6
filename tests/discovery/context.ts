/**
 * The environment of a source without a gossiper, for tests of its topologies.
 *
 * @module
 */

import type { Discovery, DiscoveryContext, Member } from "../../contracts/cluster.ts";
import { EventStream, type HearsayEvent } from "../../contracts/event_stream.ts";
import { HearsayError } from "../../common/errors.ts";
import { realRuntime, type Runtime } from "../../common/runtime.ts";

/** The longest time of any step before a test fails, in milliseconds. */
const BOUND_MS = 10_000;

/** A member record at some address. */
export function memberOf(id: string, port = 7001): Member {
  return { id, host: "127.0.0.1", port, kinds: ["worker"] };
}

/** A context with a source that runs until this is disposed of. */
export class TestContext implements DiscoveryContext, AsyncDisposable {
  readonly cluster: string;
  readonly self: Member;
  readonly runtime: Runtime;
  readonly eventStream = new EventStream({ capacity: 10_000 });
  readonly metPeers: ReadableStream<Member>;
  readonly blockedProbeInterval = 100;
  /** The addresses of all handshakes, in order. */
  readonly greetings: string[] = [];
  /** All published events, in order. */
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
    this.metPeers = new ReadableStream({
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

  handshake(address: string): Promise<Member> {
    this.greetings.push(address);
    return Promise.reject(new HearsayError("connection", `No handshake is possible here: ${address}`));
  }

  watch(): ReadableStream<never> {
    return ended(this.#ending.signal);
  }

  reportSeeds(): void {}

  retryDelay(failures: number): number {
    return Math.min(20 * failures, 100);
  }

  /** The members as last published; none before. */
  get members(): readonly Member[] {
    for (const event of this.events.toReversed()) if (event.type === "ClusterTopology") return event.members;
    return [];
  }

  get ids(): readonly string[] {
    return this.members.map(({ id }) => id);
  }

  /** The names of the sources of all failures, in order. */
  get failures(): readonly string[] {
    return this.events.flatMap((event) => event.type === "DiscoveryFailed" ? [event.source] : []);
  }

  /**
   * Resolves when the condition holds. It is checked at every event, and at intervals for changes without
   * one.
   */
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

  /** Resolves when exactly these are members. */
  untilIds(...ids: readonly string[]): Promise<void> {
    return this.until(() => this.ids.join() === ids.join());
  }

  /** Resolves when each of these addresses was dialed repeatedly, and no other meanwhile. */
  async untilGreeted(...addresses: readonly string[]): Promise<void> {
    let from = this.greetings.length;
    await this.until(() => {
      const since = this.greetings.slice(from);
      if (since.some((address) => !addresses.includes(address))) from = this.greetings.length;
      return addresses.every((wanted) => since.filter((address) => address === wanted).length > 3) &&
        since.every((address) => addresses.includes(address));
    });
  }

  /** Reports a handshake with a member, in either direction. */
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

/** A stream without items until the signal ends it. */
function ended(signal: AbortSignal): ReadableStream<never> {
  return new ReadableStream({
    start: (controller) => signal.addEventListener("abort", () => controller.close(), { once: true }),
  });
}
