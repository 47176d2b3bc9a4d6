/**
 * The answers to suspicions of peers (rule C2). A member answers without crash detection too: `detectCrashes: false` says
 * that refused connections are no evidence, and an answer only shows that a member lives.
 *
 * @module
 */

import { TokenBucket } from "../common/token_bucket.ts";
import type { Suspect } from "../protocol/message.ts";
import type { Session } from "../protocol/session.ts";
import type { EngineHost } from "./engine_host.ts";

/**
 * The answers per second to suspicions of this member. 32: several for each observer of a broken connection. Without a
 * limit a hostile peer could raise the count at will.
 */
const MAX_OWN_PER_SECOND = 32;

/** Answers the suspicions of peers. */
export class SuspicionAnswers {
  readonly #engineHost: EngineHost;
  readonly #own: TokenBucket;

  /** Makes a part that sends no message before a suspicion. */
  constructor(engineHost: EngineHost) {
    this.#engineHost = engineHost;
    this.#own = new TokenBucket(MAX_OWN_PER_SECOND, engineHost.runtime);
  }

  /** Stores the count in a suspicion, or in a peer's answer, and answers a suspicion if this member knows a higher one. */
  onSuspect(session: Session, { memberId, incarnation, count, isAlive }: Suspect): void {
    const engineHost = this.#engineHost;
    const { view } = engineHost;
    if (memberId === view.id) return this.#answerOwn(session, count);
    if (view.incarnationOf(memberId) !== incarnation) return;
    engineHost.do((engine, now) => engine.applyCount(memberId, count, now, session.peer!.id));
    const known = view.heartbeatOf(memberId)?.number ?? 0;
    if (!isAlive && known > count) session.suspect({ memberId, incarnation, count: known, isAlive: true });
  }

  #answerOwn(session: Session, count: number): void {
    const engineHost = this.#engineHost;
    const { view } = engineHost;
    if (!this.#own.take(1)) return;
    // The peer must get a newer count, or its suspicion stays.
    const own = view.heartbeatOf(view.id)?.number ?? 0;
    if (count >= own) engineHost.do((engine, now) => engine.countHeartbeat(undefined, now));
    // A peer that knows an earlier incarnation is sent a handshake, which ends the suspicion too.
    if (engineHost.isReported(session)) session.heartbeat(engineHost.takeLiveness(session));
  }
}
