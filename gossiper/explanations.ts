/**
 * Explains the status of members, and where this member's values are.
 *
 * @module
 */

import { printable } from "../common/printable.ts";
import type { BlockReason } from "../engine/types.ts";
import type {
  Decision,
  DecisionKind,
  Explanation,
  HeartbeatExplanation,
  Lacking,
  Spreading,
} from "../contracts/explanation.ts";
import { CONFIRM_AFTER_MS } from "../engine/liveness/suspicions.ts";
import { Decisions } from "./decisions.ts";
import type { EventStream } from "../contracts/event_stream.ts";
import { SeenChanges } from "./seen_changes.ts";
import type { EngineHost } from "./engine_host.ts";
import { memberOf, type Viewed } from "./views.ts";
import type { PacedConfig } from "../options/configuration.ts";

/** The dependencies of {@linkcode Explanations}. */
export interface ExplanationsOptions {
  readonly engineHost: EngineHost;
  readonly eventStream: EventStream;
  readonly viewed: () => Viewed;
  readonly isConnected: (id: string) => boolean;
  readonly settings: Pick<PacedConfig, "heartbeatExpiration" | "neverExpires" | "blockedProbeInterval">;
}

/** The decisions that lead to a status. */
const LEADING: { readonly [status in Explanation["status"]]: readonly DecisionKind[] } = {
  alive: ["joined", "unblocked", "suspicionEnded"],
  suspected: ["suspected"],
  failed: ["blocked"],
  left: ["blocked", "left"],
  unknown: ["forgotten", "refused", "refusedByPeer"],
};

/** Makes explanations from the knowledge of the gossiper. */
export class Explanations {
  /** The history of decisions. */
  readonly decisions: Decisions;
  readonly #options: ExplanationsOptions;

  /** Follows the events and acknowledgements from now on. */
  constructor(options: ExplanationsOptions) {
    this.#options = options;
    const { engineHost, eventStream } = options;
    this.decisions = new Decisions(engineHost.view.id, engineHost.runtime);
    engineHost.onEvent((event) => this.decisions.onEvent(event));
    new SeenChanges(engineHost, eventStream);
  }

  /** Why a member has its status. */
  explain(memberId: string): Explanation {
    const { engineHost, viewed, isConnected } = this.#options;
    const { view } = engineHost;
    const known = viewed();
    const history = this.decisions.of(memberId);
    const status = this.#statusOf(memberId, known);
    const isSelf = memberId === view.id;
    return {
      memberId,
      status,
      sinceUnixMilliseconds: since(history, status),
      summary: printable(isSelf ? this.#ownSummary(known) : this.#summary(memberId, status, history)),
      endsWhen: isSelf ? this.#ownEnd() : this.#end(memberId, status),
      heartbeat: this.#heartbeat(memberId),
      isConnected: isConnected(memberId),
      lacks: this.#lacks(memberId),
      decisions: history,
      ...(isSelf && { seeds: known.seeds }),
    };
  }

  /** The members with this member's latest value of a key, and those without it. */
  seenBy(key: string): Spreading {
    const { view } = this.#options.engineHost;
    const number = view.ownNumber(key);
    if (number === undefined) return { key, sequenceNumber: null, seenBy: [], lacking: [] };
    const peers = view.activePeers();
    const has = (id: string) => view.isAcknowledgedBy(id, number);
    return {
      key,
      sequenceNumber: number,
      seenBy: [view.id, ...peers.filter(has)],
      lacking: peers.filter((id) => !has(id)).map((id) => this.#lacking(id)),
    };
  }

  #lacking(memberId: string): Lacking {
    const { isConnected } = this.#options;
    const failure = this.decisions.of(memberId).findLast(({ kind }) => kind === "requestFailed");
    return {
      memberId,
      reason: isConnected(memberId) ? "unacknowledged" : "unconnected",
      lastFailure: failure?.reason ?? null,
    };
  }

  #statusOf(id: string, known: Viewed): Explanation["status"] {
    const { engine, topology } = known;
    const isKnown = id === engine.id || topology.get(id) !== undefined ||
      engine.blockedMember(id) !== undefined || engine.incarnationOf(id) !== undefined;
    return isKnown ? memberOf(known, id).status : "unknown";
  }

