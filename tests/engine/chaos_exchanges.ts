/**
 * The messages of a simulation's rounds: gossip and replies, heartbeats, and comparisons, as between real
 * gossipers.
 *
 * @module
 */

import type { Sent } from "../../engine/engine.ts";
import type { Delta, KnownVersions, Liveness, SummaryPart } from "../../engine/types.ts";
import { showDelta, showHolds, showLiveness } from "./chaos_deltas.ts";
import { unstamped } from "./harness.ts";
import type { Handshakes } from "./chaos_handshakes.ts";
import type { Network } from "./chaos_network.ts";
import { type Connection, type Node, otherEnd, type Processes } from "./chaos_processes.ts";
import { type Setting, TIMEOUT_MS } from "./chaos_setting.ts";
import type { Signatures } from "./chaos_signatures.ts";
import type { Timeline } from "./chaos_timeline.ts";

/** The parts of a simulation that send messages. */
export interface ExchangeParts {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly processes: Processes;
  readonly signatures: Signatures;
  readonly handshakes: Handshakes;
  readonly setting: Setting;
}

/** A reply under way from `b` to `a`. */
interface Reply {
  readonly a: Node;
  readonly b: Node;
  /** The delta of the request that it answers. */
  readonly sent: Sent;
  readonly holds: KnownVersions;
  readonly delta: Delta;
  readonly replySent: Sent;
  readonly liveness: Liveness;
  readonly sentMs: number;
}

/** Exchanges state between two processes. */
export class Exchanges {
  readonly #timeline: Timeline;
  readonly #network: Network;
  readonly #processes: Processes;
  readonly #signatures: Signatures;
  readonly #handshakes: Handshakes;
  readonly #setting: Setting;

  constructor(parts: ExchangeParts) {
    this.#timeline = parts.timeline;
    this.#network = parts.network;
    this.#processes = parts.processes;
    this.#signatures = parts.signatures;
    this.#handshakes = parts.handshakes;
    this.#setting = parts.setting;
  }

  /** One member's part of a round: a handshake where none is valid, then gossip, or a heartbeat alone. */
  gossip(a: Node, id: string): void {
    const connection = a.connections.get(id);
    if (!connection || connection.incarnations.get(a) !== a.engine.view.incarnation) {
      return this.#handshakes.greet(a, id, (greeted) => this.#request(a, greeted));
    }
    if (a.engine.view.isQuiet(id) && !a.engine.view.isSilent(id)) return this.#sendHeartbeat(a, connection);
    this.#request(a, connection);
  }

  /** True if a process merges what a peer sends without a request. */
  takesFrom(node: Node, peer: Node): boolean {
    const { engine } = node;
    if (engine.view.isFenced || engine.view.blockedMember(peer.id)) return false;
    return this.#setting.takesStrangers || engine.view.isMember(peer.id);
  }

