/**
 * The messages between an observer and a member. An observer is a client that reads state and is no member of the
 * cluster. Each message is one JSON text; `docs/PROTOCOL.md` has examples.
 *
 * @module
 */

import type { BlockedMember, JsonValue, Phase } from "../engine/types.ts";
import type { SeedStatus } from "../contracts/cluster.ts";
import type { Amounts, Counts } from "../contracts/meters.ts";
import type { Explanation } from "../contracts/explanation.ts";
import type { GossiperConfig } from "../options/configuration.ts";

/**
 * The most observers of a member. 8: some operators and a script. Higher: more processor time and memory, because each
 * observer may read large answers.
 */
export const MAX_OBSERVERS = 8;
/** The largest message of an observer, in UTF-16 units. 65,536: a value to set. */
export const MAX_REQUEST_LENGTH = 65_536;
/** The most requests of an observer in a second. */
export const MAX_REQUESTS_PER_SECOND = 50;
/** The most requests of an observer that wait for an answer. */
export const MAX_WAITING_REQUESTS = 16;
/** The most subscriptions of an observer. */
export const MAX_SUBSCRIPTIONS = 8;
/**
 * An observer that sends nothing for this time, in milliseconds, is closed: it would keep the place of another
 * observer.
 */
export const OBSERVER_IDLE_MS = 30_000;
/** The pause between two pings of an observer, in milliseconds. 10 s: a third of {@linkcode OBSERVER_IDLE_MS}. */
export const OBSERVER_PING_MS = 10_000;
/** The number of unsent bytes above which an observer gets no more messages for now. */
export const HIGH_WATER_BYTES = 262_144;
/** An observer that reads nothing for this time, in milliseconds, is closed. */
export const STALLED_MS = 15_000;
/** The most unread events of an observer; the oldest are dropped, and their number is sent. */
export const EVENT_CAPACITY = 256;
/**
 * The most heap bytes, as the member estimates them, of all values that one observer watches. 16 MiB: 50,000 members with a
 * small value. Each subscription keeps its unread values parsed, so eight observers take at most eight times this.
 */
export const MAX_WATCHED_BYTES = 16_777_216;
/** The most items of one answer; the observer asks for the next page. 500: about 100 KiB of members. */
export const PAGE_SIZE = 500;
/** The largest page of values, as an estimate in UTF-16 units: a value may have a mebibyte. */
export const PAGE_LENGTH = 2_097_152;
/**
 * The largest state that `snapshot` sends, in bytes as the member estimates it. Larger states are read with `members`
 * and `values`.
 */
export const MAX_SNAPSHOT_BYTES = 8_388_608;
/** The most items of each list of {@linkcode Facts}. */
export const MAX_LISTED = 100;

/** The answer to `hello`, the first request. */
export interface Welcome {
  /** The version of the member's library. */
  readonly version: string;
  /** The latest and the oldest version of the peers' protocol. */
  readonly protocol: { readonly latest: number; readonly oldest: number };
  /** The member's id. */
  readonly self: string;
  /** The cluster's name. */
  readonly cluster: string;
  /** The member's wall clock, in Unix milliseconds. */
  readonly wallMs: number;
  /** True if this observer may set keys of the member. */
  readonly maySet: boolean;
  /** With keys: proves that the member has the key of the observer's token. */
  readonly proof?: string;
}

/** A member in an answer. */
export interface ObservedMember {
  readonly id: string;
  readonly isSelf: boolean;
  readonly status: "alive" | "suspected" | "failed" | "left";
  /** Its address; `null` if it has no address, or if its address is unknown. */
  readonly address: string | null;
  readonly kinds: readonly string[];
  readonly incarnation: string | null;
  readonly block: BlockedMember | null;
  /** Its latest heartbeat, and the time since its arrival; `null` if no heartbeat was heard. */
  readonly heartbeat: { readonly count: number; readonly ageMs: number } | null;
  /**
   * The number of the asked member's entries that this member has not acknowledged; `null` unless it is an active peer.
   */
  readonly lacks: number | null;
  /** True if this member is known to have all state that the asked member has; `null` unless it is an active peer. */
  readonly hasAll: boolean | null;
}

/** One page of members. */
export interface MembersPage {
  readonly members: readonly ObservedMember[];
  /** The number of members in all pages. */
  readonly of: number;
  /** The `after` of the next page; missing after the last page. */
  readonly next?: string;
}

/** One member's value of a key. */
export interface ObservedValue {
  readonly memberId: string;
  readonly value: JsonValue;
  readonly sequenceNumber: number;
  readonly localTimestampUnixMilliseconds: number;
}

/** One page of values. */
export interface ValuesPage {
  readonly values: readonly ObservedValue[];
  readonly next?: string;
}

/** An event with its time. */
export interface ObservedEvent {
  /** The member's wall clock, in Unix milliseconds. */
  readonly atMs: number;
  /** The event as plain data; an error has `name`, `message` and perhaps `code`. */
  readonly event: PlainEvent;
}

/** An event as plain data. */
export interface PlainEvent {
  readonly type: string;
  readonly [field: string]: JsonValue;
}

/** A trouble of a member, and the number of times in a row. */
export interface Trouble extends ObservedEvent {
  readonly times: number;
}

/** The work of a member. Without meters only `members`, `connections` and `stateBytes` are known. */
export interface ObservedAmounts {
  /** The member's monotonic clock in milliseconds, for rates. */
  readonly monotonicMs: number;
  readonly phase: Phase;
  readonly members: { readonly [status in ObservedMember["status"]]: number };
  readonly stateBytes: { readonly own: number; readonly others: number };
  /** `null` if the member has no meters. */
  readonly amounts: Amounts | null;
  /** `null` if the member's meters do not keep counts. */
  readonly counts: Counts | null;
}

/** The facts for `hearsay doctor`. */
export interface Facts {
  readonly version: string;
  readonly cluster: string;
  readonly self: string;
  /** The address that others dial; empty if the member cannot be dialed. */
  readonly address: string;
  readonly wallMs: number;
  readonly phase: Phase;
  readonly isolated: boolean;
  readonly fenced: boolean;
  readonly leaving: boolean;
  readonly hasKeys: boolean;
  readonly signs: boolean;
  readonly settings: GossiperConfig;
  readonly counts: { readonly [status in ObservedMember["status"]]: number };
  readonly room: { readonly bytes: number; readonly dropped: number; readonly refused: number };
  readonly observers: number;
  readonly blocked: readonly BlockedMember[];
  readonly seeds: readonly SeedStatus[];
  readonly explanation: Explanation;
  readonly troubles: readonly Trouble[];
}

/** The code of a refused request. */
export type RequestFault = "invalid" | "forbidden" | "too_large" | "too_many" | "failed";

/** Renders any value as plain data: errors become objects, and values that JSON cannot carry become text. */
export function plain(value: unknown): JsonValue {
  const json = JSON.stringify(value, (_, item: unknown) => {
    if (item instanceof Error) {
      const code: unknown = Object(item).code;
      return {
        name: item.name,
        message: item.message,
        ...(typeof code === "string" && { code }),
      };
    }
    if (item instanceof Map) return [...item];
    if (item instanceof Set) return [...item];
    return typeof item === "bigint" || (typeof item === "number" && !Number.isFinite(item))
      ? String(item)
      : item;
  });
  return json === undefined ? null : JSON.parse(json) as JsonValue;
}
