/**
 * Ending a WebSocket whose peer does not answer the closing.
 *
 * @module
 */

import type { Socket } from "./platform.ts";

/** The parts of Deno that this module uses. */
interface Internals {
  readonly core?: { readonly tryClose?: (rid: number) => void };
}

/**
 * Ends a socket at once, without the peer. A closed socket of Deno reads on until the peer answers, without a limit. A
 * peer that sends an endless message could fill the memory, when its connection no longer counts for any limit. Deno
 * has no public function for this, so this uses two internal parts: the number of the socket's resource, and the
 * function that closes resources. Returns false if these are missing, as in browsers, which end such sockets
 * themselves.
 */
export function destroySocket(socket: Socket): boolean {
  if (socket.terminate) {
    socket.terminate();
    return true;
  }
  const rid = resourceOf(socket);
  const tryClose = internals()?.core?.tryClose;
  if (rid === undefined || !tryClose) return false;
  tryClose(rid);
  return true;
}

function resourceOf(socket: Socket): number | undefined {
  const name = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "[[rid]]");
  const rid = name && (socket as unknown as Readonly<Record<symbol, unknown>>)[name];
  return typeof rid === "number" ? rid : undefined;
}

function internals(): Internals | undefined {
  const { Deno: deno } = globalThis as { readonly Deno?: unknown };
  const parts = deno as Readonly<Record<PropertyKey, unknown>> | undefined;
  const name = parts?.["internal"];
  return typeof name === "symbol" ? parts?.[name] as Internals | undefined : undefined;
}
