/**
 * Prints the events of a member as lines for people.
 *
 * @module
 */

import { messageOf } from "../../common/error_text.ts";
import { bold, dim, green, red, setColorEnabled, yellow } from "../../deps/std_fmt.ts";
import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY } from "../../protocol/mod.ts";
import { type HearsayEvent, type Node, type Phase, printable } from "../../mod.ts";

setColorEnabled(Deno.stdout.isTerminal() && !Deno.noColor);

/** Prints a line with the time of day, the kind of event and a text. */
export function say(kind: string, text: string, color = dim): void {
  const [, time = ""] = new Date().toISOString().split(/[TZ]/);
  console.log(`${dim(time)}  ${color(kind.padEnd(8))}  ${text}`);
}

/** Prints the events until the member has ended; of failures in a row of one peer, only the first. */
export async function printEvents(node: Node): Promise<void> {
  let known = new Set([node.id]);
  /** Peers with a failed request and no event since: their next failures are not printed. */
  const silent = new Set<string>();
  const phases = new SettledPhase();
  for await (const event of node.events.subscribe()) {
    if (event.type === "ClusterTopology") {
      for (const { id, host, port } of event.members) {
        if (!known.has(id)) say("joined", `${name(id)} at ${printable(host)}:${port}`, green);
      }
      known = new Set(event.members.map(({ id }) => id));
    } else if (event.type === "RequestFailed") {
      // Every retry fails until the peer answers or is blocked.
      if (!silent.has(event.peerId)) printEvent(event);
      silent.add(event.peerId);
    } else if (event.type === "PhaseChanged") {
      phases.change(event.to);
    } else {
      printEvent(event);
      if ("memberId" in event) silent.delete(event.memberId);
    }
  }
  phases.end();
}

/** Prints a phase after one second: with every update it changes for a moment. */
class SettledPhase {
  #shown: Phase = "diffusing";
  #timer: ReturnType<typeof setTimeout> | undefined;

  change(to: Phase): void {
    clearTimeout(this.#timer);
    if (to === this.#shown) return;
    this.#timer = setTimeout(() => {
      this.#shown = to;
      say("phase", `${to}: ${PHASES[to]}`);
    }, 1_000);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

const PHASES = {
  diffusing: "not all members are known to have this member's state",
  reconciling: "this member compares its state with a peer's",
  confirmed: "all members are known to have this member's state",
};

function printEvent(event: HearsayEvent): void {
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
      if (event.reason === "left") return say("left", name(event.memberId), yellow);
      return say("blocked", `${name(event.memberId)} (${event.reason})`, red);
    case "MemberUnblocked":
      return say("back", name(event.memberId), green);
    case "MemberForgotten":
      return say("forgot", name(event.memberId));
    case "SelfBlocked":
      return say(
        "blocked",
        `this member, by ${event.peerId === undefined ? "itself" : name(event.peerId)} (${event.reason})`,
        red,
      );
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
      return say("dropped", `${event.count} events: this terminal is too slow`, red);
  }
}

function isInternal(key: string): boolean {
  return INTERNAL.has(key) || key.startsWith("hearsay.");
}

/** Keys that gossipers set themselves; they are not printed. */
const INTERNAL: ReadonlySet<string> = new Set([GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY]);

function reasonOf(error: unknown): string {
  return printable(messageOf(error));
}

/** A name in bold; of a generated id only the first 8 characters. */
export function name(id: string): string {
  return bold(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? id.slice(0, 8) : printable(id));
}
