/**
 * Ports for processes that restart with the same port.
 *
 * @module
 */

/**
 * Below the ephemeral ports: no outgoing connection takes a port while its process restarts. Above 10,080, the last of the
 * ports that `fetch` refuses to connect to.
 */
const RANGE = { from: 10_081, count: 22_000 };

/** Random ports without a listener. */
export function freePorts(count: number): readonly number[] {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = RANGE.from + Math.floor(Math.random() * RANGE.count);
    if (isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
