/**
 * What a peer's messages do here, and what is answered.
 *
 * @module
 */

import type { Sent } from "../engine/engine.ts";
import type { Delta, KnownVersions, Liveness, PartialDelta, SummaryPart } from "../engine/types.ts";
import type { Member } from "../contracts/cluster.ts";
import type { EngineHost } from "./engine_host.ts";
import {
  type Gossip,
  type Hello,
  OLDEST_VERSION,
  PROTOCOL_VERSION,
  type Push,
  type Refusal,
  type Reply,
  type Suspect,
} from "../protocol/message.ts";
import { refuse } from "../protocol/refusal.ts";
import {
  describeDifference,
  type SettingDifference,
  settingDifferences,
  type SharedSettings,
} from "../protocol/shared_settings.ts";
import { ReportOnce } from "../common/report_once.ts";
import type { GossipAnswer, Session, SessionHost } from "../protocol/session.ts";
import type { Signatures } from "./signatures.ts";
import type { Examined } from "../protocol/examined.ts";

/** How much that was forged is refused, before the connection is closed over it. */
const MAX_FORGERIES = 8;

/** What {@linkcode RequestHandler} needs. */
export interface RequestHandlerOptions {
  readonly engineHost: EngineHost;
  readonly self: Member;
  /** The cluster's name. */
  readonly cluster: string;
  /** This member's public key, where it signs what it sets. */
  readonly publicKey: string | undefined;
  readonly settings: SharedSettings;
  /** Whether members that nobody has heard of are let in. */
  readonly openMembership: boolean;
  /** Whether this member takes no more requests (R9.3). */
  readonly isStopping: () => boolean;
  /** Makes a place for one more member, if none is free; false where each is of a member that shook hands. */
  readonly makePlace: () => boolean;
  /** A peer that is no member is about to be let in; returns how to undo that. */
  readonly onStranger: (member: Member) => () => void;
  /** A peer was greeted, and let in. */
  readonly onHandshake: (member: Member) => void;
  /** A peer refused something; `isSigned` if this member signed a state of the life that the refusal names. */
  readonly onRefused: (session: Session, refusal: Refusal, proof: { readonly isSigned: boolean }) => void;
  /** A peer suspects a member of having crashed, or says that it lives. */
  readonly onSuspect: (session: Session, suspect: Suspect) => void;
  /** Where members sign what they set. */
  readonly signatures: Signatures | undefined;
  /** Something threw that never should. */
  readonly onBroken: (error: unknown) => void;
}

/** The side of the sessions that knows the content. */
export class RequestHandler implements Omit<SessionHost, "opened" | "ended"> {
  readonly #options: RequestHandlerOptions;
  readonly #engineHost: EngineHost;
  /** What was said about the settings of each peer. */
  readonly #differences = new ReportOnce();
  readonly #forgeries = new WeakMap<Session, number>();
  readonly examine?: (session: Session, message: Gossip | Push | Reply | Refusal) => Promise<Examined>;

