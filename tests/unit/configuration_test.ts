import { assert, assertEquals, assertStringIncludes, assertThrows } from "../../deps/std_assert.ts";
import {
  ConfigurationError,
  configure,
  DEFAULT_CONFIG,
  type PartialConfig,
  presetFor,
} from "../../gossiper/configuration.ts";
import { HearsayError } from "../../gossiper/errors.ts";

/** The problems of a configuration that must be refused, given as anything. */
function problemsOf(given: unknown) {
  const error = assertThrows(() => configure(given as PartialConfig), ConfigurationError);
  return error.problems;
}

Deno.test("R2.6 R12.1 the defaults are protoactor-go's, and this library's own beside them", () => {
  assertEquals(configure(), {
    gossipInterval: 300,
    gossipRequestTimeout: 500,
    gossipFanOut: 3,
    gossipMaxSend: 50,
    heartbeatExpiration: 20_000,
    spread: "immediate",
    gossipActorName: "gossip",
    blockedProbeInterval: 60_000,
    tombstoneRetention: 3_600_000,
    departedRetention: 600_000,
    maxMessageBytes: 1_048_576,
    maxConnections: 128,
    maxMembers: 10_000,
    maxKeysPerMember: 4_096,
    maxConnectionsPerAddress: 64,
    maxHandshakes: 64,
    maxMessagesPerSecond: 1_000,
    eventCapacity: 1024,
    maxBackoff: 5_000,
  });
  assertEquals(configure(), DEFAULT_CONFIG);
});

Deno.test("R12.1 a configuration is frozen, and so are the defaults", () => {
  assert(Object.isFrozen(configure({ gossipFanOut: 4 })));
  assert(Object.isFrozen(DEFAULT_CONFIG));
});

Deno.test("R12.1 a configuration is a copy: changing what was given changes nothing", () => {
  const given = { gossipFanOut: 4 };
  const config = configure(given);
  given.gossipFanOut = 5;
  assertEquals(config.gossipFanOut, 4);
});

Deno.test("R12.1 a setting that is undefined counts as not given", () => {
  assertEquals(configure({ gossipFanOut: undefined } as unknown as PartialConfig), DEFAULT_CONFIG);
});

/** The first and the last valid value of every numeric setting, with what else they need. */
const LIMITS: readonly [keyof typeof DEFAULT_CONFIG, number, number, PartialConfig?][] = [
  ["gossipInterval", 10, 3_600_000, { heartbeatExpiration: 86_400_000, departedRetention: 86_400_000 }],
  ["gossipRequestTimeout", 10, 600_000, { heartbeatExpiration: 86_400_000, departedRetention: 86_400_000 }],
  ["gossipFanOut", 1, 1_000, { maxConnections: 1_000 }],
  ["gossipMaxSend", 1, 10_000],
  ["heartbeatExpiration", 100, 86_400_000, {
    gossipInterval: 10,
    gossipRequestTimeout: 10,
    departedRetention: 86_400_000,
  }],
  ["blockedProbeInterval", 100, 86_400_000],
  ["tombstoneRetention", 100, 2_592_000_000],
  ["departedRetention", 100, 2_592_000_000, {
    gossipInterval: 10,
    gossipRequestTimeout: 10,
    heartbeatExpiration: 100,
  }],
  ["maxMessageBytes", 16_384, 33_554_432],
  ["maxConnections", 1, 100_000, { gossipFanOut: 1 }],
  ["maxMembers", 1, 100_000],
  ["eventCapacity", 1, 1_000_000],
  ["maxBackoff", 10, 3_600_000],
];

for (const [field, least, most, besides = {}] of LIMITS) {
  Deno.test(`R12.3 ${field} may be ${least} to ${most} and nothing beside it`, () => {
    assertEquals(configure({ ...besides, [field]: least })[field], least);
    assertEquals(configure({ ...besides, [field]: most })[field], most);
    for (const value of [least - 1, most + 1, -1]) {
      const [problem, ...others] = problemsOf({ ...besides, [field]: value });
      assertEquals(others, []);
      assertEquals(problem?.field, field);
      assertEquals(problem?.problem, "is out of range");
      assertEquals(problem?.given, `${value}`);
      assertStringIncludes(problem?.allowed ?? "", `from ${least} to ${most}`);
    }
  });

  Deno.test(`R12.3 ${field} is refused where it is no whole number, whatever it is instead`, () => {
    const wrong: [unknown, string][] = [
      [least + 0.5, `${least + 0.5}`],
      [NaN, "NaN"],
      [-Infinity, "-Infinity"],
      [`${least}`, `"${least}"`],
      [BigInt(least), `${least}n`],
      [null, "null"],
      [true, "true"],
      [{}, "an object"],
      [[least], "an array"],
      [() => least, "a function"],
      [Symbol("x"), "Symbol(x)"],
    ];
    if (field !== "blockedProbeInterval") wrong.push([Infinity, "Infinity"]);
    for (const [value, text] of wrong) {
      const problems = problemsOf({ ...besides, [field]: value });
      assertEquals(problems.map(({ field, problem, given }) => [field, problem, given]), [
        [field, "is not a whole number", text],
      ]);
    }
  });
}

