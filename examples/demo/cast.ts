/**
 * The members of the demo together, and waiting for something to come true about them.
 *
 * @module
 */

import { printable } from "../../mod.ts";
import { MemberProcess } from "./member_process.ts";

/** A step of the demo. */
export interface Step {
  /** What is to come true, as a sentence without its full stop. */
  readonly what: string;
  /** How long that may take, in milliseconds. */
  readonly withinMs: number;
  readonly isTrue: () => boolean;
  /** What is the case instead, for people. */
  readonly seen: () => string;
}

/** A step did not come true. */
export class StepFailed extends Error {}

/** Everybody who takes part. Disposing of it ends all their processes, and waits for that. */
export class Cast implements AsyncDisposable {
  /** In the order in which they started. */
  readonly members: MemberProcess[] = [];
  /** Replaces the bound of every step, where it is given. */
  readonly #boundMs: number | undefined;
  #changed = Promise.withResolvers<void>();

  /** Starts nobody yet. */
  constructor(options: { readonly boundMs?: number | undefined } = {}) {
    this.#boundMs = options.boundMs;
  }

  /** Starts a member. */
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
   * Resolves when a step has come true; looks after every report of a member.
   *
   * @throws {StepFailed} where its bound passes before, or a process ends that should not.
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
          throw new StepFailed(`${dead.id}'s process ended by itself (${describe(dead)}) before "${what}".`);
        }
        if (isOver) {
          throw new StepFailed(
            `"${what}" did not come true within ${boundMs} ms. Seen: ${printable(seen(), 4_000)}.`,
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
