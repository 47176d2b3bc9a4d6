/**
 * Real members of protoactor-go and Hearsay members in one cluster, each in its own process.
 *
 * @module
 */

import { assert, assertEquals } from "../../deps/std_assert.ts";
import type { PartialConfig } from "../../mod.ts";
import { freePorts } from "../process/ports.ts";
import { EtcdServer, withoutEtcd } from "../discovery/etcd_server.ts";
import { eventually, type MemberProcess, Processes } from "./processes.ts";
import { run } from "./go.ts";
import { allList, isSeen, live, seen, withoutGo } from "./live_harness.ts";

/**
 * The heartbeatExpiration of tests with a block, in milliseconds. It has room for 30 heartbeats, so that no member is
 * blocked for being slow while other processes use the processors. A Go member never unblocks.
 */
const SOON_MS = 10_000;

if (withoutEtcd !== undefined) console.log(`SKIPPED: the tests with etcd, because ${withoutEtcd}.`);

/** Starts three members of protoactor-go and two Hearsay members; each lists all five. */
async function five(processes: Processes, config?: PartialConfig): Promise<MemberProcess[]> {
  const starting = [
    processes.go(),
    processes.go(),
    processes.go(),
    processes.deno(config),
    processes.deno(config),
  ];
  const members = await Promise.all(starting);
  await allList(members);
  return members;
}

/** A Go member expects no heartbeats from a member before the first one, so a list of members is not enough. */
async function allHear(members: readonly MemberProcess[]): Promise<void> {
  for (const member of members) await member.ask({ op: "set", key: "heard", value: true });
  for (const reader of members) {
    for (const writer of members) {
      await eventually(
        `${reader.kind} receives from ${writer.kind}`,
        () => isSeen(reader, "heard", writer, true),
      );
    }
  }
}

live(
  "mixed cluster: three Go and two Hearsay members list all five, and read each other's values",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 5 });
    const members = await five(processes);
    for (const [at, member] of members.entries()) {
      await member.ask({ op: "set", key: "fact", value: { from: member.kind, at } });
    }
    await members[0]!.ask({ op: "set", key: "text", text: "grüße" });
    for (const reader of members) {
      for (const [at, writer] of members.entries()) {
        const what = `${reader.kind} reads what ${writer.kind} set`;
        await eventually(what, () => isSeen(reader, "fact", writer, { from: writer.kind, at }));
      }
      await eventually(
        `${reader.kind} reads a protobuf value`,
        () => isSeen(reader, "text", members[0]!, "grüße"),
      );
    }
    const [one, other] = members.slice(3) as [MemberProcess, MemberProcess];
    await one.ask({ op: "setEverywhere", key: "sure", value: 1 });
    for (const reader of members) {
      assertEquals(await seen(reader, "sure", one), 1);
    }
    await one.ask({ op: "delete", key: "fact" });
    await eventually(
      "a Hearsay member no longer has the deleted key",
      () => isSeen(other, "fact", one, undefined),
    );
    await eventually("a Go member has an entry without a value", async () => {
      const held = (await members[0]!.state("fact"))[one.id];
      return held?.type === undefined || held;
    });
  },
);

live("mixed cluster: members of the other kind block a killed member", async (goProgram) => {
  await using processes = new Processes({ goProgram, size: 5, heartbeatExpiration: SOON_MS });
  const [go, ...others] = await five(processes) as [MemberProcess, ...MemberProcess[]];
  go.kill();
  for (const member of others.filter(({ kind }) => kind === "deno")) {
    await eventually("the Go member is blocked here, and no other", async () => {
      const { blocked } = await member.ask({ op: "members" });
      const [one, ...rest] = blocked as readonly { readonly id: string; readonly reason: string }[];
      return one?.id === go.id && one.reason === "expired" && rest.length === 0 || blocked;
    });
  }
  const killed = others.pop()!;
  killed.kill();
  for (const member of others.filter(({ kind }) => kind === "go")) {
    await eventually("the Hearsay member is blocked there", async () => {
      const blocked = await member.blocked();
      return blocked.includes(killed.id) || blocked;
    });
  }
  await allList(others);
});

