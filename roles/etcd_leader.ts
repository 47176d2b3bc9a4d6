/**
 * A leader by etcd, with a token that fences off earlier leaders: `@hearsay/gossip/etcd-leader`. For work that two leaders
 * must never do at once.
 *
 * @module
 */

import { jitteredDelay } from "../common/backoff.ts";
import { ConflatingQueue } from "../common/conflating_queue.ts";
import { HearsayError } from "../common/errors.ts";
import { assertDeno } from "../common/needs_deno.ts";
import { deadlineAfter, realRuntime, type Runtime, sleep } from "../common/runtime.ts";
import { ETCD_RULES, EtcdClient, type EtcdOptions, type OwnedKey } from "../discovery/etcd/client.ts";
import type { WaitOptions } from "../gossiper/contract.ts";
import { assertNone, assertOptions, integer, optionsOf, RUNTIME, SIGNAL, TEXT } from "../options/rules.ts";
import { Lease } from "./etcd_lease.ts";

export type { EtcdOptions } from "../discovery/etcd/client.ts";

/** Options of {@linkcode etcdLeader}. */
export interface EtcdLeaderOptions extends EtcdOptions {
  /** The name of the role, for example `orders/mailer`. All candidates must give the same name. */
  readonly name: string;
  /** The name of this candidate: the id of the member, for example. */
  readonly id: string;
  /**
   * The time to live of a silent leader's lease, in milliseconds, from 2,000 to 86,400,000; 10,000 by default, rounded up
   * to seconds. Lower: a dead leader is replaced sooner. Higher: longer failures of etcd are survived.
   */
  readonly ttl?: number;
  /** The prefix of all keys; `/hearsay` by default. */
  readonly prefix?: string;
  /** Steps down when aborted, like {@linkcode EtcdLeader.stop}. */
  readonly signal?: AbortSignal;
  /** Clocks and timers; the real ones by default. */
  readonly runtime?: Runtime;
}

/** The leader as this candidate knows it. */
export type EtcdLeaderAnswer =
  | {
    /** The type of the answer. */
    readonly state: "unknown";
    /**
     * `starting`: etcd has not answered yet. `unreachable`: etcd does not answer in time, or refuses. `deleted`: the
     * key of the leader is gone, and the next leader is not known yet. `ended`: this candidate stopped.
     */
    readonly reason: "starting" | "unreachable" | "deleted" | "ended";
    /** The last failure, with `unreachable`. */
    readonly error?: HearsayError;
  }
  | {
    /** The type of the answer. */
    readonly state: "known";
    /** The id of the leader. */
    readonly leader: string;
    /** The fencing token: the revision of etcd at which the leader was chosen. Each later leader has a higher token. */
    readonly token: bigint;
    /** True if this candidate leads. */
    readonly isSelf: boolean;
    /** Aborted when the leadership may have ended; only with `isSelf`. Pass it to the work of the leader. */
    readonly signal?: AbortSignal;
  };

/** A candidate at etcd. */
export interface EtcdLeader extends AsyncDisposable {
  /** The answer at this moment. Read it again after each wait. */
  readonly current: EtcdLeaderAnswer;
  /** Emits the present answer, then each new answer. Ends after the last answer, `unknown` with `ended`. */
  watch(options?: WaitOptions): ReadableStream<EtcdLeaderAnswer>;
  /** Steps down at once, then deletes the key at etcd; waits at most half a second for that. May be called again. */
  stop(): Promise<void>;
}

const OPTIONS = optionsOf<EtcdLeaderOptions>({
  ...ETCD_RULES,
  name: TEXT,
  id: TEXT,
  ttl: integer({ least: 2_000, most: 86_400_000, unit: "milliseconds" }),
  prefix: TEXT,
  signal: SIGNAL,
  runtime: RUNTIME,
}, ["name", "id"]);

/** The waits after failures, in milliseconds: from half a second to five. */
const RETRY = { base: 500, cap: 5_000 };

