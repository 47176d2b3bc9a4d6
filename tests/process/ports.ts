/**
 * Ports for tests that listen later, or again: an ephemeral port could become the source port of a connection in between,
 * and for a minute after that connection no process can listen there.
 *
 * @module
 */

/**
 * Below the ephemeral ports of Linux. Above 10,080, the last of the ports that `fetch` refuses to connect to.
 */
const RANGE = { from: 10_081, count: 22_000 };
/** The last offset in the range that was looked at. */
let last = Math.floor(Math.random() * RANGE.count);

/** A port without a listener, other than all before. */
export function freePort(hostname = "127.0.0.1"): number {
  for (let tries = 0; tries < RANGE.count; tries++) {
    last = (last + 1) % RANGE.count;
    const port = RANGE.from + last;
    if (isFree(hostname, port)) return port;
  }
  throw new Error(`No port of ${hostname} is free in ${RANGE.from}..${RANGE.from + RANGE.count - 1}.`);
}

/** Different ports without a listener. */
export function freePorts(count: number): readonly number[] {
  return Array.from({ length: count }, () => freePort());
}

function isFree(hostname: string, port: number): boolean {
  try {
    Deno.listen({ hostname, port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
