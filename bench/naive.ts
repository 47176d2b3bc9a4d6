/**
 * The baseline: the simplest gossip that works. In each round every member sends its full state as JSON to a few peers
 * and receives theirs. It has no sockets, timers, limits or checks, which all makes it faster.
 *
 * @module
 */

import { utf8Length } from "../engine/json.ts";
import { HEARTBEAT_KEY, type JsonValue } from "../engine/types.ts";
import { KEYS, memberId, valueOf } from "./states.ts";

/** The number of the last set and its value, by member and key. */
export type NaiveState = Record<string, Record<string, [number: number, value: JsonValue]>>;

/** Merges entries with a higher number; returns how many. */
export function mergeNaive(held: NaiveState, received: NaiveState): number {
  let newEntries = 0;
  for (const id of Object.keys(received)) {
    const mine = held[id] ??= {};
    const theirs = received[id]!;
    for (const key of Object.keys(theirs)) {
      const entry = theirs[key]!;
      if (entry[0] <= (mine[key]?.[0] ?? 0)) continue;
      mine[key] = entry;
      newEntries++;
    }
  }
  return newEntries;
}

/** The full state of this many members. */
export function naiveState(members: number): NaiveState {
  const state: NaiveState = {};
  for (let member = 0; member < members; member++) {
    const keys: NaiveState[string] = state[memberId(member)] = {};
    keys[HEARTBEAT_KEY] = [1, { order: 3 }];
    for (let key = 1; key < KEYS; key++) keys[`key-${key}`] = [key + 1, valueOf(member, key)];
  }
  return state;
}

/** Members with the full state that keep sending it to each other. */
export class NaiveCluster {
  readonly #states: NaiveState[];
  readonly #fanOut: number;
  #round = KEYS;
  #messages = 0;
  #bytes = 0;

  constructor(members: number, fanOut: number) {
    this.#states = Array.from({ length: members }, () => naiveState(members));
    this.#fanOut = fanOut;
  }

  /** Messages and bytes sent so far. */
  get counts(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.#messages, bytes: this.#bytes };
  }

  /** Runs one round of all members. */
  round(): void {
    this.#round++;
    for (const [index, state] of this.#states.entries()) {
      state[memberId(index)]![HEARTBEAT_KEY] = [this.#round, { order: 3 }];
      for (let turn = 1; turn <= Math.min(this.#fanOut, this.#states.length - 1); turn++) {
        // Not random: that affects how fast updates spread, but not the cost.
        const peer = this.#states[(index + turn * this.#round) % this.#states.length]!;
        if (peer === state) continue;
        mergeNaive(peer, this.#carry(state));
        mergeNaive(state, this.#carry(peer));
      }
    }
  }

  #carry(state: NaiveState): NaiveState {
    const text = JSON.stringify(state);
    this.#messages++;
    this.#bytes += utf8Length(text);
    return JSON.parse(text);
  }
}
