/**
 * Detects the loopback addresses, which no other machine can reach.
 *
 * @module
 */

import { bracketed } from "./host_names.ts";

/**
 * True for a loopback name or address. A connection to it never leaves the machine, and no other machine can reach it.
 */
export function isLoopback(host: string): boolean {
  const url = URL.parse(`ws://${bracketed(host)}`);
  if (!url) return false;
  const { hostname } = url;
  if (hostname === "localhost" || hostname === "[::1]") return true;
  // A socket for both families reports an IPv4 address as ::ffff:127.0.0.1.
  return /^127\.\d+\.\d+\.\d+$/.test(hostname) || /^\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\]$/.test(hostname);
}
