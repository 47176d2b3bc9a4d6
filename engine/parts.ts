/**
 * Makes the parts of an engine and connects them.
 *
 * @module
 */

import type { EngineEvent } from "./events.ts";
import { Handshakes } from "./handshakes.ts";
import { Identity, type IdentitySettings } from "./identity.ts";
import { Incoming } from "./incoming.ts";
import { Heartbeats, type HeartbeatSettings } from "./liveness/heartbeats.ts";
import { Isolation, type IsolationSettings } from "./liveness/isolation.ts";
import { Suspicions } from "./liveness/suspicions.ts";
import { Membership, type MembershipSettings } from "./membership/membership.ts";
import { Room, type RoomSettings } from "./membership/room.ts";
import { OwnState, type OwnStateSettings } from "./own_state.ts";
import { Progress } from "./progress.ts";
import { Random } from "./random.ts";
import { Store } from "./state/store.ts";
import { Merge, type MergeSettings } from "./sync/merge.ts";
import { PeerMemories, PENDING_PER_MEMBER } from "./sync/peer_memory.ts";
import { PeerSync, type SyncSettings } from "./sync/peer_sync.ts";
import { Readers } from "./sync/readers.ts";
import { Transactions } from "./transactions.ts";
import type { Incarnation, Instant } from "./types.ts";

/** The settings of an engine; durations in milliseconds. */
export interface EngineSettings
  extends
    HeartbeatSettings,
    IdentitySettings,
    IsolationSettings,
    MembershipSettings,
    MergeSettings,
    OwnStateSettings,
    RoomSettings,
    SyncSettings {
  readonly tombstoneRetention: number;
}

/** The identity of an engine, and its start. */
export interface EngineStart {
  readonly id: string;
  readonly incarnation: Incarnation;
  readonly now: Instant;
  /** A number from 0 to below 1; seeds every later random draw. */
  readonly random: number;
  /**
   * True if members learn of each other through handshakes. Until the first handshake succeeds, this member reports
   * neither consensus nor `confirmed`.
   */
  readonly openMembership: boolean;
  /**
   * True if the first topology is still to come. Until it comes, this member reports neither consensus nor `confirmed`.
   */
  readonly awaitsTopology?: boolean;
  /**
   * True if members sign their state. Then only signed state is sent (see `Engine.attachSignature`), and a later
   * incarnation of a member counts only if the member sends it itself or signed it.
   */
  readonly signs?: boolean;
}

/** The parts of one engine. */
export interface EngineParts {
  readonly settings: EngineSettings;
  readonly selfId: string;
  readonly signs: boolean;
  readonly openMembership: boolean;
  readonly store: Store;
  readonly memories: PeerMemories;
  readonly membership: Membership;
  readonly sync: PeerSync;
  readonly readers: Readers;
  readonly merge: Merge;
  readonly room: Room;
  readonly heartbeats: Heartbeats;
  readonly suspicions: Suspicions;
  readonly isolation: Isolation;
  readonly own: OwnState;
  readonly identity: Identity;
  readonly handshakes: Handshakes;
  readonly incoming: Incoming;
  readonly progress: Progress;
  readonly transactions: Transactions;
}

/** Makes the parts of an engine that knows only itself. */
export function makeParts(settings: EngineSettings, start: EngineStart): EngineParts {
  const { id: selfId, incarnation, now, openMembership, awaitsTopology = false, signs = false } = start;
  const events: EngineEvent[] = [];
  const emit = (event: EngineEvent) => void events.push(event);
  const store = new Store(selfId, emit);
  const memories = new PeerMemories(PENDING_PER_MEMBER * settings.maxMembers);
  const base = { selfId, now, openMembership, signs, emit, store, memories };
  const membership = new Membership(settings, base);
  const sync = new PeerSync(settings, { ...base, membership });
  const readers = new Readers(settings, { ...base, membership });
  const suspicions = new Suspicions(store.active, emit);
  // Vectors are not signed: with signing on, a member speaks only for itself (rule L4).
  const heartbeats = new Heartbeats(settings, { ...base, membership, suspicions, trustsVectors: !signs });
  const room = new Room(settings, { ...base, membership, held: store.held });
  const merge = new Merge(settings, { ...base, membership, room, heartbeats });
  const own = new OwnState(settings, { ...base, incarnation, blocks: membership.blocks });
  const isolation = new Isolation(settings, { ...base, membership });
  const progress = new Progress({ ...base, isolation, hasMetPeer: !openMembership && !awaitsTopology });
  const random = new Random(start.random);
  const identity = new Identity(settings, { ...base, own, sync, heartbeats, random });
  const parts = {
    ...base,
    membership,
    sync,
    readers,
    suspicions,
    heartbeats,
    room,
    merge,
    own,
    isolation,
    progress,
    identity,
  };
  return {
    ...parts,
    settings,
    handshakes: new Handshakes(parts),
    incoming: new Incoming(parts),
    transactions: new Transactions({ ...parts, events }),
  };
}
