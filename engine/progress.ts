/**
 * The spread of the state: the phase, and the consensus checks. Both are evaluated after every call of the engine
 * (rules R3.5, E13).
 *
 * @module
 */

import type { ConsensusCheck } from "./consensus.ts";
import type { EngineEvent } from "./events.ts";
import type { Isolation } from "./liveness/isolation.ts";
import type { Store } from "./state/store.ts";
import type { PeerMemories } from "./sync/peer_memory.ts";
import type { Phase } from "./types.ts";

/** Phase and consensus as one member sees them. */
export class Progress {
  readonly #store: Store;
  readonly #memories: PeerMemories;
  readonly #isolation: Isolation;
  readonly #emit: (event: EngineEvent) => void;
  #hasMetPeer: boolean;
  #phase: Phase = "diffusing";

  constructor(context: {
    readonly store: Store;
    readonly memories: PeerMemories;
    readonly isolation: Isolation;
    readonly emit: (event: EngineEvent) => void;
    readonly hasMetPeer: boolean;
  }) {
    this.#store = context.store;
    this.#memories = context.memories;
    this.#isolation = context.isolation;
    this.#emit = context.emit;
    this.#hasMetPeer = context.hasMetPeer;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** True if this member knows the members of its cluster, or at least one member (rule E13). */
  get hasMetPeer(): boolean {
    return this.#hasMetPeer;
  }

  /** Allows consensus and `confirmed` from now on: a handshake succeeded, or the topology is known. */
  recordMetPeer(): void {
    this.#hasMetPeer = true;
  }

  /** Emits the changes since the last call. */
  evaluate(): void {
    // A lone member agrees with itself. Without this condition it would report consensus before it hears another
    // member.
    const mayAgree = this.#hasMetPeer && !this.#isolation.isIsolated;
    for (const check of this.#store.checks.values()) this.#evaluateCheck(check, mayAgree);
    const phase = this.#evaluatePhase(mayAgree);
    if (phase === this.#phase) return;
    this.#emit({ type: "PhaseChanged", from: this.#phase, to: phase });
    this.#phase = phase;
    if (phase === "confirmed") this.#emit({ type: "Confirmed", digest: this.#store.digest });
  }

  #evaluateCheck(check: ConsensusCheck, mayAgree: boolean): void {
    if (!check.update(mayAgree ? this.#store.active.size : undefined)) return;
    const { id: checkId, key, agreed } = check;
    if (agreed === undefined) this.#emit({ type: "ConsensusLost", checkId, key });
    else this.#emit({ type: "ConsensusReached", checkId, key, value: JSON.parse(agreed) });
  }

  #evaluatePhase(mayAgree: boolean): Phase {
    if (this.#memories.inRepair) return "reconciling";
    const { convergence, stateName } = this.#store;
    return mayAgree && convergence.agreeing(stateName) === convergence.peers ? "confirmed" : "diffusing";
  }
}
