/**
 * The fingerprints of cluster keys. People compare fingerprints without showing the keys.
 *
 * @module
 */

import { sha256Hex } from "./token_check.ts";
import type { ClusterKey } from "../contracts/authentication.ts";
import { strongKeys } from "./key_strength.ts";
import { KID_LENGTH } from "./token_claims.ts";

/**
 * The fingerprint of each key, in the order of the keys: its `kid` in tokens. A key has 32 random bytes, so it cannot
 * be found by its fingerprint.
 */
export function fingerprintsOf(keys: readonly ClusterKey[]): string[] {
  return strongKeys(keys).map((bytes) => sha256Hex(bytes).slice(0, KID_LENGTH));
}
