/**
 * The processes of the demo, and a wait for conditions on their reports.
 *
 * @module
 */

import { printable } from "../../mod.ts";
import { MemberProcess } from "./member_process.ts";

/** A step of the demo. */
export interface Step {
  /** The condition as a sentence without its full stop, for the error. */
  readonly what: string;
  /** The time limit, in milliseconds. */
  readonly withinMs: number;
  readonly isTrue: () => boolean;
  /** The present state, for the error. */
  readonly seen: () => string;
}

/** The condition of a step did not become true. */
export class StepFailed extends Error {}

/** All processes of the demo. Disposal ends them and waits for their end. */
export class Processes implements AsyncDisposable {
  /** In the order of their start. */
  readonly members: MemberProcess[] = [];
  /** Replaces the time limit of every step. */
  readonly #boundMs: number | undefined;
  #changed = Promise.withResolvers<void>();

  /** Starts no process yet. */
  constructor(options: { readonly boundMs?: number | undefined } = {}) {
    this.#boundMs = options.boundMs;
  }

  /** Starts a member. The others need a `seed`. */
  start(id: string, seed?: MemberProcess): MemberProcess {
    const onChange = () => {
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    };
    const address = seed?.address?.is;
    const member = new MemberProcess(id, { onChange, ...(address === undefined ? {} : { seed: address }) });
    this.members.push(member);
    return member;
  }

  /**
   * Resolves when the condition of a step is true; checks it after every report of a member.
   *
   * @throws {StepFailed} if the time limit passes first, or a process ends unexpectedly.
   */
  async until({ what, withinMs, isTrue, seen }: Step): Promise<void> {
    const boundMs = this.#boundMs ?? withinMs;
    const timeUp = Promise.withResolvers<void>();
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      timeUp.resolve();
    }, boundMs);
    try {
      while (!isTrue()) {
        const dead = this.members.find((member) => member.ended && !member.isToEnd);
        if (dead) {
          throw new StepFailed(
            `${dead.id}'s process ended unexpectedly (${describe(dead)}) before "${what}".`,
          );
        }
        if (isOver) {
          throw new StepFailed(
            `"${what}" did not become true within ${boundMs} ms. Seen: ${printable(seen(), 4_000)}.`,
          );
        }
        await Promise.race([this.#changed.promise, timeUp.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member[Symbol.asyncDispose]()));
  }
}

function describe({ ended }: MemberProcess): string {
  const { signal, code } = ended!.is;
  return signal === null ? `exit code ${code}` : `signal ${signal}`;
}
