/**
 * Serves readers: processes whose token is for reading. A reader is no member. It is sent the state of all members. Its
 * messages change nothing here: this file makes no call that merges, counts or suspects.
 *
 * @module
 */

import type { Sent } from "../engine/engine.ts";
import type { Incarnation, KnownVersions, MemberDeltas, SummaryPart } from "../engine/types.ts";
import type { EngineHost } from "./engine_host.ts";
import type { Gossip, Hello, Refusal } from "../protocol/message.ts";
import { refuse } from "../protocol/refusal.ts";
import { misfitOf, type RequestHandler } from "./request_handler.ts";
import type { Session } from "../protocol/session.ts";
import type { GossipContent, SessionHost } from "../protocol/session_host.ts";
import { TokenBucket } from "../common/token_bucket.ts";

/** A member's id is well-formed, so no member can have a name with this prefix. */
const NAME_PREFIX = "\ud800";
/** The most vectors to one reader in one expiration: as many as a member sends. */
const VECTORS_PER_EXPIRATION = 70;
/**
 * The number of a reader's reports of missing entries that are handled per second. 1: a reader loses nothing on its
 * connection, and each report may cost a message of the largest size. Higher: a hostile reader causes more work with
 * its reports.
 */
const MAX_REPORTS_PER_SECOND = 1;

const LATER_INCARNATION = "This member has begun a later incarnation.";

/** The dependencies of {@linkcode Readers}. */
export interface ReadersOptions {
  readonly engineHost: EngineHost;
  /** The cluster's name. */
  readonly cluster: string;
  /** Makes this member's own `hello`, and knows its id. */
  readonly requestHandler: Pick<RequestHandler, "id" | "hello" | "failed">;
  readonly settings: { readonly heartbeatExpiration: number; readonly maxMessageBytes: number };
  /** True once this member leaves: it then accepts no more readers. */
  readonly isStopping: () => boolean;
}

/** The part of a session's host that serves one reader. */
export interface ReaderHost extends SessionHost {
  /** Forgets the reader. */
  end(): void;
}

/** All readers of a member. */
export class Readers {
  readonly #options: ReadersOptions;
  #count = 0;

  constructor(options: ReadersOptions) {
    this.#options = options;
  }

  /** The host of a new connection. */
  host(): ReaderHost {
    return new Reader(`${NAME_PREFIX}${this.#count++}`, this.#options);
  }
}

class Reader implements ReaderHost {
  readonly #name: string;
  readonly #options: ReadersOptions;
  readonly #reports: TokenBucket;
  #incarnation: Incarnation | undefined;
  #lastVectorMs = -Infinity;

  constructor(name: string, options: ReadersOptions) {
    this.#name = name;
    this.#options = options;
    this.#reports = new TokenBucket(MAX_REPORTS_PER_SECOND, options.engineHost.runtime);
  }

  get id(): string {
    return this.#options.requestHandler.id;
  }

  hello(): ReturnType<SessionHost["hello"]> {
    return this.#options.requestHandler.hello();
  }

  /** Begins the reader's record at its first `hello`. Refuses another incarnation on the same connection. */
  onHello(hello: Hello): Refusal | undefined {
    const { cluster, engineHost, isStopping, settings } = this.#options;
    const misfit = misfitOf(hello, cluster);
    if (misfit) return misfit;
    if (isStopping()) return refuse("stopped", "This member is leaving the cluster.");
    if (this.#incarnation === hello.incarnation) return undefined;
    this.#incarnation ??= hello.incarnation;
    if (this.#incarnation !== hello.incarnation) {
      return refuse("id_conflict", "A reader must keep its incarnation on one connection.");
    }
    const maxMessageBytes = hello.settings?.maxMessageBytes ?? settings.maxMessageBytes;
    engineHost.engine.beginReader(this.#name, { incarnation: hello.incarnation, maxMessageBytes });
    return undefined;
  }

  /** Answers with the entries that were not sent yet. Entries in the reader's message are dropped. */
  gossiped(session: Session, { holds }: Gossip): GossipContent | Refusal {
    const { engineHost, settings } = this.#options;
    if (!engineHost.isReported(session)) {
      // This member sends readers no requests, so it cannot shake hands again itself. The reader dials again.
      session.leave(LATER_INCARNATION);
      return refuse("stopped", LATER_INCARNATION);
    }
    const nowMs = engineHost.runtime.monotonicMs();
    const hasVector = nowMs - this.#lastVectorMs >= settings.heartbeatExpiration / VECTORS_PER_EXPIRATION;
    if (hasVector) this.#lastVectorMs = nowMs;
    const answer = engineHost.engine.disseminateToReader(this.#name, {
      ...(holds && { asked: holds }),
      hasVector,
    });
    return { ...answer, holds: new Map() };
  }

  toPush(session: Session, ids: Iterable<string>): MemberDeltas | undefined {
    const { engineHost } = this.#options;
    if (!engineHost.isReported(session)) return undefined;
    const delta = engineHost.engine.pushToReader(this.#name, ids);
    return delta.members.length > 0 ? delta : undefined;
  }

  acknowledged(_session: Session, sent: Sent, versions: KnownVersions): void {
    if (versions.size === 0 || !this.#reports.take(1)) return;
    this.#options.engineHost.engine.applyReaderReport(sent, versions);
  }

  compare(): SummaryPart | Refusal {
    return refuse("busy", "A reader compares no state.");
  }

  pushed(): undefined {}

  heartbeat(): void {}

  suspected(): void {}

  replied(): undefined {}

  compared(): void {}

  refused(): undefined {}

  failed(error: unknown): void {
    this.#options.requestHandler.failed(error);
  }

  end(): void {
    this.#options.engineHost.engine.endReader(this.#name);
  }
}
