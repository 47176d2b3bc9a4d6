/**
 * Ports for processes that are restarted in their places.
 *
 * @module
 */

/** Below those that systems give to connections: no connection of anybody takes one while its process restarts. */
const RANGE = { from: 10_000, count: 22_000 };

/** Ports on which nobody listens at the moment, by chance. */
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