live(
  "mixed cluster: all members know that a Hearsay member left, and a later member receives all state",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 6 });
    // A generous timeout: this test checks which members learn of the departure, not how fast.
    const members = await five(processes, { gossipRequestTimeout: 5_000 });
    const [go, , , stays, leaves] = members as [
      MemberProcess,
      MemberProcess,
      MemberProcess,
      MemberProcess,
      MemberProcess,
    ];
    for (const member of members) await member.ask({ op: "set", key: "fact", value: member.kind });
    const { flush } = await leaves.leave();
    assertEquals((flush as { readonly flushed: boolean }).flushed, true);
    const rest = members.filter((member) => member !== leaves);
    for (const member of rest) {
      await eventually(`${member.kind} knows that the member left`, async () => {
        const left = await member.state("left");
        return left[leaves.id] !== undefined || left;
      });
      await eventually(`${member.kind} has blocked the member that left`, async () => {
        const blocked = await member.blocked();
        return blocked.includes(leaves.id) || blocked;
      });
    }
    const late = await processes.deno();
    await allList([...rest, late]);
    for (const member of rest) {
      await eventually("the late member has it", () => isSeen(late, "fact", member, member.kind));
    }
    await late.ask({ op: "set", key: "fact", value: "late" });
    for (const member of rest) {
      await eventually("the late member's value arrives", () => isSeen(member, "fact", late, "late"));
    }
    assert(go.kind === "go" && stays.kind === "deno");
  },
);

live("mixed cluster: a minute passes without a false block", async (goProgram) => {
  await using processes = new Processes({ goProgram, size: 5 });
  const members = await five(processes);
  const end = performance.now() + 60_000;
  while (performance.now() < end) {
    for (const member of members) assertEquals(await member.blocked(), []);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  await allList(members);
  const digests: unknown[] = [];
  await eventually("both Hearsay members have equal state and are confirmed", async () => {
    const seen = await Promise.all(members.slice(3).map((member) => member.ask({ op: "members" })));
    for (const { blocks } of seen) assertEquals(blocks, []);
    digests.splice(0, 2, ...seen.map(({ digest }) => digest));
    return digests[0] === digests[1] && seen.every(({ phase }) => phase === "confirmed") || seen;
  });
});

/** Waits until all others have blocked the member. */
async function allApart(one: MemberProcess, others: readonly MemberProcess[]): Promise<void> {
  for (const other of others) {
    await eventually(`a ${other.kind} member has blocked the suspended member`, async () => {
      const blocked = await other.blocked();
      return blocked.includes(one.id) || blocked;
    });
  }
}

live(
  "protoactor-go alone: a member suspended for longer than heartbeatExpiration is blocked for ever",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 3, heartbeatExpiration: SOON_MS });
    const [still, ...others] = await Promise.all([processes.go(), processes.go(), processes.go()]);
    await allList([still!, ...others]);
    await allHear([still!, ...others]);
    await still!.standStill(1.5 * SOON_MS, { until: () => allApart(still!, others) });
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await allApart(still!, others);
    assertEquals(await others[0]!.members(), others.map(({ id }) => id).sort());
  },
);

live(
  "mixed cluster: a Hearsay member suspended for longer than heartbeatExpiration blocks no member, and learns that Go members block it",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 4, heartbeatExpiration: SOON_MS });
    const [still, hearsay, ...others] = await Promise.all([
      processes.deno(),
      processes.deno(),
      processes.go(),
      processes.go(),
    ]);
    await allList([still!, hearsay!, ...others]);
    await allHear([still!, hearsay!, ...others]);
    const all = [hearsay!, ...others];
    await still!.standStill(1.5 * SOON_MS, { until: () => allApart(still!, all) });
    await eventually("it learns that both Go members have blocked it", async () => {
      const { blocks } = await still!.ask({ op: "members" }) as {
        readonly blocks: readonly { type: string; peerId: string }[];
      };
      const by = blocks.filter(({ type }) => type === "SelfBlocked").map(({ peerId }) => peerId);
      return others.every(({ id }) => by.includes(id)) || blocks;
    });
    await eventually("the other Hearsay member unblocks it", async () => {
      const { blocked } = await hearsay!.ask({ op: "members" });
      return (blocked as readonly unknown[]).length === 0 || blocked;
    });
    for (const other of all) await other.ask({ op: "set", key: "heard", value: "again" });
    for (const other of all) {
      await eventually(`it receives from ${other.kind} again`, () => isSeen(still!, "heard", other, "again"));
    }
    const { blocks } = await still!.ask({ op: "members" });
    assertEquals((blocks as readonly { type: string }[]).filter(({ type }) => type === "MemberBlocked"), []);
  },
);