  /** Makes the answering side of a gossiper. */
  constructor(options: RequestHandlerOptions) {
    this.#options = options;
    this.#engineHost = options.engineHost;
    const { signatures } = options;
    if (signatures) {
      this.examine = (session, message) => signatures.examine(session.peer?.id, this.#deltaOf(message));
    }
  }

  get id(): string {
    return this.#options.self.id;
  }

  hello(): Omit<Hello, "type" | "id"> {
    const { view } = this.#engineHost;
    return {
      cluster: this.#options.cluster,
      member: this.#options.self,
      incarnation: view.incarnation,
      count: view.heartbeatOf(view.id)?.number ?? 0,
      version: PROTOCOL_VERSION,
      capabilities: [],
      oldestVersion: OLDEST_VERSION,
      settings: this.#sharedSettings,
      digest: view.digest,
      active: view.active,
      ...(this.#options.publicKey !== undefined && { publicKey: this.#options.publicKey }),
    };
  }

  greeted(hello: Hello, { answering }: { readonly answering: boolean }): Refusal | "self" | undefined {
    const { member, incarnation, digest, active, count } = hello;
    const { view } = this.#engineHost;
    const misfit = this.#misfit(hello) ?? this.#forged(hello);
    if (misfit) return misfit;
    if (member.id === view.id && incarnation === view.incarnation) return "self";
    if (this.#options.isStopping() && !answering) {
      return refuse("stopped", "This member is leaving the cluster.");
    }
    if (member.id !== view.id && !this.#knows(member.id)) {
      return refuse("unknown_member", `${member.id} is no member of this cluster.`);
    }
    // A member first, and greeted then: met by nobody, this one would for a moment agree with itself alone.
    const isStranger = !view.isMember(member.id) && !view.blockedMember(member.id);
    if (isStranger && !this.#options.makePlace()) {
      return refuse("busy", "There are as many members as are taken in; maxMembers says how many.");
    }
    const dismiss = isStranger ? this.#options.onStranger(member) : undefined;
    const { refusal } = this.#engineHost.do((engine, now) =>
      engine.applyHello(
        {
          id: member.id,
          incarnation,
          digest,
          active,
          count,
          maxMessageBytes: hello.settings?.maxMessageBytes ?? this.#options.settings.maxMessageBytes,
        },
        now,
      )
    );
    if (refusal) dismiss?.();
    if (refusal === "blocked") return this.#blocked(member.id);
    if (refusal === "invalid") return refuse("invalid", "A life more than a year ahead cannot be believed.");
    if (refusal) return this.#conflict(member.id, hello.settings?.maxMessageBytes);
    this.#options.signatures?.meet(hello);
    this.#options.onHandshake(member);
    return undefined;
  }

  gossiped(session: Session, gossip: Gossip, examined?: Examined): GossipAnswer | Refusal {
    const peerId = session.peer!.id;
    const refusal = this.#refusalOf(peerId) ?? this.#countForgeries(session, examined);
    if (refusal) return refusal;
    const holds = this.#apply(peerId, gossip, examined);
    const told = { holds, ...(gossip.holds && { asked: gossip.holds }) };
    const { delta, sent } = this.#engineHost.do((engine) => engine.disseminate(peerId, told));
    return { delta, sent, holds, liveness: this.#engineHost.engine.takeLiveness(peerId, sent) };
  }

  toPush(session: Session, ids: Iterable<string>): PartialDelta | undefined {
    const peerId = session.peer!.id;
    // A push may wait for a slow peer for longer than the peer stays active (R10.2).
    if (!this.#engineHost.view.activeIds().has(peerId)) return undefined;
    // A later life is first said in a greeting (E1).
    if (session.reportedIncarnation !== this.#engineHost.view.incarnation) return undefined;
    const { delta } = this.#engineHost.do((engine) => engine.push(peerId, ids));
    return delta.members.length > 0 ? delta : undefined;
  }

  suspected(session: Session, suspect: Suspect): void {
    if (this.#takesFrom(session.peer!.id)) this.#options.onSuspect(session, suspect);
  }

  heartbeat(session: Session, liveness: Liveness): void {
    const peerId = session.peer!.id;
    // It has no answer: a blocked or leaving peer learns of it from its next request.
    if (!this.#takesFrom(peerId)) return;
    this.#engineHost.do((engine, now) => engine.applyLiveness(peerId, liveness, now));
  }

  pushed(session: Session, push: Push, examined?: Examined): Refusal | undefined {
    const peerId = session.peer!.id;
    // A push has no answer: a blocked or leaving peer learns of it from its next request.
    if (!this.#takesFrom(peerId)) return undefined;
    const refusal = this.#countForgeries(session, examined);
    if (refusal) return refusal;
    const options = this.#verdict(push.delta, examined);
    this.#engineHost.do((engine, now) => engine.applyPush(peerId, push, now, options));
    return undefined;
  }

  replied(
    session: Session,
    sent: Sent,
    { reply, examined }: { readonly reply: Reply; readonly examined: Examined | undefined },
  ): KnownVersions | Refusal | undefined {
    const peerId = session.peer!.id;
    this.#acknowledge(sent, reply.holds);
    if (this.#engineHost.view.isFenced || this.#engineHost.view.blockedMember(peerId)) return undefined;
    const refusal = this.#countForgeries(session, examined);
    if (refusal) return refusal;
    return this.#apply(peerId, reply, examined);
  }

  acknowledged(_session: Session, sent: Sent, holds: KnownVersions): void {
    this.#acknowledge(sent, holds);
  }

  compare(session: Session, part: SummaryPart): SummaryPart | Refusal {
    const peerId = session.peer!.id;
    return this.#refusalOf(peerId) ??
      this.#engineHost.do((engine) => engine.answerReconcile(peerId, part)).part ??
      refuse("busy", "More was compared for this peer than the protocol needs.");
  }

  compared(session: Session, part: SummaryPart, options: { readonly last: boolean }): void {
    const peerId = session.peer!.id;
    if (this.#engineHost.view.blockedMember(peerId)) return;
    this.#engineHost.do((engine) => engine.applyReconcile(peerId, part, options));
  }

  refused(session: Session, refusal: Refusal, examined?: Examined): Refusal | undefined {
    if (refusal.settings && session.peerId !== undefined) {
      this.#compareSettings(session.peerId, refusal.settings);
    }
    const invalid = this.#countForgeries(session, examined);
    const { id } = this.#engineHost.view;
    const isSigned = refusal.state?.incarnation === refusal.incarnation &&
      (examined?.verified.has(id) ?? false);
    if (!invalid) this.#options.onRefused(session, refusal, { isSigned });
    return invalid;
  }

  failed(error: unknown): void {
    this.#options.onBroken(error);
  }

  /** What is to be verified of a message: of a refusal, what says of this member itself that it lived later. */
  #deltaOf(message: Gossip | Push | Reply | Refusal): PartialDelta {
    if (message.type !== "error") return message.delta;
    const { code, state } = message;
    const isOwn = code === "id_conflict" && state?.id === this.id &&
      state.incarnation > this.#engineHost.view.incarnation;
    return { members: state && isOwn ? [state] : [] };
  }

  #apply(
    peerId: string,
    { delta, liveness }: { readonly delta: Delta; readonly liveness: Liveness },
    examined: Examined | undefined,
  ): KnownVersions {
    // First the state: the counts are of the lives that it is about.
    const options = this.#verdict(delta, examined);
    const { holds } = this.#engineHost.do((engine, now) => engine.applyIncoming(peerId, delta, now, options));
    this.#engineHost.do((engine, now) => engine.applyLiveness(peerId, liveness, now));
    return holds;
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

  #acknowledge(sent: Sent, holds: KnownVersions): void {
    this.#engineHost.do((engine, now) => engine.handleAck(sent, holds, now));
  }

  #misfit({ cluster, version, oldestVersion, settings, member }: Hello): Refusal | undefined {
    const mine = this.#options;
    if (cluster !== mine.cluster) {
      return refuse(
        "wrong_cluster",
        `This is a member of ${JSON.stringify(mine.cluster)}, and no other cluster.`,
      );
    }
    if (version < OLDEST_VERSION || oldestVersion > PROTOCOL_VERSION) {
      return refuse(
        "incompatible",
        `Versions ${OLDEST_VERSION} to ${PROTOCOL_VERSION} of the protocol are spoken here; got ${oldestVersion} to ` +
          `${version}.`,
      );
    }
    const differences = settings ? this.#compareSettings(member.id, settings) : [];
    const fatal = differences.filter(({ isRefused }) => isRefused);
    if (fatal.length === 0) return undefined;
    const why = fatal.map(describeDifference).join(", ");
    return refuse("incompatible", `The settings do not fit: ${why}.`, { settings: this.#sharedSettings });
  }

  get #sharedSettings(): SharedSettings {
    const { gossipInterval, heartbeatExpiration, maxKeysPerMember, maxMessageBytes, maxStateBytes } =
      this.#options.settings;
    return { gossipInterval, heartbeatExpiration, maxKeysPerMember, maxMessageBytes, maxStateBytes };
  }

  /** Emits an event for each setting that differs, once for each peer and pair of values. */
  #compareSettings(peerId: string, theirs: SharedSettings): readonly SettingDifference[] {
    const differences = settingDifferences(this.#options.settings, theirs);
    for (const difference of differences) {
      const text = describeDifference(difference);
      if (!this.#differences.shouldReport(peerId, text)) continue;
      this.#differences.add(peerId, text);
      this.#engineHost.publish({ type: "SettingsDiffer", peerId, ...difference });
    }
    return differences;
  }

  #knows(id: string): boolean {
    return this.#options.openMembership || this.#engineHost.view.isMember(id);
  }

  /**
   * Whether a peer has to begin a later life before anything is taken from it: where members sign, or where the later one
   * has left. Else it is told in the answer.
   */
  #isOver(peerId: string): boolean {
    const { view } = this.#engineHost;
    const isToProve = this.#options.signatures !== undefined;
    return view.isOutlived(peerId) && (isToProve || view.blockedMember(peerId)?.reason === "left");
  }

  /** Whether anything is taken from a peer now; what is refused has no answer. */
  #takesFrom(peerId: string): boolean {
    return this.#obstacleOf(peerId) === undefined;
  }

  /** What stands in the way of taking anything from a peer now. */
  #obstacleOf(peerId: string): "stopping" | "isFenced" | "over" | "blocked" | "unknown" | undefined {
    const { view } = this.#engineHost;
    if (this.#options.isStopping()) return "stopping";
    if (view.isFenced) return "isFenced";
    if (this.#isOver(peerId)) return "over";
    if (view.blockedMember(peerId)) return "blocked";
    return this.#knows(peerId) ? undefined : "unknown";
  }

  /** Why nothing is taken from a peer now, as it is told: with the proof of its later life, which costs more to make. */
  #refusalOf(peerId: string): Refusal | undefined {
    const { id } = this.#engineHost.view;
    switch (this.#obstacleOf(peerId)) {
      case "stopping":
        return refuse("stopped", "This member is leaving the cluster.");
      case "isFenced":
        return refuse("id_conflict", `Another process uses the id ${id}; this one takes part no more.`);
      case "over":
        return this.#conflict(peerId);
      case "blocked":
        return this.#blocked(peerId);
      case "unknown":
        return refuse("unknown_member", `${peerId} is no member of this cluster any more.`);
      case undefined:
        return undefined;
    }
  }

  /** Where members sign, only what proves the later life makes the peer begin another one above. */
  #conflict(id: string, maxMessageBytes?: number): Refusal {
    const { view } = this.#engineHost;
    const state = view.signedProof(id, maxMessageBytes);
    return refuse("id_conflict", `Another process uses, or has used later, the id ${id}.`, {
      incarnation: id === view.id ? view.incarnation : view.latestIncarnation(id)!,
      ...(state && { state }),
    });
  }

  #blocked(id: string): Refusal {
    const { reason } = this.#engineHost.view.blockedMember(id)!;
    return refuse("blocked", `${id} is blocked here (${reason}).`, { reason });
  }
}
