/**
 * The words that the engine is written in: lives, entries, deltas, and what is said about them.
 *
 * @module
 */

/** A value that JSON can carry, at every depth. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/**
 * One life of one member id (rule E1): twelve hexadecimal digits of the wall clock's milliseconds at
 * its start, a hyphen, eight random ones. Of fixed width, so that the order of the strings is the order
 * of the lives.
 */
export type Incarnation = string;

/** Both clocks at one moment. The engine reads neither: it is handed them. */
export interface Instant {
  /** Milliseconds that only go forward; ages are taken from these. */
  readonly monotonicMs: number;
  /** Milliseconds since the Unix epoch; only ever shown to people and stamped on entries. */
  readonly wallMs: number;
}

/** What one key of one member was set to, as it travels: before a holder stamped it. */
export interface SentEntry {
  /** The key, unique within the member. */
  readonly key: string;
  /** The member's sequence number of this set or delete. Never shared by two entries of one life. */
  readonly number: number;
  /** The name of the protobuf type behind the value, such as `google.protobuf.Value`. */
  readonly type: string;
  /** The value; `undefined` is a tombstone: the key was deleted under this number. */
  readonly value: JsonValue | undefined;
  /** The JSON text of `value` (empty for a tombstone), kept because an entry never changes. */
  readonly json: string;
}

/** Whether an entry says that its key was deleted. */
export function isTombstone({ json }: Pick<SentEntry, "json">): boolean {
  return json === "";
}

/** An entry as a member holds it. Never changed once made. */
export interface Entry extends SentEntry {
  /** The holder's wall clock, in Unix milliseconds, when the entry was set or merged here. */
  readonly timestampMs: number;
}

/** What is told of one member: every current entry above `after` up to the last, in rising order (rule E4). */
export interface MemberDelta {
  /** The member's id. */
  readonly id: string;
  /** The life that is told of. */
  readonly incarnation: Incarnation;
  /** The number that the entries start after; 0 is the beginning. */
  readonly after: number;
  /** Whether what is held above `after` up to the last of the entries, and not among them, is gone (rule E8). */
  readonly reset: boolean;
  /** With a reset: the number up to which the sender holds the member. More parts follow if the last is below it. */
  readonly end?: number;
  /** The entries, in rising order of number. */
  readonly entries: readonly (Entry | SentEntry)[];
  /** The member's heartbeat, as far as the sender knows it: 0 or absent where it knows none. */
  readonly count?: number;
  /** Up to where all active members are known to hold it, so that older deletions are forgotten (rule E8). */
  readonly ackedByAll?: number;
  /** The member's own signature over its state up to the last of these numbers, where it signs. */
  readonly signature?: string;
}

/**
 * What one would hold of a member, as far as it is worth a signature: everything that has a value, and the number
 * that says how recent that is. Deletions show in what is not there, since each holder forgets them in its own time.
 */
export interface SignedState {
  /** The member's id. */
  readonly id: string;
  /** The life that is told of. */
  readonly incarnation: Incarnation;
  /** Everything up to this number is held. */
  readonly number: number;
  /** What has a value, in rising order of number. */
  readonly entries: readonly SentEntry[];
}

/** What one message tells about members, and the teller's digest at that moment. */
export interface Delta {
  /** The members. */
  readonly members: readonly MemberDelta[];
  /** The sixteen hexadecimal digits of rule E12. */
  readonly digest: string;
  /** The hash of the ids that the teller takes to be active, sixteen hexadecimal digits. */
  readonly active: string;
  /** Whether something had to be left out, so that the digests cannot be compared. */
  readonly partial: boolean;
  /** Which members the sender knows to have the state of this digest, see {@linkcode MemberSet}. */
  readonly agreeing?: MemberSet;
}

/**
 * A set of active members as base64url digits: bit `i` of the bits, most significant first, stands for the member at
 * index `i` of the active ids in the order of their UTF-8 bytes. Both sides must have the same `active`.
 */
export type MemberSet = string;

