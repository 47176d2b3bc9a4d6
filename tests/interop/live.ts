/**
 * Real members of protoactor-go and Hearsay members in one cluster, each a process of its own.
 *
 * @module
 */

import { assert, assertEquals } from "../../deps/std_assert.ts";
import type { PartialConfig } from "../../mod.ts";
import { freePorts } from "../process/ports.ts";
import { EtcdServer, withoutEtcd } from "../unit/discovery/etcd_server.ts";
import { Cast, eventually, type MemberProcess } from "./cast.ts";
import { run } from "./go.ts";
import { allList, isSeen, live, seen, withoutGo } from "./live_harness.ts";

/**
 * How long heartbeats last where somebody is to be blocked, in milliseconds: 30 of them, so that nobody is blocked for
 * being slow, as members are while other processes have the processors. A Go member takes nobody back.
 */
const SOON_MS = 10_000;

if (withoutEtcd !== undefined) console.log(`SKIPPED: nothing was tested with etcd, for ${withoutEtcd}.`);

/** Three members of protoactor-go and two Hearsay members, each of which lists all five. */
async function five(cast: Cast, config?: PartialConfig): Promise<MemberProcess[]> {
  const starting = [cast.go(), cast.go(), cast.go(), cast.deno(config), cast.deno(config)];
  const members = await Promise.all(starting);
  await allList(members);
  return members;
}

/** Listed is not yet heard: a Go member awaits no heartbeat of whom it has never heard. */
async function allHear(members: readonly MemberProcess[]): Promise<void> {
  for (const member of members) await member.ask({ op: "set", key: "heard", value: true });
  for (const reader of members) {
    for (const writer of members) {
      await eventually(`${reader.kind} hears ${writer.kind}`, () => isSeen(reader, "heard", writer, true));
    }
  }
}

live(
  "three members of protoactor-go and two of Hearsay list all five, and what any sets each reads",
  async (goProgram) => {
    await using cast = new Cast({ goProgram, size: 5 });
    const members = await five(cast);
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
      "a Hearsay member reads no more what was deleted",
      () => isSeen(other, "fact", one, undefined),
    );
    await eventually("a Go member holds an entry without a value", async () => {
      const held = (await members[0]!.state("fact"))[one.id];
      return held?.type === undefined || held;
    });
  },
);

live("who is killed is blocked by members of the other kind", async (goProgram) => {
  await using cast = new Cast({ goProgram, size: 5, heartbeatExpiration: SOON_MS });
  const [go, ...others] = await five(cast) as [MemberProcess, ...MemberProcess[]];
  go.kill();
  for (const member of others.filter(({ kind }) => kind === "deno")) {
    await eventually("a Go member is blocked here, and nobody else", async () => {
      const { blocked } = await member.ask({ op: "members" });
      const [one, ...rest] = blocked as readonly { readonly id: string; readonly reason: string }[];
      return one?.id === go.id && one.reason === "expired" && rest.length === 0 || blocked;
    });
  }
  const killed = others.pop()!;
  killed.kill();
  for (const member of others.filter(({ kind }) => kind === "go")) {
    await eventually("a Hearsay member is blocked there", async () => {
      const blocked = await member.blocked();
      return blocked.includes(killed.id) || blocked;
    });
  }
  await allList(others);
});

live(
  "a Hearsay member that leaves is known as left, and one that joins later gets everything",
  async (goProgram) => {
    await using cast = new Cast({ goProgram, size: 6 });
    // What bounds the telling of a departure: it is looked at here who was told, and not how fast.
    const members = await five(cast, { gossipRequestTimeout: 5_000 });
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
      await eventually(`${member.kind} knows who left`, async () => {
        const left = await member.state("left");
        return left[leaves.id] !== undefined || left;
      });
      await eventually(`${member.kind} has blocked who left`, async () => {
        const blocked = await member.blocked();
        return blocked.includes(leaves.id) || blocked;
      });
    }
    const late = await cast.deno();
    await allList([...rest, late]);
    for (const member of rest) {
      await eventually("the latecomer reads it", () => isSeen(late, "fact", member, member.kind));
    }
    await late.ask({ op: "set", key: "fact", value: "late" });
    for (const member of rest) {
      await eventually("what the latecomer sets is read", () => isSeen(member, "fact", late, "late"));
    }
    assert(go.kind === "go" && stays.kind === "deno");
  },
);

