/**
 * The steps of `hearsay doctor` from a running member's facts about itself and others.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import type { EventType, HearsayEvent } from "../../contracts/event_stream.ts";
import type { Explanation } from "../../contracts/explanation.ts";
import type { Facts, Trouble } from "../../observer/protocol.ts";
import { sentenceOf } from "../../operations/sentences.ts";
import {
  describeDifference,
  meaningOf,
  settingDifferences,
  type SharedSettings,
} from "../../protocol/shared_settings.ts";
import { duration, timeOfDay } from "../paint.ts";
import { type Diagnosis, fail, type Fault, type FaultCode, named, note, ok } from "./findings.ts";

/** The most troubles that are shown. */
const MAX_TROUBLES = 5;

/** Troubles up to this age, in milliseconds, count as present under any settings. */
const LEAST_RECENT_MS = 60_000;

/** The settings that members compare. */
const SHARED = [
  "gossipInterval",
  "heartbeatExpiration",
  "maxKeysPerMember",
  "maxMessageBytes",
  "maxStateBytes",
] as const satisfies readonly (keyof SharedSettings)[];

/** Adds a step that compares the settings of a member before its start with those of a running peer. */
export function judgeSettings(diagnosis: Diagnosis, own: SharedSettings, facts: Facts): void {
  const theirs = Object.fromEntries(
    SHARED.map((name) => [name, facts.settings[name]]),
  ) as unknown as SharedSettings;
  const differences = settingDifferences(own, theirs);
  const refused = differences.filter(({ isRefused }) => isRefused);
  if (refused.length > 0) {
    return void fail(diagnosis, "settings", {
      code: "settings",
      seen: `The settings do not fit, so that each refuses the other: ${
        refused.map(describeDifference).join("; ")
      }.`,
      todo:
        "Let `heartbeatExpiration` of each be at least twice the `gossipInterval` of the other; best, use one file for all.",
    });
  }
  if (differences.length === 0) return void diagnosis.steps.push(ok("settings", "The settings fit."));
  const seen = differences.map((each) => `${describeDifference(each)}. ${meaningOf(each.setting)}`).join(" ");
  diagnosis.steps.push(note("settings", seen, "Use one file of settings for all members."));
}

/** Adds the room of a peer for one more member. */
export function judgeRoom(diagnosis: Diagnosis, facts: Facts): void {
  if (isFull(facts)) return void fail(diagnosis, "limits", fullFault(facts));
  const { alive, suspected } = facts.counts;
  const seen = `${named(facts.self)} accepts new members: it has ${
    alive + suspected
  } of at most ${facts.settings.maxMembers}.`;
  diagnosis.steps.push(ok("limits", seen));
}

/** Adds a peer's facts about the member with this id. */
export function judgeAsSeen(diagnosis: Diagnosis, { id, explanation, facts }: {
  readonly id: string;
  readonly explanation: Explanation;
  readonly facts: Facts;
}): void {
  const peer = named(facts.self);
  const block = facts.blocked.find((each) => each.id === id);
  if (block && block.reason !== "left") {
    return void fail(diagnosis, "member", {
      code: "blocked",
      seen: `${peer} blocks ${named(id)} (${block.reason}) since ${
        timeOfDay(block.sinceMs)
      }. ${explanation.summary}`,
      todo: explanation.endsWhen,
    });
  }
  const refusal = explanation.decisions.findLast(({ kind }) => kind === "refused");
  const joined = explanation.decisions.findLast(({ kind }) => kind === "joined");
  if (refusal && refusal.lastAtUnixMilliseconds > (joined?.lastAtUnixMilliseconds ?? 0)) {
    const reason = refusal.reason ?? "";
    return void fail(diagnosis, "member", {
      code: codeOfRefusal(reason),
      seen: `${peer} refused ${named(id)} at ${timeOfDay(refusal.lastAtUnixMilliseconds)}: ${reason}`,
      todo: todoOf(codeOfRefusal(reason)),
    });
  }
  diagnosis.steps.push(ok("member", `${peer} says of ${named(id)}: ${explanation.summary}`));
}

