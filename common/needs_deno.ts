/**
 * Functions that only Deno can run say so, on Node and Bun and in browsers.
 *
 * @module
 */

import { HearsayError } from "./errors.ts";

/**
 * Throws in other runtimes than Deno.
 *
 * @throws {HearsayError} with code `invalid_configuration`, the function's name, and what to use in its place.
 */
export function assertDeno(what: string, instead: string): void {
  if ("Deno" in globalThis) return;
  const text = `\`${what}\` needs Deno. On Node and Bun, ${instead}. Nothing was changed.`;
  throw new HearsayError("invalid_configuration", text);
}
