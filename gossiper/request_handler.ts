/**
 * Handles the messages of peers, and makes the replies.
 *
 * @module
 */

import type { Sent } from "../engine/engine.ts";
import type { Delta, KnownVersions, Liveness, MemberDeltas, SummaryPart } from "../engine/types.ts";
import type { Member } from "../contracts/cluster.ts";
import type { Meters } from "../contracts/meters.ts";
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
  sharedSettings,
} from "../protocol/shared_settings.ts";
import type { PacedConfig } from "../options/configuration.ts";
import { ReportOnce } from "../common/report_once.ts";
import type { Session } from "../protocol/session.ts";
import type { GossipContent, SessionHost } from "../protocol/session_host.ts";
import { RefusedHandshakes } from "./refused_handshakes.ts";
import type { Signatures } from "./signatures.ts";
import type { Verification } from "../protocol/verification.ts";

/** The entries with invalid signatures that a connection may bring before it is closed. */
const MAX_FORGERIES = 8;

/** The dependencies of a {@linkcode RequestHandler}. */
export interface RequestHandlerOptions {
  readonly engineHost: EngineHost;
  readonly self: Member;
  /** The cluster's name. */
  readonly cluster: string;
  /** This member's public key; `undefined` if it does not sign. */
  readonly publicKey: string | undefined;
  readonly settings: SharedSettings & Pick<PacedConfig, "neverExpires">;
  /** True if a handshake adds an unknown member. */
  readonly openMembership: boolean;
  /** True once this member refuses requests because it leaves (R9.3). */
  readonly isStopping: () => boolean;
  /** Makes room for one more member; returns false if every member has shaken hands. */
  readonly makePlace: () => boolean;
  /** Called before an unknown peer is let in; returns the undo function. */
  readonly onStranger: (member: Member) => () => void;
  /** Called after a handshake that let the peer in. */
  readonly onHandshake: (member: Member) => void;
  /**
   * Called when a peer refused a message. `isSigned` is true if the refusal carries this member's own verified
   * signature of the incarnation that it names.
   */
  readonly onRefused: (session: Session, refusal: Refusal, proof: { readonly isSigned: boolean }) => void;
  /** Called when a peer suspects a member, or says that the member lives. */
  readonly onSuspect: (session: Session, suspect: Suspect) => void;
  /** Present if members sign their state. */
  readonly signatures: Signatures | undefined;
  /** Called after an unexpected error. */
  readonly onFatal: (error: unknown) => void;
  readonly meters?: Meters | undefined;
  /** Called after a peer's acknowledgement or exchange was applied. */
  readonly onExchanged?: (() => void) | undefined;
}

/** Applies the messages of all sessions to the engine, and makes the replies. */
export class RequestHandler implements SessionHost {
  readonly #options: RequestHandlerOptions;
  readonly #engineHost: EngineHost;
  /** The differences of settings already reported for each peer. */
  readonly #differences = new ReportOnce();
  readonly #forgeries = new WeakMap<Session, number>();
  readonly #refusedHandshakes: RefusedHandshakes;
  readonly verify?: (session: Session, message: Gossip | Push | Reply | Refusal) => Promise<Verification>;