/** Adds a running member's facts about itself. */
export function judgeSelf(diagnosis: Diagnosis, facts: Facts): void {
  const { steps } = diagnosis;
  const others = facts.counts.alive + facts.counts.suspected - 1;
  const fault = ownFault(facts, others);
  if (fault) fail(diagnosis, "member", fault);
  else steps.push(ok("member", facts.explanation.summary));
  noteLimits(diagnosis, facts);
  for (const { id, reason, sinceMs } of facts.blocked.slice(0, MAX_TROUBLES)) {
    if (reason === "left") continue;
    const ago = duration(Math.max(0, facts.wallMs - sinceMs));
    steps.push(
      note(
        "blocked",
        `It blocks ${named(id)} (${reason}) for ${ago}.`,
        `\`hearsay explain ${printable(id, 100)}\` has the history.`,
      ),
    );
  }
  if (!fault) {
    for (const { address, outcome, reason } of facts.seeds) {
      if (outcome === "failed") {
        steps.push(note("seed", `${printable(address, 200)} failed: ${printable(reason ?? "", 300)}`));
      }
      if (outcome === "self" && hostOf(address) !== hostOf(facts.address)) {
        const seen = `The seed ${printable(address, 200)} leads to this member itself.`;
        const todo =
          "If it should be another member, correct the seed or what forwards it; else members may form two clusters.";
        steps.push(note("seed", seen, todo));
      }
    }
  }
  if (!fault) noteRenewals(diagnosis, facts);
  for (const trouble of latest(facts.troubles)) steps.push(note("log", troubleLine(trouble, facts)));
}

/**
 * Notes new incarnations. A step of the clock causes one, but another process with the id causes one after another.
 */
function noteRenewals({ steps }: Diagnosis, { explanation, wallMs }: Facts): void {
  const renewals = explanation.decisions.filter(({ kind }) => kind === "renewed");
  const last = renewals.at(-1);
  if (!last) return;
  const times = renewals.reduce((sum, each) => sum + each.times, 0);
  const seen = `It began ${times === 1 ? "a new incarnation" : `${times} new incarnations`}, the latest ${
    duration(Math.max(0, wallMs - last.lastAtUnixMilliseconds))
  } ago: peers knew a later one of its id, or its clock was set back by over a year.`;
  const todo = "Look for another process with its id; a clock that was set back does this once.";
  steps.push(note("identity", seen, todo));
}

/** The host and port of an address. An address without a scheme is returned unchanged. */
export function hostOf(address: string): string {
  return URL.parse(address)?.host ?? address;
}

/** The reason why a running member is alone; `undefined` if it is not alone. */
function ownFault(facts: Facts, others: number): Fault | undefined {
  const { explanation, isolated, fenced, leaving } = facts;
  if (fenced) {
    return {
      code: "identity",
      seen: "Another process uses this member's id and key, so that this one no longer gossips.",
      todo: "Stop one of the two, or give it another id.",
    };
  }
  if (leaving) return { code: "stopped", seen: "The member leaves the cluster.", todo: "Start it again." };
  const recent = recentFault(facts);
  if (recent?.code === "identity" || (others > 0 && !isolated)) return recent;
  const blockedAt = explanation.decisions.findLast(({ kind }) => kind === "selfBlocked");
  const rejoinedAt = explanation.decisions.findLast(({ kind }) => kind === "rejoined" || kind === "renewed");
  if (blockedAt && blockedAt.lastAtUnixMilliseconds > (rejoinedAt?.lastAtUnixMilliseconds ?? 0)) {
    const by = blockedAt.peerId === undefined ? "The discovery" : named(blockedAt.peerId);
    return {
      code: "blocked",
      seen: `${by} blocks this member (${blockedAt.reason}) since ${
        timeOfDay(blockedAt.lastAtUnixMilliseconds)
      }.`,
      todo: "A newer heartbeat ends the block; if none arrives, look at the network, or restart this member.",
      ...(blockedAt.reason !== "topology" && { isEffect: true }),
    };
  }
  const refused = seedFault(facts);
  if (isolated) {
    const why = refused ? ` ${refused.seen}` : "";
    return {
      code: "isolated",
      seen: `${explanation.summary}${why}`,
      todo: `Look at the network between the members. ${explanation.endsWhen}`,
      isEffect: true,
    };
  }
  const blocked = facts.blocked.filter(({ reason }) => reason !== "left");
  if (blocked.length > 0) {
    const ids = blocked.slice(0, MAX_TROUBLES).map(({ id, reason }) => `${named(id)} (${reason})`).join(", ");
    return {
      code: "blocked",
      seen: `This member blocks every other member that it knows: ${ids}.`,
      todo: "Check whether they run and can be dialed; a heartbeat or a handshake ends each block.",
      ...(blocked.every(({ reason }) => reason !== "topology") && { isEffect: true }),
    };
  }
  return refused ?? handshakeFault(facts) ?? seedless(facts);
}

