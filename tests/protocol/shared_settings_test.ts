/** Settings that two members have to share: the comparison, the events, and the working combinations. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
  assertNotEquals,
} from "../../deps/std_assert.ts";
import type { PartialConfig } from "../../options/configuration.ts";
import {
  describeDifference,
  settingDifferences,
  type SharedSettings,
} from "../../protocol/shared_settings.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster, type TestMember } from "../requirements/harness.ts";

const SETTINGS: SharedSettings = {
  gossipInterval: 300,
  heartbeatExpiration: 20_000,
  maxKeysPerMember: 4_096,
  maxStateBytes: 2 ** 23,
  maxMessageBytes: 1_048_576,
};
const KIB = 1_024;

/** The differing settings, and the refused ones of them. */
function namesOf(own: Partial<SharedSettings>, theirs: Partial<SharedSettings>): string[] {
  return settingDifferences({ ...SETTINGS, ...own }, { ...SETTINGS, ...theirs }).map((
    { setting, isRefused },
  ) => isRefused ? `${setting}!` : setting);
}

/** Started members with their own settings; a smaller `maxMessageBytes` is its transport's too. */
async function startedWith(configs: { readonly [id: string]: PartialConfig }): Promise<TestCluster> {
  const cluster = new TestCluster(Object.keys(configs));
  for (const [id, config] of Object.entries(configs)) {
    const { maxMessageBytes } = config;
    cluster.make(id, { config, ...(maxMessageBytes !== undefined && { transportBytes: maxMessageBytes }) });
  }
  for (const { gossiper } of cluster.members) await gossiper.start();
  return cluster;
}

function emittedDifferences(member: TestMember): [string, string, number, number, boolean][] {
  return member.emitted("SettingsDiffer").map((
    { peerId, setting, own, theirs, isRefused },
  ) => [peerId, setting, own, theirs, isRefused]);
}

/** Sets keys with values of 1 KiB. */
function fill(member: TestMember, keys: number): void {
  for (let key = 0; key < keys; key++) member.gossiper.setState(`k${key}`, "x".repeat(KIB));
}

/** The number of these keys of another at a member. */
function heldKeys(member: TestMember, of: string): number {
  const { entries } = member.gossiper.snapshot().members.find(({ id }) => id === of)!;
  return entries.filter(({ key }) => key.startsWith("k")).length;
}

Deno.test("settingDifferences: is empty for equal settings, and for durations that fit together", () => {
  assertEquals(namesOf({}, {}), []);
  assertEquals(namesOf({ gossipInterval: 100 }, { gossipInterval: 10_000 }), []);
  assertEquals(namesOf({ gossipInterval: 10_000 }, { gossipInterval: 100 }), []);
  assertEquals(namesOf({ heartbeatExpiration: 600 }, { heartbeatExpiration: 60_000 }), []);
});

Deno.test("settingDifferences: an interval of more than half of the other member's expiration is refused on both sides", () => {
  assertEquals(namesOf({}, { gossipInterval: 10_001 }), ["gossipInterval!"]);
  assertEquals(namesOf({ gossipInterval: 10_001 }, {}), ["heartbeatExpiration!"]);
  assertEquals(namesOf({ heartbeatExpiration: 599 }, {}), ["gossipInterval!"]);
  assertEquals(namesOf({}, { heartbeatExpiration: 599 }), ["heartbeatExpiration!"]);
});

Deno.test("settingDifferences: different limits are reported, but are no reason to refuse", () => {
  assertEquals(namesOf({ maxKeysPerMember: 10, maxMessageBytes: 1 }, {}), [
    "maxKeysPerMember",
    "maxMessageBytes",
  ]);
  const [difference] = settingDifferences(SETTINGS, { ...SETTINGS, maxMessageBytes: 65_536 });
  const { own, theirs } = difference!;
  assertEquals([own, theirs], [1_048_576, 65_536]);
  assertEquals(describeDifference(difference!), "maxMessageBytes is 1048576 here and 65536 there");
});

Deno.test("SettingsDiffer: members whose durations cannot work together refuse each other, and both emit one event", async () => {
  await using cluster = await startedWith({
    a: { gossipInterval: 1_000, heartbeatExpiration: 20_000 },
    b: { gossipInterval: 100, heartbeatExpiration: 1_500 },
  });
  const [a, b] = [cluster.of("a"), cluster.of("b")];
  a.gossiper.setState("k", 1);
  await cluster.advance(15_000);
  assertEquals(emittedDifferences(a), [["b", "heartbeatExpiration", 20_000, 1_500, true]]);
  assertEquals(emittedDifferences(b), [["a", "gossipInterval", 100, 1_000, true]]);
  assertEquals(b.value("a", "k"), undefined);
  const codes = cluster.sent.filter(({ type }) => type === "error").map(({ text }) => JSON.parse(text).code);
  assertEquals([...new Set(codes)], ["incompatible"]);
});

for (const [dialer, acceptor] of [["a", "b"], ["b", "a"]] as const) {
  Deno.test(`SettingsDiffer: both sides emit the event if only ${dialer} dials`, async () => {
    const configs = {
      a: { gossipInterval: 1_000, heartbeatExpiration: 20_000 },
      b: { gossipInterval: 100, heartbeatExpiration: 1_500 },
    };
    await using cluster = new TestCluster(["a", "b"], { fixed: false });
    for (const id of ["a", "b"] as const) await cluster.make(id, { config: configs[id] }).gossiper.start();
    await cluster.publish(["a", "b"], { to: [dialer] });
    await cluster.runUntil(() => cluster.members.every((member) => emittedDifferences(member).length > 0));
    await cluster.advance(10_000);
    for (const member of cluster.members) assertEquals(emittedDifferences(member).length, 1, member.id);
    assertEquals(cluster.sentBy(acceptor, "hello").length, 0);
  });
}

