/**
 * The history of decisions about members, for explanations.
 *
 * @module
 */

import { BoundedMap } from "../common/bounded_map.ts";
import { messageOf } from "../common/error_text.ts";
import { printable } from "../common/printable.ts";
import type { Runtime } from "../common/runtime.ts";
import type { HearsayEvent } from "../contracts/event_stream.ts";
import type { Refusal, Suspect } from "../protocol/message.ts";
import type { Decision, DecisionKind } from "../contracts/explanation.ts";

/**
 * The most decisions of one member. 16: a crash, a restart, and the decisions before. More: more memory for each
 * member.
 */
const MOST_OF_A_MEMBER = 16;
/**
 * The most reports of peers about one member. 8: half of its decisions. Without this limit one crash in a large cluster
 * would drop all other decisions.
 */
const MOST_REPORTS = 8;
/**
 * The most members with decisions. The member whose last decision is oldest is dropped first. 512 members take some 2
 * MiB.
 */
const MOST_MEMBERS = 512;
/** The most characters of a reason before escapes: it may come from a peer. */
const MOST_CHARACTERS = 256;

/** A decision to record. */
export interface Happened {
  readonly kind: DecisionKind;
  readonly peerId?: string;
  readonly reason?: string;
}

/** The latest decisions about each member. */
export class Decisions {
  readonly #selfId: string;
  readonly #runtime: Pick<Runtime, "wallMs">;
  readonly #byMember = new BoundedMap<string, Decision[]>(MOST_MEMBERS);

  /** Makes an empty history. */
  constructor(selfId: string, runtime: Pick<Runtime, "wallMs">) {
    this.#selfId = selfId;
    this.#runtime = runtime;
  }

  /** The decisions about a member, the oldest first. */
  of(memberId: string): readonly Decision[] {
    return [...this.#byMember.get(memberId) ?? []];
  }

  /**
   * Records a decision. A decision that equals the member's last decision only raises the count of that decision. The
   * reports of several peers alternate, so a report of a peer is compared with all reports since the last other decision.
   */
  record(memberId: string, { kind, peerId, reason }: Happened): void {
    const decisions = this.#byMember.get(memberId) ?? [];
    const nowMs = this.#runtime.wallMs();
    const happened = {
      kind,
      ...(peerId !== undefined && peerId !== memberId && { peerId }),
      ...(reason !== undefined && { reason: printable(reason, MOST_CHARACTERS) }),
    };
    const from = decisions.findLastIndex((each) => !isReport(kind) || !isReport(each.kind));
    const at = decisions.findLastIndex((each, index) =>
      index >= from && each.kind === kind && each.peerId === happened.peerId &&
      each.reason === happened.reason
    );
    const first = decisions[at] ?? { atUnixMilliseconds: nowMs, times: 0 };
    decisions[at < 0 ? decisions.length : at] = Object.freeze({
      ...happened,
      atUnixMilliseconds: first.atUnixMilliseconds,
      lastAtUnixMilliseconds: nowMs,
      times: first.times + 1,
    });
    dropOldest(decisions);
    this.#byMember.set(memberId, decisions);
  }

  /**
   * Records that a peer suspects a member, or heard from it. Ids that are no members are ignored, because a peer may
   * invent ids.
   */
  onSuspect(
    peerId: string,
    { memberId, isAlive }: Suspect,
    view: { isMember(id: string): boolean },
  ): void {
    if (!view.isMember(memberId)) return;
    this.record(memberId, { kind: isAlive ? "heardByPeer" : "suspectedByPeer", peerId });
  }

  /** Records that a peer refused a message of this member. */
  onRefusal(peerId: string | undefined, { code, message }: Refusal): void {
    if (peerId !== undefined) this.record(peerId, { kind: "refusedByPeer", reason: `${code}: ${message}` });
  }

  /** Records the decision that an event reports; ignores all other events. */
  onEvent(event: HearsayEvent): void {
    switch (event.type) {
      case "MemberJoined":
        return this.record(event.memberId, { kind: "joined" });
      case "MemberLeft":
        return this.record(event.memberId, { kind: "left" });
      case "MemberBlocked":
        return this.record(event.memberId, { kind: "blocked", reason: event.reason });
      case "MemberUnblocked":
        return this.record(event.memberId, { kind: "unblocked" });
      case "MemberSuspected":
        return this.record(event.memberId, { kind: "suspected" });
      case "SuspicionEnded":
        return this.record(event.memberId, { kind: "suspicionEnded" });
      case "MemberForgotten":
        return this.record(event.memberId, { kind: "forgotten" });
      case "RequestFailed":
        return this.record(event.peerId, { kind: "requestFailed", reason: messageOf(event.error) });
      case "HandshakeRefused":
        return this.record(event.peerId, { kind: "refused", reason: `${event.code}: ${event.reason}` });
      default:
        return this.#onOwnEvent(event);
    }
  }

  #onOwnEvent(event: HearsayEvent): void {
    switch (event.type) {
      case "Isolated":
        return this.record(this.#selfId, { kind: "isolated" });
      case "Rejoined":
        return this.record(this.#selfId, { kind: "rejoined" });
      case "IncarnationRenewed":
        return this.record(this.#selfId, { kind: "renewed", reason: event.incarnation });
      case "SelfBlocked": {
        const { peerId, reason } = event;
        return this.record(this.#selfId, {
          kind: "selfBlocked",
          reason,
          ...(peerId !== undefined && { peerId }),
        });
      }
      case "ConflictDetected":
        if (event.reason === "identity") this.record(event.memberId, { kind: "conflict" });
    }
  }
}

/** True if a peer reports a decision of its own. */
function isReport(kind: DecisionKind): boolean {
  return kind === "suspectedByPeer" || kind === "heardByPeer";
}

/** Drops the oldest decision of a member that has too many. */
function dropOldest(decisions: Decision[]): void {
  const reports = decisions.filter(({ kind }) => isReport(kind));
  if (reports.length > MOST_REPORTS) decisions.splice(decisions.indexOf(reports[0]!), 1);
  else if (decisions.length > MOST_OF_A_MEMBER) decisions.shift();
}
