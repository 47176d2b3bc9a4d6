/**
 * A client that opens connections until a process has no descriptors left, and says nothing on them.
 *
 * @module
 */

/** How many a process may have: as few as let it start, so that a test need not open many. */
export const MAX_DESCRIPTORS = 128;

/** Connections of a client that says nothing. Disposing of it closes them. */
export class IdleConnections implements Disposable {
  readonly #open: Deno.TcpConn[] = [];

  /** Opens connections until one is refused, or there are as many as the process may have descriptors. */
  async exhaust(port: number): Promise<void> {
    try {
      while (this.#open.length < MAX_DESCRIPTORS) {
        this.#open.push(await Deno.connect({ hostname: "127.0.0.1", port }));
      }
    } catch (error) {
      const { ConnectionRefused, ConnectionReset } = Deno.errors;
      if (!(error instanceof ConnectionRefused || error instanceof ConnectionReset)) throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const connection of this.#open) connection.close();
  }
}