/** The fault of a member that is not alone, by its latest troubles; `undefined` without a fault. */
export function recentFault(facts: Facts): Fault | undefined {
  // A conflict is emitted repeatedly while it lasts.
  const { wallMs, settings: { heartbeatExpiration }, troubles } = facts;
  const recent = troubles.filter(({ atMs }) =>
    wallMs - atMs <= Math.max(LEAST_RECENT_MS, 2 * heartbeatExpiration)
  );
  const conflicts = recent.map(({ event }) => event).filter(({ type }) => type === "ConflictDetected");
  if (conflicts.some(({ reason, memberId }) => reason === "identity" && memberId === facts.self)) {
    return {
      code: "identity",
      seen: "Another process uses this member's id, and each replaces the state of the other.",
      todo: "Look for an older process that still runs, stop it, or give it an id of its own.",
    };
  }
  const refused = conflicts.findLast(({ reason }) => reason === "limit");
  if (!refused) return undefined;
  const { maxStateBytes, maxKeysPerMember, maxMessageBytes } = facts.settings;
  return {
    code: "limit",
    seen:
      `This member refuses a part of the state of ${
        named(String(refused["memberId"]))
      }, so its copy is old. ` +
      `Its limits: maxStateBytes ${maxStateBytes}, maxKeysPerMember ${maxKeysPerMember}, maxMessageBytes ${maxMessageBytes}.`,
    todo: "Give all members the same limits, or store less in the state.",
  };
}

/** A seed's fault, if the sentence of its failure shows it. */
function seedFault(facts: Facts): Fault | undefined {
  for (const { address, outcome, reason } of facts.seeds) {
    if (outcome !== "failed" || reason === null) continue;
    const code = codeOfRefusal(reason);
    if (code !== "refused") {
      return {
        code,
        seen: `The seed ${printable(address, 200)} failed: ${printable(reason)}`,
        todo: todoOf(code),
        ...((code === "notListening" || code === "unreachable") && { isEffect: true }),
      };
    }
  }
  return undefined;
}

function handshakeFault(facts: Facts): Fault | undefined {
  const refusal = facts.troubles.findLast(({ event: { type } }) =>
    type === "HandshakeRefused" || type === "ClientRefused"
  );
  if (!refusal) return undefined;
  const sentence = troubleLine(refusal, facts);
  const code = codeOfRefusal(`${String(refusal.event["code"] ?? "")} ${sentence}`);
  return { code, seen: sentence, todo: todoOf(code) };
}

function seedless({ seeds }: Facts): Fault {
  if (seeds.length === 0) {
    return {
      code: "alone",
      seen: "This member's discovery names no other member, and no other member has dialed it.",
      todo:
        "Give it `seeds`, or look at its discovery; the first member of a cluster is alone until another one dials it.",
    };
  }
  const pending = seeds.filter(({ outcome }) => outcome === "failed").length;
  const first = seeds.find(({ outcome }) => outcome === "failed");
  return {
    code: pending > 0 ? "unreachable" : "alone",
    seen: pending > 0
      ? `${pending} of ${seeds.length} seeds failed; ${printable(first!.address, 200)}: ${
        printable(first!.reason ?? "", 300)
      }`
      : "Its seeds are this member itself, or were not dialed yet.",
    todo: "Give it the address of another member in `seeds`.",
    ...(pending > 0 && { isEffect: true }),
  };
}

/** The code of a fault by the sentence of a refusal or a failed dial. */
export function codeOfRefusal(reason: string): FaultCode {
  const found = PATTERNS.find(([pattern]) => pattern.test(reason));
  return found?.[1] ?? "refused";
}

