/**
 * Invariants of the messages that members receive: at most once, from the member that sent them, and none of a blocked one.
 *
 * @module
 */

import type { Process } from "../process.ts";
import type { CheckContext } from "./check_context.ts";

/** The payload of a simulated message. */
export interface Said {
  /** The number of the message among all of the run. */
  readonly n: number;
  /** The id of its sender, as the sender says. */
  readonly by: string;
}

/** Checks messages when they are received (rules M1 and M2). */
export class HeardMessages {
  readonly #context: CheckContext;
  /** The sender of each message. */
  readonly #senders: Process[] = [];
  readonly #heard = new Map<Process, Set<number>>();

  constructor(context: CheckContext) {
    this.#context = context;
  }

  /** Must be called before a message is sent; returns its payload. */
  say(by: Process): Said {
    this.#senders.push(by);
    return { n: this.#senders.length - 1, by: by.id };
  }

  /** Must be called with every received message. */
  hear(process: Process, { n, by }: Said, memberId: string): void {
    const sender = this.#senders[n];
    if (sender?.id !== memberId || by !== memberId) {
      this.#context.fail(
        process,
        `it took message ${n} of ${sender?.id}, which says ${by}, for one of ${memberId}`,
      );
    }
    if (this.#context.of(process).blockedForMs(memberId) > 0) {
      this.#context.fail(process, `it took message ${n} of ${memberId}, which it blocks`);
    }
    const heard = this.#heard.get(process) ?? new Set();
    this.#heard.set(process, heard);
    if (heard.has(n)) this.#context.fail(process, `it took message ${n} of ${memberId} twice`);
    heard.add(n);
  }

  /** True if a process received a message. */
  hasHeard(process: Process, n: number): boolean {
    return this.#heard.get(process)?.has(n) ?? false;
  }

  /** Checks the answers to a question: each has the id of its member, and only members of the audience answer. */
  checkAnswers(process: Process, answers: ReadonlyMap<string, unknown>): void {
    for (const [memberId, answer] of answers) {
      if (answer !== memberId) this.#context.fail(process, `${answer} answered in the name of ${memberId}`);
    }
  }
}
