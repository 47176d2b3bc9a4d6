/**
 * Hearsay members and a real Go member that purges: it drops the state of members that it does not list. Who lists
 * whom, and when, is decided here.
 *
 * @module
 */

import { assertEquals } from "../../deps/std_assert.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import { Cast, eventually, type MemberProcess } from "./cast.ts";
import { isSeen, live } from "./live_harness.ts";

/** Lists the same members on each of these. */
async function listOn(members: readonly MemberProcess[], listed: readonly MemberProcess[]): Promise<void> {
  for (const member of members) await member.list(listed);
}

/** Waits until one member holds what each of the others has set under a key. */
async function holdsAll(
  reader: MemberProcess,
  { key, of }: { readonly key: string; readonly of: readonly MemberProcess[] },
): Promise<void> {
  for (const writer of of) {
    await eventually(
      `${reader.kind} holds ${key} of a ${writer.kind} member`,
      () => isSeen(reader, key, writer, writer.id),
    );
  }
}

/** Waits until a Go member has had a key of another member, and has purged it. */
async function hasPurged(
  go: MemberProcess,
  { key, of }: { readonly key: string; readonly of: MemberProcess },
) {
  await eventually(`${key} of a ${of.kind} member is purged`, async () => {
    const purged = (await go.ask({ op: "members" })).purged as readonly string[];
    return purged.includes(`${of.id}/${key}`) || purged;
  });
  assertEquals((await go.state(key))[of.id], undefined);
}

/** Waits until one member hears a later heartbeat of another than it had heard before. */
async function hearsHeartbeat(reader: MemberProcess, writer: MemberProcess): Promise<void> {
  // A Hearsay member shows a heartbeat under protoactor-go's earlier name for it.
  const key = reader.kind === "go" ? "heartbeat" : HEARTBEAT_KEY;
  const stamp = async () => (await reader.state(key))[writer.id]?.stamp ?? 0;
  const before = await stamp();
  await eventually(`${reader.kind} hears the heartbeat of ${writer.kind}`, async () => {
    const now = await stamp();
    return now > before || now;
  });
}

/** Four members, of which the first purges. It lists the second only; all others list all. */
interface Purging {
  readonly purges: MemberProcess;
  readonly listed: MemberProcess;
  /** A Hearsay and a Go member, which the first does not list. */
  readonly unlisted: readonly MemberProcess[];
  readonly all: readonly MemberProcess[];
}

/**
 * All have set `fact`, and the first has purged that of the members that it does not list, after the Hearsay members had
 * its acknowledgement.
 */
async function untilPurged(cast: Cast): Promise<Purging> {
  const starting = [cast.go({ purges: true }), cast.deno(), cast.deno(), cast.go()];
  const all = await Promise.all(starting);
  const [purges, listed, hearsay, go] = all as [MemberProcess, MemberProcess, MemberProcess, MemberProcess];
  const unlisted = [hearsay, go];
  await purges.list([purges, listed]);
  await listOn([listed, ...unlisted], all);
  for (const member of [purges, go]) await member.ask({ op: "set", key: "fact", value: member.id });
  for (const member of [listed, hearsay]) {
    await member.ask({ op: "setEverywhere", key: "fact", value: member.id });
  }
  for (const member of unlisted) await hasPurged(purges, { key: "fact", of: member });
  await holdsAll(purges, { key: "fact", of: [purges, listed] });
  for (const member of [listed, ...unlisted]) await holdsAll(member, { key: "fact", of: all });
  // What a Go member holds of another Go member nobody awaits: time enough for its acknowledgement.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  for (const member of unlisted) assertEquals((await purges.state("fact"))[member.id], undefined);
  return { purges, listed, unlisted, all };
}

/** All members hold what each set, now and before, and hear each other's heartbeats; none has blocked another. */
async function isWhole(all: readonly MemberProcess[]): Promise<void> {
  for (const member of all) await holdsAll(member, { key: "fact", of: all });
  for (const member of all) await member.ask({ op: "set", key: "later", value: member.id });
  for (const member of all) await holdsAll(member, { key: "later", of: all });
  for (const reader of all) {
    for (const writer of all) if (writer !== reader) await hearsHeartbeat(reader, writer);
  }
  for (const member of all) assertEquals(await member.blocked(), []);
}

live(
  "a Go member that purged members it had not listed yet receives everything again when it lists them",
  async (goProgram) => {
    await using cast = new Cast({ goProgram, size: 4, manual: true });
    const { purges, all } = await untilPurged(cast);
    await purges.list(all);
    await isWhole(all);
  },
);

live(
  "a Go member that purged receives everything again though only another Go member says that its topology changed",
  async (goProgram) => {
    await using cast = new Cast({ goProgram, size: 4, manual: true });
    const starting = [cast.go({ purges: true }), cast.go(), cast.go(), cast.deno()];
    const all = await Promise.all(starting);
    const [purges, listed, unlisted, hearsay] = all as [
      MemberProcess,
      MemberProcess,
      MemberProcess,
      MemberProcess,
    ];
    await purges.list([purges, listed]);
    await listOn([listed, unlisted, hearsay], all);
    for (const member of [purges, listed, unlisted]) {
      await member.ask({ op: "set", key: "fact", value: member.id });
    }
    await hearsay.ask({ op: "setEverywhere", key: "fact", value: hearsay.id });
    await hasPurged(purges, { key: "fact", of: unlisted });
    await holdsAll(hearsay, { key: "fact", of: all });
    // It sends nothing to the Hearsay member, which it goes on not to list.
    await purges.list([purges, listed, unlisted]);
    await holdsAll(purges, { key: "fact", of: [purges, listed, unlisted] });
    await purges.list(all);
    await isWhole(all);
  },
);

live(
  "a Go member that purged receives everything again when its id disappears from the topology and reappears",
  async (goProgram) => {
    await using cast = new Cast({ goProgram, size: 4, manual: true });
    const { purges, listed, unlisted, all } = await untilPurged(cast);
    const hearsay = [listed, unlisted[0]!];
    // The other Go member goes on listing it: protoactor-go takes no id back.
    await listOn(hearsay, all.filter((member) => member !== purges));
    await purges.list(all);
    await listOn(hearsay, all);
    await isWhole(all);
  },
);

live(
  "a Go member that is started anew under its id receives everything again when the id reappears",
  async (goProgram) => {
    await using cast = new Cast({ goProgram, size: 4, manual: true });
    const others = await Promise.all([cast.deno(), cast.deno()]);
    const before = await cast.go({ id: "the-same", purges: true });
    await listOn([before, ...others], [before, ...others]);
    for (const member of others) {
      await member.ask({ op: "setEverywhere", key: "fact", value: member.id });
      await holdsAll(before, { key: "fact", of: [member] });
    }
    before.kill();
    await listOn(others, others);
    const anew = await cast.go({ id: "the-same", purges: true });
    assertEquals(await anew.state("fact"), {});
    await listOn([anew, ...others], [anew, ...others]);
    await holdsAll(anew, { key: "fact", of: others });
    for (const member of others) await hearsHeartbeat(anew, member);
  },
);