/** One after another: a Go member misses registrations between its first read of etcd and the start of its watch. */
async function fourInEtcd(processes: Processes, etcd: EtcdServer): Promise<MemberProcess[]> {
  const members: MemberProcess[] = [];
  for (
    const start of [
      () => processes.go(),
      () => processes.deno(),
      () => processes.go(),
      () => processes.deno(),
    ]
  ) {
    members.push(await start());
    await eventually(`the ${members.length}. member watches etcd`, async () => {
      const watchers = await watchersOf(etcd);
      return watchers === members.length || watchers;
    });
  }
  await allListInEtcd(members);
  return members;
}

/** The number of watchers in the metrics of an etcd. */
async function watchersOf({ endpoint }: EtcdServer): Promise<number> {
  const text = await (await fetch(`${endpoint}/metrics`)).text();
  return Number(/^etcd_debugging_mvcc_watcher_total (\d+)$/m.exec(text)?.[1]);
}

/** With etcd, protoactor-go lists a member under the name of the cluster and its id. */
async function allListInEtcd(members: readonly MemberProcess[]): Promise<void> {
  const ids = members.map(({ id }) => id);
  const listed = { deno: ids, go: ids.map((id) => `interop@${id}`) };
  for (const member of members) await allList([member], listed[member.kind]);
}

live(
  "mixed cluster: a BroadcastEvent of a Go member reaches Hearsay members once, and an event of a Hearsay member reaches Go members (M1, M2)",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 4 });
    const [one, other, deno, second] = await Promise.all([
      processes.go(),
      processes.go(),
      processes.deno(),
      processes.deno(),
    ]);
    await allList([one, other, deno, second]);
    await allHear([one, other, deno, second]);
    const heard = async (member: MemberProcess) => (await member.ask({ op: "heard" })).heard ?? [];
    await one.ask({ op: "broadcast", text: "from Go" });
    const event = { memberId: one.id, type: "google.protobuf.StringValue", value: "from Go" };
    for (const member of [deno, second]) {
      await eventually(
        "a Hearsay member hears a Go member",
        async () => (await heard(member) as []).length > 0,
      );
    }
    await one.ask({ op: "broadcast", value: { of: "Go" } });
    const { sent, skipped } = await deno.ask({ op: "broadcast", value: { of: "Hearsay" } });
    assertEquals([[...sent as string[]].sort(), skipped], [[one.id, other.id].sort(), []]);
    await eventually("both Go members hear all", async () => (await heard(other) as []).length >= 3);
    await eventually("both Go members hear all", async () => (await heard(one) as []).length >= 1);
    assertEquals(await heard(one), [{ of: "Hearsay" }]);
    assertEquals(await heard(other), ["from Go", { of: "Go" }, { of: "Hearsay" }]);
    const value = { memberId: one.id, type: "google.protobuf.Value", value: { of: "Go" } };
    for (const member of [deno, second]) assertEquals(await heard(member), [event, value]);
  },
);

/** Waits until a member has these maps of all members under a key. */
async function readsMaps(
  reader: MemberProcess,
  key: string,
  expected: ReadonlyMap<MemberProcess, Readonly<Record<string, unknown>>>,
): Promise<void> {
  for (const [writer, items] of expected) {
    await eventually(`${reader.kind} reads the map of ${writer.kind}`, async () => {
      const { state } = await reader.ask({ op: reader.kind === "go" ? "get" : "maps", key });
      const found = (state as Readonly<Record<string, { readonly value?: unknown }>>)[writer.id]?.value;
      const text = (each: unknown) => Deno.inspect(each, { sorted: true, depth: 9 });
      return text(found) === text(items) || found;
    });
  }
}

