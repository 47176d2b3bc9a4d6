import { assert, assertEquals } from "../../deps/std_assert.ts";
import type { Message, Refusal } from "../../protocol/message.ts";
import { encode, MAX_ID_BYTES } from "../../protocol/codec.ts";
import { HOSTILE_HOSTS, HOSTILE_URLS } from "../common/host_names.ts";
import { tombstone } from "../engine/harness.ts";
import {
  ACTIVE,
  DIGEST,
  entryOf,
  gossipWith,
  HELLO,
  HOSTILE,
  LIFE,
  memberDelta,
  read,
  refused,
  type Wrong,
} from "./messages.ts";

Deno.test("decode: returns a message of an unknown type with its name and its unchecked fields (P7)", () => {
  const fields = { type: "whisper", secret: 1 };
  assertEquals(read(fields), { type: "unknown", name: "whisper", fields });
});

Deno.test("decode: ignores unknown fields (P7)", () => {
  const ack: Message = { type: "ack", id: "7", holds: new Map() };
  assertEquals(read({ type: "ack", id: "7", color: "red", holds: {} }), ack);
  assertEquals(entryOf({ sequenceNumber: "1", color: "red" }), tombstone("k", 1));
});

Deno.test("decode: known versions and comparisons may have ids such as __proto__ (P2)", () => {
  const holds = new Map(HOSTILE.map((id) => [id, { incarnation: LIFE, number: 1 }]));
  const ack = read(encode({ type: "ack", id: "7", holds }));
  assert(ack.type === "ack");
  assertEquals(new Set(ack.holds.keys()), new Set(HOSTILE));
  const members = new Map(HOSTILE.map((id) => [id, { incarnation: LIFE, number: 1, sum: DIGEST }]));
  const reconcile = read(
    encode({ type: "reconcile", id: "7", part: { from: "", until: undefined, members } }),
  );
  assert(reconcile.type === "reconcile");
  assertEquals(new Set(reconcile.part.members.keys()), new Set(HOSTILE));
});

Deno.test("decode: refuses JSON that is not a message with 4400 (P2)", () => {
  for (const text of ["null", "1", '"ack"', "[]", "true"]) refused(text, "A message must be a JSON object");
  refused("{}", "type: must be a well-formed string of 1 to 256 bytes, was left out.");
  for (const type of [1, "", null, "x".repeat(257), ["ack"]]) refused({ type }, "type: must be");
});

const WRONG_HELLOS: readonly Wrong[] = [
  [{ id: undefined }, "id: must be a well-formed string of 1 to 256 bytes, was left out."],
  [{ id: "x".repeat(MAX_ID_BYTES + 1) }, "id: must be"],
  [{ cluster: "" }, 'cluster: must be a well-formed string of 1 to 256 bytes, was "".'],
  [{ member: null }, "member: must be an object, was null."],
  [{ member: [] }, "member: must be an object, was an array."],
  [{ member: { ...HELLO.member, id: "ü".repeat(129) } }, "member.id: must be"],
  [{ member: { ...HELLO.member, id: "\ud800" } }, "member.id: must be a well-formed string"],
  [{ member: { ...HELLO.member, host: 1 } }, "member.host: must be"],
  ...HOSTILE_HOSTS.filter((host) => host !== "").map((host) =>
    [{ member: { ...HELLO.member, host } }, "member.host: must be a name or an address, was"] as const
  ),
  ...HOSTILE_URLS.filter((url) => url !== "").map((url) =>
    [{ member: { ...HELLO.member, url } }, "member.url: must be a ws: or wss: URL"] as const
  ),
  [
    { member: { ...HELLO.member, port: 65536 } },
    "member.port: must be a whole number from 0 to 65535, was 65536.",
  ],
  [
    { member: { ...HELLO.member, port: "80" } },
    'member.port: must be a whole number from 0 to 65535, was "80".',
  ],
  [{ member: { ...HELLO.member, kinds: ["a", 2] } }, 'member.kinds["1"]: must be'],
  [
    { member: { ...HELLO.member, kinds: Array(257).fill("k") } },
    "member.kinds: must be a list of at most 256",
  ],
  [
    { member: { ...HELLO.member, kinds: Array(65).fill("k".repeat(256)) } },
    "member.kinds: must be names of at most 16384 bytes together",
  ],
  [{ incarnation: LIFE.toUpperCase() }, "incarnation: must be an incarnation such as"],
  [{ incarnation: `${LIFE}0` }, "incarnation: must be"],
  [{ count: undefined }, "count: must be a whole number from 0 to 4503599627370496, was left out."],
  [{ count: -1 }, "count: must be a whole number from 0 to 4503599627370496, was -1."],
  [{ version: 1.5 }, "version: must be a whole number"],
  [{ capabilities: "zip" }, 'capabilities: must be an array, was "zip".'],
  [{ oldestVersion: undefined }, "oldestVersion: must be a whole number"],
  [{ settings: 7 }, "settings: must be an object, was 7."],
  [
    { settings: { ...HELLO.settings, maxMessageBytes: -1 } },
    "settings.maxMessageBytes: must be a whole number",
  ],
  [
    { settings: { ...HELLO.settings, gossipInterval: undefined } },
    "settings.gossipInterval: must be a whole number",
  ],
  [{ member: { ...HELLO.member, url: "u".repeat(2_049) } }, "member.url: must be a well-formed string"],
  [{ digest: "0123456789ABCDEF" }, "digest: must be sixteen hexadecimal digits"],
  [{ active: "" }, "active: must be sixteen hexadecimal digits"],
];

