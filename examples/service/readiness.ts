/**
 * The state that `/ready` reports.
 *
 * @module
 */

import type { Node } from "../../mod.ts";

/** The state of an instance: starting, ready, then leaving. */
export class Readiness {
  #state: "starting" | "ready" | "leaving" = "starting";

  /** The current state. */
  get state(): "starting" | "ready" | "leaving" {
    return this.#state;
  }

  /** Reports `leaving`; requests are still answered. */
  leave(): void {
    this.#state = "leaving";
  }

  /**
   * Becomes ready after convergence with at least one other member, so that no instance answers with older prices than
   * the others have. After `withinMs` it becomes ready in any case: the first instance is alone, and a partitioned one
   * serves with its own state. Resolves with the reason, or with `undefined` if it began to leave first.
   */
  async reached(
    node: Node,
    { withinMs }: { readonly withinMs: number },
  ): Promise<string | undefined> {
    const waiting = AbortSignal.timeout(withinMs);
    try {
      await node.converged({ signal: waiting });
    } catch (error) {
      if (!waiting.aborted && this.#state === "starting") throw error;
    }
    if (this.#state !== "starting") return undefined;
    this.#state = "ready";
    const others = node.members.filter(({ status, isSelf }) => status === "alive" && !isSelf).length;
    if (!waiting.aborted) return `${others + 1} members have the same state`;
    return others === 0 ? `alone, after ${withinMs} ms` : `after ${withinMs} ms, without convergence`;
  }
}
