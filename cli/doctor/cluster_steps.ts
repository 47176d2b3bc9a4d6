/**
 * The steps of `hearsay doctor` at the other members that a running member knows: does each answer, and is its answer
 * consistent?
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import type { Explanation } from "../../contracts/explanation.ts";
import { isAlive } from "../../gossiper/member_status.ts";
import type { Facts, ObservedMember } from "../../observer/protocol.ts";
import { duration } from "../paint.ts";
import { type AddressOptions, examine, type Examined } from "./address_steps.ts";
import { type Diagnosis, fail, type Fault, type FaultCode, named, note, ok } from "./findings.ts";
import { hostOf, judgeAsSeen, recentFault } from "./member_steps.ts";

/** The most other members that are asked. 16: all members of a small cluster, and not too many of a large cluster. */
const MAX_ASKED = 16;
/** A member that was not heard for this number of its intervals is in doubt. 10: more than lost messages explain. */
export const LATE_INTERVALS = 10;

/**
 * Faults that explain no fault of the asked member: `blocked` is the same fault as the other member sees it, and the
 * others keep only this command from asking.
 */
const NO_CAUSES: readonly FaultCode[] = ["blocked", "observers", "permission"];

/** The subject of the diagnosis of the other members. */
export const OTHERS = "The other members";

/** Faults of the path from this process. They do not count against a member that its peers heard lately. */
const FROM_HERE: readonly FaultCode[] = ["name", "notListening", "unreachable", "tls", "proxy"];
/** Faults that keep this command from asking a member, but keep no peer from gossiping with it. */
const OF_ASKING: readonly FaultCode[] = ["address", "observers", "permission", "version"];

/**
 * Asks the other members, first the members in doubt, with one step for each. `undefined` if there is no other member
 * to ask.
 */
export async function examineOthers(
  { scheme, facts, members, explain }: {
    /** The URL scheme of the asked member, for other members with only a host and a port. */
    readonly scheme: string;
    readonly facts: Facts;
    readonly members: readonly ObservedMember[];
    /** Asks the asked member to explain the status of another member. */
    readonly explain: (memberId: string) => Promise<Explanation>;
  },
  options: AddressOptions,
): Promise<Diagnosis | undefined> {
  const { asked, more } = othersToAsk(members, facts);
  if (asked.length === 0) return undefined;
  const examined = await Promise.all(asked.map(async (member) => ({
    member,
    ...await examine(addressOf(member, scheme), options),
  })));
  const diagnosis: Diagnosis = { subject: OTHERS, steps: [] };
  for (const each of examined) {
    await using observer = each.observer;
    await judgeOther(diagnosis, { ...each, facts, explain });
    if (observer) await judgeAddress(diagnosis, { facts, observer });
  }
  if (more > 0) diagnosis.steps.push(ok("members", `${more} more were not asked.`));
  return diagnosis;
}

/**
 * The fault at the other members or at the seeds, if it is a better first line than the asked member's own one. A fault
 * of a running process comes before that of an ended one: only a running process can be examined further.
 */
export function causeOf(
  own: Fault | undefined,
  found: readonly (Fault | undefined)[],
): Fault | undefined {
  // The fault that another member reports has the address of the other process.
  if (own?.code === "identity") return found.find((fault) => fault?.code === "identity");
  if (!own?.isEffect) return undefined;
  const causes = found.flatMap((fault) => fault && !NO_CAUSES.includes(fault.code) ? [fault] : []);
  return causes.find(({ code }) => code !== "notListening") ?? causes[0];
}

/** The other members to ask, first the members in doubt, and the number of members that are left out. */
export function othersToAsk(
  members: readonly ObservedMember[],
  facts: Facts,
): { readonly asked: readonly ObservedMember[]; readonly more: number } {
  const others = members.filter(({ isSelf, status, address }) =>
    !isSelf && status !== "left" && address !== null
  );
  const asked = others.toSorted((one, other) => doubt(other, facts) - doubt(one, facts)).slice(0, MAX_ASKED);
  return { asked, more: others.length - asked.length };
}

/**
 * The address to dial. `scheme` is the asked member's scheme, for members that have only a host and a port instead of a
 * whole URL.
 */
export function addressOf({ address }: ObservedMember, scheme: string): string {
  return address!.includes("://") ? address! : `${scheme}//${address}`;
}

/** A running member, and its answers. */
export interface Running {
  readonly diagnosis: Diagnosis;
  readonly facts: Facts;
  readonly observer: NonNullable<Examined["observer"]>;
}

/**
 * Adds a fault to each member that does not know the first member and is unknown to it, because the two are in
 * different clusters.
 */
export async function judgeSplit([first, ...others]: readonly Running[]): Promise<void> {
  for (const other of others) {
    const ids = [first!.facts.self, other.facts.self] as const;
    const statuses = await Promise.all([
      other.observer.ask<Explanation>("explain", { memberId: ids[0] }),
      first!.observer.ask<Explanation>("explain", { memberId: ids[1] }),
    ]);
    if (statuses.some(({ status }) => status !== "unknown")) continue;
    fail(other.diagnosis, "members", {
      code: "split",
      seen: `${named(ids[0])} and ${named(ids[1])} of the cluster ${
        named(other.facts.cluster)
      } know nothing of each other.`,
      todo: "Give a member of each side a seed of the other side.",
    });
  }
}