Deno.test("decode: refuses an invalid hello, and names the field (P2)", () => {
  for (const [change, sentence] of WRONG_HELLOS) refused({ ...HELLO, ...change }, sentence);
});

Deno.test("decode: refuses an invalid reply, ack, comparison and refusal (P2)", () => {
  const reply = {
    type: "reply",
    count: 0,
    id: "7",
    response: {},
    digest: DIGEST,
    active: ACTIVE,
  };
  assertEquals(read(reply).type, "reply");
  refused({ ...reply, response: undefined }, "response: must be an object, was left out.");
  refused({ ...reply, holds: { a: [LIFE, "1"] } }, 'holds["a"]["1"]: must be a whole number');
  refused({ type: "ack", id: "7", holds: [] }, "holds: must be an object, was an array.");
  refused(gossipWith({}, { holds: { a: [LIFE] } }), 'holds["a"]: must be an incarnation and a number');
  refused({ type: "ack", id: "" }, "id: must be");
  const reconcile = { type: "reconcile", id: "7", from: "b", until: "d" };
  assertEquals(read(reconcile).type, "reconcile");
  refused({ ...reconcile, from: 1 }, "from: must be a well-formed string, was 1.");
  refused({ ...reconcile, until: "" }, "until: must be");
  for (const id of ["a", "d"]) {
    refused(
      { ...reconcile, members: { [id]: [LIFE, 1, DIGEST] } },
      `members["${id}"]: must be an id that is at least "b" and below "d"`,
    );
  }
  refused(
    { ...reconcile, members: { b: [LIFE, 1] } },
    'members["b"]: must be an incarnation, a number and a sum',
  );
  refused(
    { ...reconcile, members: { b: [LIFE, 1, "x"] } },
    'members["b"]["2"]: must be sixteen hexadecimal digits',
  );
  const refusal = { type: "error", code: "busy", message: "No." };
  refused({ ...refusal, code: 7 }, "code: must be a well-formed string");
  assertEquals(read({ ...refusal, code: "tired", reason: "age" }), {
    type: "error",
    code: "other",
    message: "No.",
  });
  refused({ ...refusal, message: undefined }, "message: must be a well-formed string, was left out.");
  refused({ ...refusal, reason: 7 }, "reason: must be a well-formed string");
  refused({ ...refusal, id: null }, "id: must be");
  const proved = { ...refusal, request: { state: { members: {} } }, ranges: { a: [LIFE, 0] } };
  assertEquals((read(proved) as Refusal).state, memberDelta("a", []));
  refused({ ...proved, ranges: {} }, "ranges: must be one member, was 0");
  refused({ ...proved, ranges: { a: [LIFE, 0], b: [LIFE, 0] } }, "ranges: must be one member, was 2");
  refused({ ...proved, signatures: { b: "x" } }, 'signatures["b"]: must be of a member in ranges');
});
