/**
 * The terms of the engine: incarnations, entries, deltas, versions.
 *
 * @module
 */

/** A JSON value. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/**
 * One run of a member under its id (rule E1): the wall clock's milliseconds at its start as twelve hexadecimal digits, a
 * hyphen, and eight random digits. The width is fixed, so that the order of the strings is the order of the incarnations.
 */
export type Incarnation = string;

/** Both clocks at one moment. The engine reads no clock: its callers pass the time. */
export interface Instant {
  /** Milliseconds of a clock that never goes back, for all ages. */
  readonly monotonicMs: number;
  /** Milliseconds since the Unix epoch, for incarnations and timestamps, and to notice that the machine slept. */
  readonly wallMs: number;
}

/** One set or delete of a member's key, as it is sent: without a timestamp. */
export interface SentEntry {
  /** The key, unique within the member. */
  readonly key: string;
  /** The sequence number of this set or delete, unique within the incarnation. */
  readonly number: number;
  /** The name of the protobuf type behind the value, such as `google.protobuf.Value`. */
  readonly type: string;
  /** The value; `undefined` in a tombstone, the record of a delete. */
  readonly value: JsonValue | undefined;
  /** The JSON text of `value`; empty in a tombstone. Stored, because an entry never changes. */
  readonly json: string;
  /** The time from the set to the end of the value, in milliseconds; absent if it does not expire (rule E16). */
  readonly expiresAfter?: number;
  /** In a message: the part of this time that has passed already at the sender, in milliseconds. */
  readonly ageMs?: number;
  /** In a message, in place of the value: the number of the entry of this key that has the same value. */
  readonly renews?: number;
}

/** True if an entry is the record of a delete. */
export function isTombstone({ json }: Pick<SentEntry, "json">): boolean {
  return json === "";
}

/** An entry as a member stores it. It never changes. */
export interface Entry extends SentEntry {
  /** The wall clock here, in Unix milliseconds, at the set or merge. */
  readonly timestampMs: number;
}

/** A part of one member's state: every current entry above `after`, up to the last one (rule E4). */
export interface MemberDelta {
  /** The member's id. */
  readonly id: string;
  /** The member's incarnation. */
  readonly incarnation: Incarnation;
  /** The number before the first entry; 0 is the beginning. */
  readonly after: number;
  /** True if the receiver must drop every other entry above `after`, up to the last one here (rule E8). */
  readonly reset: boolean;
  /** With a reset: the sender's version of the member. If it is above the last entry, more parts follow. */
  readonly end?: number;
  /** The entries, in rising order of number. */
  readonly entries: readonly (Entry | SentEntry)[];
  /** The last heartbeat count known to the sender; 0 or absent if no count is known. */
  readonly count?: number;
  /** All active members are known to have the state up to this number, so older tombstones may be dropped (rule E8). */
  readonly ackedByAll?: number;
  /** The member's signature over its state up to the last entry, if it signs. */
  readonly signature?: string;
}

/**
 * The part of a member's state under its signature: all entries with a value, and the version. Tombstones are left out,
 * because members drop them at different times. A deleted key is simply absent.
 */
export interface SignedState {
  /** The member's id. */
  readonly id: string;
  /** The member's incarnation. */
  readonly incarnation: Incarnation;
  /** The version: the state is complete up to this number. */
  readonly number: number;
  /** The entries with a value, in rising order of number. */
  readonly entries: readonly SentEntry[];
}

/** The member states of one message, and the sender's digest at that moment. */
export interface Delta {
  /** The members. */
  readonly members: readonly MemberDelta[];
  /** The sixteen hexadecimal digits of rule E12. */
  readonly digest: string;
  /** The hash of the sender's active ids, sixteen hexadecimal digits. */
  readonly active: string;
  /** True if some state was left out. Then the digests cannot be compared. */
  readonly partial: boolean;
  /** The members known to have the state of this digest. */
  readonly agreeing?: MemberSet;
}

/**
 * A set of active members as base64url digits: bit `i`, most significant first, stands for the active id at index `i` in
 * the order of the UTF-8 bytes. Both sides must have equal hashes of these ids.
 */
