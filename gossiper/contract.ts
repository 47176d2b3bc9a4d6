/**
 * The interface of a gossiper (R1.1), for programs that put another implementation in its place.
 *
 * @module
 */

import type { GossipUpdate } from "../engine/events.ts";
import type { BlockedMember, Incarnation, JsonValue, Phase } from "../engine/types.ts";
import type { Member, SeedStatus } from "../contracts/cluster.ts";
import type { ConsensusCallbacks, ConsensusExtractor, ConsensusHandle } from "./consensus.ts";
import type { FlushResult } from "./departure.ts";
import type { Explanation, Spreading } from "../contracts/explanation.ts";
import type { EventStream } from "../contracts/event_stream.ts";

/** One member's value of a key, as this member knows it. Frozen. */
export interface GossipKeyValue<T = JsonValue> {
  /** The value. */
  readonly value: T;
  /** Rises by one with every set and delete of the member that set the key. */
  readonly sequenceNumber: number;
  /** This member's wall clock, in Unix milliseconds, when the value was set or merged here. */
  readonly localTimestampUnixMilliseconds: number;
}

/** A member, as this member sees it. */
export interface MemberView {
  /** Its id. */
  readonly id: string;
  /** Its record; `undefined` if the topology no longer names it. */
  readonly member: Member | undefined;
  /**
   * `alive`: it takes part. `suspected`: its connection broke, and its address refuses new connections; it still takes
   * part. `failed`: it crashed, sent no heartbeat for `heartbeatExpiration`, or is blocked by the topology; this member
   * itself is `failed` if another process uses its id. `left`: it left in good order, or the discovery does not name
   * it. This member itself is `left` once it has stopped.
   */
  readonly status: "alive" | "suspected" | "failed" | "left";
  /** The reason and time of its block by this member; `undefined` if it is not blocked. */
  readonly block: BlockedMember | undefined;
  /** Its incarnation; `undefined` if this member knows none. */
  readonly incarnation: Incarnation | undefined;
  /** True for this member itself. */
  readonly isSelf: boolean;
}

/** The state that a member knows, as plain data for `JSON.stringify`. */
export interface Snapshot {
  /** The id of the member that took the snapshot. */
  readonly self: string;
  /** The cluster's name. */
  readonly cluster: string;
  /** The phase of dissemination. */
  readonly phase: Phase;
  /** True if this member has contact with no other, although the topology has others. */
  readonly isolated: boolean;
  /** Equal digests mean equal state (rule E12). */
  readonly digest: string;
  /** Every known member. */
  readonly members: readonly MemberSnapshot[];
  /** The memory for other members' states, and the counts of states that did not fit. */
  readonly room: RoomSnapshot;
  /** The addresses of discovery (`seeds`, `dns`, `kubernetes`); empty with a fixed list. */
  readonly seeds: readonly SeedStatus[];
}

/** The memory for other members' states, in a {@linkcode Snapshot}; its limits are `maxHeldBytes` and `maxMembers`. */
export interface RoomSnapshot {
  /** The approximate size of their states, in bytes. */
  readonly bytes: number;
  /** The number of member states dropped for lack of room, since this member started. */
  readonly dropped: number;
  /** The number of states from peers that found no room, since this member started. */
  readonly refused: number;
}

/** One member in a {@linkcode Snapshot}. */
export interface MemberSnapshot extends Omit<MemberView, "member" | "block"> {
  /** Its address; `null` if unknown. */
  readonly address: Pick<Member, "host" | "port" | "url"> | null;
  /** The reason and time of its block; `null` if it is not blocked. */
  readonly block: BlockedMember | null;
  /** A list instead of an object, because the member may choose any key, `__proto__` too. */
  readonly entries: readonly ({ readonly key: string } & GossipKeyValue)[];
}

/** The end of a gossiper. */
export interface GossiperClosed {
  /** `stopped`: by `stop()` or disposal. `aborted`: by the signal of `start()`. `failed`: by an error. */
  readonly reason: "stopped" | "aborted" | "failed";
  /** The error, with `failed`. */
  readonly error?: unknown;
  /** The result of the departure; missing if the gossiper failed before it. */
  readonly flush?: FlushResult;
}

