/**
 * Reports peers whose handshake this member refuses. Otherwise only the refused peer would know why it dials in vain.
 *
 * @module
 */

import { bracketed } from "../common/host_names.ts";
import { printable } from "../common/printable.ts";
import { ReportOnce } from "../common/report_once.ts";
import type { Runtime } from "../common/runtime.ts";
import { TokenBucket } from "../common/token_bucket.ts";
import type { HandshakeRefused } from "../contracts/events.ts";
import type { Hello, Refusal } from "../protocol/message.ts";

/** The most reports per second, so that a client that invents ids cannot crowd out other events. */
const MAX_REPORTS_PER_SECOND = 10;

/** The dependencies of {@linkcode RefusedHandshakes}. */
export interface RefusedHandshakesOptions {
  /** The name of this member's cluster. */
  readonly cluster: string;
  readonly runtime: Runtime;
  readonly publish: (event: HandshakeRefused) => void;
}

/** Emits each reason once for each peer, until a handshake with that peer succeeds. */
export class RefusedHandshakes {
  readonly #options: RefusedHandshakesOptions;
  readonly #reported = new ReportOnce();
  readonly #rate: TokenBucket;

  constructor(options: RefusedHandshakesOptions) {
    this.#options = options;
    this.#rate = new TokenBucket(MAX_REPORTS_PER_SECOND, options.runtime);
  }

  /** A peer's handshake was refused. */
  refused({ member, cluster }: Hello, refusal: Refusal): void {
    const { id, host, port } = member;
    const { code } = refusal;
    if (hasOwnEvent(refusal) || !this.#reported.claim(id, code, () => this.#rate.take(1))) return;
    const peer = `The peer ${JSON.stringify(id)} at ${bracketed(host)}:${port}`;
    const reason = code === "wrong_cluster"
      ? `${peer} is of the cluster ${JSON.stringify(cluster)}; this member is of ${
        JSON.stringify(this.#options.cluster)
      }.`
      : `${peer}: ${refusal.message}`;
    this.#options.publish({ type: "HandshakeRefused", peerId: id, code, reason: printable(reason) });
  }

  /** A handshake with a peer succeeded. */
  succeeded(id: string): void {
    this.#reported.forget(id);
  }
}

/**
 * True if a refusal causes another event (`SettingsDiffer`, `ConflictDetected`), or belongs to a departure or a block.
 */
function hasOwnEvent({ code, settings, incarnation }: Refusal): boolean {
  return code === "stopped" || code === "blocked" || settings !== undefined || incarnation !== undefined;
}
