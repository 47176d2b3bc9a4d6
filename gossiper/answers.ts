/**
 * What a peer's messages do here, and what is answered.
 *
 * @module
 */

import type { Sent } from "../engine/engine.ts";
import type { Delta, Holds, PartialDelta, SummaryPart } from "../engine/types.ts";
import type { Member } from "./cluster.ts";
import type { Core } from "./core.ts";
import { type Gossip, type Hello, PROTOCOL_VERSION, type Push, type Refusal, type Reply } from "./message.ts";
import { refuse } from "./refusal.ts";
import type { GossipAnswer, Session, SessionHost } from "./session.ts";
import type { Examined, Signatures } from "./signatures.ts";

/** How much that was forged is refused, before the connection is closed over it. */
const MAX_FORGERIES = 8;

/** What {@linkcode Answers} needs. */
export interface AnswersOptions {
  readonly core: Core;
  readonly self: Member;
  /** The cluster's name. */
  readonly cluster: string;
  /** This member's public key, where it signs what it sets. */
  readonly publicKey: string | undefined;
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
  /** Where members sign what they set. */
  readonly signatures: Signatures | undefined;
  /** Something threw that never should. */
  readonly onBroken: (error: unknown) => void;
}

/** The side of the sessions that knows the content. */
export class Answers implements Omit<SessionHost, "opened" | "ended"> {
  readonly #options: AnswersOptions;
  readonly #core: Core;
  readonly #forgeries = new WeakMap<Session, number>();
  readonly examine?: (session: Session, message: Gossip | Push | Reply) => Promise<Examined>;

  /** Makes the answering side of a gossiper. */
  constructor(options: AnswersOptions) {
    this.#options = options;
    this.#core = options.core;
    const { signatures } = options;
    if (signatures) this.examine = (session, { delta }) => signatures.examine(session.peer!.id, delta);
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
      ...(this.#options.publicKey !== undefined && { publicKey: this.#options.publicKey }),
    };
  }

  greeted(hello: Hello, { answering }: { readonly answering: boolean }): Refusal | "self" | undefined {
    const { member, life, digest, active } = hello;
    const { engine } = this.#core;
    const misfit = this.#misfit(hello) ?? this.#forged(hello);
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
    this.#options.signatures?.meet(hello);
    this.#options.onGreeted(member);
    return undefined;
  }

  gossiped(session: Session, gossip: Gossip, examined?: Examined): GossipAnswer | Refusal {
    const peerId = session.peer!.id;
    const refusal = this.#refusalOf(peerId) ?? this.#countForgeries(session, examined);
    if (refusal) return refusal;
    const { holds, invalid } = this.#apply(peerId, gossip.delta, examined);
    if (invalid !== undefined) return refuse("invalid", `Not taken: ${invalid}.`);
    const told = { holds, ...(gossip.holds && { asked: gossip.holds }) };
    const { delta, sent } = this.#core.do((engine) => engine.disseminate(peerId, told));
    return { delta, sent, holds };
  }

  toPush(session: Session, ids: Iterable<string>): PartialDelta | undefined {
    const peerId = session.peer!.id;
    // A push may wait for a slow peer for longer than the peer stays active (R10.2).
    if (!this.#core.engine.activeIds().has(peerId)) return undefined;
    // A later life is first said in a greeting (E1).
    if (session.toldLife !== this.#core.engine.life) return undefined;
    const { delta } = this.#core.do((engine) => engine.push(peerId, ids));
    return delta.members.length > 0 ? delta : undefined;
  }

  pushed(session: Session, push: Push, examined?: Examined): Refusal | undefined {
    const peerId = session.peer!.id;
    // A push has no answer: a blocked or leaving peer learns of it from its next request.
    if (this.#refusalOf(peerId)) return undefined;
    const refusal = this.#countForgeries(session, examined);
    if (refusal) return refusal;
    const options = this.#verdict(push.delta, examined);
    const { invalid } = this.#core.do((engine, now) => engine.applyPush(peerId, push, now, options));
    return invalid === undefined ? undefined : refuse("invalid", `Not taken: ${invalid}.`);
  }

  replied(
    session: Session,
    sent: Sent,
    { reply, examined }: { readonly reply: Reply; readonly examined: Examined | undefined },
  ): Holds | Refusal | undefined {
    const peerId = session.peer!.id;
    this.#acknowledge(sent, reply.holds);
    if (this.#core.engine.silenced || this.#core.engine.blockedMember(peerId)) return undefined;
    const refusal = this.#countForgeries(session, examined);
    if (refusal) return refusal;
    const { holds, invalid } = this.#apply(peerId, reply.delta, examined);
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

  #apply(
    peerId: string,
    delta: Delta,
    examined: Examined | undefined,
  ): { holds: Holds; invalid: string | undefined } {
    const options = this.#verdict(delta, examined);
    return this.#core.do((engine, now) => engine.applyIncoming(peerId, delta, now, options));
  }

  /** The members whose entries are refused, and those whose signature was verified. */
  #verdict(
    delta: PartialDelta,
    examined: Examined | undefined,
  ): { readonly refused?: ReadonlySet<string>; readonly verified?: ReadonlySet<string> } {
    const refused = examined && this.#options.signatures?.refusedOf(delta, examined);
    return examined && refused ? { refused, verified: new Set(examined.verified.keys()) } : {};
  }

  /** Members that sign pass on nothing that is not signed: one that goes on doing so is not listened to. */
  #countForgeries(session: Session, examined: Examined | undefined): Refusal | undefined {
    if (!examined || examined.forged === 0) return undefined;
    const count = (this.#forgeries.get(session) ?? 0) + examined.forged;
    this.#forgeries.set(session, count);
    if (count < MAX_FORGERIES) return undefined;
    return refuse("invalid", "Too much of what was told was not signed by those that it was told of.");
  }

  /** Whether a greeting comes from another than whoever has the id, as far as keys tell. */
  #forged(hello: Hello): Refusal | undefined {
    const fault = this.#options.signatures?.faultOf(hello);
    if (fault === undefined) return undefined;
    if (fault === "unsigned") {
      return refuse("incompatible", "Members of this cluster sign what they set, and this one does not.");
    }
    return refuse("id_conflict", `The id ${hello.member.id} belongs to whoever has another key.`);
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
