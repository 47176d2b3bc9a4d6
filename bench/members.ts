/**
 * Cost of a pick among many members.
 *
 * @module
 */

import { realRuntime } from "../common/runtime.ts";
import { getActorCount, memberInfo, pickMember } from "../members/mod.ts";
import { MemoryNetwork } from "../testing/mod.ts";
import { filled, MEMBERS } from "./keys.ts";
import { measure } from "./measure.ts";
import { duration, type Report } from "./report.ts";
import { memberId } from "./states.ts";

const KIND = "cart";

/** Measures picks among 1,000 members. */
export async function benchMembers(report: Report): Promise<void> {
  await using network = new MemoryNetwork({ runtime: realRuntime });
  await using gossiper = filled(network, [KIND]);
  if (!pickMember(gossiper, { kind: KIND })) throw new Error("There must be candidates.");
  const ways = ["random", "round robin", "least load"] as const;
  const medians = await measure([
    ...ways.map((by) => ({ name: by, run: () => void pickMember(gossiper, { kind: KIND, by }) })),
    { name: "getActorCount", run: () => void getActorCount(gossiper, KIND) },
    { name: "memberInfo", run: () => void memberInfo(gossiper, memberId(1)) },
  ]);
  report.table(
    `One call among ${MEMBERS.toLocaleString("en")} members`,
    [...medians].map(([what, ms]) => ({ what, value: duration(ms) })),
  );
}