/** Options of {@linkcode GossiperLike.setStateRequest}. */
export interface SetStateOptions {
  /** The time to the end of the value, in milliseconds: a whole number from 1 to ten years. Without it, the value stays. */
  readonly expiresAfter?: number;
  /** Ends the wait; the value stays set. */
  readonly signal?: AbortSignal;
  /** The number of other active members that must acknowledge the value, or all of them; 0 by default. */
  readonly acknowledgedBy?: number | "all";
}

/** Options of every call that waits. */
export interface WaitOptions {
  /** Ends the wait; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** The keys of a {@linkcode GossiperLike.watch} by prefix. */
export interface PrefixOptions extends WaitOptions {
  /** The beginning of the keys, of at most 1,024 bytes; `""` for all keys. */
  readonly prefix: string;
}

/** Options of {@linkcode GossiperLike.whenMembers}. */
export interface MembersOptions extends WaitOptions {
  /** The time without a join or departure before it resolves, in milliseconds; 0 by default. */
  readonly stableFor?: number;
}

/** The interface of a gossiper. The class {@linkcode Gossiper} documents each member in full. */
export interface GossiperLike extends AsyncDisposable {
  /** The member's id. */
  readonly id: string;
  /** Resolves with the reason when the gossiper has ended; never rejects. */
  readonly closed: Promise<GossiperClosed>;
  /** Aborted when the member begins to leave. */
  readonly signal: AbortSignal;
  /** The stream of all events. */
  readonly events: EventStream;
  /** The phase of dissemination. */
  readonly phase: Phase;
  /** Every known member. */
  readonly members: readonly MemberView[];
  /** Emits the view of each member, then each view that changes. */
  watchMembers(options?: WaitOptions): ReadableStream<MemberView>;
  /** Resolves with the alive members once there are at least `count`. */
  whenMembers(count: number, options?: MembersOptions): Promise<readonly MemberView[]>;
  /** The blocked members: they get no gossip. */
  readonly blockedMembers: readonly BlockedMember[];
  /** Starts to gossip. */
  start(options?: WaitOptions): Promise<void>;
  /** Leaves the cluster. */
  stop(): Promise<FlushResult>;
  /** The values of a key, by member id. */
  getState<T = JsonValue>(key: string): Map<string, GossipKeyValue<T>>;
  /** The keys under which any known member has a value, sorted. */
  keys(): readonly string[];
  /** The values of a member by key. */
  getAll(memberId: string): Map<string, GossipKeyValue>;
  /** Sets a key of this member. */
  setState(key: string, value: unknown, options?: Pick<SetStateOptions, "expiresAfter">): void;
  /** Sets a key and resolves once `acknowledgedBy` others have acknowledged it. */
  setStateRequest(key: string, value: unknown, options?: SetStateOptions): Promise<void>;
  /** Deletes a key of this member; returns `false` if it was not set. */
  deleteState(key: string): boolean;
  /** Emits the present values of a key, or of the keys with a prefix, then every change. */
  watch<T = JsonValue>(key: string | PrefixOptions, options?: WaitOptions): ReadableStream<GossipUpdate<T>>;
  /** Registers a consensus check. */
  registerConsensusCheck(
    key: string,
    extractor: ConsensusExtractor,
    callbacks?: ConsensusCallbacks,
  ): ConsensusHandle;
  /** Removes a consensus check; returns `false` if there was none. */
  removeConsensusCheck(id: string): boolean;
  /** Blocks an id at this member until `unblock`; returns `false` if it was blocked so before. */
  block(id: string): boolean;
  /** Unblocks a member; returns `false` if it was not blocked. */
  unblock(id: string): boolean;
  /** Resolves once every active peer is known to hold all that this member holds. */
  converged(options?: WaitOptions): Promise<void>;
  /** Returns the known state as plain data. */
  snapshot(): Snapshot;
  /** Explains the status of a member. */
  explain(memberId?: string): Explanation;
  /** The living members with this member's latest value of a key, and those without it. */
  seenBy(key: string): Spreading;
}
