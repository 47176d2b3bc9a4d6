/**
 * Attacks on memory: an insider sends state of members that it invented.
 *
 * @module
 */

import { makeIncarnation } from "../../../engine/incarnation.ts";
import { type JsonValue, MEMBER_KEY, type MemberDelta } from "../../../engine/types.ts";
import { entry } from "../../engine/harness.ts";
import { Insider, newIdentity } from "../attacker.ts";

/** The state of a member that does not exist, under a key made for it, so that its signature is right. */
export async function inventedState(insider: Insider, value?: JsonValue): Promise<MemberDelta> {
  const identity = await newIdentity();
  const invented = new Insider({ ...identity, incarnation: makeIncarnation(Date.now(), Math.random()) }, {
    wire: insider.wire,
    token: "",
  });
  const { id, incarnation } = invented;
  const record = entry(MEMBER_KEY, 2, { id, host: "127.0.0.1", port: 9, kinds: [] });
  const entries = value === undefined ? [record] : [record, entry("large", 3, value)];
  return await invented.forge({ id, incarnation, number: entries.at(-1)!.number, entries });
}

/** 100 KiB of text, and about 1.3 MiB of heap: more of them travel than of larger ones. */
const LARGE: JsonValue = Array.from({ length: 34_000 }, () => []);
/** How many members a message has by default. */
const PLACES = 50;

/** The messages that an admitted insider repeats. */
export const HOARDING: Readonly<Record<string, (insider: Insider) => Promise<void>>> = {
  "large states of many ids": async (insider) => void insider.gossip(await inventedState(insider, LARGE)),
  "invented members": async (insider) => {
    const states = Array.from({ length: PLACES }, () => inventedState(insider));
    insider.gossip(...await Promise.all(states));
  },
};