/** The doubt about a member. Members with the highest doubt are asked first. */
function doubt(member: ObservedMember, facts: Facts): number {
  return (member.status === "alive" ? 0 : 4) + (isLate(member, facts) ? 2 : 0) + (member.lacks ? 1 : 0);
}

/** True if a member was not heard for many of its intervals. */
export function isLate({ heartbeat }: ObservedMember, { settings }: Pick<Facts, "settings">): boolean {
  return heartbeat === null || heartbeat.ageMs > LATE_INTERVALS * settings.gossipInterval;
}

/** Another member, and the result of asking it. */
interface Asked extends Examined {
  readonly member: ObservedMember;
  readonly facts: Facts;
  readonly explain: (memberId: string) => Promise<Explanation>;
}

async function judgeOther(diagnosis: Diagnosis, asked: Asked): Promise<void> {
  const { member, facts, observer } = asked;
  const name = `${named(member.id)} at ${printable(member.address!, 200)}`;
  const { fault } = asked.diagnosis;
  if (!observer) return judgeSilent(diagnosis, { name, fault: fault!, member, facts });
  if (fault) return addFault(diagnosis, name, fault);
  const theirs = await observer.ask<Facts>("facts");
  if (theirs.self !== member.id) {
    return addFault(diagnosis, name, {
      code: "identity",
      seen: `The member there is ${named(theirs.self)}.`,
      todo: "Correct its advertised address, or the proxy in front of it.",
    });
  }
  const own = recentFault(theirs);
  if (own) return addFault(diagnosis, name, own);
  const { fault: refused } = await asSeenBy(theirs, { id: facts.self, observer });
  if (refused) return addFault(diagnosis, name, refused);
  if (member.status === "failed") {
    const { summary, endsWhen } = await asked.explain(member.id);
    return addFault(diagnosis, name, {
      code: "blocked",
      seen: `It answers, and yet: ${summary}`,
      todo: endsWhen,
    });
  }
  const seen = `${name} answers, and counts ${theirs.counts.alive} alive members.`;
  const lacks = member.lacks ?? 0;
  if (lacks === 0) return void diagnosis.steps.push(ok("member", seen));
  const late = `${seen} Entries of this member that it has not acknowledged yet: ${lacks}.`;
  diagnosis.steps.push(
    note("member", late, "If that stays so: `hearsay seen <key>` says who lacks a value, and why."),
  );
}

/** Adds a fault if another member knows the asked member at another address, because another process is there. */
async function judgeAddress(
  diagnosis: Diagnosis,
  { facts, observer }: { readonly facts: Facts; readonly observer: NonNullable<Examined["observer"]> },
): Promise<void> {
  const { self, address } = facts;
  const seen = await observer.ask<ObservedMember | null>("member", { memberId: self });
  if (!seen || !isAlive(seen) || seen.address === null || address === "") return;
  const [there, here] = [hostOf(seen.address), hostOf(address)];
  if (there === here || diagnosis.fault?.code === "identity") return;
  fail(diagnosis, "member", {
    code: "identity",
    seen: `Another process uses this member's id: ${named(observer.welcome.self)} knows ${named(self)} at ${
      printable(there, 200)
    }, and the asked process is at ${printable(here, 200)}.`,
    todo: "Stop one of the two processes, or give it an id of its own.",
  });
}

async function asSeenBy(
  theirs: Facts,
  { id, observer }: { readonly id: string; readonly observer: NonNullable<Examined["observer"]> },
): Promise<Diagnosis> {
  const diagnosis: Diagnosis = { subject: theirs.self, steps: [] };
  const explanation = await observer.ask<Explanation>("explain", { memberId: id });
  judgeAsSeen(diagnosis, { id, explanation, facts: theirs });
  return diagnosis;
}

/** A member that could not be asked. */
function judgeSilent(diagnosis: Diagnosis, { name, fault, member, facts }: {
  readonly name: string;
  readonly fault: Fault;
  readonly member: ObservedMember;
  readonly facts: Facts;
}): void {
  const seen = `${name}: ${fault.seen}`;
  if (OF_ASKING.includes(fault.code)) return void diagnosis.steps.push(note("member", seen, fault.todo));
  if (member.status === "failed" && fault.code === "notListening") {
    const gone = `${fault.seen} It ended without leaving (${member.block?.reason ?? "failed"}).`;
    // A member that is alone has no other one to meet.
    if (facts.counts.alive + facts.counts.suspected <= 1) {
      return addFault(diagnosis, name, { ...fault, seen: gone, todo: "Start it again." });
    }
    const todo = "Start it again, or wait until it is forgotten.";
    return void diagnosis.steps.push(note("member", `${name}: ${gone}`, todo));
  }
  if (member.status === "alive" && !isLate(member, facts) && FROM_HERE.includes(fault.code)) {
    const heard = `The cluster heard it ${
      duration(member.heartbeat!.ageMs)
    } ago, so only this command cannot reach it.`;
    return void diagnosis.steps.push(note("member", `${seen} ${heard}`));
  }
  addFault(diagnosis, name, fault);
}

function addFault(diagnosis: Diagnosis, name: string, { code, seen, todo }: Fault): void {
  fail(diagnosis, "member", { code, seen: `${name}: ${seen}`, todo });
}
