/**
 * Handshakes and refusals of a simulation.
 *
 * @module
 */

import type { BlockReason, Incarnation } from "../../engine/types.ts";
import { unstamped } from "./harness.ts";
import type { Network } from "./chaos_network.ts";
import type { Connection, Node, Processes } from "./chaos_processes.ts";
import type { Setting } from "./chaos_setting.ts";
import type { Signatures } from "./chaos_signatures.ts";
import type { Timeline } from "./chaos_timeline.ts";

/** The most expirations after which a late count or vector still arrives. */
const LATEST_LIVENESS = 1;

interface Hello {
  readonly id: string;
  readonly incarnation: Incarnation;
  readonly digest: string;
  readonly active: string;
  readonly count: number;
  readonly sentMs: number;
}

/** Opens connections between processes, and refuses processes. */
export class Handshakes {
  readonly #timeline: Timeline;
  readonly #network: Network;
  readonly #processes: Processes;
  readonly #signatures: Signatures;
  readonly #setting: Setting;

  constructor(parts: {
    readonly timeline: Timeline;
    readonly network: Network;
    readonly processes: Processes;
    readonly signatures: Signatures;
    readonly setting: Setting;
  }) {
    this.#timeline = parts.timeline;
    this.#network = parts.network;
    this.#processes = parts.processes;
    this.#signatures = parts.signatures;
    this.#setting = parts.setting;
  }

  /** Sends a handshake to the process with this id, and calls `then` after the answer. */
  greet(a: Node, id: string, then: (connection: Connection) => void): void {
    const b = this.#processes.current(id);
    if (!b || b === a || b.engine.view.isFenced) return;
    const connection: Connection = {
      ends: [a, b],
      incarnations: new Map([[a, a.engine.view.incarnation]]),
      isOpen: true,
    };
    const hello = this.#helloOf(a);
    this.#network.send(connection, {
      from: a,
      to: b,
      what: () => `hello ${hello.incarnation}`,
      deliver: () => {
        if (!this.#accept(b, a, connection, hello)) return;
        connection.incarnations.set(b, b.engine.view.incarnation);
        const answer = this.#helloOf(b);
        this.#network.send(connection, {
          from: b,
          to: a,
          what: () => `hello back ${answer.incarnation}`,
          deliver: () => {
            if (this.#accept(a, b, connection, answer)) then(connection);
          },
        });
      },
    });
  }

  /** Refuses a process, with the reason and, where members sign, the proof of its later incarnation. */
  refuse(connection: Connection, from: Node, to: Node): void {
    const { signed } = this.#setting;
    const reason: BlockReason | undefined = from.engine.view.blockedMember(to.id)?.reason;
    const proof = signed ? from.engine.view.signedProof(to.id) : undefined;
    const incarnation = signed ? proof?.incarnation : from.engine.view.latestIncarnation(to.id);
    this.#network.send(connection, {
      from,
      to,
      what: () => `refused ${reason ?? "id_conflict"} ${incarnation}`,
      deliver: () => {
        if (reason !== undefined) this.#processes.call(to, () => to.engine.onBlockedBy(from.id, reason));
        if (proof) this.#signatures.verify(to, from, unstamped({ members: [proof] }));
        const how = { isSigned: signed };
        if (incarnation !== undefined) {
          const now = this.#processes.now(to);
          this.#processes.call(to, () => to.engine.onNewerIncarnation(incarnation, now, how));
        }
        const isOwn = incarnation !== undefined && incarnation <= to.engine.view.incarnation;
        if (reason === "expired" || isOwn) this.greet(to, from.id, () => {});
      },
    });
  }

  /** True if a count or a vector that was sent then still counts. */
  isInTime({ sentMs }: { readonly sentMs: number }): boolean {
    const { heartbeatExpiration } = this.#setting.settings;
    return this.#timeline.nowMs - sentMs <= LATEST_LIVENESS * heartbeatExpiration;
  }

  #helloOf({ id, engine }: Node): Hello {
    const count = engine.view.heartbeatOf(id)?.number ?? 0;
    const { incarnation, digest, activeHash: active } = engine.view;
    return { id, incarnation, digest, active, count, sentMs: this.#timeline.nowMs };
  }

  #accept(node: Node, peer: Node, connection: Connection, sent: Hello): boolean {
    const hello = this.isInTime(sent) ? sent : { ...sent, count: 0 };
    const { refusal } = this.#processes.call(node, () => {
      // Before the call: it may already confirm. A refused process is not the one that was met before.
      const before = node.view.greeted.get(peer.id);
      if (before !== peer) node.view.print = undefined;
      node.view.greeted.set(peer.id, peer);
      const provable = node.engine.view.signedProof(peer.id)?.incarnation;
      const caused = node.engine.applyHello(hello, this.#processes.now(node));
      // A topology may block a member whose handshake was believed.
      const isBelieved = !caused.refusal || caused.refusal === "blocked";
      if (this.#setting.signed && isBelieved) this.#processes.oracle.believed(node, hello, provable);
      if (!caused.refusal) node.view.hasMetAnyone = true;
      else if (before) node.view.greeted.set(peer.id, before);
      else node.view.greeted.delete(peer.id);
      return caused;
    });
    if (refusal) {
      if (refusal !== "invalid") this.refuse(connection, node, peer);
      return false;
    }
    // The later of two connections to one id stays. If its process has died since, it is over at once.
    const before = node.connections.get(peer.id);
    if (before && before !== connection) this.#processes.close(before);
    if (!peer.isAlive) return false;
    node.connections.set(peer.id, connection);
    return true;
  }
}