live(
  "mixed cluster: maps of Go and Hearsay members are set, changed and removed entry by entry, and read by both (P3)",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 4 });
    const members = await Promise.all([processes.go(), processes.go(), processes.deno(), processes.deno()]);
    await allList(members);
    const maps = new Map<MemberProcess, Record<string, unknown>>();
    for (const [at, member] of members.entries()) {
      await member.ask({ op: "setMap", key: "stock", mapKey: "tea", value: at });
      await member.ask({ op: "setMap", key: "stock", mapKey: "grüße ␟", value: { of: member.kind } });
      maps.set(member, { tea: at, "grüße ␟": { of: member.kind } });
    }
    await members[0].ask({ op: "setMap", key: "stock", mapKey: "text", text: "from Go" });
    maps.get(members[0])!.text = "from Go";
    for (const reader of members) await readsMaps(reader, "stock", maps);
    for (const member of members) {
      assertEquals((await member.ask({ op: "ownMap", key: "stock" })).items, maps.get(member));
      await member.ask({ op: "setMap", key: "stock", mapKey: "milk", value: 1 });
      await member.ask({ op: "removeMap", key: "stock", mapKey: "tea" });
      maps.get(member)!.milk = 1;
      delete maps.get(member)!.tea;
    }
    for (const reader of members) await readsMaps(reader, "stock", maps);
    for (const member of members) {
      for (const mapKey of Object.keys(maps.get(member)!)) {
        await member.ask({ op: "removeMap", key: "stock", mapKey });
      }
      maps.set(member, {});
    }
    for (const reader of members) await readsMaps(reader, "stock", maps);
  },
);

live(
  "mixed cluster: a map of 20,000 entries reaches a Go member, and so does a later change of one entry (P3)",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 2 });
    const [go, deno] = await Promise.all([processes.go(), processes.deno()]);
    await allList([go, deno]);
    const items = async () => ((await go.state("clients"))[deno.id]?.value ?? {}) as Record<string, unknown>;
    await deno.ask({ op: "fillMap", key: "clients", value: 20_000 });
    const filledMs = await eventually("the Go member has all entries", async () => {
      const { length } = Object.keys(await items());
      return length === 20_000 || length;
    });
    await deno.ask({ op: "removeMap", key: "clients", mapKey: "client 7" });
    const changedMs = await eventually("it has one entry less", async () => !("client 7" in await items()));
    console.log(
      `map of 20,000 entries: at the Go member after ${filledMs | 0} ms, a change after ${changedMs | 0} ms`,
    );
    assertEquals(Object.keys(await items()).length, 19_999);
  },
);

live(
  "mixed cluster: members find each other through etcd, read each other's values, and learn of departures and crashes",
  async (goProgram) => {
    await using etcd = await EtcdServer.start();
    // Longer than any wait: members must learn of the crash from etcd.
    await using processes = new Processes({
      goProgram,
      size: 4,
      etcd: etcd.endpoint,
      heartbeatExpiration: 60_000,
    });
    const members = await fourInEtcd(processes, etcd);
    for (const member of members) await member.ask({ op: "set", key: "fact", value: member.id });
    for (const reader of members) {
      for (const writer of members) {
        const what = `${reader.kind} reads the value of ${writer.kind}`;
        await eventually(what, () => isSeen(reader, "fact", writer, writer.id));
      }
    }
    const [goes, leaves, ...rest] = members as [MemberProcess, MemberProcess, ...MemberProcess[]];
    await leaves.leave();
    await allListInEtcd([goes, ...rest]);
    goes.kill();
    await allListInEtcd(rest);
  },
  { ignore: withoutEtcd !== undefined },
);

Deno.test(
  "protoactor example: prints a value in each direction",
  { ignore: withoutGo !== undefined },
  async () => {
    const ports = freePorts(3).map(String);
    const output = await run(Deno.execPath(), ["task", "protoactor", ...ports], { boundMs: 300_000 });
    assertEquals(output.split("\n").slice(1, 3), [
      'Deno reads: {"text":"hello from Go"}',
      'Go reads:   {"text":"hello from Deno"}',
    ]);
  },
);
