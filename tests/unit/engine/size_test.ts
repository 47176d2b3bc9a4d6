import { assert, assertEquals } from "../../../deps/std_assert.ts";
import { deltaBytes } from "../../../engine/selection.ts";
import { entryBytes, holdsBytes, memberBytes } from "../../../engine/size.ts";
import { HEARTBEAT_KEY, type JsonValue, TYPE } from "../../../engine/types.ts";
import { entry, memberDelta, tombstone } from "./harness.ts";

const encoder = new TextEncoder();
const LIFE = "018bcfe56800-80000000";

function bytesOf(value: unknown): number {
  return encoder.encode(JSON.stringify(value)).length;
}

/** An entry in the form of P3, with the longest numbers. */
function onTheWire(key: string, type: string, value: JsonValue) {
  const any = { "@type": `type.googleapis.com/${type}`, value };
  const numbers = { sequenceNumber: `${2 ** 52}`, localTimestampUnixMilliseconds: "9007199254740991" };
  return { [key]: { ...numbers, value: any } };
}

Deno.test("size: the bytes of an entry are not less than its bytes on the wire, in UTF-8 (E7)", () => {
  const values: JsonValue[] = [null, "", "x".repeat(500), "é".repeat(500), "😀".repeat(99), {
    "żółć": ["日本"],
  }];
  for (const key of ["k", 'quoted "key" \\', "ключ", "\u0001\u0002"]) {
    for (const value of values) {
      const bound = entryBytes(entry(key, 2 ** 52, value));
      const taken = bytesOf(onTheWire(key, TYPE.value, value));
      assert(bound >= taken, `${key} ${JSON.stringify(value)}: ${bound} < ${taken}`);
      assert(bound <= taken + 200, `${key}: ${bound} is much more than ${taken}`);
    }
  }
});

Deno.test("size: the counts of a heartbeat are sent as strings, and their quotes are counted (E7)", () => {
  const actorCount = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`k${index}`, index % 10]));
  const kept: JsonValue = { actorStatistics: { actorCount } };
  const asStrings = Object.fromEntries(Object.entries(actorCount).map(([kind, n]) => [kind, `${n}`]));
  const sent: JsonValue = { actorStatistics: { actorCount: asStrings } };
  const bound = entryBytes({ ...entry(HEARTBEAT_KEY, 2 ** 52, kept), type: TYPE.heartbeat });
  assert(bound >= bytesOf(onTheWire(HEARTBEAT_KEY, TYPE.heartbeat, sent)));
});

Deno.test("size: a tombstone takes room too (E7)", () => {
  const key = "k".repeat(100);
  const bound = entryBytes(tombstone(key, 2 ** 52));
  assert(
    bound >=
      bytesOf({
        [key]: { sequenceNumber: `${2 ** 52}`, localTimestampUnixMilliseconds: "9007199254740991" },
      }),
  );
});

Deno.test("size: a member's bytes include its id in state, range and reset, and their frame (E7)", () => {
  for (const id of ["m", "ид-участника", 'a "b" \\', "x".repeat(200)]) {
    const number = 2 ** 52;
    const range = [LIFE, number, number, number];
    const taken = bytesOf({ [id]: { values: {} } }) + bytesOf({ [id]: range }) + bytesOf({ [id]: number });
    assert(memberBytes(id) >= taken, id);
    assert(memberBytes(id) <= taken + 60, id);
  }
});

Deno.test("size: a reported version takes the room of an id, an incarnation and a number (E7)", () => {
  const holds = new Map(["a", "é", "x".repeat(100)].map((id) => [id, { life: LIFE, number: 2 ** 52 }]));
  const taken = bytesOf(Object.fromEntries([...holds].map(([id, { life, number }]) => [id, [life, number]])));
  assert(holdsBytes(holds) >= taken);
  assertEquals(holdsBytes(new Map()), 0);
});

Deno.test("size: a delta's bytes are those of its member and of every entry (E7)", () => {
  const entries = [entry("a", 1, "x"), tombstone("b", 2)];
  const bytes = memberBytes("m") + entryBytes(entries[0]!) + entryBytes(entries[1]!);
  assertEquals(deltaBytes(memberDelta("m", LIFE, entries)), bytes);
});
