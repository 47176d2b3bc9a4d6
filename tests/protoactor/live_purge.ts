/**
 * Hearsay members with a real Go member that purges: it drops the state of members that it does not list. The tests
 * decide the list of every member.
 *
 * @module
 */

import { assertEquals } from "../../deps/std_assert.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import { eventually, type MemberProcess, Processes } from "./processes.ts";
import { isSeen, live } from "./live_harness.ts";

/** Sets the list of each of these members. */
async function listOn(members: readonly MemberProcess[], listed: readonly MemberProcess[]): Promise<void> {
  for (const member of members) await member.list(listed);
}

/** Waits until a member has the key of each of the others. */
async function holdsAll(
  reader: MemberProcess,
  { key, of }: { readonly key: string; readonly of: readonly MemberProcess[] },
): Promise<void> {
  for (const writer of of) {
    await eventually(
      `${reader.kind} has ${key} of a ${writer.kind} member`,
      () => isSeen(reader, key, writer, writer.id),
    );
  }
}

/** Waits until a Go member has purged another member's key. */
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

/** Waits until a member receives a new heartbeat of another. */
async function hearsHeartbeat(reader: MemberProcess, writer: MemberProcess): Promise<void> {
  // A Hearsay member shows heartbeats under the key of earlier versions of protoactor-go.
  const key = reader.kind === "go" ? "heartbeat" : HEARTBEAT_KEY;
  const stamp = async () => (await reader.state(key))[writer.id]?.stamp ?? 0;
  const before = await stamp();
  await eventually(`${reader.kind} receives a heartbeat of ${writer.kind}`, async () => {
    const now = await stamp();
    return now > before || now;
  });
}

/** Four members. The first purges and lists only the second; all others list all four. */
interface Purging {
  readonly purges: MemberProcess;
  readonly listed: MemberProcess;
  /** A Hearsay and a Go member that the first does not list. */
  readonly unlisted: readonly MemberProcess[];
  readonly all: readonly MemberProcess[];
}

/**
 * Sets `fact` at all members. Resolves when the first has acknowledged it to the Hearsay members and has then purged it
 * for the members that it does not list.
 */
async function untilPurged(processes: Processes): Promise<Purging> {
  const starting = [processes.go({ purges: true }), processes.deno(), processes.deno(), processes.go()];
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
  // Nothing shows when a Go member acknowledges another Go member's state; a second is enough.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  for (const member of unlisted) assertEquals((await purges.state("fact"))[member.id], undefined);
  return { purges, listed, unlisted, all };
}

/** All members must have all values and receive each other's heartbeats, and none has blocked another. */
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
  "purge: a Go member that purged unlisted members receives all state again when it lists them",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 4, manual: true });
    const { purges, all } = await untilPurged(processes);
    await purges.list(all);
    await isWhole(all);
  },
);

live(
  "purge: a Go member receives all state again even if only another Go member reports its new topology",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 4, manual: true });
    const starting = [processes.go({ purges: true }), processes.go(), processes.go(), processes.deno()];
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
    // The first still does not list the Hearsay member, so it sends nothing to it.
    await purges.list([purges, listed, unlisted]);
    await holdsAll(purges, { key: "fact", of: [purges, listed, unlisted] });
    await purges.list(all);
    await isWhole(all);
  },
);

live(
  "purge: a Go member receives all state again when its id disappears from the topology and reappears",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 4, manual: true });
    const { purges, listed, unlisted, all } = await untilPurged(processes);
    const hearsay = [listed, unlisted[0]!];
    // The other Go member keeps it in its list: protoactor-go never accepts a removed id again.
    await listOn(hearsay, all.filter((member) => member !== purges));
    await purges.list(all);
    await listOn(hearsay, all);
    await isWhole(all);
  },
);

live(
  "purge: a Go member restarted with its id receives all state again when the id reappears",
  async (goProgram) => {
    await using processes = new Processes({ goProgram, size: 4, manual: true });
    const others = await Promise.all([processes.deno(), processes.deno()]);
    const before = await processes.go({ id: "the-same", purges: true });
    await listOn([before, ...others], [before, ...others]);
    for (const member of others) {
      await member.ask({ op: "setEverywhere", key: "fact", value: member.id });
      await holdsAll(before, { key: "fact", of: [member] });
    }
    before.kill();
    await listOn(others, others);
    const restarted = await processes.go({ id: "the-same", purges: true });
    assertEquals(await restarted.state("fact"), {});
    await listOn([restarted, ...others], [restarted, ...others]);
    await holdsAll(restarted, { key: "fact", of: others });
    for (const member of others) await hearsHeartbeat(restarted, member);
  },
);
