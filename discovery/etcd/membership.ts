/**
 * Membership in etcd: this member registers a key under a lease and watches the keys of the others.
 *
 * @module
 */

import type { DiscoveryContext, Member } from "../../contracts/cluster.ts";
import { HearsayError } from "../../common/errors.ts";
import { deadlineAfter, sleep } from "../../common/runtime.ts";
import { Compacted, EtcdClient, type EtcdOptions, type KeyChange, type KeyValue } from "./client.ts";
import { retryForever } from "../failures.ts";
import { MemberList } from "../member_list.ts";

/** The longest wait, in milliseconds, for etcd to delete a stopping member's key. */
const REVOKE_TIMEOUT_MS = 500;

/** Options of {@linkcode EtcdMembership}. */
export interface EtcdMembershipOptions {
  readonly etcd: EtcdOptions;
  /** The prefix of this cluster's keys; ends with `/`. */
  readonly prefix: string;
  /** This member's key and its value. */
  readonly own: KeyValue;
  /** Reads a value; `undefined` if it is not a valid member. */
  readonly read: (value: string) => Member | undefined;
  /** The time to live of a silent member's key, in milliseconds, rounded up to seconds. */
  readonly leaseTtl: number;
  /** The time for which a member is still listed after its key is gone, in milliseconds. */
  readonly grace: number;
  /** Milliseconds between two complete reads, in addition to the watch. */
  readonly resyncInterval: number;
}

/** This member's registration and its list of the others. */
export class EtcdMembership {
  readonly #options: EtcdMembershipOptions;
  readonly #context: DiscoveryContext;
  readonly #list: MemberList;
  readonly #members = new Map<string, Member>();
  /** Members whose keys are gone, by key, and the time at which they are removed. */
  readonly #leaving = new Map<string, { readonly member: Member; readonly untilMs: number }>();
  /** The revision at which this member's key was set, while its lease is alive. */
  #setAt: bigint | undefined;
  /** Aborted when this member's key is gone although its lease was not revoked. */
  #missing = new AbortController();
  #cancelForgetting: () => void = () => {};

  constructor(options: EtcdMembershipOptions, context: DiscoveryContext) {
    this.#options = options;
    this.#context = context;
    this.#list = new MemberList(context);
  }

  /** Registers and watches until the signal is aborted. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const context = this.#context;
    using client = new EtcdClient(this.#options.etcd, context.runtime);
    const { prefix } = this.#options;
    try {
      await Promise.all([
        retryForever(({ signal, succeeded }) => this.#register(client, { signal, succeeded }), {
          context,
          source: `etcd at ${client.where}: registration`,
          signal,
        }),
        retryForever(({ signal, succeeded }) => this.#follow(client, { signal, succeeded }), {
          context,
          source: `etcd at ${client.where}: watch of ${prefix}`,
          signal,
        }),
      ]);
    } finally {
      this.#cancelForgetting();
    }
  }

  /** Registers and renews the lease until it expires. The next attempt registers with a new lease. */
  async #register(client: EtcdClient, { signal, succeeded }: Attempt): Promise<void> {
    const { own, leaseTtl } = this.#options;
    this.#missing = new AbortController();
    const lease = await client.grant(Math.ceil(leaseTtl / 1_000), { signal });
    try {
      this.#setAt = await client.put(own, { lease, signal });
      succeeded();
      await this.#keepAlive(client, { lease, signal });
    } finally {
      this.#setAt = undefined;
      if (signal.aborted) await this.#deregister(client, lease);
    }
  }

  async #keepAlive(
    client: EtcdClient,
    { lease, signal }: { readonly lease: string; readonly signal: AbortSignal },
  ): Promise<void> {
    const { runtime } = this.#context;
    const waking = AbortSignal.any([signal, this.#missing.signal]);
    for (;;) {
      await sleep(runtime, this.#options.leaseTtl / 3, { signal: waking });
      if (await client.keepAlive(lease, { signal })) continue;
      throw new HearsayError("refused", "The lease has expired. This member registers again.");
    }
  }

  /** Revokes the lease, so that other members do not wait for its expiry. If that fails, it expires. */
  async #deregister(client: EtcdClient, lease: string): Promise<void> {
    using deadline = deadlineAfter(this.#context.runtime, REVOKE_TIMEOUT_MS, "Revoking the lease");
    await client.revoke(lease, { signal: deadline.signal }).catch(() => {});
  }

  /**
   * Lists all members and watches for changes. Ends after a closed stream, dropped history, or
   * `resyncInterval`; the next attempt lists all members again, so no change is lost.
   */
  async #follow(client: EtcdClient, { signal, succeeded }: Attempt): Promise<void> {
    const { prefix, resyncInterval } = this.#options;
    const { items, revision } = await client.list(prefix, { signal });
    this.#replace(items, revision);
    succeeded();
    using enough = deadlineAfter(this.#context.runtime, resyncInterval, `Watching ${prefix}`, { signal });
    try {
      const from = revision + 1n;
      for await (const changes of client.watch(prefix, { from, signal: enough.signal })) {
        for (const { key, value, revision } of changes) this.#set({ key, value, revision });
        if (changes.length > 0) this.#publish();
      }
    } catch (error) {
      // Neither the end of the interval nor a compaction between list and watch is a failure.
      if (!enough.signal.aborted && !(error instanceof Compacted)) throw error;
    }
  }

  #replace(items: readonly KeyValue[], revision: bigint): void {
    const listed = new Set(items.map(({ key }) => key));
    for (const key of [...this.#members.keys(), this.#options.own.key]) {
      if (!listed.has(key)) this.#set({ key, value: undefined, revision });
    }
    for (const { key, value } of items) this.#set({ key, value, revision });
    this.#publish();
  }

  #set({ key, value, revision }: KeyChange): void {
    if (key === this.#options.own.key) {
      const isMissing = value === undefined && this.#setAt !== undefined && revision >= this.#setAt;
      if (isMissing) this.#missing.abort(new HearsayError("refused", "This member's key was deleted."));
      return;
    }
    const before = this.#members.get(key);
    const member = value === undefined ? undefined : this.#options.read(value);
    if (member) {
      this.#members.set(key, member);
      this.#leaving.delete(key);
    } else if (before) {
      this.#members.delete(key);
      const untilMs = this.#context.runtime.monotonicMs() + this.#options.grace;
      this.#leaving.set(key, { member: before, untilMs });
    }
  }

  /** Publishes the registered members, and the members that may still register again. */
  #publish(): void {
    const { runtime } = this.#context;
    this.#cancelForgetting();
    const nowMs = runtime.monotonicMs();
    for (const [key, { untilMs }] of this.#leaving) if (untilMs <= nowMs) this.#leaving.delete(key);
    const leaving = [...this.#leaving.values()];
    this.#list.publish([...leaving.map(({ member }) => member), ...this.#members.values()]);
    if (leaving.length === 0) return;
    const nextMs = Math.min(...leaving.map(({ untilMs }) => untilMs));
    this.#cancelForgetting = runtime.setTimer(nextMs - nowMs, () => this.#publish());
  }
}

interface Attempt {
  readonly signal: AbortSignal;
  readonly succeeded: () => void;
}