/**
 * The heartbeats that a member knows, a digit each (rule L2). `counts` has, with `active`, one character for each
 * active member in the order of the ids' UTF-8 bytes; without, five for each member: four of its tag, one of its count.
 */
export interface LivenessVector {
  /** The hash of the active members and their lives that `counts` is about; absent where members are named by tags. */
  readonly active?: string;
  /** A digit stands for the count divided by this, rounded down, modulo 64. */
  readonly stride: number;
  /** Base64url digits; `.` for a member of which nothing fresh is known. */
  readonly counts: string;
}

/** What a member says of who is alive: its own heartbeat, and at times those that it knows. */
export interface Liveness {
  /** The sender's own count. */
  readonly count: number;
  /** What the sender knows of the others. */
  readonly vector?: LivenessVector;
}

/** The member states of a message that carries no digest. */
export type PartialDelta = Pick<Delta, "members">;

/** How much of a member someone holds: everything of `life` up to `number`. */
export interface KnownVersion {
  /** The life that is told of. */
  readonly incarnation: Incarnation;
  /** The sequence number. */
  readonly number: number;
}

/** By member id, what a receiver holds where that is not what the sender supposed (rule E4). */
export type KnownVersions = ReadonlyMap<string, KnownVersion>;

/** What two members compare, member by member, when their digests differ (rule E12). */
export interface Summary {
  /** The life that is told of. */
  readonly incarnation: Incarnation;
  /** The number of the last set or delete. */
  readonly number: number;
  /** The member's share of the digest, sixteen hexadecimal digits. */
  readonly sum: string;
}

/** A part of a comparison: every active member whose id is at least `from` and below `until`. */
export interface SummaryPart {
  /** The phase before. */
  readonly from: string;
  /** Where the part ends; `undefined` is the end of all ids. */
  readonly until: string | undefined;
  /** The members. */
  readonly members: ReadonlyMap<string, Summary>;
}

/**
 * Why a member is blocked. `crashed`: its connections broke and its address refuses new ones. `expired`: nothing was heard
 * of it for too long. `left`: it said so. `topology`: a `ClusterTopology` says so.
 */
export type BlockReason = "crashed" | "expired" | "left" | "topology";

/** A member that gets no gossip and from which none is taken. */
export interface BlockedMember {
  /** The member's id. */
  readonly id: string;
  /** Why. */
  readonly reason: BlockReason;
  /** The wall clock, in Unix milliseconds, when it was blocked here. */
  readonly sinceMs: number;
}

/**
 * How far the spreading has come (R3.5). `diffusing`: some active peer lacks something that this member
 * has. `reconciling`: a peer reported a gap or a conflict that a full exchange must repair. `confirmed`:
 * every active peer is known to hold all that this member holds.
 */
export type Phase = "diffusing" | "reconciling" | "confirmed";

/** The key under which a member publishes what it knows of the topology: protoactor-go's own. */
export const TOPOLOGY_KEY = "topology";
/** The key of heartbeats: protoactor-go's own, its spelling included. */
export const HEARTBEAT_KEY = "heathbeat";
/** The key that says that a member left in good order: protoactor-go's own. */
export const GRACEFULLY_LEFT_KEY = "left";
/** The key of a member's own record, for those that find each other by seeds (rule E14). */
export const MEMBER_KEY = "hearsay.member";

/** The key of a member's own public key, where it signs what it sets. */
export const SIGNING_KEY = "hearsay.key";

/** The protobuf type names that values travel under (rule P3). */
export const TYPE = {
  value: "google.protobuf.Value",
  empty: "google.protobuf.Empty",
  heartbeat: "cluster.MemberHeartbeat",
  topology: "cluster.ClusterTopology",
  /** A protobuf value that nobody here can read: `{ typeUrl, bytes }`, the bytes in base64. */
  packed: "hearsay.Packed",
} as const;

/** The highest sequence number that is valid (rule E2). */
export const MAX_NUMBER: number = 2 ** 52;
