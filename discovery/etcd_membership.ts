/**
 * Membership in etcd: each member has a key under a lease, and watches those of the others.
 *
 * @module
 */

import type { DiscoverySite, Member } from "../gossiper/cluster.ts";
import { HearsayError } from "../gossiper/errors.ts";
import { deadlineAfter, sleep } from "../gossiper/runtime.ts";
import { Compacted, EtcdClient, type EtcdOptions, type KeyChange, type KeyValue } from "./etcd_client.ts";
import { keepTrying } from "./failures.ts";
import { MemberList } from "./member_list.ts";

/** How long, in milliseconds, a member that stops waits for etcd to take its key away. */
const REVOKE_TIMEOUT_MS = 500;

/** How members are kept in etcd. */
export interface EtcdMembershipOptions {
  readonly etcd: EtcdOptions;
  /** What the keys of this cluster's members begin with; ends with `/`. */
  readonly prefix: string;
  /** This member's key and what it says. */
  readonly own: KeyValue;
  /** The member that a value says; `undefined` where it says none. */
  readonly read: (value: string) => Member | undefined;
  /** How long a key outlives its member, in milliseconds, rounded up to seconds. */
  readonly leaseTtl: number;
  /** How long a member whose key is gone still counts as one, in milliseconds. */
  readonly grace: number;
  /** How often everything is read anew, in milliseconds, whatever the watch says. */
  readonly resyncInterval: number;
}

/** This member's part in it. */
export class EtcdMembership {
  readonly #options: EtcdMembershipOptions;
  readonly #site: DiscoverySite;
  readonly #list: MemberList;
  /** By key. */
  readonly #members = new Map<string, Member>();
  /** Members whose key is gone, by key, and until when they count. */
  readonly #leaving = new Map<string, { readonly member: Member; readonly untilMs: number }>();
  /** The revision at which this member's own key was set, while it counts on that. */
  #setAt: bigint | undefined;
  /** Aborted when that key is gone though nobody ended its lease. */
  #missing = new AbortController();
  #cancelForgetting: () => void = () => {};

  /** Nothing is asked yet. */
  constructor(options: EtcdMembershipOptions, site: DiscoverySite) {
    this.#options = options;
    this.#site = site;
    this.#list = new MemberList(site);
  }

  /** Takes part until the signal is aborted. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const site = this.#site;
    using client = new EtcdClient(this.#options.etcd, site.runtime);
    const { prefix } = this.#options;
    try {
      await Promise.all([
        keepTrying(({ signal, succeeded }) => this.#register(client, { signal, succeeded }), {
          site,
          source: `etcd at ${client.where}, to register`,
          signal,
        }),
        keepTrying(({ signal, succeeded }) => this.#follow(client, { signal, succeeded }), {
          site,
          source: `etcd at ${client.where}, for ${prefix}`,
          signal,
        }),
      ]);
    } finally {
      this.#cancelForgetting();
    }
  }

  /** Registers, and keeps the lease alive until it cannot; another lease then takes its place. */
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
    const { runtime } = this.#site;
    const waking = AbortSignal.any([signal, this.#missing.signal]);
    for (;;) {
      await sleep(runtime, this.#options.leaseTtl / 3, { signal: waking });
      if (await client.keepAlive(lease, { signal })) continue;
      throw new HearsayError("refused", "The lease is over; this member registers anew.");
    }
  }

  /** So that the others need not wait for the lease to run out; where that fails, they do. */
  async #deregister(client: EtcdClient, lease: string): Promise<void> {
    using deadline = deadlineAfter(this.#site.runtime, REVOKE_TIMEOUT_MS, "Revoking the lease");
    await client.revoke(lease, { signal: deadline.signal }).catch(() => {});
  }

  /**
   * Reads all members, and then follows what changes. Whatever ends that (a closed stream, dropped history, or
   * the time for it), everything is read anew: so nothing can have been missed.
   */
  async #follow(client: EtcdClient, { signal, succeeded }: Attempt): Promise<void> {
    const { prefix, resyncInterval } = this.#options;
    const { items, revision } = await client.list(prefix, { signal });
    this.#replace(items, revision);
    succeeded();
    using enough = deadlineAfter(this.#site.runtime, resyncInterval, `Watching ${prefix}`, { signal });
    try {
      const from = revision + 1n;
      for await (const changes of client.watch(prefix, { from, signal: enough.signal })) {
        for (const { key, value, revision } of changes) this.#set({ key, value, revision });
        if (changes.length > 0) this.#publish();
      }
    } catch (error) {
      // Neither its time nor that history was dropped between reading and watching is anybody's failure.
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
      if (isMissing) this.#missing.abort(new HearsayError("refused", "This member's key is gone."));
      return;
    }
    const before = this.#members.get(key);
    const member = value === undefined ? undefined : this.#options.read(value);
    if (member) {
      this.#members.set(key, member);
      this.#leaving.delete(key);
    } else if (before) {
      this.#members.delete(key);
      const untilMs = this.#site.runtime.monotonicMs() + this.#options.grace;
      this.#leaving.set(key, { member: before, untilMs });
    }
  }

  /** Those who are there, and those who may just be about to register anew. */
  #publish(): void {
    const { runtime } = this.#site;
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
