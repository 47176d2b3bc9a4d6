/**
 * This member's own state: the user's keys, and the keys that the member publishes about itself (rules E7, E14).
 *
 * @module
 */

import { deepFreeze, utf8Length } from "./json.ts";
import type { BlockList } from "./membership/block_list.ts";
import { withEntryAges } from "./state/expiries.ts";
import type { MemberState } from "./state/member_state.ts";
import { topologyHash } from "./state/murmur3.ts";
import { entryBytes, ENVELOPE_BYTES, memberBytes } from "./state/size.ts";
import type { Store } from "./state/store.ts";
import { isDue } from "./state/stored_entry.ts";
import {
  GRACEFULLY_LEFT_KEY,
  HEARTBEAT_KEY,
  type Incarnation,
  type Instant,
  isTombstone,
  type JsonValue,
  MEMBER_KEY,
  type SentEntry,
  SIGNING_KEY,
  TOPOLOGY_KEY,
  TYPE,
} from "./types.ts";

/** The most blocked ids that a member publishes (rule E14). */
const MAX_PUBLISHED_BLOCKED = 50;
/** The most bytes of the published ids. An id may have 256 bytes, and the smallest `maxMessageBytes` is 16 KiB. */
const MAX_PUBLISHED_BYTES = 2_048;

/** The limits of a member's own state. */
export interface OwnStateSettings {
  readonly maxKeysPerMember: number;
  readonly maxMessageBytes: number;
  readonly maxStateBytes: number;
}

/** A value of a key, copied by `copyJson`. */
export interface OwnValue {
  readonly value: JsonValue;
  readonly json: string;
  /** The name of the protobuf type; `google.protobuf.Value` by default. */
  readonly type?: string;
  /** The time until the value ends, in milliseconds; without it, the value stays. */
  readonly expiresAfter?: number;
}

/** The state that this member alone writes (rule E1). */
export class OwnState {
  readonly #settings: OwnStateSettings;
  readonly #store: Store;
  readonly #blocks: BlockList;
  readonly #signs: boolean;
  #state: MemberState;
  #publishedTopology = "";

  /** Adds this member to the store. */
  constructor(settings: OwnStateSettings, context: {
    readonly selfId: string;
    readonly incarnation: Incarnation;
    readonly store: Store;
    readonly blocks: BlockList;
    readonly signs: boolean;
  }) {
    this.#settings = settings;
    this.#store = context.store;
    this.#blocks = context.blocks;
    this.#signs = context.signs;
    this.#state = this.#store.addMember(context.selfId, context.incarnation);
    this.#store.log.recordChange(this.#state);
  }

  /** The entries and the heartbeat count; another object after {@linkcode OwnState.beginIncarnation}. */
  get state(): MemberState {
    return this.#state;
  }

  get incarnation(): Incarnation {
    return this.#state.incarnation;
  }

