import { assertEquals } from "../../deps/std_assert.ts";
import { Agreement } from "../../roles/agreement.ts";
import { type CandidateSet, candidateSetOf, readReport, weightAndZoneOf } from "../../roles/candidates.ts";
import { type Owners, owners } from "../../roles/mod.ts";
import { ScriptedNode, SETTLE } from "./harness.ts";

/** A member among the others `a` and `b`, which have reported what it reported, and its role. */
async function agreedNode(): Promise<{ readonly node: ScriptedNode; readonly role: Owners }> {
  const node = new ScriptedNode();
  for (const id of ["a", "b"]) {
    node.others.set(id, "alive");
    node.reports.set(id, { epoch: 0, view: "" });
  }
  const role = owners(node, { atLeast: 2, settle: SETTLE, runtime: node.runtime });
  await settle(node);
  await repeat(node, "a", "b");
  return { node, role };
}

/** Lets the candidates settle. */
async function settle(node: ScriptedNode): Promise<void> {
  await node.changed();
  await node.runtime.advance(SETTLE + 1);
}

/** The set that this member sees. */
function seen(node: ScriptedNode): CandidateSet {
  return candidateSetOf(node, "roles.owners", { kind: undefined, zone: undefined, wallMs: 0 });
}

/** Others report this member's set under its epoch. */
async function repeat(node: ScriptedNode, ...ids: string[]): Promise<void> {
  for (const id of ids) node.reports.set(id, node.own);
  await node.changed();
}

/** A key with this owner. */
function keyOf(role: Owners, owner: string): string {
  for (let index = 0;; index++) {
    const now = role.of(`k${index}`);
    if (now.state === "unknown") throw new Error(now.reason);
    if (now.owners[0] === owner) return `k${index}`;
  }
}

Deno.test("agreement: waits for the report of every candidate under one epoch", async () => {
  const node = new ScriptedNode();
  for (const id of ["a", "b"]) {
    node.others.set(id, "alive");
    node.reports.set(id, { epoch: 4, view: "other" });
  }
  node.reports.set("gone", "no report");
  using role = owners(node, { atLeast: 2, settle: SETTLE, runtime: node.runtime });
  assertEquals(node.own, { epoch: 0, view: "" });
  await settle(node);
  assertEquals(node.own.epoch, 5);
  await repeat(node, "a");
  assertEquals(role.of("k"), { state: "unknown", reason: "unsettled" });
  node.reports.set("b", { epoch: 4, view: node.own.view });
  await node.changed();
  assertEquals(role.of("k"), { state: "unknown", reason: "unsettled" });
  await repeat(node, "b");
  assertEquals(role.of("k").state, "known");
});

Deno.test("agreement: a member takes over the higher epoch of another report of the same set", async () => {
  const { node, role } = await agreedNode();
  const { view } = node.own;
  node.reports.set("a", { epoch: 9, view });
  await node.changed();
  assertEquals(node.own, { epoch: 9, view });
  // The former agreement lasts until the new one.
  assertEquals([role.of("k").state, Object(role.of("k")).epoch], ["known", 1]);
  await repeat(node, "b");
  assertEquals(Object(role.of("k")).epoch, 9);
  role[Symbol.dispose]();
});

Deno.test("agreement: a key that a set gave to another member stays unknown after the former set returns", async () => {
  const { node, role } = await agreedNode();
  const ownKey = keyOf(role, "self");
  let newcomer = 0;
  // A newcomer that takes the key, and fails before it reported anything.
  while (role.of(ownKey).state === "known" && newcomer < 100) {
    node.others.delete(`n${newcomer}`);
    node.others.set(`n${++newcomer}`, "alive");
    node.reports.set(`n${newcomer}`, { epoch: 0, view: "" });
    await node.changed();
  }
  node.others.set(`n${newcomer}`, "failed");
  await node.changed();
  assertEquals(role.of(ownKey), { state: "unknown", reason: "unsettled" });
  await settle(node);
  // The reports of the former agreement do not serve again.
  assertEquals(role.of(ownKey), { state: "unknown", reason: "unsettled" });
  assertEquals(node.own.epoch, 2);
  await repeat(node, "a", "b");
  assertEquals(role.of(ownKey), { state: "known", owners: ["self"], epoch: 2, isOwner: true });
  role[Symbol.dispose]();
});

