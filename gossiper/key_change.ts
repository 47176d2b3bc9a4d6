/**
 * The change of the cluster keys of a running member.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import type { Transport } from "../contracts/cluster.ts";

/** Gives a transport other keys. Throws if the transport has no keys. */
export function changeKeys(transport: Transport, keys: readonly (string | Uint8Array)[]): void {
  if (!transport.setKeys) {
    throw new HearsayError("invalid_configuration", "This member has no cluster keys; nothing was changed.");
  }
  transport.setKeys(keys);
}