/**
 * Becomes a candidate for a role at etcd (3.4 or later, by its HTTP/JSON gateway). The leader holds the key
 * `<prefix>/leaders/<name>/leader` under a lease. After nine tenths of `ttl` without a renewal, the leader steps down
 * by its own clocks. Only later can etcd give the key to another candidate.
 *
 * Work that is under way at that moment still goes on. Send the `token` with each write, and let the store refuse a token
 * below the highest that it has seen.
 *
 * @throws {ConfigurationError} if an option is invalid.
 *
 * @example
 * ```ts
 * import { etcdLeader } from "@hearsay/gossip/etcd-leader";
 *
 * await using role = etcdLeader({ name: "orders/mailer", id: "ada", endpoints: ["http://127.0.0.1:2379"] });
 * console.assert(role.current.state === "unknown");
 * ```
 */
export function etcdLeader(options: EtcdLeaderOptions): EtcdLeader {
  assertNone(OPTIONS("etcdLeader", options));
  assertDeno("etcdLeader", "use a client of etcd");
  return new Candidacy(options);
}

class Candidacy implements EtcdLeader {
  readonly #options: EtcdLeaderOptions;
  readonly #runtime: Runtime;
  /** Ends with a slash: the keys with a prefix are watched. */
  readonly #folder: string;
  readonly #stopping = new AbortController();
  readonly #watches = new Set<ConflatingQueue<EtcdLeaderAnswer>>();
  readonly #running: Promise<void>;
  #current: EtcdLeaderAnswer = { state: "unknown", reason: "starting" };
  #lease: Lease | undefined;
  /** The time at which etcd last named the leader, or granted the lease. */
  #answeredMs = 0;
  /** Aborted at the end of this candidate's present leadership. */
  #term = new AbortController();

