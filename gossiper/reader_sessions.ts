/**
 * The connections of readers (pages with a token for reading).
 *
 * @module
 */

import { CLOSE } from "../common/errors.ts";
import type { Session } from "../protocol/session.ts";
import type { SessionOwner } from "../protocol/session_host.ts";
import { longestUnused } from "./longest_unused.ts";
import type { ReaderHost } from "./readers.ts";

/** The dependencies of {@linkcode ReaderSessions}. */
export interface ReaderSessionsOptions {
  /** Makes the host of a new reader. */
  readonly readerHost: () => ReaderHost;
  readonly settings: { readonly maxConnections: number };
}

/** The sessions of readers. A reader is never a peer, even if it names a peer's id. */
export class ReaderSessions {
  readonly #options: ReaderSessionsOptions;
  /** Readers with a complete handshake. */
  readonly #open = new Set<Session>();
  /** Readers without a complete handshake, the oldest first. */
  readonly silent: Set<Session> = new Set<Session>();

  constructor(options: ReaderSessionsOptions) {
    this.#options = options;
  }

  /** The readers with a complete handshake. */
  get open(): ReadonlySet<Session> {
    return this.#open;
  }

  /** Makes the host and the owner of a new connection. */
  make(): { readonly host: ReaderHost; readonly owner: SessionOwner } {
    const host = this.#options.readerHost();
    const owner: SessionOwner = {
      opened: (session) => this.#adopt(session),
      ended: (session) => {
        this.silent.delete(session);
        this.#open.delete(session);
        host.end();
      },
    };
    return { host, owner };
  }

  #adopt(session: Session): void {
    this.silent.delete(session);
    this.#open.add(session);
    if (this.#open.size <= this.#options.settings.maxConnections) return;
    longestUnused(this.#open, session)?.end(
      CLOSE.done,
      "Too many readers; this one was unused for longest.",
    );
  }
}
