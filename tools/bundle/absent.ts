/**
 * In place of parts of the gossiper that do nothing in a page.
 *
 * @module
 */

/** In place of `gossiper/crash_watch.ts`: a page cannot find out whether an address refuses connections. */
export class CrashWatch {
  onConnectionBroken(): void {}

  onSuspect(): void {}

  async end(): Promise<void> {}
}

/** In place of `gossiper/readers.ts`: no connection leads to a page, so it serves no reader. */
export class Readers {
  host(): never {
    throw new TypeError("A page serves no reader.");
  }
}

/** In place of `gossiper/refused_handshakes.ts`: a page is asked for no handshake by an unknown peer. */
export class RefusedHandshakes {
  refused(): void {}

  succeeded(): void {}
}

/** In place of `gossiper/actor_counts.ts`: a page counts no actors. */
export function checkedCounts(): Readonly<Record<string, number>> {
  return {};
}
