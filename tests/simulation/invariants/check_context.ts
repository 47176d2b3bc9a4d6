/**
 * The observations of all processes, the expected state of all members, and the options: shared by all checks.
 *
 * @module
 */

import type { Incarnation } from "../../../engine/types.ts";
import type { Process } from "../process.ts";
import type { Processes } from "../processes.ts";
import type { SeededRandom } from "../seeded_random.ts";
import { ExpectedState } from "./expected_state.ts";
import { Observation } from "./observation.ts";
import type { RoleSettings } from "./role_checks.ts";

/** The largest drift of two clocks, as a share. */
export const MAX_DRIFT = 0.04;

/** Options of an `InvariantChecker`. */
export interface InvariantCheckerOptions {
  readonly random: SeededRandom;
  readonly gossipMaxSend: number;
  readonly maxMembers: number;
  readonly maxKeysPerMember: number;
  readonly departedRetention: number;
  readonly maxMessageBytes: number;
  readonly heartbeatExpiration: number;
  readonly gossipInterval: number;
  readonly gossipRequestTimeout: number;
  /** The longest time that a message sent before a block may be on its way, in milliseconds. */
  readonly underWayMs: number;
  /** True if members learn of each other through handshakes: before the first one they report no consensus. */
  readonly openMembership: boolean;
  /** The options of roles; `undefined` in a run without them. */
  readonly roles: RoleSettings | undefined;
  readonly nowMs: () => number;
  readonly processes: Processes;
  /** Called with a broken invariant; only the first counts. */
  readonly onViolation: (process: Process | undefined, text: string) => void;
}

/** Part of a member as another one knows it. */
interface KnownMember {
  readonly id: string;
  readonly status: string;
  readonly incarnation?: Incarnation | undefined;
}

/** Shared by all checks of one run. */
export class CheckContext {
  readonly options: InvariantCheckerOptions;
  readonly expected: ExpectedState = new ExpectedState();
  readonly #observations = new Map<Process, Observation>();

  constructor(options: InvariantCheckerOptions) {
    this.options = options;
  }

  /** The observation of a process; empty before its first event. */
  of(process: Process): Observation {
    let observation = this.#observations.get(process);
    if (observation === undefined) {
      observation = new Observation(process, this.options.nowMs);
      this.#observations.set(process, observation);
    }
    return observation;
  }

  /** The highest number that the living process of an id has set. */
  lastNumberOf(id: string): number {
    const owner = this.options.processes.aliveWith(id);
    return owner === undefined ? 0 : this.of(owner).lastNumber;
  }

  /** The process of an active peer; `undefined` if it is another incarnation than the one that this process knows. */
  activePeer(process: Process, { id, status, incarnation }: KnownMember): Process | undefined {
    const peer = this.options.processes.aliveWith(id);
    if (status !== "alive" || id === process.id || !peer) return undefined;
    return this.of(peer).incarnation === incarnation ? peer : undefined;
  }

  /** Reports a broken invariant. */
  fail(process: Process | undefined, text: string): void {
    this.options.onViolation(process, text);
  }
}