  /** Makes the responding side of a gossiper. */
  constructor(options: RequestHandlerOptions) {
    this.#options = options;
    this.#engineHost = options.engineHost;
    const { cluster, engineHost, signatures } = options;
    this.#refusedHandshakes = new RefusedHandshakes({
      cluster,
      runtime: engineHost.runtime,
      publish: (event) => engineHost.publish(event),
    });
    if (signatures) {
      this.verify = (session, message) => signatures.verify(session.peer?.id, this.#deltaOf(message));
    }
  }

  get id(): string {
    return this.#options.self.id;
  }

  hello(): ReturnType<SessionHost["hello"]> {
    const { view } = this.#engineHost;
    return {
      cluster: this.#options.cluster,
      member: this.#options.self,
      incarnation: view.incarnation,
      count: view.heartbeatOf(view.id)?.number ?? 0,
      version: PROTOCOL_VERSION,
      oldestVersion: OLDEST_VERSION,
      settings: this.#sharedSettings,
      digest: view.digest,
      active: view.activeHash,
      ...(this.#options.publicKey !== undefined && { publicKey: this.#options.publicKey }),
    };
  }

  onHello(hello: Hello, { answering }: { readonly answering: boolean }): Refusal | "self" | undefined {
    const verdict = this.#judge(hello, { answering });
    if (verdict === undefined) this.#refusedHandshakes.succeeded(hello.member.id);
    else if (verdict !== "self" && !answering) this.#refusedHandshakes.refused(hello, verdict);
    return verdict;
  }

  #judge(hello: Hello, { answering }: { readonly answering: boolean }): Refusal | "self" | undefined {
    const { member, incarnation } = hello;
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
    // The topology must name the peer before the handshake. Otherwise this member would, for a moment, be the only
    // member, and report agreement.
    const isStranger = !view.isMember(member.id) && !view.blockedMember(member.id);
    if (isStranger && !this.#options.makePlace()) {
      return refuse("busy", "The cluster has `maxMembers` members.");
    }
    const dismiss = isStranger ? this.#options.onStranger(member) : undefined;
    const { refusal } = this.#engineHost.do((engine, now) =>
      engine.applyHello(
        {
          ...hello,
          id: member.id,
          // A request proves that the peer lives. But its count does not renew the age of the peer's heartbeat; the
          // peer's next message does. A peer that receives no answers repeats its handshake. If that renewed the age,
          // the leader of a role would keep leading beside the next leader.
          isRequest: !answering,
          maxMessageBytes: hello.settings?.maxMessageBytes ?? this.#options.settings.maxMessageBytes,
        },
        now,
      )
    );
    if (refusal) dismiss?.();
    if (refusal === "blocked") return this.#blocked(member.id);
    if (refusal === "invalid") {
      return refuse(
        "invalid",
        `${member.id} began more than a year ahead of ${view.id}'s clock: set the wrong clock.`,
      );
    }
    if (refusal) return this.#conflict(member.id, hello.settings?.maxMessageBytes);
    this.#options.signatures?.meet(hello);
    this.#options.onHandshake(member);
    return undefined;
  }

  gossiped(session: Session, gossip: Gossip, verification?: Verification): GossipContent | Refusal {
    const peerId = session.peer!.id;
    const refusal = this.#refusalOf(peerId) ?? this.#countForgeries(session, verification);
    if (refusal) return refusal;
    const versions = this.#apply(session, gossip, verification);
    const known = { holds: versions, ...(gossip.holds && { asked: gossip.holds }) };
    const { delta, sent } = this.#engineHost.do((engine) => engine.disseminate(peerId, known));
    return { delta, sent, holds: versions, liveness: this.#engineHost.takeLiveness(session, sent) };
  }

  toPush(session: Session, ids: Iterable<string>): MemberDeltas | undefined {
    const delta = this.#pushFor(session, ids);
    this.#options.meters?.pushSent(delta ? "sent" : "needless");
    return delta;
  }

  #pushFor(session: Session, ids: Iterable<string>): MemberDeltas | undefined {
    const peerId = session.peer!.id;
    // A push may wait for a slow peer so long that the peer is blocked by now (R10.2).
    if (!this.#engineHost.view.activeIds().has(peerId)) return undefined;
    // A handshake must announce a later incarnation before a push (E1).
    if (!this.#engineHost.isReported(session)) return undefined;
    const { delta } = this.#engineHost.do((engine) => engine.push(peerId, ids));
    return delta.members.length > 0 ? delta : undefined;
  }

  suspected(session: Session, suspect: Suspect): void {
    if (this.#takesFrom(session.peer!.id)) this.#options.onSuspect(session, suspect);
  }

  heartbeat(session: Session, liveness: Liveness): void {
    const peerId = session.peer!.id;
    // A heartbeat has no reply. A blocked peer learns of its block from its next request.
    if (!this.#takesFrom(peerId)) return;
    this.#applyLiveness(session, liveness);
  }

  pushed(session: Session, push: Push, verification?: Verification): Refusal | undefined {
    const peerId = session.peer!.id;
    // A push has no reply. A blocked peer learns of its block from its next request.
    const takes = this.#takesFrom(peerId);
    const refusal = takes ? this.#countForgeries(session, verification) : undefined;
    this.#options.meters?.pushReceived(!takes ? "ignored" : refusal ? "refused" : "merged");
    if (!takes || refusal) return refusal;
    const options = this.#verdict(push.delta, verification);
    this.#engineHost.do((engine, now) => engine.applyPush(peerId, push, now, options));
    return undefined;
  }

  replied(
    session: Session,
    sent: Sent,
    { reply, verification }: { readonly reply: Reply; readonly verification: Verification | undefined },
  ): KnownVersions | Refusal | undefined {
    const peerId = session.peer!.id;
    this.#acknowledge(sent, reply.holds);
    if (this.#engineHost.view.isFenced || this.#engineHost.view.blockedMember(peerId)) return undefined;
    const refusal = this.#countForgeries(session, verification);
    if (refusal) return refusal;
    return this.#apply(session, reply, verification);
  }

  acknowledged(_session: Session, sent: Sent, versions: KnownVersions): void {
    this.#acknowledge(sent, versions);
  }

  compare(session: Session, part: SummaryPart): SummaryPart | Refusal {
    const peerId = session.peer!.id;
    return this.#refusalOf(peerId) ??
      this.#engineHost.do((engine) => engine.answerReconcile(peerId, part)).part ??
      refuse("busy", "The comparison needs more parts than the protocol allows.");
  }

  compared(session: Session, part: SummaryPart, options: { readonly last: boolean }): void {
    const peerId = session.peer!.id;
    if (this.#engineHost.view.blockedMember(peerId)) return;
    this.#engineHost.do((engine) => engine.applyReconcile(peerId, part, options));
  }

  refused(session: Session, refusal: Refusal, verification?: Verification): Refusal | undefined {
    if (refusal.settings && session.peerId !== undefined) {
      this.#compareSettings(session.peerId, refusal.settings);
    }
    const invalid = this.#countForgeries(session, verification);
    const { id } = this.#engineHost.view;
    const isSigned = refusal.state?.incarnation === refusal.incarnation &&
      (verification?.verified.has(id) ?? false);
    if (!invalid) this.#options.onRefused(session, refusal, { isSigned });
    return invalid;
  }

  failed(error: unknown): void {
    this.#options.onFatal(error);
  }

  /** The entries of a message to verify. A refusal is verified only if it proves a later incarnation of this member's id. */
  #deltaOf(message: Gossip | Push | Reply | Refusal): MemberDeltas {
    if (message.type !== "error") return message.delta;
    const { code, state } = message;
    const isOwn = code === "id_conflict" && state?.id === this.id &&
      state.incarnation > this.#engineHost.view.incarnation;
    return { members: state && isOwn ? [state] : [] };
  }

  #apply(
    session: Session,
    { delta, liveness }: { readonly delta: Delta; readonly liveness: Liveness },
    verification: Verification | undefined,
  ): KnownVersions {
    // The state goes first: the heartbeat counts belong to its incarnations.
    const options = this.#verdict(delta, verification);
    const { holds } = this.#engineHost.do((engine, now) =>
      engine.applyIncoming(session.peerId!, delta, now, options)
    );
    this.#applyLiveness(session, liveness);
    this.#options.onExchanged?.();
    return holds;
  }

  #applyLiveness({ peerId, peerIncarnation }: Session, liveness: Liveness): void {
    const peer = { id: peerId!, incarnation: peerIncarnation };
    this.#engineHost.do((engine, now) => engine.applyLiveness(peer, liveness, now));
  }

  /** The members whose entries are refused, and those whose signature was verified. */
  #verdict(
    delta: MemberDeltas,
    verification: Verification | undefined,
  ): { readonly refused?: ReadonlySet<string>; readonly verified?: ReadonlySet<string> } {
    const refused = verification && this.#options.signatures?.refusedOf(delta, verification);
    return verification && refused ? { refused, verified: new Set(verification.verified.keys()) } : {};
  }

  /** Honest members relay only signed entries, so a peer with too many invalid entries is refused. */
  #countForgeries(session: Session, verification: Verification | undefined): Refusal | undefined {
    if (!verification || verification.forged === 0) return undefined;
    const count = (this.#forgeries.get(session) ?? 0) + verification.forged;
    this.#forgeries.set(session, count);
    if (count < MAX_FORGERIES) return undefined;
    return refuse("invalid", `Too many invalid signatures (limit ${MAX_FORGERIES}).`);
  }

  /**
   * The refusal of a handshake without a key, or with another key than the key bound to its id. If this member does not
   * sign, a handshake with a key is refused: its sender will refuse this member, and must not count as alive until
   * then.
   */
  #forged(hello: Hello): Refusal | undefined {
    const { signatures } = this.#options;
    if (!signatures && hello.publicKey !== undefined) {
      return refuse(
        "incompatible",
        "Members of this cluster must not sign their state; this handshake has a key.",
      );
    }
    const fault = signatures?.faultOf(hello);
    if (fault === undefined) return undefined;
    if (fault === "unsigned") {
      return refuse(
        "incompatible",
        "Members of this cluster must sign their state; this handshake has no key.",
      );
    }
    return refuse("id_conflict", `The id ${hello.member.id} is bound to another key.`);
  }

  #acknowledge(sent: Sent, versions: KnownVersions): void {
    this.#engineHost.do((engine, now) => engine.handleAck(sent, versions, now));
    this.#options.onExchanged?.();
  }

  #misfit({ cluster, version, oldestVersion, settings, member }: Hello): Refusal | undefined {
    const misfit = misfitOf({ cluster, version, oldestVersion }, this.#options.cluster);
    if (misfit) return misfit;
    const differences = settings ? this.#compareSettings(member.id, settings) : [];
    const fatal = differences.filter(({ isRefused }) => isRefused);
    if (fatal.length === 0) return undefined;
    const why = fatal.map(describeDifference).join(", ");
    return refuse("incompatible", `The settings do not fit: ${why}.`, { settings: this.#sharedSettings });
  }

  get #sharedSettings(): SharedSettings {
    return sharedSettings(this.#options.settings);
  }

  /** Emits an event for each setting that differs, once for each peer and pair of values. */
  #compareSettings(peerId: string, theirs: SharedSettings): readonly SettingDifference[] {
    const differences = settingDifferences(this.#sharedSettings, theirs);
    for (const difference of differences) {
      if (!this.#differences.claim(peerId, describeDifference(difference))) continue;
      this.#engineHost.publish({ type: "SettingsDiffer", peerId, ...difference });
    }
    return differences;
  }

  #knows(id: string): boolean {
    return this.#options.openMembership || this.#engineHost.view.isMember(id);
  }

  /**
   * True if a peer must begin a later incarnation before its entries are merged: a later incarnation of the peer is
   * known here, and members sign or that incarnation has left. In other cases the reply carries the later incarnation.
   */
  #isOutlived(peerId: string): boolean {
    const { view } = this.#engineHost;
    const signs = this.#options.signatures !== undefined;
    return view.isOutlived(peerId) && (signs || view.blockedMember(peerId)?.reason === "left");
  }

  /** True if messages of a peer are merged now; for messages without a reply. */
  #takesFrom(peerId: string): boolean {
    return this.#obstacleOf(peerId) === undefined;
  }

  /** The reason to refuse a peer's messages now, or `undefined`. */
  #obstacleOf(peerId: string): "stopping" | "fenced" | "outlived" | "blocked" | "unknown" | undefined {
    const { view } = this.#engineHost;
    if (this.#options.isStopping()) return "stopping";
    if (view.isFenced) return "fenced";
    if (this.#isOutlived(peerId)) return "outlived";
    if (view.blockedMember(peerId)) return "blocked";
    return this.#knows(peerId) ? undefined : "unknown";
  }

  /** The refusal of a peer's request now. It may carry the proof of a later incarnation, which costs more to make. */
  #refusalOf(peerId: string): Refusal | undefined {
    const { id } = this.#engineHost.view;
    switch (this.#obstacleOf(peerId)) {
      case "stopping":
        return refuse("stopped", "This member is leaving the cluster.");
      case "fenced":
        return refuse("id_conflict", `Another process uses the id ${id}; this member has withdrawn.`);
      case "outlived":
        return this.#conflict(peerId);
      case "blocked":
        return this.#blocked(peerId);
      case "unknown":
        return refuse("unknown_member", `${peerId} is no longer a member of this cluster.`);
      case undefined:
        return undefined;
    }
  }

  /** With signing on, the peer begins an incarnation above the later one only if the refusal has a proof. */
  #conflict(id: string, maxMessageBytes?: number): Refusal {
    const { view } = this.#engineHost;
    const state = view.signedProof(id, maxMessageBytes);
    return refuse("id_conflict", `Another process uses the id ${id}, or has used it later.`, {
      incarnation: id === view.id ? view.incarnation : view.latestIncarnation(id)!,
      ...(state && { state }),
    });
  }

  #blocked(id: string): Refusal {
    const { reason } = this.#engineHost.view.blockedMember(id)!;
    return refuse("blocked", `${id} is blocked here (${reason}).`, { reason });
  }
}

/** The refusal of a handshake for another cluster, or of another version of the protocol. */
export function misfitOf(
  { cluster, version, oldestVersion }: Pick<Hello, "cluster" | "version" | "oldestVersion">,
  own: string,
): Refusal | undefined {
  if (cluster !== own) {
    return refuse("wrong_cluster", `The cluster must be ${JSON.stringify(own)}; got another.`);
  }
  if (version >= OLDEST_VERSION && oldestVersion <= PROTOCOL_VERSION) return undefined;
  return refuse(
    "incompatible",
    `The protocol version must be from ${OLDEST_VERSION} to ${PROTOCOL_VERSION}; got ${oldestVersion} to ` +
      `${version}.`,
  );
}