  constructor(options: EtcdLeaderOptions) {
    this.#options = options;
    this.#runtime = options.runtime ?? realRuntime;
    const { prefix = "/hearsay", name, signal } = options;
    this.#folder = `${prefix}/leaders/${encodeURIComponent(name)}/`;
    signal?.addEventListener("abort", () => this.#end(), { once: true, signal: this.#stopping.signal });
    if (signal?.aborted) this.#end();
    this.#running = this.#run();
  }

  get current(): EtcdLeaderAnswer {
    // After a standstill of the process, the timer that ends the leadership may be late.
    const isOver = this.#current.state === "known" && !this.#lease?.isValid;
    return isOver ? { state: "unknown", reason: "unreachable" } : this.#current;
  }

  watch(options: WaitOptions = {}): ReadableStream<EtcdLeaderAnswer> {
    assertOptions<WaitOptions>(options, { signal: SIGNAL });
    const queue = new ConflatingQueue<EtcdLeaderAnswer>({
      keyOf: () => "",
      onEnd: (ended) => void this.#watches.delete(ended),
      signal: options.signal,
    });
    queue.push(this.current);
    if (this.#stopping.signal.aborted) queue.finish();
    else if (!options.signal?.aborted) this.#watches.add(queue);
    return queue.readable;
  }

  async stop(): Promise<void> {
    this.#end();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #end(): void {
    if (this.#stopping.signal.aborted) return;
    const reason = new HearsayError("stopped", "This candidate has stopped.");
    this.#set({ state: "unknown", reason: "ended" }, reason);
    this.#lease?.end(reason);
    this.#stopping.abort(reason);
    for (const watch of [...this.#watches]) watch.finish();
  }

  /** A new answer ends the former leadership: its signal is aborted with the reason. */
  #set(answer: EtcdLeaderAnswer, reason?: HearsayError): void {
    if (this.#stopping.signal.aborted) return;
    this.#current = Object.freeze(answer);
    this.#term.abort(reason ?? new HearsayError("refused", "Another candidate leads."));
    this.#term = new AbortController();
    for (const watch of this.#watches) watch.push(this.#current);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    // A renewal that hangs must leave time for two more.
    const requestTimeout = Math.min(this.#options.requestTimeout ?? 2_000, Math.floor(this.#ttlMs / 3));
    using client = new EtcdClient({ ...this.#options, requestTimeout }, this.#runtime);
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.#campaign(client, { succeeded: () => failures = 0 });
      } catch (error) {
        if (signal.aborted) return;
        const fault = errorOf(error);
        this.#set({ state: "unknown", reason: "unreachable", error: fault }, fault);
        await this.#pause(++failures, signal);
      }
    }
  }

  /** Takes part under one lease, until it ends. */
  async #campaign(client: EtcdClient, { succeeded }: { readonly succeeded: () => void }): Promise<void> {
    const { signal } = this.#stopping;
    const lease = await Lease.granted(client, {
      ttlSeconds: this.#ttlMs / 1_000,
      runtime: this.#runtime,
      signal,
    });
    const following = AbortSignal.any([signal, lease.ended]);
    try {
      this.#lease = lease;
      lease.ended.addEventListener("abort", () => this.#onLeaseEnded(lease), { once: true });
      void lease.renew({ signal });
      this.#answeredMs = this.#runtime.monotonicMs();
      for (let failures = 0;;) {
        const beforeMs = this.#answeredMs;
        try {
          await this.#follow(client, { lease, signal: following });
          failures = 0;
          succeeded();
        } catch (error) {
          following.throwIfAborted();
          this.#onFailure(errorOf(error), lease);
          failures = this.#answeredMs === beforeMs ? failures + 1 : 1;
          await this.#pause(failures, following);
        }
        following.throwIfAborted();
      }
    } finally {
      await lease.revoke();
    }
  }

  /** Becomes leader or learns of the present one, and waits until its key is gone. */
  async #follow(client: EtcdClient, { lease, signal }: {
    readonly lease: Lease;
    readonly signal: AbortSignal;
  }): Promise<void> {
    const own = { key: `${this.#folder}leader`, value: this.#options.id };
    const held = await client.createOrRead(own, { lease: lease.id, signal });
    signal.throwIfAborted();
    this.#answeredMs = this.#runtime.monotonicMs();
    this.#learn(held, lease);
    if (!await this.#isGone(client, { from: held.revision + 1n, signal })) return;
    const fault = new HearsayError("refused", "The leader's key was deleted at etcd.");
    this.#set({ state: "unknown", reason: "deleted" }, fault);
  }

  /**
   * After a short failure the leader, and the known answer, stay. But etcd may renew the lease and still refuse the
   * key, for example without a permission. Then the lease ends here: otherwise the answer would stay forever, and no
   * other candidate could lead.
   */
  #onFailure(error: HearsayError, lease: Lease): void {
    const { current } = this;
    // Up to two times to live are normal, because a watch may last for one before the next request.
    if (this.#runtime.monotonicMs() - this.#answeredMs > 2 * this.#ttlMs) return lease.end(error);
    if (current.state === "known" || current.error?.message === error.message) return;
    this.#set({ state: "unknown", reason: "unreachable", error }, error);
  }

  async #pause(failures: number, signal: AbortSignal): Promise<void> {
    // mutant replace-value 1: a sixth serves as well.
    const waitMs = RETRY.base / 5 + jitteredDelay(failures, { ...RETRY, random: this.#runtime.random() });
    await sleep(this.#runtime, waitMs, { signal }).catch(() => {});
  }

  get #ttlMs(): number {
    return 1_000 * Math.ceil((this.#options.ttl ?? 10_000) / 1_000);
  }

  #onLeaseEnded(lease: Lease): void {
    if (this.#lease !== lease || this.#current.state === "unknown") return;
    const error = errorOf(lease.ended.reason);
    this.#set({ state: "unknown", reason: "unreachable", error }, error);
  }

  #learn(held: OwnedKey, lease: Lease): void {
    const isSelf = held.lease === lease.id;
    const { current } = this;
    if (current.state === "known" && current.token === held.created && current.isSelf === isSelf) return;
    const answer = { state: "known", leader: held.value, token: held.created, isSelf } as const;
    if (!isSelf) return this.#set(answer);
    const term = new AbortController();
    this.#set({ ...answer, signal: term.signal });
    this.#term = term;
  }

  /** Resolves to true when the key is gone, and to false after one time to live: a watch may hang. */
  async #isGone(client: EtcdClient, { from, signal }: {
    readonly from: bigint;
    readonly signal: AbortSignal;
  }): Promise<boolean> {
    using enough = deadlineAfter(this.#runtime, this.#ttlMs, "Watching the leader", { signal });
    try {
      for await (const changes of client.watch(this.#folder, { from, signal: enough.signal })) {
        if (changes.some(({ value }) => value === undefined)) return true;
      }
      // A proxy may end each watch at once.
      await this.#pause(1, enough.signal);
    } catch (error) {
      if (!enough.signal.aborted || signal.aborted) throw error;
    }
    return false;
  }
}

function errorOf(error: unknown): HearsayError {
  if (error instanceof HearsayError) return error;
  return new HearsayError("connection", `etcd failed: ${String(error)}`, { cause: error });
}
