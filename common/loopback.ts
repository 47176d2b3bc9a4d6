/**
 * Which hosts are this machine itself, seen by nobody else.
 *
 * @module
 */

import { bracketed } from "./host_names.ts";

/** Whether a name or an address is one of the loopback: with it nothing leaves, or comes from outside of, the machine. */
export function isLoopback(host: string): boolean {
  const url = URL.parse(`ws://${bracketed(host)}`);
  if (!url) return false;
  const { hostname } = url;
  if (hostname === "localhost" || hostname === "[::1]") return true;
  // An IPv4 address that came in by a socket for both families: ::ffff:127.0.0.1.
  return /^127\.\d+\.\d+\.\d+$/.test(hostname) || /^\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\]$/.test(hostname);
}
