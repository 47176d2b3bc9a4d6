/**
 * What a peer's messages do here, and what is answered.
 *
 * @module
 */

import type { Sent } from "../engine/engine.ts";
import type { Holds, SummaryPart } from "../engine/types.ts";
import type { Member } from "./cluster.ts";
import type { Core } from "./core.ts";
import { type Gossip, type Hello, PROTOCOL_VERSION, type Refusal, type Reply } from "./message.ts";
import { refuse } from "./refusal.ts";
import type { GossipAnswer, Session, SessionHost } from "./session.ts";

/** What {@linkcode Answers} needs. */
export interface AnswersOptions {
  readonly core: Core;
  readonly self: Member;
  /** The cluster's name. */
  readonly cluster: string;
  readonly maxMessageBytes: number;
  /** Whether members that nobody has heard of are let in. */
  readonly byGreeting: boolean;
  /** Whether this member takes no more requests (R9.3). */
  readonly isStopping: () => boolean;
  /** Whether no more members can be taken in. */
  readonly isFull: () => boolean;
  /** A peer that is no member is about to be let in; returns how to undo that. */
  readonly onStranger: (member: Member) => () => void;
  /** A peer was greeted, and let in. */
  readonly onGreeted: (member: Member) => void;
  /** A peer refused something. */
  readonly onRefused: (session: Session, refusal: Refusal) => void;
  /** Something threw that never should. */
  readonly onBroken: (error: unknown) => void;
}

/** The side of the sessions that knows the content. */
export class Answers implements Omit<SessionHost, "opened" | "ended"> {
  readonly #options: AnswersOptions;
  readonly #core: Core;

  /** Makes the answering side of a gossiper. */
  constructor(options: AnswersOptions) {
    this.#options = options;
    this.#core = options.core;
  }

  get id(): string {
    return this.#options.self.id;
  }

  hello(): Omit<Hello, "type" | "id"> {
    const { engine } = this.#core;
    return {
      cluster: this.#options.cluster,
      member: this.#options.self,
      life: engine.life,
      version: PROTOCOL_VERSION,
      capabilities: [],
      maxMessageBytes: this.#options.maxMessageBytes,
      digest: engine.digest,
      active: engine.active,
    };
  }

  greeted(hello: Hello, { answering }: { readonly answering: boolean }): Refusal | "self" | undefined {
    const { member, life, digest, active } = hello;
    const { engine } = this.#core;
    const misfit = this.#misfit(hello);
    if (misfit) return misfit;
    if (member.id === engine.id && life === engine.life) return "self";
    if (this.#options.isStopping() && !answering) {
      return refuse("stopped", "This member is leaving the cluster.");
    }
    if (member.id !== engine.id && !this.#knows(member.id)) {
      return refuse("unknown_member", `${member.id} is no member of this cluster.`);
    }
    // A member first, and greeted then: met by nobody, this one would for a moment agree with itself alone.
    const isStranger = !engine.isMember(member.id) && !engine.blockedMember(member.id);
    if (isStranger && this.#options.isFull()) {
      return refuse("busy", "There are as many members as are taken in; maxMembers says how many.");
    }
    const dismiss = isStranger ? this.#options.onStranger(member) : undefined;
    const { refusal } = this.#core.do((engine, now) =>
      engine.greeted({ id: member.id, life, digest, active }, now)
    );
    if (refusal) dismiss?.();
    if (refusal === "blocked") return this.#blocked(member.id);
    if (refusal === "invalid") return refuse("invalid", "A life more than a year ahead cannot be believed.");
    if (refusal) {
      const later = member.id === engine.id ? engine.life : engine.latestLife(member.id)!;
      return refuse(refusal, `Another process uses, or has used later, the id ${member.id}.`, {
        life: later,
      });
    }
    this.#options.onGreeted(member);
    return undefined;
  }

  gossiped(session: Session, gossip: Gossip): GossipAnswer | Refusal {
    const peerId = session.peer!.id;
    const refusal = this.#refusalOf(peerId);
    if (refusal) return refusal;
    const { holds, invalid } = this.#core.do((engine, now) =>
      engine.applyIncoming(peerId, gossip.delta, now)
    );
    if (invalid !== undefined) return refuse("invalid", `Not taken: ${invalid}.`);
    const { delta, sent } = this.#core.do((engine) => engine.disseminate(peerId, { holds }));
    return { delta, sent, holds };
  }

  replied(session: Session, sent: Sent, reply: Reply): Holds | Refusal | undefined {
    const peerId = session.peer!.id;
    this.#acknowledge(sent, reply.holds);
    if (this.#core.engine.silenced || this.#core.engine.blockedMember(peerId)) return undefined;
    const { holds, invalid } = this.#core.do((engine, now) => engine.applyIncoming(peerId, reply.delta, now));
    return invalid === undefined ? holds : refuse("invalid", `Not taken: ${invalid}.`);
  }

  acknowledged(_session: Session, sent: Sent, holds: Holds): void {
    this.#acknowledge(sent, holds);
  }

  compare(session: Session, part: SummaryPart): SummaryPart | Refusal {
    const peerId = session.peer!.id;
    return this.#refusalOf(peerId) ?? this.#core.do((engine) => engine.answerReconcile(peerId, part)).part;
  }

  compared(session: Session, part: SummaryPart, options: { readonly last: boolean }): void {
    const peerId = session.peer!.id;
    if (this.#core.engine.blockedMember(peerId)) return;
    this.#core.do((engine) => engine.applyReconcile(peerId, part, options));
  }

  refused(session: Session, refusal: Refusal): void {
    this.#options.onRefused(session, refusal);
  }

  failed(error: unknown): void {
    this.#options.onBroken(error);
  }

  #acknowledge(sent: Sent, holds: Holds): void {
    this.#core.do((engine, now) => engine.handleAck(sent, holds, now));
  }

  #misfit({ cluster, version, maxMessageBytes }: Hello): Refusal | undefined {
    const mine = this.#options;
    if (cluster !== mine.cluster) {
      return refuse(
        "wrong_cluster",
        `This is a member of ${JSON.stringify(mine.cluster)}, and no other cluster.`,
      );
    }
    if (version !== PROTOCOL_VERSION) {
      return refuse(
        "incompatible",
        `The version of the protocol is ${PROTOCOL_VERSION} here, and not ${version}.`,
      );
    }
    if (maxMessageBytes !== mine.maxMessageBytes) {
      return refuse(
        "incompatible",
        `maxMessageBytes is ${mine.maxMessageBytes} here, and not ${maxMessageBytes}.`,
      );
    }
    return undefined;
  }

  #knows(id: string): boolean {
    return this.#options.byGreeting || this.#core.engine.isMember(id);
  }

  /** Why nothing is taken from a peer now. */
  #refusalOf(peerId: string): Refusal | undefined {
    const { engine } = this.#core;
    if (this.#options.isStopping()) return refuse("stopped", "This member is leaving the cluster.");
    if (engine.silenced) {
      return refuse("id_conflict", `Another process uses the id ${engine.id}; this one takes part no more.`);
    }
    if (engine.blockedMember(peerId)) return this.#blocked(peerId);
    if (!this.#knows(peerId)) {
      return refuse("unknown_member", `${peerId} is no member of this cluster any more.`);
    }
    return undefined;
  }

  #blocked(id: string): Refusal {
    const { reason } = this.#core.engine.blockedMember(id)!;
    return refuse("blocked", `${id} is blocked here (${reason}).`, { reason });
  }
}
