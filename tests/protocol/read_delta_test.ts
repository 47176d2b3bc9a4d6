import { assert, assertEquals } from "../../deps/std_assert.ts";
import { encode, MAX_KEY_BYTES } from "../../protocol/codec.ts";
import { tombstone } from "../engine/harness.ts";
import {
  ACTIVE,
  ANY,
  AT,
  DIGEST,
  entry,
  entryOf,
  gossip,
  gossipOf,
  gossipWith,
  HOSTILE,
  LIFE,
  memberDelta,
  read,
  refused,
  type Wrong,
} from "./messages.ts";

Deno.test("decode: reads sequence numbers and stamps from strings and from numbers (P3)", () => {
  assertEquals(entryOf({ sequenceNumber: "4503599627370496" }).number, 2 ** 52);
  assertEquals(entryOf({ sequenceNumber: 7, localTimestampUnixMilliseconds: 1_700_000_000_000 }).number, 7);
  assertEquals(entryOf({ sequenceNumber: 7, localTimestampUnixMilliseconds: "-1" }), tombstone("k", 7));
});

Deno.test("decode: reads null as an omitted field (P3)", () => {
  assertEquals(entryOf({ sequenceNumber: "1", value: null }), tombstone("k", 1));
  const message = read({ ...gossipWith(null, {}), request: { memberId: "a", state: null } });
  assertEquals(message, gossip([]));
});

Deno.test("decode: returns entries in rising order of number, from any order (E4)", () => {
  const values = { b: { sequenceNumber: "9" }, 5: { sequenceNumber: "3" }, a: { sequenceNumber: "7" } };
  const message = read(gossipWith({ x: { values } }, { ranges: { x: [LIFE, 2] } }));
  assert(message.type === "gossip");
  assertEquals(message.delta.members[0]!.entries.map((entry) => entry.number), [3, 7, 9]);
});

Deno.test("decode: ids and keys such as __proto__ are valid (P2)", () => {
  const members = HOSTILE.map((id) =>
    memberDelta(id, HOSTILE.map((key, index) => entry(key, index + 1, { __proto__x: key })))
  );
  const message = read(encode(gossip(members)));
  assert(message.type === "gossip");
  const byId = new Map(message.delta.members.map((member) => [member.id, member]));
  assertEquals(new Set(byId.keys()), new Set(HOSTILE));
  for (const id of HOSTILE) assertEquals(byId.get(id)!.entries.map((entry) => entry.key), HOSTILE);
});

Deno.test("decode: a member with the id of an inherited property has no state unless it was sent (P2)", () => {
  const members = ["__proto__", "constructor"].map((id) => memberDelta(id, []));
  const text = encode(gossip([memberDelta("x", [entry("k", 1, 1)]), ...members]));
  assertEquals(read(text), gossip([memberDelta("x", [entry("k", 1, 1)]), ...members]));
});

const GOOD_STATE = { x: { values: { k: { sequenceNumber: "1" } } } };
const WRONG_GOSSIPS: readonly Wrong[] = [
  [{ id: 7 }, "id: must be"],
  [{ request: undefined }, "request: must be an object, was left out."],
  [{ request: {} }, "request.memberId: must be"],
  [{ request: { memberId: "a", state: [] } }, "request.state: must be an object, was an array."],
  [{ request: { memberId: "a", state: { members: 1 } } }, "request.state.members: must be an object, was 1."],
  [{ ranges: {} }, 'ranges["x"]: must be a range for each member in the state, was left out.'],
  [{ ranges: [] }, "ranges: must be an object, was an array."],
  [{ ranges: { x: [LIFE] } }, 'ranges["x"]: must be an incarnation, a number and up to two more numbers'],
  [{ ranges: { x: [LIFE, 0, 0, 0, 0] } }, 'ranges["x"]: must be an incarnation, a number and up to two'],
  [{ ranges: { x: [LIFE, 0, 0, -1] } }, 'ranges["x"]["3"]: must be a whole number from 0 to'],
  [{ ranges: { x: [LIFE, 0, "1"] } }, 'ranges["x"]["2"]: must be a whole number from 0 to'],
  [{ ranges: { x: [LIFE, 0, -1] } }, 'ranges["x"]["2"]: must be a whole number from 0 to'],
  [{ ranges: { x: [LIFE, 0, 2 ** 52 + 1] } }, 'ranges["x"]["2"]: must be a whole number from 0 to'],
  [{ ranges: { x: ["now", 0] } }, 'ranges["x"]["0"]: must be an incarnation'],
  [{ ranges: { x: [LIFE, -1] } }, 'ranges["x"]["1"]: must be a whole number from 0 to 4503599627370496'],
  [{ ranges: { x: [LIFE, 2 ** 52 + 1] } }, 'ranges["x"]["1"]: must be'],
  [{ ranges: { x: [LIFE, 0.5] } }, 'ranges["x"]["1"]: must be'],
  [{ ranges: { x: [LIFE, 0], "": [LIFE, 0] } }, 'ranges[""]: must be a well-formed string'],
  [
    { ranges: { x: [LIFE, 1] } },
    '.values["k"].sequenceNumber: must be above 1, where the range starts, was 1.',
  ],
  [{ resets: { y: 1 } }, 'resets["y"]: must be of a member in ranges, was "y".'],
  [{ resets: { constructor: 1 } }, 'resets["constructor"]: must be of a member in ranges'],
  [{ resets: { x: true } }, 'resets["x"]: must be a whole number from 0 to'],
  [{ resets: { x: 0 } }, 'resets["x"]: must be at least 1, the last entry, was 0.'],
  [{ resets: ["x"] }, "resets: must be an object, was an array."],
  [{ partial: 1 }, "partial: must be true or false, was 1."],
  [{ digest: undefined }, "digest: must be sixteen hexadecimal digits, was left out."],
  [{ active: 1 }, "active: must be"],
  [{ agreeing: 1 }, "agreeing: must be base64url digits, was 1."],
  [{ agreeing: null }, "agreeing: must be base64url digits, was null."],
  [{ agreeing: "AB=" }, "agreeing: must be base64url digits"],
  [{ agreeing: "A." }, "agreeing: must be base64url digits"],
];

