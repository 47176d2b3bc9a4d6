/**
 * In place of `gossiper/crash_watch.ts`: a page cannot find out whether an address refuses connections.
 *
 * @module
 */

/** Watches nothing. */
export class CrashWatch {
  onConnectionBroken(): void {}
  onSuspect(): void {}
  async end(): Promise<void> {}
}
