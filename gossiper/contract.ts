/**
 * What a gossiper offers (R1.1), as an interface: for those who want to put something else in its place.
 *
 * @module
 */

import type { GossipUpdate } from "../engine/events.ts";
import type { BlockedMember, Incarnation, JsonValue, Phase } from "../engine/types.ts";
import type { Member, SeedStatus } from "../contracts/cluster.ts";
import type { ConsensusCallbacks, ConsensusExtractor, ConsensusHandle } from "./consensus.ts";
import type { FlushResult } from "./departure.ts";
import type { EventStream } from "../contracts/event_stream.ts";

/** What one member has set a key to, as this member holds it. Frozen. */
export interface GossipKeyValue<T = JsonValue> {
  /** The value. */
  readonly value: T;
  /** Rises with every set and delete of the member that set it. */
  readonly sequenceNumber: number;
  /** This member's wall clock, in Unix milliseconds, when the value was set or merged here. */
  readonly localTimestampUnixMilliseconds: number;
}

/** One member, as this one sees it. */
export interface MemberView {
  /** Its id. */
  readonly id: string;
  /** Where it is; `undefined` for one that the topology does not name any more. */
  readonly member: Member | undefined;
  /**
   * `alive`: it takes part. `suspected`: it takes part, but its connection broke and its address refuses new ones.
   * `failed`: it crashed, sent no heartbeat for `heartbeatExpiration`, or is blocked by the topology; this member itself
   * if another process uses its id. `left`: it left in good order, or the discovery does not name it.
   */
  readonly status: "alive" | "suspected" | "failed" | "left";
  /** Why and since when this member blocks it, if it does. */
  readonly block: BlockedMember | undefined;
  /** The life that is held of it; `undefined` where nothing is. */
  readonly incarnation: Incarnation | undefined;
  /** Whether it is this member. */
  readonly isSelf: boolean;
}

/** Everything that a member holds, as plain data that `JSON.stringify` can carry. */
export interface Snapshot {
  /** The id of the member that took it. */
  readonly self: string;
  /** The cluster's name. */
  readonly cluster: string;
  /** How far the spreading has come. */
  readonly phase: Phase;
  /** Whether the member that took it hears no other, although the topology has others. */
  readonly isolated: boolean;
  /** Equal digests mean equal state (rule E12). */
  readonly digest: string;
  /** Every member that is known. */
  readonly members: readonly MemberSnapshot[];
  /** How much is held of other members, and how often there was no room for more. */
  readonly room: RoomSnapshot;
  /** Each address at which members are looked for (`seeds`, `dns`, `kubernetes`); none with a fixed list. */
  readonly seeds: readonly SeedStatus[];
}

/** How much is held of other members, in a {@linkcode Snapshot}; `maxHeldBytes` and `maxMembers` are its limits. */
export interface RoomSnapshot {
  /** About how many bytes of memory their states take. */
  readonly bytes: number;
  /** How often the state of a member was dropped to make room, since this member started. */
  readonly dropped: number;
  /** How often there was no room for what a peer sent, since this member started. */
  readonly refused: number;
}

/** One member in a {@linkcode Snapshot}. */
export interface MemberSnapshot extends Omit<MemberView, "member" | "block"> {
  /** Where it is, if that is known. */
  readonly address: Pick<Member, "host" | "port" | "url"> | null;
  /** Why it is blocked, if it is. */
  readonly block: BlockedMember | null;
  /** A list and no object: the keys are whatever that member chose. */
  readonly entries: readonly ({ readonly key: string } & GossipKeyValue)[];
}

/** Why a gossiper is over. */
export interface GossiperClosed {
  /** `stopped` by `stop()` or disposal, `aborted` by the signal given to `start()`, `failed` by an error. */
  readonly reason: "stopped" | "aborted" | "failed";
  /** With `failed`: what broke. */
  readonly error?: unknown;
  /** Who was told of the departure; missing where it failed before that. */
  readonly flush?: FlushResult;
}

/** How {@linkcode GossiperLike.setStateRequest} waits. */
export interface SetStateOptions {
  /** Ends the waiting; the value stays set. */
  readonly signal?: AbortSignal;
  /** Waits until so many other active members, or all of them, are known to hold the value; 0 by default. */
  readonly acknowledgedBy?: number | "all";
}

/** What can be waited for, and for how long. */
export interface WaitOptions {
  /** Ends the waiting; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** How {@linkcode GossiperLike.whenMembers} waits. */
export interface MembersOptions extends WaitOptions {
  /** For how many milliseconds no member may come or go; 0 by default. */
  readonly stableFor?: number;
}

/** What a gossiper offers. The class {@linkcode Gossiper} says what each does. */
export interface GossiperLike extends AsyncDisposable {
  /** Resolves with the reason when the gossiper is over; never rejects. */
  readonly closed: Promise<GossiperClosed>;
  /** Where everything that happens is told. */
  readonly events: EventStream;
  /** How far the spreading has come. */
  readonly phase: Phase;
  /** Every member that is known. */
  readonly members: readonly MemberView[];
  /** The view of each member, and then each that changes. */
  watchMembers(options?: WaitOptions): ReadableStream<MemberView>;
  /** Resolves with the members that are alive once there are so many. */
  whenMembers(count: number, options?: MembersOptions): Promise<readonly MemberView[]>;
  /** The members that get no gossip. */
  readonly blockedMembers: readonly BlockedMember[];
  /** Begins to gossip. */
  start(options?: WaitOptions): Promise<void>;
  /** Leaves the cluster. */
  stop(): Promise<FlushResult>;
  /** The values of a key, by member id. */
  getState<T = JsonValue>(key: string): Map<string, GossipKeyValue<T>>;
  /** Sets a key of this member. */
  setState(key: string, value: unknown): void;
  /** Sets a key and resolves when that is done, or known to others. */
  setStateRequest(key: string, value: unknown, options?: SetStateOptions): Promise<void>;
  /** Deletes a key of this member; returns whether it was set. */
  deleteState(key: string): boolean;
  /** The present values of a key, and then every change. */
  watch(key: string, options?: WaitOptions): ReadableStream<GossipUpdate>;
  /** Registers a check of whether all active members agree. */
  registerConsensusCheck(
    key: string,
    extractor: ConsensusExtractor,
    callbacks?: ConsensusCallbacks,
  ): ConsensusHandle;
  /** Drops a check; returns whether there was one. */
  removeConsensusCheck(id: string): boolean;
  /** Frees a member by hand; returns whether it was blocked. */
  unblock(id: string): boolean;
  /** Resolves as soon as all active peers are known to hold all that this member holds. */
  converged(options?: WaitOptions): Promise<void>;
  /** Everything that is held, as plain data. */
  snapshot(): Snapshot;
}