Deno.test("E10 R12.1 blockedProbeInterval may be Infinity, for never", () => {
  assertEquals(configure({ blockedProbeInterval: Infinity }).blockedProbeInterval, Infinity);
});

Deno.test("R12.3 gossipActorName must be a single URL path segment", () => {
  for (const name of ["gossip", "a", "A-Z_0.9~", "..."]) {
    assertEquals(configure({ gossipActorName: name }).gossipActorName, name);
  }
  const long = "x".repeat(65);
  for (
    const name of ["", ".", "..", "a/b", "a b", "a?b", "a#b", "%2e", "é", "a\n", long, 7, null, ["gossip"]]
  ) {
    const [problem, ...others] = problemsOf({ gossipActorName: name });
    assertEquals(others, []);
    assertEquals(problem?.field, "gossipActorName");
    assertStringIncludes(problem?.problem ?? "", "single URL path segment");
  }
});

Deno.test("R12.3 heartbeatExpiration must be twice the interval and the request timeout together", () => {
  const times = { gossipInterval: 100, gossipRequestTimeout: 200 };
  assertEquals(configure({ ...times, heartbeatExpiration: 600 }).heartbeatExpiration, 600);
  assertEquals(problemsOf({ ...times, heartbeatExpiration: 599 }), [{
    field: "heartbeatExpiration",
    problem: "is so short that one lost request would block a living member",
    given: "599",
    allowed: "at least 600 (twice gossipInterval and gossipRequestTimeout together)",
  }]);
});

Deno.test("R12.3 a default that other settings make too small is named as the default", () => {
  const [problem] = problemsOf({ gossipInterval: 60_000 });
  assertEquals(problem?.field, "heartbeatExpiration");
  assertEquals(problem?.given, "20000 (the default)");
});

Deno.test("R12.3 departedRetention must be at least heartbeatExpiration", () => {
  assertEquals(configure({ departedRetention: 20_000 }).departedRetention, 20_000);
  assertEquals(problemsOf({ departedRetention: 19_999 }).map(({ field }) => field), ["departedRetention"]);
});

Deno.test("R12.3 maxConnections must be at least gossipFanOut", () => {
  assertEquals(configure({ maxConnections: 3 }).maxConnections, 3);
  assertEquals(problemsOf({ maxConnections: 2 }).map(({ field }) => field), ["maxConnections"]);
});

Deno.test("R12.3 a rule between settings is silent while one of them is wrong by itself", () => {
  assertEquals(problemsOf({ gossipInterval: "1 s", heartbeatExpiration: 100 }).map(({ field }) => field), [
    "gossipInterval",
  ]);
});

Deno.test("R12.3 an unknown setting is a wrong one, with the nearest right name", () => {
  const nearest = {
    gossipIntervall: "gossipInterval",
    gossip_fan_out: "gossipFanOut",
    GOSSIPMAXSEND: "gossipMaxSend",
    "gossip-actor-name": "gossipActorName",
    interval: "gossipInterval",
    fanout: "gossipFanOut",
    hearbeatExpiration: "heartbeatExpiration",
    tombstonesRetention: "tombstoneRetention",
  };
  for (const [given, right] of Object.entries(nearest)) {
    assertEquals(problemsOf({ [given]: 1 }), [{
      field: given,
      problem: `is no setting; did you mean ${right}?`,
      given: "1",
      allowed: right,
    }]);
  }
});

Deno.test("R12.3 a name that resembles no setting gets no suggestion, but all that there are", () => {
  const far = ["xyzzy", "", "a", "port", "clusterName", "heartbeat of a member", "gossip".repeat(100)];
  for (const given of [...far, "constructor", "toString"]) {
    const [problem] = problemsOf({ [given]: 1 });
    assertEquals(problem?.problem, "is no setting", given);
    assertStringIncludes(problem?.allowed ?? "", "gossipInterval, gossipRequestTimeout");
  }
  const own = Object.fromEntries([["__proto__", 1]]);
  assertEquals(problemsOf(own)[0]?.field, "__proto__");
});

