/**
 * The members that a discovery found by handshakes and by gossip.
 *
 * @module
 */

import { GRACEFULLY_LEFT_KEY, MEMBER_KEY } from "../engine/types.ts";
import { canonicalAddress } from "../common/canonical_address.ts";
import type { DiscoveryContext, Member } from "../contracts/cluster.ts";
import { isSameMember, MemberList } from "./member_list.ts";
import { readMember } from "./member_record.ts";

/**
 * The most list entries that are published per millisecond. 10: a list of 10 members at most once in a millisecond, a
 * list of 1,000 once in 100 ms. A list costs time in proportion to its length, and each new record of a peer causes a
 * list. Higher: a peer that changes its record with every message occupies a large cluster. Lower: in a large cluster
 * that starts, members are known later.
 */
const PUBLISHED_PER_MS = 10;
/** The longest pause, in milliseconds, between two lists. */
const MAX_PAUSE_MS = 100;

/** The records of all members that did not leave. Publishes a topology after each change. */
export class LearnedMembers {
  readonly #context: DiscoveryContext;
  readonly #onPublished: () => void;
  readonly #list: MemberList;
  /** Records from handshakes. */
  readonly #fromHandshakes = new Map<string, Member>();
  /** Records from gossip; they replace records from handshakes. */
  readonly #fromGossip = new Map<string, Member>();
  readonly #left = new Set<string>();
  /** The id of each member by its canonical address. */
  #idAt: ReadonlyMap<string, string> = new Map();
  /** The canonical address of each record. Stored, because a computation must parse a URL. */
  readonly #addresses = new WeakMap<Member, string>();
  #cancelPublishing: (() => void) | undefined;
  /** The earliest time for the next list, by the monotonic clock. */
  #publishNextMs = -Infinity;

  /** `onPublished` is called after each list. */
  constructor(context: DiscoveryContext, options: { readonly onPublished: () => void }) {
    this.#context = context;
    this.#onPublished = options.onPublished;
    this.#list = new MemberList(context);
  }

  /** Publishes the first list, and a list after each change, until the signal is aborted. */
  async follow({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.#publish();
    try {
      await Promise.all([
        this.#followHandshakes(),
        this.#followRecords(),
        this.#followDepartures(),
        this.#followForgotten(signal),
      ]);
    } finally {
      this.#cancelPublishing?.();
    }
  }

  /** The record of a member, even if it left. */
  recordOf(id: string): Member | undefined {
    return this.#fromGossip.get(id) ?? this.#fromHandshakes.get(id);
  }

  /** The id of the member whose own record has this address. */
  idAt(address: string): string | undefined {
    return this.#idAt.get(canonicalAddress(address));
  }

  /** The canonical address of a record. */
  canonicalAddressOf(member: Member): string {
    let address = this.#addresses.get(member);
    if (address === undefined) {
      this.#addresses.set(member, address = canonicalAddress(this.#context.addressOf(member)));
    }
    return address;
  }

  /** After a handshake a member runs again, even if its earlier incarnation had left. */
  async #followHandshakes(): Promise<void> {
    for await (const member of this.#context.metPeers) {
      const known = this.#fromHandshakes.get(member.id);
      if (known && isSameMember(known, member) && !this.#left.has(member.id)) continue;
      this.#fromHandshakes.set(member.id, member);
      this.#left.delete(member.id);
      this.#publishSoon();
    }
  }

  async #followRecords(): Promise<void> {
    for await (const { memberId, value, deleted } of this.#context.watch(MEMBER_KEY)) {
      const record = deleted ? undefined : readMember(value);
      const known = this.#fromGossip.get(memberId);
      if (known && record && isSameMember(known, record)) continue;
      // A member may publish only its own record.
      if (record?.id === memberId) this.#fromGossip.set(memberId, record);
      else this.#fromGossip.delete(memberId);
      this.#publishSoon();
    }
  }

  async #followDepartures(): Promise<void> {
    for await (const { memberId, deleted } of this.#context.watch(GRACEFULLY_LEFT_KEY)) {
      if (deleted) this.#left.delete(memberId);
      else this.#left.add(memberId);
      this.#publishSoon();
    }
  }

  async #followForgotten(signal: AbortSignal): Promise<void> {
    for await (const { memberId } of this.#context.eventStream.subscribe("MemberForgotten", { signal })) {
      this.#fromHandshakes.delete(memberId);
      this.#fromGossip.delete(memberId);
      this.#left.delete(memberId);
      this.#publishSoon();
    }
  }

  /** Publishes only once for all changes at one moment, because the first gossip may bring a thousand members. */
  #publishSoon(): void {
    const { runtime } = this.#context;
    const delayMs = Math.max(0, this.#publishNextMs - runtime.monotonicMs());
    this.#cancelPublishing ??= runtime.setTimer(delayMs, () => {
      this.#cancelPublishing = undefined;
      this.#publish();
    });
  }

  #publish(): void {
    const byId = new Map([...this.#fromHandshakes, ...this.#fromGossip]);
    for (const id of this.#left) byId.delete(id);
    const members = [...byId.values()];
    const pauseMs = Math.min(MAX_PAUSE_MS, Math.floor(members.length / PUBLISHED_PER_MS));
    this.#publishNextMs = this.#context.runtime.monotonicMs() + pauseMs;
    this.#idAt = new Map(members.map((member) => [this.canonicalAddressOf(member), member.id]));
    this.#list.publish(members);
    this.#onPublished();
  }
}
