import { assert, assertEquals } from "../../../deps/std_assert.ts";
import { entryHeapBytes } from "../../../engine/state/heap_estimate.ts";
import { deltaBytes } from "../../../engine/sync/selection.ts";
import {
  entryBytes,
  memberBytes,
  signatureBytes,
  sizeWith,
  storedBytes,
  versionBytes,
  versionsBytes,
} from "../../../engine/state/size.ts";
import { HEARTBEAT_KEY, type JsonValue, type SentEntry, TYPE } from "../../../engine/types.ts";
import { entry, memberDelta, tombstone } from "../harness.ts";
import { INCARNATION } from "../incarnations.ts";

const encoder = new TextEncoder();

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
    const range = [INCARNATION, number, number, number];
    const taken = bytesOf({ [id]: { values: {} } }) + bytesOf({ [id]: range }) + bytesOf({ [id]: number });
    assert(memberBytes(id) >= taken, id);
    assert(memberBytes(id) <= taken + 60, id);
  }
});

Deno.test("size: a reported version takes the room of an id, an incarnation and a number (E7)", () => {
  const holds = new Map(
    ["a", "é", "x".repeat(100)].map((id) => [id, { incarnation: INCARNATION, number: 2 ** 52 }]),
  );
  const taken = bytesOf(
    Object.fromEntries([...holds].map(([id, { incarnation, number }]) => [id, [incarnation, number]])),
  );
  assert(versionsBytes(holds) >= taken);
  assertEquals(versionsBytes(new Map()), 0);
});

Deno.test("size: the bytes of a delta are the sum of its member's bytes and every entry's bytes (E7)", () => {
  const entries = [entry("a", 1, "x"), tombstone("b", 2)];
  const bytes = memberBytes("m") + entryBytes(entries[0]!) + entryBytes(entries[1]!);
  assertEquals(deltaBytes(memberDelta("m", INCARNATION, entries)), bytes);
});

Deno.test("memberBytes: counts an id three times, in the bytes of its JSON string (E7)", () => {
  const empty = memberBytes("");
  for (const text of ["a", " ", "\u0001", "\u001f", '"', "\\", "é", "日", "😀", "~"]) {
    // Twice, so that the first and the last character both count.
    const taken = 2 * encoder.encode(text).length;
    const escaped = 2 * (bytesOf(text) - 2);
    assertEquals(memberBytes(text + text) - empty, 3 * Math.max(taken, escaped), text);
  }
  // The two quotes of an id.
  assertEquals(memberBytes("") - versionBytes(""), 2 * bytesOf(""));
});

Deno.test("versionBytes: an answer takes its id once, and answers add up (E7)", () => {
  assertEquals(versionBytes("abc") - versionBytes(""), 3);
  const holds = new Map(["a", "bc"].map((id) => [id, { incarnation: INCARNATION, number: 1 }]));
  assertEquals(versionsBytes(holds), versionBytes("a") + versionBytes("bc"));
});

Deno.test("signatureBytes: is the length of the id and the signature as a field of a JSON object, with its comma (E7)", () => {
  for (const [id, proof] of [["m", "AAAA"], ["ид", ""], ["m", "B".repeat(128)]] as const) {
    // The braces of the object are those of the members.
    assertEquals(signatureBytes(id, proof), bytesOf({ [id]: proof }) - 2 + 1);
  }
});

Deno.test("entryBytes: counts the type, and the value of a heartbeat twice for the quotes of its counts (E7)", () => {
  const bytes = (type: string, json: string) => entryBytes({ ...entry("k", 1, null), type, json });
  assertEquals(bytes("abcdefgh", "1") - bytes("ab", "1"), 6);
  assertEquals(bytes(TYPE.value, "12345678") - bytes(TYPE.value, "12"), 6);
  assertEquals(bytes(TYPE.heartbeat, "12345678") - bytes(TYPE.heartbeat, "12"), 12);
});

Deno.test("storedBytes: an entry counts its key, its type and its value in UTF-8, and 16 bytes (E7)", () => {
  const held = storedBytes({ ...entry("ключ", 1, null), type: "abc", json: '"日本"' });
  assertEquals(held, 8 + 3 + 8 + 16);
});

Deno.test("sizeWith: adds the size of a new entry, and replaces the size of an earlier entry (E7)", () => {
  const size = { keys: 7, bytes: 1_000, sentBytes: 2_000, heapBytes: 3_000 };
  const [first, second]: readonly SentEntry[] = [entry("a", 1, "x"), entry("a", 2, "x".repeat(30))];
  assertEquals(sizeWith(size, first!), {
    keys: 8,
    bytes: 1_000 + storedBytes(first!),
    sentBytes: 2_000 + entryBytes(first!),
    heapBytes: 3_000 + entryHeapBytes(first!),
  });
  const heapBytes = 3_000 + entryHeapBytes(second!) - entryHeapBytes(first!);
  assertEquals(sizeWith(size, second!, first), { keys: 7, bytes: 1_029, sentBytes: 2_029, heapBytes });
});
