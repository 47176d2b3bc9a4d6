/**
 * A clear error for functions that need Deno, on Node, on Bun and in browsers.
 *
 * @module
 */

import { HearsayError } from "./errors.ts";

/**
 * Throws in other runtimes than Deno.
 *
 * @throws {HearsayError} with code `invalid_configuration`. The text has the function's name, and the function to use
 * in its place.
 */
export function assertDeno(what: string, instead: string): void {
  if ("Deno" in globalThis) return;
  const text = `\`${what}\` needs Deno. On Node and Bun, ${instead}. Nothing was changed.`;
  throw new HearsayError("invalid_configuration", text);
}