Deno.test("SettingsDiffer: members with different limits emit one event per setting, and work together", async () => {
  await using cluster = await startedWith({
    a: { maxKeysPerMember: 100, maxMessageBytes: 64 * KIB },
    b: {},
    c: {},
  });
  for (const { gossiper } of cluster.members) gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(60_000);
  for (const id of ["b", "c"]) {
    assertEquals(emittedDifferences(cluster.of(id)), [
      ["a", "maxKeysPerMember", 65_536, 100, false],
      ["a", "maxMessageBytes", 1_048_576, 65_536, false],
    ]);
  }
  assertEquals(emittedDifferences(cluster.of("a")).sort(), [
    ["b", "maxKeysPerMember", 100, 65_536, false],
    ["b", "maxMessageBytes", 65_536, 1_048_576, false],
    ["c", "maxKeysPerMember", 100, 65_536, false],
    ["c", "maxMessageBytes", 65_536, 1_048_576, false],
  ]);
  for (const member of cluster.members) {
    assertEquals([member.emitted("MemberBlocked"), member.emitted("SelfBlocked")], [[], []]);
  }
  assert(cluster.isConfirmed());
});

/** The number of a member's keys in each message to another with any. */
function keysSent(cluster: TestCluster, { of, to }: { readonly of: string; readonly to: string }): number[] {
  const sent = cluster.sent.filter((each) => each.to === memoryAddress(to, 1));
  return sent.flatMap(({ text }) => {
    const message = JSON.parse(text);
    const { members = {} } = (message.request ?? message.response ?? message)?.state ?? {};
    const keys = Object.keys(members[of]?.values ?? {}).filter((key) => key.startsWith("k"));
    return keys.length > 0 ? [keys.length] : [];
  });
}

Deno.test("maxMessageBytes: several states that together exceed the smaller member's message reach that member in parts (E7)", async () => {
  const ids = ["a", "c", "d"];
  await using cluster = await startedWith({ a: {}, b: { maxMessageBytes: 64 * KIB }, c: {}, d: {} });
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const id of ids) fill(cluster.of(id), 40);
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const id of ids) assertEquals(heldKeys(cluster.of("b"), id), 40);
  const toSmaller = cluster.sent.filter(({ to }) => to === memoryAddress("b", 1));
  assertLessOrEqual(Math.max(...toSmaller.map(({ bytes }) => bytes)), 64 * KIB);
  const parts = ids.flatMap((id) => keysSent(cluster, { of: id, to: "b" }));
  assert(parts.some((keys) => keys < 40), `${parts}`);
  await cluster.advance(60_000);
  for (const member of cluster.members) {
    assertEquals([member.emitted("MemberBlocked"), member.emitted("ConflictDetected")], [[], []], member.id);
  }
});

Deno.test("maxMessageBytes: a state larger than the smaller member's message reaches that member in parts (E7)", async () => {
  await using cluster = await startedWith({ a: {}, b: { maxMessageBytes: 64 * KIB }, c: {} });
  fill(cluster.of("a"), 200);
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(heldKeys(cluster.of("b"), "a"), 200);
});

for (
  const [setting, limits, count] of [
    ["maxKeysPerMember", { maxKeysPerMember: 16 }, 30],
    ["maxStateBytes", { maxStateBytes: 16 * KIB }, 60],
  ] as const
) {
  Deno.test(`${setting}: state over the smaller member's limit is not stored there, both members emit an event, and no member is blocked (E7)`, async () => {
    await using cluster = await startedWith({ a: {}, b: limits, c: {} });
    fill(cluster.of("a"), count);
    for (const id of ["b", "c"]) cluster.of(id).gossiper.setState("k", id);
    await cluster.advance(60_000);
    assertEquals(heldKeys(cluster.of("c"), "a"), count);
    assertLess(heldKeys(cluster.of("b"), "a"), count);
    assertGreater(heldKeys(cluster.of("b"), "a"), count / 3);
    assertEquals([cluster.of("a").value("b", "k"), cluster.of("b").value("c", "k")], ["b", "c"]);
    for (const member of cluster.members) {
      assertEquals([member.emitted("MemberBlocked"), member.emitted("SelfBlocked")], [[], []], member.id);
    }
    assertEquals(emittedDifferences(cluster.of("a")).map(([peerId, name]) => [peerId, name]), [[
      "b",
      setting,
    ]]);
    assertEquals(emittedDifferences(cluster.of("b")).map(([, name]) => name), [setting, setting]);
    const reasons = cluster.of("b").emitted("ConflictDetected").map(({ memberId, reason }) =>
      `${memberId} ${reason}`
    );
    assertEquals([...new Set(reasons)], ["a limit"]);
    // No more often than once an interval at first, and ever more rarely later.
    assertLess(reasons.length, 30);
    for (const id of ["a", "c"]) assertNotEquals(cluster.of(id).gossiper.phase, "confirmed");
  });
}