Deno.test("agreement: after sixteen candidate sets without an agreement every key is unknown", async () => {
  const { node, role } = await agreedNode();
  const owned = keyOf(role, "a");
  const answers: string[] = [];
  for (let number = 0; number < 17; number++) {
    // Each has a report and almost no weight, so the key does not move.
    node.others.set("z", "alive");
    node.reports.set("z", { epoch: 0, view: "" });
    node.kinds.set("z", [`weight:${(number + 1) / 1_000_000}`]);
    await node.changed();
    answers.push(role.of(owned).state);
  }
  assertEquals(answers, [...Array(16).fill("known"), "unknown"]);
  role[Symbol.dispose]();
});

Deno.test("agreement: a member that restarts again and again ends no agreement of the others", async () => {
  const { node, role } = await agreedNode();
  const owned = keyOf(role, "a");
  const answers = new Set<string>();
  for (let number = 0; number < 100; number++) {
    node.others.set("z", number % 2 === 0 ? "alive" : "failed");
    node.reports.set("z", { epoch: 0, view: "" });
    node.incarnations.set("z", `${number}`);
    node.kinds.set("z", ["weight:0.000001"]);
    await node.changed();
    answers.add(role.of(owned).state);
  }
  assertEquals([...answers], ["known"]);
  role[Symbol.dispose]();
});

Deno.test("agreement: a restarted process under the same id is another candidate", async () => {
  const { node, role } = await agreedNode();
  node.incarnations.set("a", "2");
  await settle(node);
  assertEquals(node.own.epoch, 2);
  role[Symbol.dispose]();
});

Deno.test("agreement: in trouble a member gives up all keys, and owns keys again only under a new epoch", async () => {
  const { node, role } = await agreedNode();
  const troubles = [
    ["identity", () => node.status = "failed", () => node.status = "alive"],
    [
      "isolated",
      () => node.events.publish({ type: "Isolated" }),
      () => node.events.publish({ type: "Rejoined" }),
    ],
    ["unheard", () => node.ages.set("a", 2_501).set("b", 9_999), () => node.ages.clear()],
    ["few", () => {
      node.others.set("a", "suspected");
      node.others.set("b", "suspected");
    }, () => {
      node.others.set("a", "alive");
      node.others.set("b", "alive");
    }],
  ] as const;
  for (const [index, [reason, begin, end]] of troubles.entries()) {
    begin();
    await node.changed();
    // Heartbeats are looked at every quarter of a second.
    await node.runtime.advance(251);
    assertEquals(role.of("k"), { state: "unknown", reason });
    end();
    await node.runtime.advance(251);
    await settle(node);
    assertEquals(role.of("k"), { state: "unknown", reason: "unsettled" });
    assertEquals(node.own.epoch, index + 2);
    await repeat(node, "a", "b");
    assertEquals(role.of("k").state, "known");
  }
  role[Symbol.dispose]();
});

Deno.test("agreement: a member whose state is full reports the error, and agrees to nothing", async () => {
  const node = new ScriptedNode();
  node.others.set("a", "alive");
  node.reports.set("a", { epoch: 0, view: "" });
  using role = owners(node, { atLeast: 2, settle: SETTLE, runtime: node.runtime });
  const failures = node.events.subscribe("CallbackFailed").getReader();
  node.refuses = new RangeError("full");
  await settle(node);
  const { value } = await failures.read();
  assertEquals([value!.where, value!.error], ["the report of roles.owners", node.refuses]);
  assertEquals([role.of("k"), node.own.epoch], [{ state: "unknown", reason: "unsettled" }, 0]);
  await failures.cancel();
});

Deno.test("agreement: a member that failed to report a set does not agree to that set, even if others did", async () => {
  const { node, role } = await agreedNode();
  const add = async (id: string) => {
    node.others.set(id, "alive");
    node.reports.set(id, { epoch: 0, view: "" });
    await settle(node);
  };
  await add("c");
  assertEquals(node.own.epoch, 2);
  node.refuses = new RangeError("full");
  await add("d");
  // This member used the number 2 for another set, and 3 for none.
  for (const epoch of [2, 3]) {
    for (const id of ["a", "b", "c", "d"]) node.reports.set(id, { epoch, view: seen(node).hash });
    await node.changed();
    const epochs = Array.from({ length: 100 }, (_, index) => Object(role.of(`k${index}`)).epoch);
    assertEquals(epochs.filter((each) => each === epoch), []);
  }
  role[Symbol.dispose]();
});

