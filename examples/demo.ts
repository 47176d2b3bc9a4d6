/**
 * Five members in five processes find each other and agree; one crashes and one leaves: `deno task demo`.
 *
 * Each member is examples/demo/member.ts, which shows how to use the library. This file starts the members and prints
 * only facts that it found in their reports.
 *
 * @module
 */

import { Processes, StepFailed } from "./demo/processes.ts";
import type { Fact, MemberProcess } from "./demo/member_process.ts";
import { CONFIG, KEYS } from "./demo/protocol.ts";
import {
  bold,
  chapter,
  duration,
  lastViews,
  LEGEND,
  matrix,
  name,
  names,
  progress,
  red,
  say,
  write,
} from "./demo/screen.ts";
import { readFlags } from "./flags.ts";

const USAGE = `
Five members in five processes find each other and agree; one crashes and one leaves.

  --bound-ms <number>   time limit of each step in milliseconds, instead of the step's own
  --color               colors also if the output is no terminal
  --help                this text
`;

const flags = readFlags({ usage: USAGE, once: ["bound-ms"], boolean: ["color"] });
await using processes = new Processes({ boundMs: flags.wholeNumber("bound-ms", { least: 1, most: 60_000 }) });
const { members } = processes;
try {
  introduce();
  await theyJoin();
  await theyAgree();
  await aVersionRollsOut("2.0.0");
  await oneCrashes(members[4]!);
  await oneLeaves(members[3]!);
  await curtain();
} catch (error) {
  if (!(error instanceof StepFailed)) throw error;
  console.error(`\n${red("The demo failed.")} ${error.message}`);
  Deno.exitCode = 1;
}

function introduce(): void {
  const { gossipInterval, gossipFanOut, gossipRequestTimeout, heartbeatExpiration } = CONFIG;
  console.log(`\n${bold("Hearsay: five members in five processes, and no server")}`);
  console.log(
    `Settings of the demo: a round every ${gossipInterval} ms with ${gossipFanOut} peers, a request timeout of ` +
      `${gossipRequestTimeout} ms,\nand a member that is silent for ${
        heartbeatExpiration / 1_000
      } s is blocked. ` +
      "(Defaults: 300 ms, 3 peers, 500 ms, 20 s.)",
  );
}

async function theyJoin(): Promise<void> {
  chapter("Five processes form one cluster");
  const seed = processes.start("ada");
  await processes.until({
    what: "The seed listens",
    withinMs: 10_000,
    isTrue: () => seed.address !== undefined,
    seen: () => "its process has not reported an address",
  });
  say(`${name(seed.id, 4)} listens on ${seed.address!.is}, the seed of the others (process ${seed.pid})`);
  let waiting = ["ben", "cleo", "dan", "eve"].map((id) => processes.start(id, seed));
  while (waiting.length > 0) {
    await processes.until({
      what: "All other members join",
      withinMs: 10_000,
      isTrue: () => waiting.some(({ joinedAfterMs }) => joinedAfterMs !== undefined),
      seen: () => `${idsOf(waiting)} have seen no other member`,
    });
    for (const { id, pid, joinedAfterMs } of waiting) {
      if (joinedAfterMs === undefined) continue;
      say(`${name(id, 4)} joined in ${duration(joinedAfterMs)} (process ${pid})`);
    }
    waiting = waiting.filter(({ joinedAfterMs }) => joinedAfterMs === undefined);
  }
  const lastCallMs = latest(members.map(({ address }) => address));
  await processes.until({
    what: "Every member sees all members",
    withinMs: 5_000,
    isTrue: () => members.every(({ activeIds }) => activeIds.length === members.length),
    seen: () => members.map(({ id, activeIds }) => `${id} sees ${activeIds.join(", ")}`).join("; "),
  });
  const completeMs = latest(members.flatMap(({ sights }) => [...sights.values()]));
  say(
    `every member sees all ${members.length}, ${
      duration(completeMs - lastCallMs)
    } after the last call of join()`,
  );
  write(["", ...matrix(members)]);
}

async function theyAgree(): Promise<void> {
  chapter("All members publish their load and version");
  const { length } = members;
  await sameKnowledge(members);
  const setMs = latest(members.map(({ id, values }) => values.version.get(id)));
  const delay = duration(latest(members.flatMap(({ values }) => [...values.version.values()])) - setMs);
  const count = length * KEYS.length;
  say(
    `convergence: all ${length} members have the same ${count} values, ${delay} after the last version was set`,
  );
  await consensus(members, "1.0.0");
  say(`consensus: each of the ${length} members reports that all have version 1.0.0`);
}

async function aVersionRollsOut(version: string): Promise<void> {
  chapter(`Version ${version} is rolled out, member by member`);
  const { length } = members;
  for (const [index, member] of members.entries()) {
    await member.command({ version });
    await heardByAll(member, { version, all: index === length - 1 });
    const facts = members.map(({ values }) => values.version.get(member.id));
    const delay = duration(latest(facts) - member.values.version.get(member.id)!.atMs);
    say(
      `${progress(index + 1, length)}  ${name(member.id, 4)} has ${version}, at all members after ${delay}`,
    );
  }
  await consensus(members, version);
  const lastMs = latest(members.map(({ id, values }) => values.version.get(id)));
  const delay = duration(latest(members.map(({ agreed }) => agreed)) - lastMs);
  say(`only now all ${length} members report consensus on ${version}, ${delay} after the last one had it`);
}

