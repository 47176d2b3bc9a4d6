/**
 * The record of each reader: a process that is sent the state of all members, and is no member. Its records are
 * separate, so that no message of a reader changes the records of peers or the phase `confirmed`.
 *
 * @module
 */

import type { Membership } from "../membership/membership.ts";
import type { Store } from "../state/store.ts";
import type { Delta, Incarnation, KnownVersions, MemberDelta } from "../types.ts";
import { PeerMemories, PENDING_PER_MEMBER } from "./peer_memory.ts";
import { PeerSync, type Sent, type SyncSettings } from "./peer_sync.ts";

const NO_VERSIONS: KnownVersions = new Map();

/** Selects deltas for readers. */
export class Readers {
  readonly #memories: PeerMemories;
  readonly #sync: PeerSync;

  constructor(
    settings: SyncSettings & { readonly maxMembers: number },
    context: {
      readonly selfId: string;
      readonly store: Store;
      readonly membership: Membership;
      readonly signs: boolean;
    },
  ) {
    this.#memories = new PeerMemories(PENDING_PER_MEMBER * settings.maxMembers);
    this.#sync = new PeerSync(settings, { ...context, memories: this.#memories, emit: () => {} });
  }

  /** Begins a record. No member may have the name. */
  begin(
    name: string,
    hello: { readonly incarnation: Incarnation; readonly maxMessageBytes: number },
  ): void {
    this.#memories.touch(name).recordHello(hello);
  }

  /** The entries that were not sent yet. A connection loses no message, so all of them count as received. */
  disseminate(
    name: string,
    options: { readonly asked: KnownVersions; readonly nowMs: number; readonly silent: boolean },
  ): { delta: Delta; sent: Sent } {
    const message = this.#sync.disseminate(name, { ...options, holds: NO_VERSIONS });
    this.#sync.acknowledge(message.sent, NO_VERSIONS, options.nowMs);
    return message;
  }

  /** The changes of these members, to be sent at once. */
  push(name: string, ids: Iterable<string>, nowMs: number): MemberDelta[] {
    return this.#sync.push(name, ids, nowMs);
  }

  /** The reader reports other versions than were sent, so it lacks entries. */
  applyReport(sent: Sent, versions: KnownVersions, nowMs: number): void {
    this.#sync.acknowledge(sent, versions, nowMs);
  }

  /** Ends a record. */
  end(name: string): void {
    this.#memories.forget(name);
  }
}