Deno.test("agreement: a member that is no candidate follows newer agreements, and ignores older agreements", async () => {
  const node = new ScriptedNode();
  node.kinds.set("self", ["weight:0"]);
  node.others.set("a", "alive");
  node.reports.set("a", { epoch: 0, view: "" });
  using role = owners(node, { atLeast: 1, settle: SETTLE, runtime: node.runtime });
  node.reports.set("a", { epoch: 5, view: seen(node).hash });
  await settle(node);
  assertEquals(role.of("k"), { state: "known", owners: ["a"], epoch: 5, isOwner: false });
  assertEquals(node.reports.has("self"), false);
  // Another set under an epoch that is not above the last one is an old report, or a broken one.
  node.others.set("a", "left");
  node.others.set("b", "alive");
  for (const epoch of [4, 5]) {
    node.reports.set("b", { epoch, view: "" });
    node.reports.set("b", { epoch, view: seen(node).hash });
    await settle(node);
    assertEquals(role.of("k"), { state: "unknown", reason: "unsettled" });
  }
  node.reports.set("b", { epoch: 6, view: seen(node).hash });
  await settle(node);
  const known = { state: "known", owners: ["b"], epoch: 6, isOwner: false } as const;
  assertEquals(role.of("k"), known);
  // After trouble the agreement that it knows still holds.
  node.others.set("b", "suspected");
  await settle(node);
  assertEquals(role.of("k"), { state: "unknown", reason: "few" });
  node.others.set("b", "alive");
  await settle(node);
  assertEquals(role.of("k"), known);
});

Deno.test("agreement: the end leaves no timer and no stream", async () => {
  const { node, role } = await agreedNode();
  role[Symbol.dispose]();
  await node.changed();
  assertEquals([node.runtime.timers, node.streams, node.reports.has("self")], [0, 0, false]);
  const other = owners(node, { atLeast: 2, runtime: node.runtime });
  // The epochs of this process go on rising.
  assertEquals(node.own, { epoch: 1, view: "" });
  node.leave();
  assertEquals([other.of("k"), node.runtime.timers], [{ state: "unknown", reason: "ended" }, 0]);
  assertEquals(node.reports.has("self"), true);
});

Deno.test("agreement: many changes at once are processed together, at the latest when an answer is read", async () => {
  const { node, role } = await agreedNode();
  const before = node.reads;
  for (let change = 0; change < 500; change++) node.emitChange();
  await node.runtime.settle();
  await node.runtime.advance(0);
  assertEquals(node.reads - before < 10, true, `the members were read ${node.reads - before} times`);
  node.others.delete("a");
  node.others.delete("b");
  node.emitChange();
  await node.runtime.settle();
  assertEquals(role.of("k"), { state: "unknown", reason: "few" });
});

Deno.test("agreement: answers are computed only after a change", async () => {
  const node = new ScriptedNode();
  for (const id of ["a", "b"]) {
    node.others.set(id, "alive");
    node.reports.set(id, { epoch: 0, view: "" });
  }
  let changes = 0;
  const agreement = new Agreement(node, {
    ...{ key: "roles.owners", kind: undefined, zone: undefined, takesPart: true, lastEpoch: 0 },
    ...{ atLeast: 2, settle: SETTLE, heardWithin: 2_500, runtime: node.runtime, signal: undefined },
    onChange: () => changes++,
  });
  await settle(node);
  await repeat(node, "a", "b");
  assertEquals(agreement.agreed?.epoch, 1);
  const before = changes;
  await node.runtime.advance(10_000);
  await node.changed();
  assertEquals(changes, before);
  const changing = [
    () => node.others.set("a", "suspected"),
    () => node.others.set("a", "alive"),
    () => node.others.delete("a"),
    () => node.others.delete("b"),
  ];
  for (const [index, change] of changing.entries()) {
    change();
    await node.changed();
    assertEquals(changes, before + index + 1);
  }
  agreement.end();
  assertEquals(changes, before + changing.length + 1);
});

Deno.test("agreement: without options the candidates settle for 2 s", async () => {
  const node = new ScriptedNode();
  using role = owners(node, { atLeast: 1, runtime: node.runtime });
  await node.runtime.advance(1_999);
  assertEquals(role.of("k"), { state: "unknown", reason: "unsettled" });
  await node.runtime.advance(1);
  assertEquals(role.of("k").state, "known");
});

Deno.test("agreement: a process that misses two checks of the clock counts as stalled, however short `settle` is", async () => {
  const node = new ScriptedNode();
  const machine = node.runtime.machine();
  using role = owners(node, { atLeast: 1, settle: 0, runtime: machine });
  await node.runtime.advance(1);
  machine.freeze();
  await node.runtime.advance(499);
  assertEquals(role.of("k").state, "known");
  await node.runtime.advance(1);
  assertEquals(role.of("k"), { state: "unknown", reason: "stalled" });
});

