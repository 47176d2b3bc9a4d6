import { assert, assertEquals, assertStringIncludes, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { PROTOCOL_VERSION } from "../../protocol/message.ts";
import { join } from "../../node/join.ts";
import { CONFIG, gossip, hello, LIFE, push, Raw, SETTINGS, Victims, ZERO } from "./hostile_client.ts";

/** Invalid messages, and the expected close code. */
const REFUSED: readonly (readonly [string, string, number])[] = [
  ["text that is not JSON", "{", 4400],
  ["JSON that is not an object", "[1]", 4400],
  ["an object without a type", "{}", 4400],
  [
    "a message of the wrong shape",
    JSON.stringify({ type: "gossip", count: 0, id: "d2", request: 7 }),
    4400,
  ],
  ["a number above 2^52", JSON.stringify(gossip({ number: "4503599627370497" })), 4400],
  ["a number that JSON makes infinite", JSON.stringify(gossip({ value: 8 })).replace(":8}", ":1e999}"), 4400],
  [
    "a value nested too deep",
    JSON.stringify(gossip({ value: 8 })).replace(":8}", `:${"[".repeat(65)}${"]".repeat(65)}}`),
    4400,
  ],
  ["a message of 1 MiB and a byte", `"${"x".repeat(1_048_575)}"`, 4413],
  [
    "a reply to nothing",
    JSON.stringify({
      type: "reply",
      count: 0,
      id: "a999",
      response: {},
      digest: ZERO,
      active: ZERO,
    }),
    4400,
  ],
  ["a heartbeat without a count", '{"type":"heartbeat"}', 4400],
  ["a heartbeat with a negative count", '{"type":"heartbeat","count":-1}', 4400],
  ["a heartbeat that is a text", '{"type":"heartbeat","count":"1"}', 4400],
  ["a vector without a stride", '{"type":"heartbeat","count":1,"live":{"counts":"A"}}', 4400],
  ["a stride above 2^20", '{"type":"heartbeat","count":1,"live":{"stride":1048577,"counts":"A"}}', 4400],
  ["counts that are no digits", '{"type":"heartbeat","count":1,"live":{"stride":1,"counts":"A B"}}', 4400],
  ["a push without a request", '{"type":"push"}', 4400],
  ["a push whose member has no range", JSON.stringify({ ...push(), ranges: {} }), 4400],
  ["a push with a count that is none", JSON.stringify({ ...push(), ranges: { raw: [LIFE, 0, 0.5] } }), 4400],
  ["a push that says maybe to relay", JSON.stringify({ ...push(), relay: "maybe" }), 4400],
  ["a push of a number above 2^52", JSON.stringify(push({ number: "4503599627370497" })), 4400],
  ["a request under the other side's letter", JSON.stringify(gossip({ id: "a2" })), 4400],
  ["gossip in another's name", JSON.stringify(gossip({ from: "friend" })), 4400],
];

for (const [what, text, code] of REFUSED) {
  Deno.test(`bad input: ${what} closes the connection with ${code}, and no other member is affected (P2, P6)`, async () => {
    await using victims = await Victims.make();
    const raw = await Raw.greeted(victims.victim);
    raw.say(text);
    assertEquals(await raw.closes(), code);
    await victims.assertServed(["raw"]);
  });
}

Deno.test("bad input: messages, fields and codes of later versions are ignored (P7)", async () => {
  await using victims = await Victims.make();
  const raw = await Raw.to(victims.victim);
  raw.say(hello({ version: PROTOCOL_VERSION + 1, capabilities: ["shouting"], mood: "fine" }));
  await raw.hears("hello");
  raw.say(JSON.stringify({ type: "shout", text: "hello" }));
  raw.say(JSON.stringify({ type: "error", code: "too_loud", message: "no", reason: "noise" }));
  raw.say(JSON.stringify({ ...gossip({ value: 8 }), mood: "fine" }));
  await raw.hears("reply");
  assertEquals(victims.victim.blockedMembers, []);
  await raw.hangUp();
});

Deno.test("bad input: an incarnation more than a year ahead is refused in a handshake and not merged from gossip (E2)", async () => {
  await using victims = await Victims.make();
  const far = `${(Date.now() + 2 * 366 * 86_400_000).toString(16).padStart(12, "0")}-00000000`;
  const stranger = await Raw.to(victims.victim);
  stranger.say(hello({ incarnation: far }));
  assertEquals((await stranger.hears("error")).code, "invalid");
  assertEquals(await stranger.closes(), 4400);

  const raw = await Raw.greeted(victims.victim);
  // The sender may be an honest relay whose clock is ahead: nothing is merged, and the connection stays.
  raw.say(gossip({ incarnation: far }));
  await raw.hears("reply");
  await victims.assertServed(["raw"]);
  await raw.hangUp();
});

for (const id of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
  Deno.test(`bad input: the id ${id} is valid as member, owner and key (P2)`, async () => {
    await using victims = await Victims.make();
    const raw = await Raw.greeted(victims.victim, id);
    const text = JSON.stringify(gossip({ owner: "OWNER", from: id })).replaceAll('"OWNER"', `"${id}"`)
      .replace(
        '"k":',
        `"${id}":`,
      );
    raw.say(text);
    await raw.hears("reply");
    assertEquals(victims.victim.getState(id).get(id)?.value, 1);
    assertEquals(({} as Record<string, unknown>)["sequenceNumber"], undefined);
    await raw.hangUp();
  });
}

Deno.test("bad input: a peer of another cluster, or with other limits, is refused with the reason before anything else (P1)", async () => {
  await using victims = await Victims.make();
  for (
    const [fields, code] of [
      [{ cluster: "another" }, "wrong_cluster"],
      [{ version: PROTOCOL_VERSION - 1, oldestVersion: 1 }, "incompatible"],
      [{ version: PROTOCOL_VERSION + 2, oldestVersion: PROTOCOL_VERSION + 1 }, "incompatible"],
      [{ settings: { ...SETTINGS, gossipInterval: 3_600_000 } }, "incompatible"],
      [{ settings: { ...SETTINGS, heartbeatExpiration: 1 } }, "incompatible"],
    ] as const
  ) {
    const raw = await Raw.to(victims.victim);
    raw.say(hello(fields));
    const refusal = await raw.hears("error");
    assertEquals([refusal.code, refusal.id], [code, "d1"]);
    assertEquals(await raw.closes(), 4403);
  }
  await victims.assertServed();
});

Deno.test("bad input: a handshake that never comes closes with 4408, and gossip before it with 4400 (P1, P6)", async () => {
  await using victims = await Victims.make();
  const silent = await Raw.to(victims.victim);
  const hasty = await Raw.to(victims.victim);
  hasty.say(gossip());
  assertEquals([await hasty.closes(), await silent.closes()], [4400, 4408]);
  await victims.assertServed();
});

Deno.test("bad input: a peer that claims to be this member is refused, and this member keeps its state (E1)", async () => {
  await using victims = await Victims.make();
  victims.victim.setState("mine", "kept");
  const raw = await Raw.to(victims.victim);
  raw.say(hello({ member: { id: "victim", host: "127.0.0.1", port: 1 } }));
  assertEquals((await raw.hears("error")).code, "id_conflict");
  assertEquals(await raw.closes(), 4403);
  assertEquals(victims.victim.getState("mine").get("victim")?.value, "kept");
  await victims.assertServed();
});

Deno.test("bad input: entries of a peer about this member are not merged (E1)", async () => {
  await using victims = await Victims.make();
  const raw = await Raw.greeted(victims.victim);
  raw.say(gossip({ owner: "victim", number: "900000" }));
  const reply = await raw.hears("reply");
  assert("victim" in (reply.holds as Record<string, unknown>));
  await victims.assertServed(["raw"]);
  await raw.hangUp();
});

Deno.test("bad input: a repeated request is answered once and merged once (E3, E5)", async () => {
  await using victims = await Victims.make();
  const raw = await Raw.greeted(victims.victim);
  const updates: unknown[] = [];
  const watching = (async () => {
    for await (const { value } of victims.victim.watch("k")) updates.push(value);
  })();
  raw.say(gossip());
  raw.say(gossip());
  raw.say({ ...gossip(), id: "d3" });
  assertEquals([(await raw.hears("reply")).id, (await raw.hears("reply")).id], ["d2", "d3"]);
  assertEquals(updates, [1]);
  await raw.hangUp();
  await victims[Symbol.asyncDispose]();
  await watching;
});

Deno.test("bad input: an acknowledgement of unsent entries is ignored (E5)", async () => {
  await using victims = await Victims.make();
  const raw = await Raw.greeted(victims.victim);
  raw.say({ type: "ack", id: "d77", holds: { victim: ["ffffffffffff-ffffffff", 9] } });
  raw.say({ type: "ping" });
  await raw.hears("pong");
  await victims.assertServed(["raw"]);
  await raw.hangUp();
});

Deno.test("bad input: pushed state whose incarnation is more than a year ahead is not merged, and the connection stays open (E2)", async () => {
  await using victims = await Victims.make();
  const far = `${(Date.now() + 2 * 366 * 86_400_000).toString(16).padStart(12, "0")}-00000000`;
  const raw = await Raw.greeted(victims.victim);
  raw.say(push({ incarnation: far }));
  raw.say({ type: "ping" });
  await raw.hears("pong");
  assertEquals(victims.victim.getState("k").has("raw"), false);
  await victims.assertServed(["raw"]);
  await raw.hangUp();
});

Deno.test("bad input: a push or a heartbeat before the handshake closes with 4400 (P1)", async () => {
  await using victims = await Victims.make();
  for (const message of [push(), { type: "heartbeat", count: 1 }]) {
    const hasty = await Raw.to(victims.victim);
    hasty.say(message);
    assertEquals(await hasty.closes(), 4400);
  }
  await victims.assertServed();
});

Deno.test("bad input: a push about this member, or with a gap, is not merged, and a later valid push is (E1, E4)", async () => {
  await using victims = await Victims.make();
  const gossiper = victims.victim;
  gossiper.setState("mine", "kept");
  const { incarnation } = gossiper.members.find(({ isSelf }) => isSelf)!;
  const raw = await Raw.greeted(victims.victim);
  const lie = push({ owner: "victim", incarnation: incarnation!, number: "1" });
  const gap = push({ number: "9", after: 8 });
  raw.say(lie);
  raw.say(gap);
  raw.say({ type: "ping" });
  await raw.hears("pong");
  await victims.assertServed(["raw"]);
  assertEquals(gossiper.getState("mine").get("victim")?.value, "kept");
  raw.say(push());
  raw.say({ type: "ping" });
  await raw.hears("pong");
  assertEquals([...gossiper.getState("k")].map(([id, { value }]) => [id, value]), [["raw", 1]]);
  await raw.hangUp();
});

Deno.test("bad input: false counts and vectors neither block nor delay a member (L2)", async () => {
  await using victims = await Victims.make({ heartbeatExpiration: 1_000 });
  const raw = await Raw.greeted(victims.victim);
  const { active } = await raw.hears("gossip");
  const fields = [
    { live: { active, stride: 1, counts: "___" } },
    { live: { active, stride: 2 ** 20, counts: "fff" } },
    { live: { active, stride: 1, counts: "_".repeat(1_000) } },
    { live: { stride: 1, counts: "_".repeat(1_001) } },
    { live: { stride: 1, counts: "" } },
    {},
  ];
  for (let count = 0; count < 60; count++) {
    raw.say({ type: "heartbeat", count: 2 ** 52 - count, ...fields[count % fields.length] });
  }
  raw.say({ type: "ping" });
  await raw.hears("pong");
  await victims.assertServed(["raw"]);
  // For two expirations the others stay alive for each other, whatever was sent about them.
  const endMs = Date.now() + 2_000;
  while (Date.now() < endMs) {
    for (const gossiper of [victims.victim, victims.friend]) {
      const ids = gossiper.blockedMembers.map(({ id }) => id).filter((id) => id !== "raw");
      assertEquals(ids, []);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await raw.hangUp();
});

Deno.test("bad input: a flood of pings is answered and delays no member (P5)", async () => {
  await using victims = await Victims.make();
  const raw = await Raw.greeted(victims.victim);
  for (let count = 0; count < 20_000; count++) raw.say('{"type":"ping"}');
  await victims.assertServed(["raw"]);
  await raw.hangUp();
});

Deno.test("bad input: after the end a client of a mounted handler gets 503 with a text (R9.3, P1)", async () => {
  const node = await join({ cluster: "honest", advertise: { host: "127.0.0.1", port: 1 }, config: CONFIG });
  await node.stop();
  const headers = { upgrade: "websocket", connection: "upgrade", "sec-websocket-protocol": "hearsay.v2" };
  const response = await node.handler(new Request("http://127.0.0.1/gossip", { headers }));
  assertEquals(response?.status, 503);
  assertStringIncludes(await response!.text(), "stopped");
});

Deno.test("bad input: setState refuses a value that JSON cannot carry, with the path, and changes nothing (R4.2)", async () => {
  await using victims = await Victims.make();
  const gossiper = victims.victim;
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  for (
    const [value, path] of [
      [cycle, "value.self"],
      [{ on: { click: () => {} } }, "value.on.click"],
      [[1, undefined], "value[1]"],
      [{ load: NaN }, "value.load"],
    ] as const
  ) {
    const error = assertThrows(() => gossiper.setState("k", value), HearsayError, path);
    assertEquals(error.code, "invalid_value");
  }
  await victims.assertServed();
});
