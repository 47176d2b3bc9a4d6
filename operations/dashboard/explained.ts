/**
 * The answers of a dashboard about one member and about one key.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import type { SeedStatus } from "../../contracts/cluster.ts";
import type { Decision, Explanation, Lacking } from "../../contracts/explanation.ts";
import { type Gossiper, insightOf } from "../../gossiper/gossiper.ts";
import { MAX_ID_LENGTH, MAX_LACKING, MAX_NAME_LENGTH, MAX_SEEDS } from "./limits.ts";

/** Why a member has its status. Texts are printable, and times are of this member's wall clock. */
export interface ExplainedMember extends Pick<Explanation, "status" | "isConnected" | "lacks"> {
  readonly id: string;
  readonly isSelf: boolean;
  readonly summary: string;
  readonly endsWhen: string;
  /** The decision that led to the status; `null` if none is kept. */
  readonly sinceMs: number | null;
  /** The latest heartbeat, and the peer that brought it: `null` if it is not known. */
  readonly heartbeat:
    | { readonly count: number; readonly atMs: number; readonly peerId: string | null }
    | null;
  readonly decisions: readonly DecisionRow[];
  /** The addresses of the discovery, up to a limit; of this member itself only. */
  readonly seeds: readonly SeedRow[];
  readonly seedCount: number;
}

/** One decision; equal ones in a row are one. */
export interface DecisionRow extends Pick<Decision, "kind" | "times"> {
  readonly atMs: number;
  readonly lastAtMs: number;
  readonly peerId: string | null;
  readonly reason: string | null;
}

/** One address of the discovery. */
export interface SeedRow extends Pick<SeedStatus, "outcome"> {
  readonly address: string;
  readonly memberId: string | null;
  readonly reason: string | null;
  readonly nextAtMs: number | null;
}

/** The spread of this member's latest value of a key. Texts are printable. */
export interface SeenKey {
  readonly key: string;
  /** The number of the value; `null` if the key has none. */
  readonly number: number | null;
  /** The living members with it, with this one. */
  readonly seen: number;
  /** The living members. */
  readonly of: number;
  /** The members without it, up to a limit. */
  readonly lacking: readonly { readonly id: string; readonly reason: Lacking["reason"] }[];
}

/** A question without an answer. */
export class Unanswered {
  /** The status of the response. */
  readonly status: 400 | 404 | 409;
  /** The reason, as a sentence. */
  readonly reason: string;

  constructor(status: 400 | 404 | 409, reason: string) {
    this.status = status;
    this.reason = reason;
  }
}

/** Explains the member that the page shows under this id. */
export function explainedMember(node: Gossiper, shown: string | null): ExplainedMember | Unanswered {
  const id = named(shown, {
    parameter: "member",
    all: () => node.members.map(({ id }) => id),
    instead: "`node.explain(id)` takes the whole id.",
  });
  if (id instanceof Unanswered) return id;
  const wallMs = insightOf(node).host.runtime.wallMs();
  const explanation = node.explain(id);
  const { status, summary, endsWhen, sinceUnixMilliseconds, heartbeat, isConnected, lacks } = explanation;
  return {
    id: printable(id, MAX_ID_LENGTH),
    isSelf: id === node.id,
    status,
    summary: printable(summary),
    endsWhen: printable(endsWhen),
    sinceMs: sinceUnixMilliseconds,
    heartbeat: heartbeat && {
      count: heartbeat.count,
      atMs: wallMs - heartbeat.ageMilliseconds,
      peerId: shownText(heartbeat.peerId),
    },
    isConnected,
    lacks,
    decisions: explanation.decisions.map(decisionRow),
    seeds: (explanation.seeds ?? []).slice(0, MAX_SEEDS).map(seedRow),
    seedCount: explanation.seeds?.length ?? 0,
  };
}

/** The members with and without this member's latest value of the key that the page shows under this name. */
export function seenKey(node: Gossiper, shown: string | null): SeenKey | Unanswered {
  const { view } = insightOf(node).host;
  const key = named(shown, {
    parameter: "key",
    all: () => view.entriesOf(node.id).map(({ key }) => key),
    instead: "`node.seenBy(key)` takes the whole key.",
  });
  if (key instanceof Unanswered) return key;
  const { sequenceNumber, seenBy, lacking } = node.seenBy(key);
  return {
    key: printable(key, MAX_ID_LENGTH),
    number: sequenceNumber,
    seen: seenBy.length,
    of: seenBy.length + lacking.length,
    lacking: lacking.slice(0, MAX_LACKING).map(({ memberId, reason }) => ({
      id: printable(memberId, MAX_ID_LENGTH),
      reason,
    })),
  };
}

/**
 * The id or key behind a shown text. The page has only printable texts. Several ids or keys may have one text, because
 * it is escaped or shortened. Such a text is refused, because a guess might explain another member.
 */
function named(shown: string | null, { parameter, all, instead }: {
  readonly parameter: "member" | "key";
  readonly all: () => readonly string[];
  readonly instead: string;
}): string | Unanswered {
  if (!shown || shown.length > MAX_NAME_LENGTH) {
    const given = shown ? `got ${shown.length}` : "got none";
    return new Unanswered(
      400,
      `\`${parameter}\` must be the shown text, of 1 to ${MAX_NAME_LENGTH} characters; ${given}.`,
    );
  }
  // A text that is neither escaped nor shortened is the id or key itself, and no other id or key is shown as this text.
  if (printable(shown, MAX_ID_LENGTH) === shown && !/[\\…]/.test(shown)) return shown;
  const [first, second] = all().filter((text) => printable(text, MAX_ID_LENGTH) === shown);
  const [what, whats] = parameter === "member"
    ? ["member", "Several members"]
    : ["own key", "Several own keys"];
  if (first === undefined) return new Unanswered(404, `No ${what} is shown under this text now.`);
  if (second === undefined) return first;
  return new Unanswered(
    409,
    `${whats} are shown under this text, because it is shortened or escaped. ${instead}`,
  );
}

function decisionRow(
  { kind, times, atUnixMilliseconds, lastAtUnixMilliseconds, ...of }: Decision,
): DecisionRow {
  return {
    kind,
    times,
    atMs: atUnixMilliseconds,
    lastAtMs: lastAtUnixMilliseconds,
    peerId: shownText(of.peerId),
    reason: of.reason === undefined ? null : printable(of.reason),
  };
}

function seedRow({ address, outcome, memberId, reason, nextAttemptUnixMilliseconds }: SeedStatus): SeedRow {
  return {
    address: printable(address, MAX_ID_LENGTH),
    outcome,
    memberId: shownText(memberId),
    reason: reason === null ? null : printable(reason),
    nextAtMs: nextAttemptUnixMilliseconds,
  };
}

function shownText(id: string | null | undefined): string | null {
  return id === null || id === undefined ? null : printable(id, MAX_ID_LENGTH);
}
