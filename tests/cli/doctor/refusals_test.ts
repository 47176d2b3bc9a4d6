import { assertEquals, assertMatch } from "../../../deps/std_assert.ts";
import { codeOfRefusal } from "../../../cli/doctor/member_steps.ts";
import { type Asker, faultOfAnswer } from "../../../cli/doctor/refusals.ts";
import { SUBPROTOCOL } from "../../../transport/web_socket/dial.ts";

const ASKER: Asker = {
  url: new URL("wss://gossip.example/gossip"),
  cluster: "orders",
  hasKeys: true,
  fingerprint: "abcd",
  nowMs: Date.parse("2026-01-01T00:00:10Z"),
};

/** A case: the status and the text of an answer, its headers, and the code and a part of the sentence of the fault. */
type Case = readonly [number, string, Readonly<Record<string, string>>, string, RegExp];

const CASES: readonly Case[] = [
  [401, "The client must identify itself: it has no token.", {}, "key", /this side has none/],
  [
    401,
    "It must be signed with a key of this cluster.",
    {},
    "key",
    /does not know the key of this side, abcd/,
  ],
  [401, "The token is expired.", { date: "Thu, 01 Jan 2026 00:00:40 GMT" }, "clock", /30 s ahead/],
  [401, "The token is expired.", { date: "Wed, 31 Dec 2025 23:59:50 GMT" }, "clock", /20 s behind/],
  [401, "The token is expired.", {}, "clock", /expired\.$/],
  [
    401,
    'The token is for "hearsay:orders@gossip.example:443", and this member is "hearsay:payments@10.0.0.1:7001".',
    {},
    "cluster",
    /of the cluster "payments", and this side names "orders"/,
  ],
  [
    401,
    'The token is for "hearsay:orders@gossip.example:443", and this member is "hearsay:orders@10.0.0.1:7001".',
    {},
    "address",
    /does not know that it is reached at gossip\.example/,
  ],
  [401, "No.", {}, "refused", /refused \(401\): No\./],
  [403, "The client has a token, and this member has none.", {}, "key", /the member has none \(403\)/],
  [403, "Without keys, only this machine may connect.", {}, "refused", /its own machine only/],
  [403, "", {}, "refused", /no reason given/],
  [404, "", { server: "nginx" }, "proxy", /\(nginx\) answers 404 at \/gossip/],
  [404, "", {}, "path", /no member at the path \/gossip/],
  [426, `Use the subprotocol ${SUBPROTOCOL}.`, {}, "proxy", /a proxy drops them/],
  [426, "Use the subprotocol hearsay.v9.", {}, "version", /speaks hearsay\.v9 \(426\)/],
  [426, "", {}, "version", /no protocol of this version/],
  [502, "", { server: "nginx" }, "proxy", /reaches no member \(502, nginx\)/],
  [503, "The member has stopped.", {}, "stopped", /stops, or has not started yet/],
  [503, "Too many connections.", {}, "full", /accepts no connection now/],
  [503, "At most 8 observers may be connected; close another one.", {}, "observers", /no further observer/],
  [500, "", {}, "port", /another HTTP server: it answered 500/],
];

Deno.test("faultOfAnswer: names the fault behind each refusal of a member, a proxy or another server", () => {
  for (const [status, body, headers, code, seen] of CASES) {
    const fault = faultOfAnswer({ status, body, headers: new Map(Object.entries(headers)) }, ASKER);
    assertEquals(fault.code, code, `${status} ${body}`);
    assertMatch(fault.seen, seen);
    assertMatch(fault.todo, /\.$/);
  }
});

Deno.test("faultOfAnswer: without keys on this side, each 401 asks for the keys", () => {
  const fault = faultOfAnswer({ status: 401, body: "No.", headers: new Map() }, { ...ASKER, hasKeys: false });
  assertEquals(fault.code, "key");
});

Deno.test("codeOfRefusal: a peer that began more than a year ahead of a clock is a fault of the clocks (E2)", () => {
  const reason =
    "The peer refused (invalid): ada began more than a year ahead of ben's clock: set the wrong clock.";
  assertEquals(codeOfRefusal(reason), "clock");
});
