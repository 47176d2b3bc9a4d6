import { assert, assertEquals, assertStringIncludes, assertThrows } from "../../deps/std_assert.ts";
import {
  ConfigurationError,
  configure,
  DEFAULT_CONFIG,
  paced,
  type PartialConfig,
} from "../../options/configuration.ts";
import { presetFor } from "../../options/preset.ts";
import { HearsayError } from "../../common/errors.ts";

/** The problems in the error for an invalid configuration. */
function problemsOf(given: unknown) {
  const error = assertThrows(() => configure(given as PartialConfig), ConfigurationError);
  return error.problems;
}

Deno.test("configuration: the defaults are those of protoactor-go and of this library (R2.6, R12.1)", () => {
  assertEquals(configure(), {
    gossipInterval: 300,
    gossipRequestTimeout: 500,
    gossipFanOut: 3,
    gossipMaxSend: 50,
    heartbeatExpiration: 20_000,
    detectCrashes: true,
    spread: "immediate",
    gossipActorName: "gossip",
    blockedProbeInterval: 60_000,
    tombstoneRetention: 60_000,
    departedRetention: 600_000,
    maxMessageBytes: 1_048_576,
    maxConnections: 128,
    maxMembers: 10_000,
    maxKeysPerMember: 65_536,
    maxStateBytes: 2 ** 23,
    maxHeldBytes: 2 ** 28,
    maxConnectionsPerAddress: 64,
    maxHandshakes: 64,
    maxMessagesPerSecond: 1_000,
    eventCapacity: 1024,
    maxBackoff: 5_000,
  });
  assertEquals(configure(), DEFAULT_CONFIG);
});

Deno.test("configuration: is frozen, and so are the defaults (R12.1)", () => {
  assert(Object.isFrozen(configure({ gossipFanOut: 4 })));
  assert(Object.isFrozen(DEFAULT_CONFIG));
});

Deno.test("configuration: is a copy: a later change of the options has no effect (R12.1)", () => {
  const given = { gossipFanOut: 4 };
  const config = configure(given);
  given.gossipFanOut = 5;
  assertEquals(config.gossipFanOut, 4);
});

Deno.test("configuration: an undefined setting gets the default (R12.1)", () => {
  assertEquals(configure({ gossipFanOut: undefined } as unknown as PartialConfig), DEFAULT_CONFIG);
});

/** The settings that may be `Infinity`. */
const ENDLESS: readonly string[] = ["blockedProbeInterval", "heartbeatExpiration"];

/** The first and the last valid value of every numeric setting, with the other settings that these need. */
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
  ["maxKeysPerMember", 16, 1_000_000],
  ["maxStateBytes", 16_384, 1_073_741_824],
  ["maxConnectionsPerAddress", 1, 100_000],
  ["maxHandshakes", 1, 100_000],
  ["maxMessagesPerSecond", 10, 1_000_000, { gossipInterval: 1_000 }],
  ["maxHeldBytes", 1_048_576, 1_099_511_627_776],
  ["eventCapacity", 1, 1_000_000],
  ["maxBackoff", 10, 3_600_000],
];

Deno.test("configuration: the limits of every numeric setting are tested (R12.3)", () => {
  const numeric = Object.entries(DEFAULT_CONFIG).filter(([, value]) => typeof value === "number");
  assertEquals(LIMITS.map(([field]) => field).sort(), numeric.map(([field]) => field).sort());
});

for (const [field, least, most, besides = {}] of LIMITS) {
  Deno.test(`configuration: ${field} must be from ${least} to ${most} (R12.3)`, () => {
    assertEquals(configure({ ...besides, [field]: least })[field], least);
    assertEquals(configure({ ...besides, [field]: most })[field], most);
    for (const value of [least - 1, most + 1, -1]) {
      const [problem, ...others] = problemsOf({ ...besides, [field]: value });
      assertEquals(others, []);
      assertEquals(problem?.field, field);
      assertEquals(problem?.problem, `must be ${problem?.allowed}`);
      assertEquals(problem?.given, `${value}`);
      assertStringIncludes(problem?.allowed ?? "", `from ${least} to ${most}`);
    }
  });

  Deno.test(`configuration: ${field} must be an integer (R12.3)`, () => {
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
    if (!ENDLESS.includes(field)) wrong.push([Infinity, "Infinity"]);
    for (const [value, text] of wrong) {
      const problems = problemsOf({ ...besides, [field]: value });
      assertEquals(problems.map(({ field, problem, given }) => [field, problem, given]), [
        [field, `must be ${problems[0]?.allowed}`, text],
      ]);
    }
  });
}

