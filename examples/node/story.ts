/**
 * What happens to a member, as lines for people.
 *
 * @module
 */

import { bold, dim, green, red, setColorEnabled, yellow } from "../../deps/std_fmt.ts";
import {
  GRACEFULLY_LEFT_KEY,
  type HearsayEvent,
  HEARTBEAT_KEY,
  type Node,
  type Phase,
  printable,
  TOPOLOGY_KEY,
} from "../../mod.ts";

setColorEnabled(Deno.stdout.isTerminal() && !Deno.noColor);

/** Prints a line: the time of day, what kind of thing happened, and what. */
export function say(kind: string, text: string, colour = dim): void {
  const [, time = ""] = new Date().toISOString().split(/[TZ]/);
  console.log(`${dim(time)}  ${colour(kind.padEnd(8))}  ${text}`);
}

/** Prints a line for each thing that happens, until the member is over. */
export async function tell({ gossiper, member }: Node): Promise<void> {
  let known = new Set([member.id]);
  /** Peers that could not be asked, and of which nothing has been told since. */
  const silent = new Set<string>();
  const phases = new SettledPhase();
  for await (const event of gossiper.events.subscribe()) {
    if (event.type === "ClusterTopology") {
      for (const { id, host, port } of event.members) {
        if (!known.has(id)) say("joined", `${name(id)} at ${printable(host)}:${port}`, green);
      }
      known = new Set(event.members.map(({ id }) => id));
    } else if (event.type === "RequestFailed") {
      // It is tried again and again, until it answers or is blocked.
      if (!silent.has(event.peerId)) tellEvent(event);
      silent.add(event.peerId);
    } else if (event.type === "PhaseChanged") {
      phases.change(event.to);
    } else {
      tellEvent(event);
      if ("memberId" in event) silent.delete(event.memberId);
    }
  }
  phases.end();
}

/** With every heartbeat the phase may change for a moment: only what lasts is told. */
class SettledPhase {
  #told: Phase = "diffusing";
  #timer: ReturnType<typeof setTimeout> | undefined;

  change(to: Phase): void {
    clearTimeout(this.#timer);
    if (to === this.#told) return;
    this.#timer = setTimeout(() => {
      this.#told = to;
      say("phase", `${to}: ${PHASES[to]}`);
    }, 1_000);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

const PHASES = {
  diffusing: "not all are known to have what this member has",
  reconciling: "this member and another compare all they have",
  confirmed: "all are known to have what this member has",
};

function tellEvent(event: HearsayEvent): void {
  switch (event.type) {
    case "GossipUpdate": {
      const { memberId, key, value, deleted } = event;
      if (isInternal(key)) return;
      return say(
        deleted ? "deleted" : "set",
        `${name(memberId)} ${printable(key)}${deleted ? "" : ` = ${printable(JSON.stringify(value))}`}`,
      );
    }
    case "MemberBlocked":
      if (event.reason === "left") return say("left", `${name(event.memberId)} said so`, yellow);
      return say("blocked", `${name(event.memberId)} (${event.reason})`, red);
    case "MemberUnblocked":
      return say("back", name(event.memberId), green);
    case "MemberForgotten":
      return say("forgot", name(event.memberId));
    case "SelfBlocked":
      return say("blocked", `this member, by ${name(event.peerId ?? "everybody")} (${event.reason})`, red);
    case "ConflictDetected":
      return say("conflict", `about ${name(event.memberId)} (${event.reason})`, red);
    case "RequestFailed":
      return say(
        "failed",
        `${name(event.peerId)}: ${reasonOf(event.error)}`,
      );
    case "SeedFailed":
      return say(
        "failed",
        `seed ${event.address}: ${reasonOf(event.error)}`,
        yellow,
      );
    case "CallbackFailed":
      return say("failed", `${event.where}: ${reasonOf(event.error)}`, red);
    case "EventsDropped":
      return say("missed", `${event.count} events, because this terminal is too slow`, red);
  }
}

function isInternal(key: string): boolean {
  return INTERNAL.has(key) || key.startsWith("hearsay.");
}

/** What gossipers tell each other about themselves. */
const INTERNAL: ReadonlySet<string> = new Set([GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY]);

function reasonOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error));
}

/** The beginning is enough of an id that nobody chose; others are what their members like. */
export function name(id: string): string {
  return bold(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? id.slice(0, 8) : printable(id));
}