Deno.test("agreement: a member that is isolated at the beginning knows nothing until it hears another", async () => {
  const node = new ScriptedNode();
  node.isolated = true;
  using role = owners(node, { atLeast: 1, settle: SETTLE, runtime: node.runtime });
  await settle(node);
  assertEquals(role.of("k"), { state: "unknown", reason: "isolated" });
  node.events.publish({ type: "Rejoined" });
  await settle(node);
  assertEquals(role.of("k").state, "known");
});

Deno.test("agreement: a heartbeat counts for 2.5 s, and `atLeast` candidates need a heartbeat", async () => {
  const node = new ScriptedNode();
  for (const id of ["a", "b"]) {
    node.others.set(id, "alive");
    node.reports.set(id, { epoch: 0, view: "" });
  }
  using role = owners(node, { atLeast: 3, settle: SETTLE, runtime: node.runtime });
  await settle(node);
  await repeat(node, "a", "b");
  node.ages.set("a", 2_500);
  await node.runtime.advance(251);
  assertEquals(role.of("k").state, "known");
  node.ages.set("a", 2_501);
  await node.runtime.advance(251);
  assertEquals(role.of("k"), { state: "unknown", reason: "unheard" });
});

Deno.test("agreement: after a peer claims the highest possible epoch, the other members continue above it", async () => {
  const { node, role } = await agreedNode();
  node.others.set("z", "alive");
  node.reports.set("z", { epoch: 2 ** 52 - 1, view: "x" });
  await settle(node);
  // No role has reached this epoch, so `z` counts as no candidate.
  assertEquals(node.own.epoch, 1);
  const most = 2 ** 40 + node.runtime.wallMs();
  node.reports.set("z", { epoch: most, view: "x" });
  await settle(node);
  assertEquals(node.own.epoch, most + 1);
  node.others.set("z", "left");
  await settle(node);
  assertEquals(node.own.epoch, most + 2);
  await repeat(node, "a", "b");
  assertEquals(Object(role.of("k")).epoch, most + 2);
  role[Symbol.dispose]();
});

Deno.test("candidateSetOf: has a fixed hash for equal candidates, because members of two versions must agree", () => {
  const node = new ScriptedNode();
  for (const id of ["b", "a"]) node.others.set(id, "alive");
  for (const id of ["a", "b", "self"]) node.reports.set(id, { epoch: 0, view: "" });
  node.incarnations.set("b", "2");
  node.kinds.set("b", ["weight:2.5", "zone:eu"]);
  assertEquals(seen(node).hash, "1rcmc0siv3e-1i4dznhophc");
});

Deno.test("readReport: ignores values that are no reports of a role", () => {
  const view = "abc-def";
  assertEquals(readReport({ epoch: 3, view, more: 1 }, 0), { epoch: 3, view });
  const longest = { epoch: 0, view: "x".repeat(40) };
  assertEquals(readReport(longest, 0), longest);
  const wrong = [
    undefined,
    null,
    5,
    "x",
    [],
    {},
    { epoch: -1, view },
    { epoch: 1.5, view },
    { epoch: 2 ** 40 + 1, view },
    { epoch: "1", view },
    { epoch: 1 },
    { epoch: 1, view: "x".repeat(41) },
  ];
  for (const each of wrong) assertEquals(readReport(each, 0), undefined, JSON.stringify(each));
});

Deno.test("weightAndZoneOf: reads the weight and the zone of the kinds, and takes 1 for a weight out of range", () => {
  assertEquals(weightAndZoneOf([]), { weight: 1, zone: undefined });
  assertEquals(weightAndZoneOf(["worker", "weight:2.5", "zone:eu-1"]), { weight: 2.5, zone: "eu-1" });
  assertEquals(weightAndZoneOf(["weight:0"]).weight, 0);
  assertEquals(weightAndZoneOf(["weight:1000"]).weight, 1_000);
  for (const weight of ["-1", "1001", "x", "", "1e3", "NaN"]) {
    assertEquals(weightAndZoneOf([`weight:${weight}`]).weight, 1);
  }
});

Deno.test("agreement: a change around the end leaves no timer", async () => {
  for (const isBefore of [true, false]) {
    const { node, role } = await agreedNode();
    node.emitChange();
    if (isBefore) await node.runtime.settle();
    role[Symbol.dispose]();
    await node.runtime.settle();
    assertEquals(node.runtime.timers, 0);
  }
});