Deno.test("configuration: blockedProbeInterval may be Infinity, which means never (E10, R12.1)", () => {
  assertEquals(configure({ blockedProbeInterval: Infinity }).blockedProbeInterval, Infinity);
});

Deno.test("configuration: gossipActorName must be one segment of a URL path (R12.3)", () => {
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
    assertStringIncludes(problem?.problem ?? "", "must be one segment of a URL path");
  }
});

Deno.test("configuration: heartbeatExpiration may be Infinity, with any departedRetention (R12.3)", () => {
  const config = configure({ heartbeatExpiration: Infinity, departedRetention: 100 });
  assertEquals(config.heartbeatExpiration, Infinity);
});

Deno.test("paced: replaces an expiration of Infinity by the default or by 66 longer intervals, and keeps any other expiration", () => {
  const paceOf = (settings: PartialConfig) => {
    const { heartbeatExpiration, neverExpires } = paced(configure(settings));
    return [heartbeatExpiration, neverExpires];
  };
  assertEquals(paceOf({ heartbeatExpiration: Infinity }), [20_000, true]);
  assertEquals(paceOf({ heartbeatExpiration: Infinity, gossipInterval: 1_000 }), [66_000, true]);
  assertEquals(
    paceOf({ heartbeatExpiration: Infinity, gossipRequestTimeout: 60_000 }),
    [120_600, true],
  );
  assertEquals(paceOf({ heartbeatExpiration: 5_000 }), [5_000, undefined]);
});

Deno.test("configuration: heartbeatExpiration must be at least twice the sum of interval and request timeout (R12.3)", () => {
  const times = { gossipInterval: 100, gossipRequestTimeout: 200 };
  assertEquals(configure({ ...times, heartbeatExpiration: 600 }).heartbeatExpiration, 600);
  assertEquals(problemsOf({ ...times, heartbeatExpiration: 599 }), [{
    field: "heartbeatExpiration",
    problem: "must be at least 600 (twice gossipInterval and gossipRequestTimeout together), or one lost " +
      "request would block a live member",
    given: "599",
    allowed: "at least 600 (twice gossipInterval and gossipRequestTimeout together)",
  }]);
});

Deno.test("configuration: a default that other settings make too small is named as the default (R12.3)", () => {
  const [problem] = problemsOf({ gossipInterval: 60_000 });
  assertEquals(problem?.field, "heartbeatExpiration");
  assertEquals(problem?.given, "20000 (the default)");
});

Deno.test("configuration: departedRetention must be at least heartbeatExpiration (R12.3)", () => {
  assertEquals(configure({ departedRetention: 20_000 }).departedRetention, 20_000);
  assertEquals(problemsOf({ departedRetention: 19_999 }).map(({ field }) => field), ["departedRetention"]);
});

Deno.test("configuration: maxConnections must be at least gossipFanOut (R12.3)", () => {
  assertEquals(configure({ maxConnections: 3 }).maxConnections, 3);
  assertEquals(problemsOf({ maxConnections: 2 }).map(({ field }) => field), ["maxConnections"]);
});

Deno.test("configuration: a rule between settings is not checked while one of the settings is invalid (R12.3)", () => {
  assertEquals(problemsOf({ gossipInterval: "1 s", heartbeatExpiration: 100 }).map(({ field }) => field), [
    "gossipInterval",
  ]);
});

Deno.test("configuration: an unknown setting is refused with the nearest valid name (R12.3)", () => {
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
      problem: `is not a setting (did you mean ${right}?)`,
      given: "1",
      allowed: right,
    }]);
  }
});