  /**
   * Sets a key and returns its number.
   *
   * @throws {RangeError} if the value or the state would be larger than a limit allows. Then nothing is changed.
   */
  set(key: string, copy: OwnValue, now: Instant): number {
    const entry = { key, number: this.#state.version + 1, type: TYPE.value as string, ...copy };
    // The member's own records are small, and must be published even if the user's state is at its limit.
    if (!isOwnRecord(key)) this.#checkSize(entry);
    this.#store.put(this.#state, [entry], now);
    return entry.number;
  }

  /** Deletes a key and returns the number; `undefined` if the key has no value. */
  delete(key: string, now: Instant): number | undefined {
    if (!this.#state.live(key)) return undefined;
    const number = this.#state.version + 1;
    this.#store.put(this.#state, [{ key, number, type: "", value: undefined, json: "" }], now);
    return number;
  }

  /** Sets the key of a graceful leave and returns its number (R9.2). */
  leave(now: Instant): number {
    return this.set(GRACEFULLY_LEFT_KEY, { ...withJson({}), type: TYPE.empty }, now);
  }

  /** Sets the statistics of the heartbeat if they changed (R6.2). */
  publishStatistics(actorCount: Readonly<Record<string, number>>, now: Instant): void {
    const isEmpty = Object.keys(actorCount).length === 0;
    const heartbeat: JsonValue = isEmpty ? {} : { actorStatistics: { actorCount } };
    if (this.#state.live(HEARTBEAT_KEY)?.json === JSON.stringify(heartbeat)) return;
    this.set(HEARTBEAT_KEY, { ...withJson(heartbeat), type: TYPE.heartbeat }, now);
  }

  /** Sets this member's view of the topology if the active members changed (rule E14). */
  publishTopology(now: Instant): void {
    const active = this.#store.activeHash;
    if (this.#publishedTopology === active) return;
    this.#publishedTopology = active;
    const blocked = firstThatFit(this.#blocks.ids());
    const topology = {
      topologyHash: topologyHash(this.#store.active),
      ...(blocked.length > 0 && { blocked }),
    };
    this.set(TOPOLOGY_KEY, { ...withJson(topology), type: TYPE.topology }, now);
  }

  /** Begins a later incarnation with the same values, numbered from 1 (rule E1). */
  beginIncarnation(incarnation: Incarnation, now: Instant): void {
    // A value whose time is over is left out: no later step would delete it.
    const live = [...this.#state.entries()].filter((entry) => !isTombstone(entry) && !isDue(entry, now));
    const entries = withEntryAges(live, { nowMs: now.monotonicMs })
      .map((entry, index) => renumbered(entry, index + 1));
    this.#state = this.#store.replace(this.#state, entries, { incarnation, floor: 0, now });
  }

  #checkSize(entry: SentEntry): void {
    const { maxKeysPerMember, maxMessageBytes, maxStateBytes } = this.#settings;
    const { keys, bytes, sentBytes } = this.#state.sizeWith(entry);
    const share = Math.floor(maxMessageBytes / 2) - ENVELOPE_BYTES - memberBytes(this.#state.id);
    const refuse = (what: string, limit: string, size: number) => {
      const name = JSON.stringify(entry.key);
      const deleted = this.#state.deletions.size;
      const counted = deleted > 0
        ? ` ${deleted} deleted keys count until all active members know of the deletion.`
        : "";
      throw new RangeError(
        `${what} must ${limit}; with ${name} it would be ${size}. Nothing was changed.${counted}`,
      );
    };
    if (entryBytes(entry) > share) {
      refuse("A value", `take at most ${share} bytes, half of maxMessageBytes`, entryBytes(entry));
    }
    // A signature covers the whole state, so the state must fit one message.
    if (this.#signs && sentBytes > share) {
      refuse(
        "The state of a member that signs",
        `take at most ${share} bytes, half of maxMessageBytes`,
        sentBytes,
      );
    }
    if (bytes > maxStateBytes) {
      refuse("The state of a member", `take at most ${maxStateBytes} bytes (maxStateBytes)`, bytes);
    }
    if (keys > maxKeysPerMember) {
      refuse(
        "A member",
        `have at most ${maxKeysPerMember} keys, including its own records (maxKeysPerMember)`,
        keys,
      );
    }
  }
}

function isOwnRecord(key: string): boolean {
  return key === HEARTBEAT_KEY || key === TOPOLOGY_KEY || key === GRACEFULLY_LEFT_KEY || key === MEMBER_KEY ||
    key === SIGNING_KEY;
}

/** A copy of the entry without its timestamp, which belongs to the former entry. */
function renumbered(entry: SentEntry, number: number): SentEntry {
  const { key, type, value, json, expiresAfter, ageMs } = entry;
  return {
    ...{ key, number, type, value, json },
    ...(expiresAfter !== undefined && { expiresAfter }),
    ...(ageMs !== undefined && { ageMs }),
  };
}

/** The first of the blocked ids, within both limits. */
function firstThatFit(ids: readonly string[]): string[] {
  let bytes = 0;
  // mutant move-bound: a limit of one byte less is as good.
  return ids.slice(0, MAX_PUBLISHED_BLOCKED).filter((id) => (bytes += utf8Length(id)) <= MAX_PUBLISHED_BYTES);
}

function withJson(value: JsonValue): { readonly value: JsonValue; readonly json: string } {
  return { value: deepFreeze(value), json: JSON.stringify(value) };
}
