/**
 * `hearsay explain`: the reason for a member's status. `hearsay seen`: the members that have a value.
 *
 * @module
 */

import { withoutDot } from "../../node/warnings.ts";
import { printable } from "../../common/printable.ts";
import type { SeedStatus } from "../../contracts/cluster.ts";
import type { Decision, Explanation, Lacking } from "../../contracts/explanation.ts";
import type { ObservedMember } from "../../observer/protocol.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { type Column, duration, timeOfDay } from "../paint.ts";
import type { Run } from "../program.ts";
import { connect, keyIn, targetOf } from "../target.ts";
import { STATUS_TONE } from "./members.ts";

const DECISIONS: readonly Column<Decision>[] = [
  { title: "AT", text: ({ atUnixMilliseconds: at }) => timeOfDay(at) },
  { title: "TIMES", text: ({ times }) => String(times), align: "right" },
  { title: "DECISION", text: ({ kind }) => kind },
  { title: "BY", text: ({ peerId }) => peerId ?? "-", mayShrink: true },
  { title: "REASON", text: ({ reason }) => reason ?? "-", mayShrink: true },
];

/** Explains the status of a member; without an id, of the asked member. */
export const explain: Run = async ({ terminal, screen }, [id], flags) => {
  if (id === "") {
    throw new CommandFailure(
      EXIT.usage,
      "The id must not be empty; without an id, the asked member is explained.",
    );
  }
  await using observer = await connect(await targetOf(flags, terminal), terminal.signal);
  const { self, wallMs } = observer.welcome;
  const memberId = id ?? self;
  const explanation = await observer.ask<Explanation>("explain", { memberId });
  const { status, summary, endsWhen, isConnected, lacks, decisions, sinceUnixMilliseconds: since } =
    explanation;
  const code = status === "unknown" ? EXIT.fault : EXIT.ok;
  if (screen.isJson) {
    screen.json({ askedOf: self, ...explanation });
    return code;
  }
  const tone = status === "unknown" ? "warn" : STATUS_TONE[status as ObservedMember["status"]];
  const head = since === null ? "" : `, since ${timeOfDay(since)} (${duration(Math.max(0, wallMs - since))})`;
  screen.line(
    `${screen.paint(printable(memberId, 200), "bold")} ${status === "left" ? "has" : "is"} ${
      screen.paint(printable(String(status)), tone)
    }${head}, as ${memberId === self ? "it sees itself" : `${printable(self, 200)} sees it`}.`,
  );
  screen.paragraph(printable(summary));
  screen.paragraph(`Ends when: ${printable(endsWhen)}`);
  if (memberId !== self && status !== "unknown") {
    screen.line(`It is ${isConnected ? "" : "not "}connected${lackingText(lacks, self)}.`);
  }
  for (const { address, outcome, reason, memberId: seedId } of explanation.seeds ?? []) {
    const rest = reason === null ? "" : ` (${withoutDot(printable(reason))})`;
    screen.paragraph(`Seed ${printable(address, 200)}: ${outcomeText(outcome, seedId)}${rest}.`);
  }
  if (decisions.length > 0) screen.lines(["", ...screen.table(decisions, DECISIONS)]);
  return code;
};

/** The end of a sentence about the entries of the asked member; empty if it is unknown what the other lacks. */
function lackingText(lacks: number | null, self: string): string {
  if (lacks === null) return "";
  const entries = lacks === 0
    ? "nothing"
    : `${printable(String(lacks))} ${lacks === 1 ? "entry" : "entries"}`;
  return `, and lacks ${entries} of ${printable(self, 200)}`;
}

/** The outcome of a seed, with the member there. */
function outcomeText(outcome: SeedStatus["outcome"], memberId: string | null): string {
  if (outcome === "self") return "it leads to this member itself";
  return memberId === null ? outcome : `${outcome} ${printable(memberId, 200)}`;
}

/** The answer to `seenBy`. */
interface Seen {
  readonly sequenceNumber: number | null;
  readonly have: number;
  readonly of: number;
  readonly seenBy: readonly string[];
  readonly lacking: readonly Lacking[];
}

const LACKING: readonly Column<Lacking>[] = [
  { title: "LACKING", text: ({ memberId }) => memberId, mayShrink: true },
  { title: "REASON", text: ({ reason }) => reason },
  { title: "LAST FAILURE", text: ({ lastFailure }) => lastFailure ?? "-", mayShrink: true },
];

/** Prints the members that have the asked member's latest value of a key. */
export const seen: Run = async ({ terminal, screen }, args, flags) => {
  const key = keyIn(args);
  await using observer = await connect(await targetOf(flags, terminal), terminal.signal);
  const answer = await observer.ask<Seen>("seenBy", { key });
  const { sequenceNumber, have, of, lacking } = answer;
  if (screen.isJson) screen.json(answer);
  else if (sequenceNumber === null) {
    terminal.writeError(
      `hearsay: ${printable(observer.welcome.self, 100)} has no value of its own under ${
        JSON.stringify(printable(key, 100))
      }.\n`,
    );
  } else {
    screen.line(printable(`${have} of ${of} members have it (number ${sequenceNumber}).`));
    if (lacking.length > 0) screen.lines(screen.table(lacking, LACKING));
  }
  return sequenceNumber === null || have < of ? EXIT.fault : EXIT.ok;
};