  /** Sends a heartbeat in place of gossip. It has no answer. */
  #sendHeartbeat(a: Node, connection: Connection): void {
    const b = otherEnd(connection, a);
    const liveness = this.#livenessOf(connection, a);
    const sentMs = this.#timeline.nowMs;
    this.#network.send(connection, {
      from: a,
      to: b,
      what: () => `heartbeat ${showLiveness(liveness)}`,
      deliver: () => {
        if (!this.takesFrom(b, a)) return;
        this.#applyLiveness(connection, b, { liveness, sentMs });
      },
    });
  }

  /**
   * The liveness of a process's message, without a count of an incarnation other than that of this
   * connection's handshake.
   */
  #livenessOf(connection: Connection, node: Node): Liveness {
    const liveness = node.engine.takeLiveness(otherEnd(connection, node).id);
    return connection.incarnations.get(node) === node.engine.view.incarnation
      ? liveness
      : { ...liveness, count: 0 };
  }

  /**
   * Applies liveness. A count belongs to the incarnation of this connection's handshake. A digit is valid for
   * the time of half of its values, 32 twelfths of an expiration: a connection that delays a message for
   * nearly as long has timed out.
   */
  #applyLiveness(
    connection: Connection,
    node: Node,
    sent: { readonly liveness: Liveness; readonly sentMs: number },
  ): void {
    const peer = otherEnd(connection, node);
    if (node.connections.get(peer.id) !== connection) return;
    if (!this.#handshakes.isInTime(sent)) return;
    const now = this.#processes.now(node);
    const { id } = peer;
    const incarnation = connection.incarnations.get(peer)!;
    this.#processes.call(node, () => node.engine.applyLiveness({ id, incarnation }, sent.liveness, now));
  }

  #request(a: Node, connection: Connection): void {
    const b = otherEnd(connection, a);
    if (!a.engine.view.activeIds().has(b.id)) return;
    this.#signatures.sign(a);
    const { delta, sent, holds: asked } = this.#processes.call(a, () => a.engine.prepareGossip(b.id));
    const request = unstamped(delta);
    const liveness = this.#livenessOf(connection, a);
    const sentMs = this.#timeline.nowMs;
    this.#network.send(connection, {
      from: a,
      to: b,
      what: () => `gossip ${showDelta(delta)} ${showLiveness(liveness)}`,
      deliver: () => {
        if (b.engine.view.isFenced) return;
        if (this.#isRefused(a, b)) return this.#handshakes.refuse(connection, b, a);
        if (!this.#setting.takesStrangers && !b.engine.view.isMember(a.id)) return;
        this.#signatures.verify(b, a, request);
        const { holds } = this.#processes.call(
          b,
          () => b.engine.applyIncoming(a.id, request, this.#processes.now(b)),
        );
        // First the state: the counts belong to its incarnations.
        this.#applyLiveness(connection, b, { liveness, sentMs });
        const back = this.#processes.call(b, () => b.engine.disseminate(a.id, { holds, asked }));
        this.#reply(connection, {
          ...{ a, b, sent, holds, delta: back.delta, replySent: back.sent },
          ...{ liveness: this.#livenessOf(connection, b), sentMs: this.#timeline.nowMs },
        });
      },
    });
  }

  /** True if `b` answers `a` with a refusal. */
  #isRefused(a: Node, b: Node): boolean {
    return b.engine.view.blockedMember(a.id) !== undefined ||
      this.#setting.signed && b.engine.view.isOutlived(a.id);
  }

  #reply(connection: Connection, reply: Reply): void {
    const { a, b, delta, holds, liveness } = reply;
    const received = { ...reply, delta: unstamped(delta) };
    this.#network.send(connection, {
      from: b,
      to: a,
      what: () => `reply ${showDelta(delta)} ${showHolds(holds)} ${showLiveness(liveness)}`,
      deliver: () => this.#takeReply(connection, received),
    });
  }

  #takeReply(connection: Connection, reply: Reply): void {
    const { a, b, sent, holds, delta, replySent } = reply;
    if (a.engine.view.isFenced || a.engine.view.blockedMember(b.id)) return;
    const call = this.#processes.call.bind(this.#processes);
    const acknowledge = () => void call(a, () => a.engine.handleAck(sent, holds, this.#processes.now(a)));
    if (this.#setting.ackFirst) acknowledge();
    this.#signatures.verify(a, b, delta);
    const taken = this.#processes.call(
      a,
      () => a.engine.applyIncoming(b.id, delta, this.#processes.now(a)),
    );
    this.#applyLiveness(connection, a, reply);
    if (!this.#setting.ackFirst) acknowledge();
    this.#network.send(connection, {
      from: a,
      to: b,
      what: () => `ack ${showHolds(taken.holds)}`,
      isTimeless: true,
      deliver: () =>
        void this.#processes.call(
          b,
          () => b.engine.handleAck(replySent, taken.holds, this.#processes.now(b)),
        ),
    });
    const { parts } = this.#processes.call(a, () => a.engine.requestReconcile(b.id));
    if (parts.length > 0) this.#compare(connection, { a, b, parts });
  }

  #compare(connection: Connection, how: { a: Node; b: Node; parts: readonly SummaryPart[] }): void {
    const { a, b, parts } = how;
    let answered = 0;
    const giveUpMs = this.#timeline.nowMs + TIMEOUT_MS;
    const send = (index: number) =>
      this.#network.send(connection, {
        from: a,
        to: b,
        what: () => `reconcile ${index + 1}/${parts.length}`,
        deliver: () => {
          if (this.#isRefused(a, b)) return this.#handshakes.refuse(connection, b, a);
          const { part } = this.#processes.call(b, () => b.engine.answerReconcile(a.id, parts[index]!));
          if (!part) throw new Error(`${b.id} compared no more for ${a.id}, which keeps to the protocol.`);
          const last = index === parts.length - 1;
          this.#network.send(connection, {
            from: b,
            to: a,
            what: () => `reconciled ${index + 1}/${parts.length}`,
            deliver: () => {
              if (index !== answered || this.#timeline.nowMs > giveUpMs) return;
              answered++;
              this.#processes.call(a, () => a.engine.applyReconcile(b.id, part, { last }));
              if (!last) send(index + 1);
            },
          });
        },
      });
    send(0);
    this.#network.setTimer(connection, {
      node: a,
      atMs: giveUpMs + 1,
      what: () => "gives up comparing",
      act: () => {
        if (answered < parts.length) this.#processes.call(a, () => a.engine.abandonReconcile(b.id));
      },
    });
  }
}