live("a minute passes without a false block", async (goProgram) => {
  await using cast = new Cast({ goProgram, size: 5 });
  const members = await five(cast);
  const end = performance.now() + 60_000;
  while (performance.now() < end) {
    for (const member of members) assertEquals(await member.blocked(), []);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  await allList(members);
  const digests: unknown[] = [];
  await eventually("both Hearsay members hold the same, and know that all do", async () => {
    const seen = await Promise.all(members.slice(3).map((member) => member.ask({ op: "members" })));
    for (const { blocks } of seen) assertEquals(blocks, []);
    digests.splice(0, 2, ...seen.map(({ digest }) => digest));
    return digests[0] === digests[1] && seen.every(({ phase }) => phase === "confirmed") || seen;
  });
});

/** Everyone in the list has blocked the one. */
async function allApart(one: MemberProcess, others: readonly MemberProcess[]): Promise<void> {
  for (const other of others) {
    await eventually(`a ${other.kind} member has blocked who stands still`, async () => {
      const blocked = await other.blocked();
      return blocked.includes(one.id) || blocked;
    });
  }
}

live(
  "protoactor-go alone: a member that stood still for longer than heartbeats last is blocked for ever",
  async (goProgram) => {
    await using cast = new Cast({ goProgram, size: 3, heartbeatExpiration: SOON_MS });
    const [still, ...others] = await Promise.all([cast.go(), cast.go(), cast.go()]);
    await allList([still!, ...others]);
    await allHear([still!, ...others]);
    await still!.standStill(1.5 * SOON_MS, { until: () => allApart(still!, others) });
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await allApart(still!, others);
    assertEquals(await others[0]!.members(), others.map(({ id }) => id).sort());
  },
);

live(
  "a Hearsay member that stood still for longer than heartbeats last blocks nobody, and is told that Go members block it",
  async (goProgram) => {
    await using cast = new Cast({ goProgram, size: 4, heartbeatExpiration: SOON_MS });
    const [still, hearsay, ...others] = await Promise.all([cast.deno(), cast.deno(), cast.go(), cast.go()]);
    await allList([still!, hearsay!, ...others]);
    await allHear([still!, hearsay!, ...others]);
    const all = [hearsay!, ...others];
    await still!.standStill(1.5 * SOON_MS, { until: () => allApart(still!, all) });
    await eventually("it hears that both Go members have blocked it", async () => {
      const { blocks } = await still!.ask({ op: "members" }) as {
        readonly blocks: readonly { type: string; peerId: string }[];
      };
      const by = blocks.filter(({ type }) => type === "SelfBlocked").map(({ peerId }) => peerId);
      return others.every(({ id }) => by.includes(id)) || blocks;
    });
    await eventually("its own kind takes it back", async () => {
      const { blocked } = await hearsay!.ask({ op: "members" });
      return (blocked as readonly unknown[]).length === 0 || blocked;
    });
    for (const other of all) await other.ask({ op: "set", key: "heard", value: "again" });
    for (const other of all) {
      await eventually(`it hears ${other.kind} again`, () => isSeen(still!, "heard", other, "again"));
    }
    const { blocks } = await still!.ask({ op: "members" });
    assertEquals((blocks as readonly { type: string }[]).filter(({ type }) => type === "MemberBlocked"), []);
  },
);

/** A Go member hears of nobody who registers between its reading of etcd and its watching: so one after the other. */
async function fourInEtcd(cast: Cast, etcd: EtcdServer): Promise<MemberProcess[]> {
  const members: MemberProcess[] = [];
  for (const start of [() => cast.go(), () => cast.deno(), () => cast.go(), () => cast.deno()]) {
    members.push(await start());
    await eventually(`the ${members.length}. member watches etcd`, async () => {
      const watchers = await watchersOf(etcd);
      return watchers === members.length || watchers;
    });
  }
  await allListInEtcd(members);
  return members;
}

/** How many watch something in an etcd, as it says itself. */
async function watchersOf({ endpoint }: EtcdServer): Promise<number> {
  const text = await (await fetch(`${endpoint}/metrics`)).text();
  return Number(/^etcd_debugging_mvcc_watcher_total (\d+)$/m.exec(text)?.[1]);
}

/** With etcd, protoactor-go lists a member by the cluster's name and its id. */
async function allListInEtcd(members: readonly MemberProcess[]): Promise<void> {
  const ids = members.map(({ id }) => id);
  const listed = { deno: ids, go: ids.map((id) => `interop@${id}`) };
  for (const member of members) await allList([member], listed[member.kind]);
}

live(
  "members of both kinds find each other through etcd, read what each sets, and hear who leaves and who is gone",
  async (goProgram) => {
    await using etcd = await EtcdServer.start();
    // Longer than anything is waited for: it is etcd that tells who is gone.
    await using cast = new Cast({ goProgram, size: 4, etcd: etcd.endpoint, heartbeatExpiration: 60_000 });
    const members = await fourInEtcd(cast, etcd);
    for (const member of members) await member.ask({ op: "set", key: "fact", value: member.id });
    for (const reader of members) {
      for (const writer of members) {
        const what = `${reader.kind} reads what ${writer.kind} set`;
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
  "the example shows a value that crosses each way",
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
