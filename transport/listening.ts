/**
 * Listening for peers, and what is said where that cannot be done.
 *
 * @module
 */

import { HearsayError } from "../gossiper/errors.ts";

/** Where to listen. */
export interface ListeningOptions extends Partial<Deno.TlsCertifiedKeyPem> {
  readonly hostname: string;
  readonly port: number;
  readonly signal?: AbortSignal;
}

/**
 * Serves requests at a port of this machine.
 *
 * @throws {HearsayError} with code `cannot_listen` where that is taken, or not this machine's; its `cause` is Deno's
 * own error. That the process was not allowed to is thrown as Deno says it.
 */
export function serve(
  options: ListeningOptions,
  handler: Deno.ServeHandler<Deno.NetAddr>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ ...options, onListen: () => {} }, handler);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable || !(cause instanceof Error)) throw cause;
    const { hostname, port } = options;
    const place = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
    const why = cause instanceof Deno.errors.AddrInUse
      ? "another program, or another member, has that port; port 0 takes any that is free"
      : cause.message;
    throw new HearsayError("cannot_listen", `${place} cannot be listened on: ${why}. Nothing was opened.`, {
      cause,
    });
  }
}
