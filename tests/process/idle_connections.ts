/**
 * A client that opens silent connections until a process has no free descriptor.
 *
 * @module
 */

/** The descriptors of a process: just enough to start, so that few connections exhaust them. */
export const MAX_DESCRIPTORS = 128;

/** Silent connections. Disposal closes them. */
export class IdleConnections implements Disposable {
  readonly #open: Deno.TcpConn[] = [];

  /** Opens connections until one is refused, or their number is the process's limit. */
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
