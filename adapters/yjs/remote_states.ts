/**
 * Applies the awareness states of other members, and removes those of members that are gone.
 *
 * @module
 */

import type { GossipUpdate } from "../../engine/events.ts";
import type { MemberView } from "../../gossiper/contract.ts";
import { isAlive } from "../../gossiper/member_status.ts";
import type { AwarenessChange, AwarenessLike, AwarenessProtocol } from "./awareness.ts";
import { type AwarenessEntry, entryOf, updateOf } from "./awareness_entry.ts";
import type { SharedParts } from "./local_state.ts";

/**
 * The time between two renewals of the states of living members, in milliseconds. 10 s: Yjs removes a state after 30.
 */
const RENEWAL_MS = 10_000;

/** The states of other members. */
export class RemoteStates<A extends AwarenessLike> {
  readonly #parts: SharedParts<A> & { readonly protocol: AwarenessProtocol<A> };
  readonly #ending = new AbortController();
  /** The entry of each other member, alive or not. */
  readonly #entries = new Map<string, AwarenessEntry>();
  readonly #alive = new Set<string>();
  /** The members whose present value cannot be read. */
  readonly #unreadable = new Set<string>();
  /** The member of each client with a state. */
  readonly #owners = new Map<number, string>();
  /** By client: the clock of the state that was shown last, until it is forgotten in Yjs. */
  readonly #clocks = new Map<number, number>();
  /** The clients that were removed, with the time by the monotonic clock. */
  readonly #removedMs = new Map<number, number>();
  #cancel: () => void = () => {};
  readonly #onChange = ({ removed }: AwarenessChange, origin: unknown) => {
    // A process that was suspended finds the states too old before it renews them.
    if (origin === "timeout") queueMicrotask(() => this.#restore(removed));
  };

  constructor(parts: SharedParts<A> & { readonly protocol: AwarenessProtocol<A> }) {
    this.#parts = parts;
    const { node, key, awareness } = parts;
    const { signal } = this.#ending;
    awareness.on("change", this.#onChange);
    void this.#follow(node.watchMembers({ signal }), (view) => this.#takeMember(view));
    void this.#follow(node.watch(key, { signal }), (update) => this.#takeUpdate(update));
    this.#renewLater();
  }

  /** The member that has a client's state. */
  memberOf(clientId: number): string | undefined {
    return this.#owners.get(clientId);
  }

  /** Removes all states. */
  stop(): void {
    this.#ending.abort();
    this.#cancel();
    this.#parts.awareness.off("change", this.#onChange);
    this.#remove([...this.#owners.keys()]);
  }

  async #follow<T>(items: ReadableStream<T>, take: (item: T) => void): Promise<void> {
    for await (const item of items) {
      if (this.#ending.signal.aborted) return;
      take(item);
    }
  }

  #takeMember({ id, status, isSelf }: MemberView): void {
    if (isSelf) return;
    if (isAlive({ status })) this.#alive.add(id);
    else this.#alive.delete(id);
    this.#reconcile(id);
  }

  #takeUpdate({ memberId, value, deleted }: GossipUpdate): void {
    const { node, maxBytes, onError } = this.#parts;
    if (memberId === node.id) return;
    this.#entries.delete(memberId);
    try {
      if (!deleted) this.#entries.set(memberId, entryOf(value, { maxBytes }));
      this.#unreadable.delete(memberId);
    } catch (error) {
      if (!this.#unreadable.has(memberId)) onError(error);
      this.#unreadable.add(memberId);
    }
    this.#reconcile(memberId);
  }

  /** Shows the state of a member if it is alive, and removes its former one. */
  #reconcile(memberId: string): void {
    const entry = this.#alive.has(memberId) ? this.#entries.get(memberId) : undefined;
    const gone = this.#owners.entries().filter(([client, owner]) =>
      owner === memberId && client !== entry?.clientId
    );
    this.#remove([...gone].map(([client]) => client));
    if (entry !== undefined) this.#show(memberId, entry);
  }

  #show(memberId: string, entry: AwarenessEntry): void {
    const { awareness, protocol, onError } = this.#parts;
    const { clientId, clock } = entry;
    const owner = this.#owners.get(clientId) ?? memberId;
    if (owner !== memberId || clientId === awareness.clientID) return;
    this.#owners.set(clientId, memberId);
    // Yjs keeps the clock of a removed state. It would refuse a state with the same clock when the member returns.
    const isBack = !awareness.states.has(clientId) && (awareness.meta.get(clientId)?.clock ?? 0) <= clock;
    // A member's entries come in order, so a lower clock comes from another process with the client's id.
    if (isBack || clock < (this.#clocks.get(clientId) ?? 0)) awareness.meta.delete(clientId);
    this.#clocks.set(clientId, clock);
    this.#removedMs.delete(clientId);
    try {
      protocol.applyAwarenessUpdate(awareness, updateOf(entry), this);
    } catch (error) {
      // A listener of the user's program threw.
      onError(error);
    }
  }

  #remove(clients: readonly number[]): void {
    if (clients.length === 0) return;
    const { awareness, protocol, onError } = this.#parts;
    for (const client of clients) {
      this.#owners.delete(client);
      // The entries are in order of time.
      this.#removedMs.delete(client);
      this.#removedMs.set(client, this.#parts.runtime.monotonicMs());
    }
    try {
      protocol.removeAwarenessStates(awareness, [...clients], this);
    } catch (error) {
      onError(error);
    }
    if (this.#ending.signal.aborted) return;
    // Another member may also have an entry of the client, which can be shown now that the client has no owner.
    for (const [memberId, { clientId }] of this.#entries) {
      if (clients.includes(clientId) && this.#alive.has(memberId)) this.#reconcile(memberId);
    }
  }

  #renewLater(): void {
    this.#cancel = this.#parts.runtime.setTimer(RENEWAL_MS, () => {
      const { awareness, runtime } = this.#parts;
      for (const client of this.#owners.keys()) {
        const meta = awareness.meta.get(client);
        if (meta !== undefined) awareness.meta.set(client, { ...meta, lastUpdated: runtime.wallMs() });
      }
      this.#forgetRemoved();
      this.#renewLater();
    });
  }

  /**
   * Yjs itself never forgets a client's clock, so a member that names ever more clients would fill the memory. A clock
   * is not forgotten at once, because a provider that sends the removal later reads it.
   */
  #forgetRemoved(): void {
    const { awareness, runtime } = this.#parts;
    for (const [client, removedMs] of this.#removedMs) {
      if (runtime.monotonicMs() - removedMs < RENEWAL_MS) return;
      const isOurs = awareness.meta.get(client)?.clock === this.#clocks.get(client);
      if (isOurs && !awareness.states.has(client)) awareness.meta.delete(client);
      this.#clocks.delete(client);
      this.#removedMs.delete(client);
    }
  }

  #restore(clients: readonly number[]): void {
    for (const client of clients) {
      // After the end no client has an owner.
      const owner = this.#owners.get(client);
      if (owner !== undefined) this.#reconcile(owner);
    }
  }
}