Deno.test("R12.3 one error names every wrong setting, with what was given and what is allowed", () => {
  const error = assertThrows(
    () =>
      configure({ gossipInterval: 0, gossipFanOutt: 1, gossipMaxSend: "many" } as unknown as PartialConfig),
    ConfigurationError,
  );
  assert(error instanceof HearsayError);
  assertEquals(error.code, "invalid_configuration");
  assertEquals(error.name, "ConfigurationError");
  assertEquals(error.message.split("\n"), [
    "The configuration has 3 problems; nothing was made of it.",
    "  gossipInterval is out of range: given 0, allowed a whole number of milliseconds from 10 to 3600000",
    "  gossipFanOutt is no setting; did you mean gossipFanOut?: given 1, allowed gossipFanOut",
    '  gossipMaxSend is not a whole number: given "many", allowed a whole number of member states from 1 to 10000',
  ]);
  assert(Object.isFrozen(error.problems));
});

Deno.test("R12.3 a long wrong value is cut short in the error", () => {
  assert(problemsOf({ gossipInterval: "x".repeat(1_000) })[0]!.given.length < 80);
});

Deno.test("R12.3 what is no plain object is no configuration", () => {
  for (
    const given of [null, 5, "gossipInterval", [], new Map([["gossipInterval", 5]]), new Date(), () => {}]
  ) {
    assertEquals(problemsOf(given).map(({ field }) => field), ["configuration"]);
  }
});

Deno.test("E7 presetFor keeps the rounds that heartbeats need, within the message limit, at every size", () => {
  for (const members of [1, 10, 100, 333, 334, 1_000, 2_000, 2_001, 5_000, 6_667, 10_000]) {
    const config = configure(presetFor(members));
    const rounds = config.heartbeatExpiration / config.gossipInterval;
    assert(rounds >= 30 * members / (config.gossipFanOut * config.gossipMaxSend), `rounds for ${members}`);
    assert(config.gossipMaxSend * 512 <= config.maxMessageBytes / 2, `bytes for ${members}`);
    assert(config.maxMembers >= 2 * members, `room for ${members}`);
    const statesASecond = 2 * config.gossipFanOut * config.gossipMaxSend / config.gossipInterval * 1_000;
    assert(statesASecond <= 6_000, `${statesASecond} states a second for ${members}`);
  }
});

Deno.test("E7 presetFor changes nothing up to 333 members, where the defaults serve", () => {
  for (const members of [1, 10, 100, 333]) assertEquals(presetFor(members), {});
  assertEquals(presetFor(334), { gossipMaxSend: 51 });
});

Deno.test("E7 presetFor refuses what is no number of members, or too large a one", () => {
  for (const members of [0, -1, 1.5, NaN, Infinity, 10_001, "10" as unknown as number]) {
    assertThrows(() => presetFor(members), ConfigurationError, "members is no number of members");
  }
});

/**
 * The longest time, in rounds, that any of the members waited for a newer heartbeat of any other, where each
 * message carries the sender's own and others drawn by chance: what {@linkcode presetFor} supposes.
 */
function longestWait(members: number, options: { fanOut: number; maxSend: number; rounds: number }): number {
  let state = 1;
  const draw = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
  const newest = new Int32Array(members * members);
  const heard = new Int32Array(members * members);
  let longest = 0;
  const tell = (from: number, to: number, round: number) => {
    for (let place = 0; place < options.maxSend; place++) {
      const about = place === 0 ? from : draw(members);
      const [theirs, mine] = [from * members + about, to * members + about];
      if (about === to || newest[theirs]! <= newest[mine]!) continue;
      if (newest[mine]! > 0) longest = Math.max(longest, round - heard[mine]!);
      newest[mine] = newest[theirs]!;
      heard[mine] = round;
    }
  };
  for (let round = 1; round <= options.rounds; round++) {
    for (let member = 0; member < members; member++) newest[member * members + member] = round;
    for (let member = 0; member < members; member++) {
      for (let turn = 0; turn < options.fanOut; turn++) {
        const peer = (member + 1 + draw(members - 1)) % members;
        tell(member, peer, round);
        tell(peer, member, round);
      }
    }
  }
  return longest;
}

Deno.test("E7 by a model, a preset's rounds suffice for every heartbeat, and a quarter of its places would not", () => {
  const members = 200;
  const config = configure(presetFor(1_000));
  const rounds = config.heartbeatExpiration / config.gossipInterval;
  // The same share of the members in a message as in a cluster of 1,000.
  const maxSend = members * config.gossipMaxSend / 1_000;
  const options = { fanOut: config.gossipFanOut, rounds: 200 };
  const wait = longestWait(members, { ...options, maxSend });
  assert(wait < rounds / 2, `${wait} of ${rounds} rounds`);
  assert(longestWait(members, { ...options, maxSend: maxSend / 4 }) > rounds);
});
