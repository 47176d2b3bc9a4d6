/**
 * How long to leave a peer alone that could not be reached.
 *
 * @module
 */

/** What a wait is drawn from. */
export interface BackoffOptions {
  /** The longest wait after the first failure, in milliseconds. */
  readonly base: number;
  /** The longest wait after any number of failures, in milliseconds. */
  readonly cap: number;
  /** A number of at least 0 and less than 1. */
  readonly random: number;
}

/**
 * Full jitter: anything from nothing to a limit that doubles with each failure, so that those who lost the
 * same peer at the same moment do not come back to it at the same moment.
 */
export function jitteredDelay(failures: number, { base, cap, random }: BackoffOptions): number {
  return random * Math.min(cap, base * 2 ** Math.min(Math.max(failures - 1, 0), 30));
}

/** How {@linkcode Backoffs} go. */
export interface BackoffsOptions extends Omit<BackoffOptions, "random"> {
  /** How many failures in a row are let pass first; none by default. */
  readonly tolerated?: number;
  /** How many are remembered; beyond that, those that failed first are forgotten. No limit by default. */
  readonly most?: number;
}

/** Which peers are left alone, and until when. */
export class Backoffs {
  readonly #options: BackoffsOptions;
  readonly #byId = new Map<string, { failures: number; untilMs: number }>();

  /** Makes a list on which nobody is. */
  constructor(options: BackoffsOptions) {
    this.#options = options;
  }

  /** Whether a peer is to be left alone now. */
  isResting(id: string, nowMs: number): boolean {
    const rest = this.#byId.get(id);
    return rest !== undefined && nowMs < rest.untilMs;
  }

  /** A peer could not be reached. */
  failed(id: string, { nowMs, random }: { readonly nowMs: number; readonly random: number }): void {
    const { tolerated = 0, most = Infinity, ...options } = this.#options;
    if (this.#byId.size >= most && !this.#byId.has(id)) this.#byId.delete(this.#byId.keys().next().value!);
    const failures = (this.#byId.get(id)?.failures ?? 0) + 1;
    const untilMs = failures > tolerated
      ? nowMs + jitteredDelay(failures - tolerated, { ...options, random })
      : nowMs;
    this.#byId.set(id, { failures, untilMs });
  }

  /** A peer was reached, or reached this member. */
  succeeded(id: string): void {
    this.#byId.delete(id);
  }

  /** Forgets all but these, so that the list does not grow with every member there ever was. */
  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#byId.keys()) if (!ids.has(id)) this.#byId.delete(id);
  }
}