/** Faults in a message's liveness. */
const WRONG_LIVENESS: readonly Wrong[] = [
  [{ count: undefined }, "count: must be a whole number from 0 to 4503599627370496, was left out."],
  [{ count: null }, "count: must be a whole number"],
  [{ count: "7" }, 'count: must be a whole number from 0 to 4503599627370496, was "7".'],
  [{ count: -1 }, "count: must be a whole number"],
  [{ count: 0.5 }, "count: must be a whole number"],
  [{ count: 2 ** 52 + 1 }, "count: must be a whole number"],
  [{ live: null }, "live: must be an object, was null."],
  [{ live: [] }, "live: must be an object, was an array."],
  [{ live: { counts: "A" } }, "live.stride: must be a whole number from 1 to 1048576, was left out."],
  [{ live: { stride: 0, counts: "A" } }, "live.stride: must be a whole number from 1 to"],
  [{ live: { stride: -1, counts: "A" } }, "live.stride: must be a whole number from 1 to"],
  [{ live: { stride: 2 ** 20 + 1, counts: "A" } }, "live.stride: must be a whole number from 1 to"],
  [{ live: { stride: "1", counts: "A" } }, "live.stride: must be a whole number from 1 to"],
  [{ live: { stride: 1 } }, "live.counts: must be base64url digits and dots, was left out."],
  [{ live: { stride: 1, counts: [0] } }, "live.counts: must be base64url digits and dots"],
  [{ live: { stride: 1, counts: "A B" } }, "live.counts: must be base64url digits and dots"],
  [{ live: { stride: 1, counts: "A+" } }, "live.counts: must be base64url digits and dots"],
  [{ live: { stride: 1, counts: "\ud83d\ude00" } }, "live.counts: must be base64url digits and dots"],
  [{ live: { stride: 1, counts: "A", active: "x" } }, "live.active: must be sixteen hexadecimal digits"],
  [{ live: { stride: 1, counts: "A", active: null } }, "live.active: must be sixteen hexadecimal digits"],
];

Deno.test("decode: refuses invalid counts and vectors in each message, and names the field (P2)", () => {
  const frame = { digest: DIGEST, active: ACTIVE, count: 1 };
  const messages = [
    { type: "heartbeat", count: 1 },
    { type: "gossip", id: "7", request: { memberId: "a" }, ...frame },
    { type: "reply", id: "7", response: {}, ...frame },
  ];
  for (const good of messages) {
    assertEquals(read(good).type, good.type);
    for (const [change, sentence] of WRONG_LIVENESS) refused({ ...good, ...change }, sentence);
  }
});

const WRONG_PUSHES: readonly Wrong[] = [
  [{ request: undefined }, "request: must be an object, was left out."],
  [{ request: 7 }, "request: must be an object, was 7."],
  [{ request: { state: { members: [] } } }, "request.state.members: must be an object, was an array."],
  [{ ranges: {} }, 'ranges["x"]: must be a range for each member in the state, was left out.'],
  [{ ranges: { x: [LIFE, 1] } }, ".sequenceNumber: must be above 1, where the range starts, was 1."],
  [{ ranges: { x: [LIFE, 0, -1] } }, 'ranges["x"]["2"]: must be a whole number from 0 to'],
  [{ resets: { y: 1 } }, 'resets["y"]: must be of a member in ranges, was "y".'],
  [{ signatures: { x: 1 } }, 'signatures["x"]: must be'],
  [{ relay: 1 }, "relay: must be true or false, was 1."],
  [{ relay: "true" }, 'relay: must be true or false, was "true".'],
];

Deno.test("decode: refuses an invalid push, and names the field (P2)", () => {
  const good = { type: "push", request: { state: { members: GOOD_STATE } }, ranges: { x: [LIFE, 0] } };
  assertEquals(read(good).type, "push");
  for (const [change, sentence] of WRONG_PUSHES) refused({ ...good, ...change }, sentence);
});

