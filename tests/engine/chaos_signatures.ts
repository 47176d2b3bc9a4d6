/**
 * Signatures in a simulation: stand-ins that every receiver verifies.
 *
 * @module
 */

import type { MemberDeltas, SignedState } from "../../engine/types.ts";
import { Chance } from "./chaos_chance.ts";
import type { Network } from "./chaos_network.ts";
import type { Node, Processes } from "./chaos_processes.ts";
import type { Setting } from "./chaos_setting.ts";
import type { Timeline } from "./chaos_timeline.ts";

/** Signs and verifies state, where members sign. */
export class Signatures {
  readonly #timeline: Timeline;
  readonly #network: Network;
  readonly #processes: Processes;
  readonly #setting: Setting;
  /** A source of its own, so that a seed gives nearly the same trace with and without signatures. */
  readonly #chance: Chance;

  constructor(parts: {
    readonly seed: number;
    readonly timeline: Timeline;
    readonly network: Network;
    readonly processes: Processes;
    readonly setting: Setting;
  }) {
    this.#timeline = parts.timeline;
    this.#network = parts.network;
    this.#processes = parts.processes;
    this.#setting = parts.setting;
    this.#chance = new Chance(parts.seed / 2 ** 33);
  }

  /** Signs a member's new state. At times that takes a while, during which more may be set. */
  sign(node: Node): void {
    const draft = this.#setting.signed ? node.engine.view.unsignedSnapshot() : undefined;
    if (!draft) return;
    const attach = () =>
      void this.#processes.call(node, () => node.engine.attachSignature(draft, signatureOf(draft.state)));
    if (this.#chance.next() < 0.7) return attach();
    const connection = { ends: [node, node], incarnations: new Map(), isOpen: true } as const;
    const atMs = this.#timeline.nowMs + 1 + this.#chance.below(100);
    this.#network.setTimer({ ...connection }, { node, atMs, what: () => "has signed", act: attach });
  }

  /** Checks that all state to be merged is signed by its owner, whichever way it came. */
  verify(node: Node, from: Node, delta: MemberDeltas): void {
    if (!this.#setting.signed || node.engine.view.isFenced) return;
    for (const member of delta.members) {
      const claim = node.engine.view.signedStateOf(member);
      if (!claim || member.signature === signatureOf(claim)) continue;
      throw new Error(`${from.id} sends ${node.id} state of ${member.id} without its signature`);
    }
  }
}

/** A stand-in for a signature: all fields that it would cover. */
function signatureOf({ entries, ...claim }: SignedState): string {
  return JSON.stringify([claim, entries.map(({ key, number, type, json }) => [key, number, type, json])]);
}
