/**
 * Random values as protobuf's `Any` in JSON, of all types that members of protoactor-go set.
 *
 * @module
 */

import type { JsonValue } from "../../engine/types.ts";
import type { SeededRandom } from "../simulation/seeded_random.ts";

const PREFIX = "type.googleapis.com/";
const TEXTS = ["", "plain", "ä€😀", '"\\\n\u0000\u2028', "__proto__", "@type", "<&>", "1e400"];
const NUMBERS = [0, 1, -1, 0.1, 1e21, 1e-7, 2 ** 53, -(2 ** 53), 5e-324, 1.7976931348623157e308];

/** A random JSON value with at most this many levels. */
export function randomJson(dice: SeededRandom, levels: number): JsonValue {
  switch (dice.whole(0, levels > 0 ? 6 : 4)) {
    case 0:
      return null;
    case 1:
      return dice.chance(0.5);
    case 2:
      return dice.pick(NUMBERS);
    case 3:
      return dice.whole(-1_000_000, 1_000_000) / 64;
    case 4:
      return dice.pick(TEXTS);
    case 5:
      return Array.from({ length: dice.whole(0, 3) }, () => randomJson(dice, levels - 1));
    default: {
      const fields = Array.from({ length: dice.whole(0, 3) }, () => dice.pick([...TEXTS, "a", "10", "9"]));
      return Object.fromEntries(fields.map((field) => [field, randomJson(dice, levels - 1)]));
    }
  }
}

/** A random value for a key. */
export function randomAny(dice: SeededRandom): { readonly [field: string]: JsonValue } {
  const of = (type: string, fields: object) => ({ "@type": PREFIX + type, ...fields });
  return dice.weighted<() => { readonly [field: string]: JsonValue }>([
    [6, () => of("google.protobuf.Value", { value: randomJson(dice, 3) })],
    [1, () => of("google.protobuf.Empty", { value: {} })],
    [2, () => of("cluster.MemberHeartbeat", randomStatistics(dice))],
    [2, () => of("cluster.ClusterTopology", randomTopology(dice))],
    // Types that only Go knows.
    [1, () => of("google.protobuf.StringValue", { value: dice.pick(TEXTS) })],
    [1, () => of("google.protobuf.Struct", { value: { a: randomJson(dice, 2) } })],
    [1, () => of("cluster.ClusterIdentity", { identity: dice.pick(TEXTS.slice(1)), kind: "k" })],
  ])();
}

function randomStatistics(dice: SeededRandom): object {
  const kinds = dice.some(["cart", "order", "ä€😀", "__proto__"], 0.5);
  if (kinds.length === 0) return {};
  const counts = kinds.map((kind) => [kind, `${dice.pick([0, 1, dice.whole(0, 1_000_000), 2 ** 52])}`]);
  return { actorStatistics: { actorCount: Object.fromEntries(counts) } };
}

function randomTopology(dice: SeededRandom): object {
  const hash = dice.pick(["0", "1", "9007199254740993", "18446744073709551615"]);
  const members = dice.some(["a", "b", "c"], 0.5).map((id) => ({
    host: "127.0.0.1",
    ...(dice.chance(0.8) && { port: dice.whole(1, 65_535) }),
    id,
    ...(dice.chance(0.3) && { kinds: ["cart", "order"] }),
  }));
  const blocked = dice.some(["d", "e"], 0.3);
  return {
    ...(hash !== "0" && { topologyHash: hash }),
    ...(members.length > 0 && { members }),
    ...(members.length > 1 && { joined: members.slice(1) }),
    ...(blocked.length > 0 && { blocked }),
  };
}
