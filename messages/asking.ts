/**
 * The questions of this member that wait for answers.
 *
 * @module
 */

import type { JsonValue } from "../engine/types.ts";
import { abortable } from "../common/runtime.ts";
import type { MemberView } from "../gossiper/contract.ts";
import type { Answers, Unanswered } from "./contract.ts";
import type { Sender } from "./sender.ts";
import { type AnswerMessage, checkedPayload, type Content } from "./wire.ts";

/** The answer of one member, or the reason why there is none. */
export type Outcome = { readonly value: JsonValue } | Omit<Unanswered, "memberId">;

/** A question under way. */
export interface Asked {
  /** Its id among the questions of this member. */
  readonly id: number;
  /** Asks one member. Resolves with its answer, or with the reason why there is none when the signal is aborted. */
  askOne(
    member: MemberView,
    by: { readonly sender: Sender; readonly content: Content; readonly signal: AbortSignal },
  ): Promise<Outcome>;
  /** Forgets the question: later answers are dropped. */
  end(): void;
}

/** Matches answers with questions. Only the first answer of a member that was asked counts. */
export class Asking {
  readonly #waiting = new Map<number, Map<string, (outcome: Outcome) => void>>();
  #asked = 0;

  /** Begins a question. */
  begin(): Asked {
    const id = ++this.#asked;
    const members = new Map<string, (outcome: Outcome) => void>();
    this.#waiting.set(id, members);
    return {
      id,
      askOne: async (member, { sender, content, signal }) => {
        const { promise, resolve } = Promise.withResolvers<Outcome>();
        members.set(member.id, resolve);
        const { outcome, channel } = await sender.send(member, content, { signal });
        if (outcome !== "sent") return { reason: outcome };
        const forget = channel!.onOver(() => resolve({ reason: "disconnected" }));
        try {
          return await abortable(promise, signal);
        } catch {
          return { reason: "timeout" };
        } finally {
          // mutant delete-statement: without it only memory would grow.
          forget();
        }
      },
      end: () => this.#waiting.delete(id),
    };
  }

  /** Records an answer. Throws like {@linkcode checkedPayload} for an invalid answer that is waited for. */
  receive(memberId: string, { id, payload, error, reason }: AnswerMessage): void {
    const members = this.#waiting.get(id);
    const resolve = members?.get(memberId);
    if (!resolve) return;
    const answered = error === undefined
      ? { value: checkedPayload(payload) }
      : { reason: error, ...(reason ? { message: reason } : {}) };
    members!.delete(memberId);
    resolve(answered);
  }
}

/** The answers of all members that were asked, and of ids that are no member. */
export function gathered<T>(
  asked: readonly (readonly [memberId: string, outcome: Outcome])[],
  unknown: readonly string[],
): Answers<T> {
  const answers = new Map<string, T>();
  const unanswered: Unanswered[] = unknown.map((memberId) => ({ memberId, reason: "unknown_member" }));
  for (const [memberId, outcome] of asked) {
    // Another program gave the answer: its type is the caller's assumption.
    if ("value" in outcome) answers.set(memberId, outcome.value as T);
    else unanswered.push({ memberId, ...outcome });
  }
  return { answers, unanswered };
}
