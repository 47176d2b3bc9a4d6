/**
 * The pushes of a simulation: changes between the rounds.
 *
 * @module
 */

import type { Chance } from "./chaos_chance.ts";
import { showMembers } from "./chaos_deltas.ts";
import { unstamped } from "./harness.ts";
import type { Exchanges } from "./chaos_exchanges.ts";
import type { Network } from "./chaos_network.ts";
import { type Connection, type Node, otherEnd, type Processes } from "./chaos_processes.ts";
import type { Signatures } from "./chaos_signatures.ts";

/** The number of peers for a push of another member's change. */
const RELAYS = 2;

/** Pushes changes without an answer, as the gossiper does. */
export class Pushes {
  readonly #chance: Chance;
  readonly #network: Network;
  readonly #processes: Processes;
  readonly #signatures: Signatures;
  readonly #exchanges: Exchanges;

  constructor(parts: {
    readonly chance: Chance;
    readonly network: Network;
    readonly processes: Processes;
    readonly signatures: Signatures;
    readonly exchanges: Exchanges;
  }) {
    this.#chance = parts.chance;
    this.#network = parts.network;
    this.#processes = parts.processes;
    this.#signatures = parts.signatures;
    this.#exchanges = parts.exchanges;
  }

  /** Sends the collected changes of a process. */
  push(node: Node): void {
    node.nextPushMs = Infinity;
    const { engine } = node;
    this.#signatures.sign(node);
    const { own, others } = engine.takeChanges();
    const peers = [...node.connections.values()].filter((connection) =>
      engine.view.activeIds().has(otherEnd(connection, node).id)
    );
    const isAll = peers.length === engine.view.activePeers().length;
    if (own) { for (const peer of peers) this.#pushTo(node, peer, { ids: [node.id], relay: !isAll }); }
    if (others.size === 0) return;
    for (const peer of this.#chance.shuffled(peers).slice(0, RELAYS)) {
      this.#pushTo(node, peer, { ids: others, relay: true });
    }
  }

  #pushTo(
    node: Node,
    connection: Connection,
    { ids, relay }: { readonly ids: Iterable<string>; readonly relay: boolean },
  ): void {
    const peer = otherEnd(connection, node);
    if (connection.incarnations.get(node) !== node.engine.view.incarnation) return;
    const { delta } = this.#processes.call(node, () => node.engine.push(peer.id, ids));
    if (delta.members.length === 0) return;
    const pushed = unstamped(delta);
    this.#network.send(connection, {
      from: node,
      to: peer,
      what: () => `push ${showMembers(delta)}${relay ? " to relay" : ""}`,
      deliver: () => {
        if (!this.#exchanges.takesFrom(peer, node)) return;
        this.#signatures.verify(peer, node, pushed);
        this.#processes.call(
          peer,
          () => peer.engine.applyPush(node.id, { delta: pushed, relay }, this.#processes.now(peer)),
        );
      },
    });
  }
}
