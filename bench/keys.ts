/**
 * Cost of typed keys and of reads of the whole state, compared with a plain read of one key.
 *
 * @module
 */

import { realRuntime } from "../common/runtime.ts";
import { consensusBy } from "../consensus/mod.ts";
import { EventStream } from "../contracts/event_stream.ts";
import { type as ark } from "../deps/arktype.ts";
import { v } from "../deps/valibot.ts";
import { z } from "../deps/zod.ts";
import { fixedMembers } from "../discovery/fixed.ts";
import { TOPOLOGY_KEY, TYPE } from "../engine/types.ts";
import { Gossiper, insightOf } from "../gossiper/gossiper.ts";
import { key } from "../keys/mod.ts";
import { MemoryNetwork } from "../testing/mod.ts";
import { measure } from "./measure.ts";
import { duration, type Report } from "./report.ts";
import { KEYS, memberId, memberIds, memberState } from "./states.ts";

/** The number of members in a filled gossiper. */
export const MEMBERS = 1_000;
const NAME = "key-1";

/** Measures reads of 1,000 members. */
export async function benchKeys(report: Report): Promise<void> {
  await using network = new MemoryNetwork({ runtime: realRuntime });
  await using gossiper = filled(network);
  const keys = {
    zod: key(NAME, z.object({ cpu: z.number(), resident: z.number() })),
    valibot: key(NAME, v.object({ cpu: v.number(), resident: v.number() })),
    arktype: key(NAME, ark({ cpu: "number", resident: "number" })),
  };
  using check = consensusBy(gossiper, (states) => states.size);
  if (keys.zod.get(gossiper).size !== MEMBERS - 1 || check.value !== MEMBERS) {
    throw new Error("The gossiper must have all members.");
  }
  const medians = await measure([
    { name: "plain", run: () => void gossiper.getState(NAME) },
    ...Object.entries(keys).map(([name, typed]) => ({ name, run: () => void typed.get(gossiper) })),
    { name: "getAll", run: () => void gossiper.getAll(memberId(1)) },
    { name: "keys", run: () => void gossiper.keys() },
    { name: "consensusBy", run: () => void check.value },
  ]);
  const ms = (name: string) => medians.get(name)!;
  const against = "getState";
  report.table(`Reading ${MEMBERS.toLocaleString("en")} members of ${KEYS} keys`, [
    { what: "getState of one key", value: duration(ms("plain")) },
    ...Object.keys(keys).map((name) => ({
      what: `get of a typed key, ${name}`,
      value: duration(ms(name)),
      against,
      ratio: ms(name) / ms("plain"),
      limit: 10,
    })),
    { what: "getAll of one member", value: duration(ms("getAll")) },
    { what: "keys", value: duration(ms("keys")), against, ratio: ms("keys") / ms("plain") },
    {
      what: "value of consensusBy",
      value: duration(ms("consensusBy")),
      against,
      ratio: ms("consensusBy") / ms("plain"),
    },
  ]);
}

/** A gossiper with the state of all members, each with these kinds; it is not started. */
export function filled(network: MemoryNetwork, kinds: readonly string[] = []): Gossiper {
  const records = memberIds(MEMBERS).map((id) => ({ id, host: "m", port: 1, kinds }));
  const gossiper = new Gossiper({ maxMembers: 2 * MEMBERS }, {
    self: records[0]!,
    name: "bench",
    eventStream: new EventStream(),
    transport: network.transport("m", 1),
    discovery: fixedMembers(records),
    runtime: realRuntime,
  });
  const members = Array.from({ length: MEMBERS - 1 }, (_, index) => {
    const state = memberState(index + 1);
    const topology = { key: TOPOLOGY_KEY, number: KEYS + 1, value: {}, type: TYPE.topology, json: "{}" };
    return { ...state, entries: [...state.entries, topology] };
  });
  const delta = { members, digest: "0".repeat(16), active: "0".repeat(16), partial: false };
  const { host } = insightOf(gossiper);
  host.do((engine, now) => engine.countHeartbeat(undefined, now));
  host.do((engine, now) => engine.applyIncoming(memberId(1), delta, now));
  return gossiper;
}