const PATTERNS: readonly (readonly [RegExp, FaultCode])[] = [
  [/permission .*--allow|NotCapable|Requires (net|sys) access/i, "permission"],
  [/wrong_cluster|another cluster|is of cluster/i, "cluster"],
  [/settings do not fit/i, "settings"],
  [/maxMembers/i, "full"],
  [/clocks|future|has expired|a year ahead/i, "clock"],
  [/\b401\b|\bkeys?\b|token|proof|4401/i, "key"],
  [/\bblocked\b/i, "blocked"],
  [/id_conflict|another process uses/i, "identity"],
  [/dns error|no address|lookup/i, "name"],
  [/certificate|UnknownIssuer|TLS|speaks wss|speaks ws\b/i, "tls"],
  [/subprotocol|version|\b426\b/i, "version"],
  [/proxy|\b50[24]\b/i, "proxy"],
  [/\b404\b|at this path/i, "path"],
  [/\b503\b/i, "full"],
  [/connection refused|no process listens/i, "notListening"],
  [/timeout|timed out|longer than/i, "unreachable"],
];

const TODO: { readonly [code in FaultCode]?: string } = {
  permission: "Start the member with that permission.",
  cluster: "Give both members the same `cluster`.",
  settings:
    "Let `heartbeatExpiration` of each be at least twice the `gossipInterval` of the other; best, use one file for all.",
  full: "Raise `maxMembers`, or stop members.",
  clock: "Synchronize both clocks (NTP).",
  key: "Give both members a common key in `authentication.keys`.",
  notListening: "Start the member there, or correct the seed.",
  name: "Check the spelling of the seed, and the name server.",
  identity: "Stop one of the two processes, or give it an id of its own.",
  tls: "Give the member `tls.caCerts` with the authority, or correct ws: and wss: in the seed.",
};

function todoOf(code: FaultCode): string {
  return TODO[code] ?? "Look at the logs of both members.";
}

function isFull(facts: Facts): boolean {
  return knownTo(facts) >= facts.settings.maxMembers;
}

function knownTo({ counts: { alive, suspected, failed } }: Facts): number {
  return alive + suspected + failed;
}

function fullFault(facts: Facts): Fault {
  const limit = `room for ${facts.settings.maxMembers} members (\`maxMembers\`), and knows ${knownTo(facts)}`;
  return {
    code: "full",
    seen: `${named(facts.self)} has ${limit}.`,
    todo: "Raise the limit on every member, or stop members.",
  };
}

/** Adds notes about reached limits: they are no reason why a member is alone. */
function noteLimits({ steps }: Diagnosis, facts: Facts): void {
  const { seen, todo } = fullFault(facts);
  if (isFull(facts)) steps.push(note("limits", `${seen} No other one can join.`, todo));
  const { refused, dropped } = facts.room;
  if (refused + dropped === 0) return;
  const states = `${refused} states of others found no room since its start, and ${dropped} were dropped.`;
  steps.push(note("limits", states, "Raise `maxHeldBytes`, or store less in the state."));
}

/** A trouble as a line. Its event is plain data. */
export function troubleLine({ event, times, atMs }: Trouble, facts: Facts): string {
  const error = Object(event["error"]) as { readonly message?: unknown };
  const whole = { ...event, ...("error" in event && { error: new Error(String(error.message ?? "")) }) };
  const member = { id: facts.self, cluster: facts.cluster, path: `/${facts.settings.gossipActorName}` };
  const often = times > 1 ? ` (${times} times)` : "";
  return `${timeOfDay(atMs)} ${printable(sentenceOf(whole as unknown as HearsayEvent, member))}${often}`;
}

/** The newest troubles of different kinds. */
function latest(troubles: readonly Trouble[]): readonly Trouble[] {
  const shown = new Map<EventType | string, Trouble>();
  for (const trouble of troubles) {
    const { type, remote, peerId } = trouble.event;
    shown.set(`${type} ${String(remote ?? "").replace(/:\d+$/, "")} ${String(peerId ?? "")}`, trouble);
  }
  return [...shown.values()].slice(-MAX_TROUBLES);
}
