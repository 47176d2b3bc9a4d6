/**
 * Answers the questions of other members, and of this one.
 *
 * @module
 */

import type { JsonValue } from "../engine/types.ts";
import { messageOf } from "../common/error_text.ts";
import { HearsayError } from "../common/errors.ts";
import { printable } from "../common/printable.ts";
import { abortable, deadlineAfter } from "../common/runtime.ts";
import type { EngineHost } from "../gossiper/engine_host.ts";
import { copiedPayload } from "./checks.ts";
import type { AnswerFunction, Received } from "./contract.ts";
import { MAX_QUESTIONS, MAX_QUESTIONS_OF_PEER, MAX_REASON } from "./limits.ts";
import type { AnswerRefusal } from "./wire.ts";

/** The answer to a question, or the reason why there is none; `undefined` if the asker waits no longer. */
export type Reply =
  | { readonly value: JsonValue; readonly json: string }
  | { readonly error: AnswerRefusal; readonly reason?: string }
  | undefined;

/** The functions of one member that answer, by topic. */
export class Answering {
  readonly #host: EngineHost;
  readonly #leaving: AbortSignal;
  readonly #functions = new Map<string, AnswerFunction>();
  /** The questions under way by the id of their asker. */
  readonly #underWay = new Map<string, number>();
  #total = 0;

  /** Makes the answering side without functions. */
  constructor(host: EngineHost, leaving: AbortSignal) {
    this.#host = host;
    this.#leaving = leaving;
  }

  /** Adds the function of a topic; returns a function that removes it. */
  add(topic: string, answer: AnswerFunction): () => void {
    if (this.#functions.has(topic)) {
      throw new HearsayError("busy", "Another function answers this topic already. Nothing was changed.");
    }
    this.#functions.set(topic, answer);
    return () => {
      if (this.#functions.get(topic) === answer) this.#functions.delete(topic);
    };
  }

  /** True if a function answers the topic. */
  has(topic: string): boolean {
    return this.#functions.has(topic);
  }

  /**
   * Answers a question within the time that its asker waits, in milliseconds, or until the signal is aborted. Does not
   * reject.
   */
  async reply(
    { topic, memberId, payload }: Received,
    { within, signal: gone }: { readonly within: number; readonly signal: AbortSignal },
  ): Promise<Reply> {
    const answer = this.#functions.get(topic);
    if (!answer) return { error: "no_handler" };
    const ofPeer = this.#underWay.get(memberId) ?? 0;
    if (this.#total >= MAX_QUESTIONS || ofPeer >= MAX_QUESTIONS_OF_PEER) return { error: "busy" };
    this.#count(memberId, 1);
    const ended = AbortSignal.any([this.#leaving, gone]);
    using deadline = deadlineAfter(this.#host.runtime, within, "An answer", { signal: ended });
    const { signal } = deadline;
    try {
      // In a promise of its own, because the function may throw at once.
      const value = await abortable(
        (async () => await answer({ topic, memberId, payload, signal }))(),
        signal,
      );
      return copiedPayload("An answer", value === undefined ? null : value);
    } catch (error) {
      if (signal.aborted) return undefined;
      this.#host.report(`the answer to ${JSON.stringify(topic)}`, error);
      return { error: "failed", reason: printable(messageOf(error)).slice(0, MAX_REASON).toWellFormed() };
    } finally {
      // A function that never settles holds its place until the asker waits no longer.
      this.#count(memberId, -1);
    }
  }

  #count(memberId: string, by: number): void {
    this.#total += by;
    const count = (this.#underWay.get(memberId) ?? 0) + by;
    if (count === 0) this.#underWay.delete(memberId);
    else this.#underWay.set(memberId, count);
  }
}
