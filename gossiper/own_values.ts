/**
 * Sets of a member's own keys.
 *
 * @module
 */

import type { SetStateOptions } from "./contract.ts";
import type { EngineHost } from "./engine_host.ts";
import { assertOwnKey, copied } from "./validation.ts";

/**
 * Sets a key, and returns its number. Throws a `HearsayError` if the key or the value is refused; then nothing is
 * changed.
 */
export function setOwn(
  engineHost: EngineHost,
  { key, value, expiresAfter }: Pick<SetStateOptions, "expiresAfter"> & {
    readonly key: string;
    readonly value: unknown;
  },
): number {
  assertOwnKey(key);
  const copy = { ...copied(key, value), ...(expiresAfter !== undefined && { expiresAfter }) };
  return engineHost.do((engine, now) => engine.set(key, copy, now), { mayRefuse: true }).number;
}
