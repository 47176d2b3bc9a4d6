/**
 * The fingerprints of cluster keys, by which people compare keys without showing them.
 *
 * @module
 */

import { sha256Hex } from "./token_check.ts";
import type { ClusterKey } from "../contracts/authentication.ts";
import { strongKeys } from "./key_strength.ts";
import { KID_LENGTH } from "./token_claims.ts";

/**
 * The fingerprint of each key, in their order: its `kid` in tokens. A key has 32 random bytes, so that its fingerprint does not
 * lead to it.
 */
export function fingerprintsOf(keys: readonly ClusterKey[]): string[] {
  return strongKeys(keys).map((bytes) => sha256Hex(bytes).slice(0, KID_LENGTH));
}