/** Waits until all members have a member's version. Before the last one no member may report consensus. */
async function heardByAll(
  { id }: MemberProcess,
  { version, all }: { readonly version: string; readonly all: boolean },
): Promise<void> {
  await processes.until({
    what: `All members have version ${version} of ${id}${all ? "" : ", and none reports consensus"}`,
    withinMs: 5_000,
    isTrue: () =>
      members.every(({ values, agreed }) =>
        values.version.get(id)?.is === version && (all || agreed.is === null)
      ),
    seen: () =>
      members.map((one) => `${one.id} has ${one.values.version.get(id)?.is} (consensus: ${one.agreed.is})`)
        .join(
          ", ",
        ),
  });
}

async function oneCrashes(victim: MemberProcess): Promise<void> {
  chapter("One member crashes");
  const killedMs = victim.signal("SIGKILL");
  const { signal } = await end(victim);
  if (signal !== "SIGKILL") throw new StepFailed(`${victim.id} ended before the demo killed it.`);
  say(`${name(victim.id)} is killed (SIGKILL): its process has ended without a message`);
  const others = running();
  // On a busy machine a late dial can make the expiration the first to notice.
  await everyoneBlocks(victim, { reasons: ["crashed", "expired"], withinMs: 4 * CONFIG.heartbeatExpiration });
  const delays = others.map(({ sights }) => sights.get(victim.id)!.atMs - killedMs);
  const span = `${duration(Math.min(...delays))} to ${duration(Math.max(...delays))}`;
  say(`${names(others.map(({ id }) => id))} have blocked it, ${span} later`);
  await consensus(others, "2.0.0");
  say(`the other ${others.length} members still have consensus on 2.0.0`);
}

async function oneLeaves(leaver: MemberProcess): Promise<void> {
  chapter("One member leaves");
  const others = running().filter((member) => member !== leaver);
  const askedMs = leaver.signal("SIGTERM");
  say(`${name(leaver.id)} receives SIGTERM`);
  await everyoneBlocks(leaver, { reasons: ["left"], withinMs: 2_000 });
  const { code } = await end(leaver);
  const { stopped, ended } = leaver;
  const facts = others.map(({ sights }) => sights.get(leaver.id)!);
  const count = stopped?.is.acknowledgedBy ?? 0;
  // The leaver's count of acknowledgements and the others' reports must agree, by the clock that all processes share.
  if (count < others.length || latest(facts) > ended!.atMs || code !== 0) {
    const seen = JSON.stringify({ stopped, facts, ended });
    throw new StepFailed(
      `"All other members know that it left before its process ends" is not true. Seen: ${seen}.`,
    );
  }
  const by = others.map(({ id }, at) => `by ${name(id)} after ${duration(facts[at]!.atMs - askedMs)}`);
  say(`known as left ${by.join(", ")}`);
  const returned = `its stop() returned after ${duration(stopped!.atMs - askedMs)}`;
  say(`${returned}, acknowledged by ${count} of ${others.length} members`);
  say(`its process ended ${duration(ended!.atMs - latest(facts))} after the last of them knew`);
}

async function curtain(): Promise<void> {
  const survivors = running();
  await sameKnowledge(survivors);
  chapter("The final view of every member");
  write([...lastViews(members), "", LEGEND, ""]);
  for (const member of survivors) member.endInput();
  for (const member of survivors) await end(member);
  say(`all ${members.length} processes have ended`);
}

function running(): MemberProcess[] {
  return members.filter(({ ended }) => ended === undefined);
}

/** Waits until these members have equal values, with those of members that are gone. */
async function sameKnowledge(among: readonly MemberProcess[]): Promise<void> {
  const isWhole = ({ values }: MemberProcess) => KEYS.every((key) => values[key].size === members.length);
  await processes.until({
    what: `${idsOf(among)} have the same values`,
    withinMs: 5_000,
    isTrue: () => among.every((member) => isWhole(member) && member.knowledge === among[0]!.knowledge),
    seen: () => among.map(({ id, knowledge }) => `${id}:\n${knowledge}`).join("\n"),
  });
}

async function consensus(among: readonly MemberProcess[], version: string): Promise<void> {
  await processes.until({
    what: `Consensus on version ${version}`,
    withinMs: 5_000,
    isTrue: () => among.every(({ agreed }) => agreed.is === version),
    seen: () => among.map(({ id, agreed }) => `${id}: ${agreed.is ?? "none"}`).join(", "),
  });
}

async function everyoneBlocks(
  gone: MemberProcess,
  { reasons, withinMs }: { readonly reasons: readonly string[]; readonly withinMs: number },
): Promise<void> {
  const others = running().filter((member) => member !== gone);
  await processes.until({
    what: `All others have blocked ${gone.id} as ${reasons.join(" or ")}`,
    withinMs,
    isTrue: () => others.every(({ sights }) => reasons.includes(sights.get(gone.id)?.is.reason ?? "")),
    seen: () =>
      others.map(({ id, sights }) => `${id}: ${sights.get(gone.id)?.is.reason ?? "not blocked"}`).join(", "),
  });
}

/** Waits until a process has ended; resolves with its status. */
async function end(member: MemberProcess): Promise<Deno.CommandStatus> {
  await processes.until({
    what: `The process of ${member.id} ends`,
    withinMs: 2_000,
    isTrue: () => member.ended !== undefined,
    seen: () => `process ${member.pid} is still running`,
  });
  return member.ended!.is;
}

function idsOf(some: readonly MemberProcess[]): string {
  return some.map(({ id }) => id).join(", ");
}

/** The time of the latest fact. */
function latest(facts: readonly (Fact<unknown> | undefined)[]): number {
  return Math.max(...facts.map((fact) => fact?.atMs ?? -Infinity));
}