export type MemberSet = string;

/**
 * The heartbeat counts known to a member, as one digit each (rule L2). With `incarnationsHash`, `counts` has one
 * character for each active member, in the order of the ids' UTF-8 bytes. Without it, `counts` has five characters for
 * each member: four for its tag, one for its count.
 */
export interface LivenessVector {
  /** The hash of the active members and their incarnations; absent if members are named by tags. */
  readonly incarnationsHash?: string;
  /** A digit is the count divided by this, rounded down, modulo 64. */
  readonly stride: number;
  /** Base64url digits; `.` for a member without a fresh count. */
  readonly counts: string;
}

/** A member's own heartbeat count, and at times the counts of others. */
export interface Liveness {
  /** The sender's own count. */
  readonly count: number;
  /** The counts of other members. */
  readonly vector?: LivenessVector;
}

/** The member states of a message without a digest. */
export type MemberDeltas = Pick<Delta, "members">;

/** A version of a member's state: all entries of an incarnation up to a number. */
export interface KnownVersion {
  /** The member's incarnation. */
  readonly incarnation: Incarnation;
  /** The sequence number. */
  readonly number: number;
}

/** The receiver's versions, by member id, where the sender assumed others (rule E4). */
export type KnownVersions = ReadonlyMap<string, KnownVersion>;

/** One member in a comparison, which follows when digests differ (rule E12). */
export interface Summary {
  /** The member's incarnation. */
  readonly incarnation: Incarnation;
  /** The number of the last set or delete. */
  readonly number: number;
  /** The member's share of the digest, sixteen hexadecimal digits. */
  readonly sum: string;
}

/** A part of a comparison: every active member whose id is at least `from` and below `until`. */
export interface SummaryPart {
  /** The lowest id of the part. */
  readonly from: string;
  /** The id after the part; `undefined` after the last part. */
  readonly until: string | undefined;
  /** The members. */
  readonly members: ReadonlyMap<string, Summary>;
}

/**
 * The reason of a block. `crashed`: the member's connections broke, and its address refuses new connections. `expired`:
 * its heartbeats stopped. `left`: it left gracefully. `topology`: a `ClusterTopology` or `block(id)` blocks it.
 */
export type BlockReason = "crashed" | "expired" | "left" | "topology";

/** A blocked member: it gets no gossip, and its gossip is refused. */
export interface BlockedMember {
  /** The member's id. */
  readonly id: string;
  /** The reason. */
  readonly reason: BlockReason;
  /** The time of the block by the wall clock here, in Unix milliseconds. */
  readonly sinceMs: number;
}

/**
 * The spread of the state (R3.5). `diffusing`: an active peer lacks state of this member. `reconciling`: a peer
 * reported a gap or a conflict, and a full exchange must repair it. `confirmed`: every active peer is known to have all
 * state of this member.
 */
export type Phase = "diffusing" | "reconciling" | "confirmed";

/** The key of a member's view of the topology: protoactor-go's own. */
export const TOPOLOGY_KEY = "topology";
/** The key of heartbeats: protoactor-go's own, its spelling included. */
export const HEARTBEAT_KEY = "heathbeat";
/** The key of a graceful leave: protoactor-go's own. */
export const GRACEFULLY_LEFT_KEY = "left";
/** The key of a member's own record, for members with open membership (rule E14). */
export const MEMBER_KEY = "hearsay.member";

/** The key of a member's public key, if it signs its state. */
export const SIGNING_KEY = "hearsay.key";

/** The protobuf type names of values (rule P3). */
export const TYPE = {
  value: "google.protobuf.Value",
  empty: "google.protobuf.Empty",
  heartbeat: "cluster.MemberHeartbeat",
  topology: "cluster.ClusterTopology",
  /** A protobuf value of an unknown type: `{ typeUrl, bytes }`, the bytes in base64. */
  packed: "hearsay.Packed",
} as const;

/** The highest sequence number that is valid (rule E2). */
export const MAX_NUMBER: number = 2 ** 52;