Deno.test("configuration: an unknown setting without a similar name is refused with the list of all settings (R12.3)", () => {
  const far = ["xyzzy", "", "a", "port", "clusterName", "heartbeat of a member", "gossip".repeat(100)];
  for (const given of [...far, "constructor", "toString"]) {
    const [problem] = problemsOf({ [given]: 1 });
    assertEquals(problem?.problem, "is not a setting", given);
    assertStringIncludes(problem?.allowed ?? "", "gossipInterval, gossipRequestTimeout");
  }
  const own = Object.fromEntries([["__proto__", 1]]);
  assertEquals(problemsOf(own)[0]?.field, "__proto__");
});

Deno.test("configuration: one error names every invalid setting, its value and the valid values (R12.3)", () => {
  const error = assertThrows(
    () =>
      configure({ gossipInterval: 0, gossipFanOutt: 1, gossipMaxSend: "many" } as unknown as PartialConfig),
    ConfigurationError,
  );
  assert(error instanceof HearsayError);
  assertEquals(error.code, "invalid_configuration");
  assertEquals(error.name, "ConfigurationError");
  assertEquals(error.message.split("\n"), [
    "The configuration has 3 problems; nothing was changed.",
    "  `gossipInterval` must be a whole number of milliseconds from 10 to 3600000; got 0.",
    "  `gossipFanOutt` is not a setting (did you mean gossipFanOut?); got 1.",
    '  `gossipMaxSend` must be a whole number of member states from 1 to 10000; got "many".',
  ]);
  assert(Object.isFrozen(error.problems));
});

Deno.test("configuration: a long invalid value is truncated in the error (R12.3)", () => {
  assert(problemsOf({ gossipInterval: "x".repeat(1_000) })[0]!.given.length < 80);
});

Deno.test("configuration: must be a plain object (R12.3)", () => {
  for (
    const given of [null, 5, "gossipInterval", [], new Map([["gossipInterval", 5]]), new Date(), () => {}]
  ) {
    assertEquals(problemsOf(given).map(({ field }) => field), ["configuration"]);
  }
});

Deno.test("presetFor: changes nothing up to 2,000 members, because the defaults suffice (E7)", () => {
  for (const members of [1, 10, 100, 1_000, 2_000]) assertEquals(presetFor(members), {});
  assertEquals(presetFor(2_001), { gossipMaxSend: 51 });
  assertEquals(presetFor(10_000), { gossipMaxSend: 250, maxMembers: 20_000 });
  for (const members of [2_001, 5_000, 10_000]) {
    const config = configure(presetFor(members));
    assert(config.maxMembers >= 2 * members, `room for ${members}`);
  }
});

Deno.test("presetFor: refuses an invalid or too large number of members (E7)", () => {
  for (const members of [0, -1, 1.5, NaN, Infinity, 10_001, "10" as unknown as number]) {
    assertThrows(() => presetFor(members), ConfigurationError, "`members` must be a whole number");
  }
});

/** The most rounds without a newer count of another member, if each sends one vector a round. */
function longestSilence(members: number, rounds: number): number {
  let state = 1;
  const draw = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
  const newest = new Int16Array(members * members);
  let longest = 0;
  for (let round = 1; round <= rounds; round++) {
    for (let id = 0; id < members; id++) newest[id * members + id] = round;
    for (let from = 0; from < members; from++) {
      const [theirs, mine] = [from * members, draw(members) * members];
      for (let of = 0; of < members; of++) {
        if (newest[theirs + of]! > newest[mine + of]!) newest[mine + of] = newest[theirs + of]!;
      }
    }
    for (let at = 0; at < newest.length; at++) longest = Math.max(longest, round - newest[at]!);
  }
  return longest;
}

Deno.test("defaults: a heartbeat of each of 1,000 members reaches all members well before it expires (L2)", () => {
  const { heartbeatExpiration, gossipInterval } = DEFAULT_CONFIG;
  // A digit may be a twelfth of the expiration old when it is sent.
  const most = heartbeatExpiration / gossipInterval * 11 / 12;
  const longest = longestSilence(1_000, 150);
  assert(longest < most * 0.75, `${longest} of ${most} rounds`);
});