Deno.test("decode: refuses an invalid gossip, and names the field (P2)", () => {
  const good = gossipWith(GOOD_STATE, { ranges: { x: [LIFE, 0] } });
  assertEquals(read(good).type, "gossip");
  for (const [change, sentence] of WRONG_GOSSIPS) refused({ ...good, ...change }, sentence);
});

Deno.test("decode: refuses a sequence number that is not an integer from 1 to 2^52 (E2)", () => {
  const numbers = [undefined, null, 0, "0", -1, "-1", 1.5, "1.5", "1e3", "01", "", " 1", [1], true];
  for (const number of [...numbers, 2 ** 52 + 1, "4503599627370497", "9".repeat(16), "9".repeat(400)]) {
    refused(gossipOf({ sequenceNumber: number }), `${AT}.sequenceNumber: must be a whole number from 1 to`);
  }
});

Deno.test("decode: refuses two entries with one number (E4)", () => {
  const values = { a: { sequenceNumber: "2" }, b: { sequenceNumber: "2" } };
  refused(
    gossipWith({ x: { values } }, { ranges: { x: [LIFE, 0] } }),
    '.values["b"].sequenceNumber: must be a number of its own, was 2.',
  );
});

Deno.test("decode: refuses an invalid entry, and names the field (P3)", () => {
  const value = (any: unknown) => gossipOf({ sequenceNumber: "1", value: any });
  refused(gossipOf(1), `${AT}: must be an object, was 1.`);
  refused(gossipOf(null), `${AT}: must be an object, was null.`);
  const stamps = ["x", "1.5", 1.5, {}, "9".repeat(20)];
  for (const stamp of stamps) {
    refused(
      gossipOf({ sequenceNumber: "1", localTimestampUnixMilliseconds: stamp }),
      `${AT}.localTimestampUnixMilliseconds: must be a 64-bit integer`,
    );
  }
  refused(value(5), `${AT}.value: must be an object, was 5.`);
  refused(value({}), `${AT}.value.@type: must be`);
  refused(
    value({ "@type": "type.example/" }),
    `${AT}.value.@type: must be a URL that ends with a type's name`,
  );
  refused(
    value({ "@type": `${ANY}google.protobuf.Value` }),
    `${AT}.value.value: must be a JSON value, was left out.`,
  );
  refused(
    value({ "@type": `${ANY}google.protobuf.Empty`, value: 1 }),
    `${AT}.value.value: must be an object`,
  );
  const key = "k".repeat(MAX_KEY_BYTES + 1);
  for (const wrong of [key, "", "\ud800", "ü".repeat(MAX_KEY_BYTES / 2 + 1)]) {
    const state = { x: { values: { [wrong]: { sequenceNumber: "1" } } } };
    refused(
      gossipWith(state, { ranges: { x: [LIFE, 0] } }),
      `must be a well-formed string of 1 to ${MAX_KEY_BYTES} bytes`,
    );
  }
});

Deno.test("decode: reads the lifetime and age of a value, and refuses invalid lifetimes and ages (E16)", () => {
  const value = { "@type": `${ANY}google.protobuf.Value`, value: 1 };
  const read = (fields: object) => entryOf({ sequenceNumber: "1", value, ...fields });
  assertEquals(read({ expiresAfterMilliseconds: 5, ageMilliseconds: 6 }).ageMs, 6);
  assertEquals("ageMs" in read({ expiresAfterMilliseconds: 5 }), false);
  for (const expiresAfterMilliseconds of [0, -1, 1.5, "5", null, 315_360_000_001]) {
    refused(
      gossipOf({ sequenceNumber: "1", value, expiresAfterMilliseconds }),
      `${AT}.expiresAfterMilliseconds: must be a whole number from 1 to 315360000000`,
    );
  }
  for (const ageMilliseconds of [-1, 0.5, "1", null, 2 ** 52 + 1]) {
    refused(
      gossipOf({ sequenceNumber: "1", value, expiresAfterMilliseconds: 5, ageMilliseconds }),
      `${AT}.ageMilliseconds: must be a whole number from 0 to`,
    );
  }
  refused(
    gossipOf({ sequenceNumber: "2", renews: "1" }),
    `${AT}.expiresAfterMilliseconds: must be given with a renewal, was left out.`,
  );
  for (const renews of ["0", 0, "2", 3, -1, 0.5, true, null, "x"]) {
    refused(
      gossipOf({ sequenceNumber: "2", renews, expiresAfterMilliseconds: 5 }),
      `${AT}.renews: must be a whole number below its sequenceNumber, 2, `,
    );
  }
  // An age alone means nothing.
  assertEquals("ageMs" in read({ ageMilliseconds: 3 }), false);
});

Deno.test("decode: drops a stamp of the sender's clock (R5.4)", () => {
  const value = { "@type": `${ANY}google.protobuf.Value`, value: 1 };
  for (const rest of [{}, { value }]) {
    const read = entryOf({ sequenceNumber: "1", localTimestampUnixMilliseconds: "5", ...rest });
    assert(!("timestampMs" in read));
  }
});
