/**
 * Whether an instance wants requests.
 *
 * @module
 */

import type { Node } from "../../mod.ts";

/** From starting to ready, and in the end to leaving. */
export class Readiness {
  #state: "starting" | "ready" | "leaving" = "starting";

  /** Where it stands. */
  get state(): "starting" | "ready" | "leaving" {
    return this.#state;
  }

  /** It takes requests still, and wants no more. */
  leave(): void {
    this.#state = "leaving";
  }

  /**
   * Becomes ready when the member has met others and all know what all know: so that no instance answers by what
   * was so before it started. After `withinMs` it becomes ready all the same: the first of a cluster is alone, and one
   * that cannot reach the others serves by what it has. Resolves with how it came to be ready, or
   * with nothing where it was told to end before that.
   */
  async reached(
    { gossiper }: Node,
    { withinMs }: { readonly withinMs: number },
  ): Promise<string | undefined> {
    const waiting = AbortSignal.timeout(withinMs);
    try {
      await gossiper.converged({ signal: waiting });
    } catch (error) {
      if (!waiting.aborted && this.#state === "starting") throw error;
    }
    if (this.#state !== "starting") return undefined;
    this.#state = "ready";
    const others = gossiper.members.filter(({ status, isSelf }) => status === "active" && !isSelf).length;
    if (!waiting.aborted) return `${others + 1} members know the same`;
    return others === 0
      ? `alone, after ${withinMs} ms`
      : `after ${withinMs} ms, though not all know the same`;
  }
}
