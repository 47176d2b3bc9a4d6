/**
 * Takes over the connections that peers open.
 *
 * @module
 */

import type { Connection, Transport } from "../contracts/cluster.ts";

/** Calls `accept` with each incoming connection, until the signal is aborted. */
export async function acceptAll(
  transport: Pick<Transport, "incoming">,
  accept: (connection: Connection) => void,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const reader = transport.incoming.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  try {
    if (signal.aborted) return cancel();
    for (let next = await reader.read(); !next.done; next = await reader.read()) accept(next.value);
  } finally {
    signal.removeEventListener("abort", cancel);
    reader.releaseLock();
  }
}