  #heartbeat(id: string): HeartbeatExplanation | null {
    const { engineHost } = this.#options;
    const report = engineHost.view.heartbeatReport(id);
    if (!report) return null;
    const ageMilliseconds = Math.max(0, Math.round(engineHost.now().monotonicMs - report.monotonicMs));
    return { count: report.count, ageMilliseconds, peerId: report.peerId ?? null };
  }

  #lacks(id: string): number | null {
    const { view } = this.#options.engineHost;
    if (id === view.id) return 0;
    if (!view.activeIds().has(id)) return null;
    return view.ownEntriesAbove(view.ackedOwnNumber(id)).length;
  }

  #ownSummary({ engine, seeds }: Viewed): string {
    if (engine.isFenced) return "Another process uses this member's id and key, so it no longer gossips.";
    if (engine.isIsolated) {
      return "This member is isolated: it has heard no other one for a third of `heartbeatExpiration`.";
    }
    const others = engine.activePeers().length;
    if (others > 0) return `This member is alive, with ${others} ${others === 1 ? "other" : "others"}.`;
    if (seeds.length === 0) return "This member is alone: its discovery names no other member.";
    const failed = seeds.filter(({ outcome }) => outcome === "failed").length;
    return `This member is alone: ${failed} of ${seeds.length} addresses of its discovery failed.`;
  }

  #ownEnd(): string {
    const { view } = this.#options.engineHost;
    if (view.isFenced) return "It restarts under another id.";
    if (view.isIsolated) return "A message of any other member ends it.";
    return view.activePeers().length > 0 ? "It leaves or crashes." : "It meets another member.";
  }

  #summary(id: string, status: Explanation["status"], history: readonly Decision[]): string {
    const { view } = this.#options.engineHost;
    switch (status) {
      case "alive":
        return `It is alive. ${this.#heard(id)}`;
      case "suspected":
        return `Its connection broke, and its address refuses new ones. ${this.#heard(id)}${
          suspects(history)
        }`;
      case "failed":
        return `${BLOCKED[view.blockedMember(id)!.reason]} ${this.#heard(id)}${suspects(history)}`;
      case "left":
        return view.blockedMember(id) ? BLOCKED.left : "The discovery does not name it.";
      case "unknown":
        return `This member knows no member of this id.${lastRefusal(history)}`;
    }
  }

  #heard(id: string): string {
    const heartbeat = this.#heartbeat(id);
    if (!heartbeat) return "No heartbeat of it was heard.";
    const { count, ageMilliseconds, peerId } = heartbeat;
    const way = peerId === id
      ? "from itself"
      : peerId === null
      ? "from a peer"
      : `through ${JSON.stringify(peerId)}`;
    return `Its last heartbeat, ${count}, came ${seconds(ageMilliseconds)} ago ${way}.`;
  }

  #end(id: string, status: Explanation["status"]): string {
    const { engineHost, settings } = this.#options;
    switch (status) {
      case "alive":
        return `It fails ${
          settings.neverExpires
            ? ""
            : `without a newer heartbeat for ${seconds(settings.heartbeatExpiration)}, or `
        }${seconds(CONFIRM_AFTER_MS)} after its connection broke and its address refuses.`;
      case "suspected":
        return "A newer heartbeat, a handshake, or a dial that is not refused ends the suspicion. Else it is blocked " +
          `as \`crashed\` after ${seconds(CONFIRM_AFTER_MS)}.`;
      case "failed": {
        if (engineHost.view.blockedMember(id)!.reason === "topology") {
          return "The discovery, or `unblock`, ends the block.";
        }
        return `A newer heartbeat or a handshake ends the block; it is asked every ${
          seconds(settings.blockedProbeInterval)
        }.`;
      }
      case "left":
        return "It starts again and joins.";
      case "unknown":
        return "A handshake with it, or its state from another member, makes it known.";
    }
  }
}

const BLOCKED: { readonly [reason in BlockReason]: string } = {
  crashed: "It crashed: its connection broke, and its address refused every dial.",
  expired:
    "It sent no newer heartbeat for `heartbeatExpiration`, or a peer passed its state on as that of a failed member.",
  left: "It left in good order.",
  topology: "The discovery, or `block`, blocks it.",
};

function since(history: readonly Decision[], status: Explanation["status"]): number | null {
  const leading = history.findLast(({ kind }) => LEADING[status].includes(kind));
  return leading?.atUnixMilliseconds ?? null;
}

function suspects(history: readonly Decision[]): string {
  const ids = new Set(history.filter(({ kind }) => kind === "suspectedByPeer").map(({ peerId }) => peerId!));
  if (ids.size === 0) return "";
  return ` Suspected too by ${[...ids].map((id) => JSON.stringify(id)).join(", ")}.`;
}

function lastRefusal(history: readonly Decision[]): string {
  const refusal = history.findLast(({ kind }) => kind === "refused" || kind === "refusedByPeer");
  if (!refusal) return "";
  return refusal.kind === "refused"
    ? ` Its handshake was refused here (${refusal.reason}).`
    : ` It refused this member (${refusal.reason}).`;
}

function seconds(milliseconds: number): string {
  return `${Number((milliseconds / 1_000).toFixed(1))} s`;
}
