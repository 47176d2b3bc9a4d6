/**
 * `hearsay token`: a token for reading, for a person without a key.
 *
 * @module
 */

import { MAX_TOKEN_LIFETIME_MS, tokenFor } from "../../security/cluster_keys.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import type { Run } from "../program.ts";
import { targetOf } from "../target.ts";

/** Makes the token. No member is asked. */
export const token: Run = async ({ terminal, screen }, _, flags) => {
  const { address, options: { keys, cluster, runtime } } = await targetOf(flags, terminal);
  if (!keys || cluster === undefined) {
    const text = "A token needs the keys of the cluster; add --keys-file <file>, or set HEARSAY_KEYS.";
    throw new CommandFailure(EXIT.usage, text);
  }
  const id = `observer-${Math.floor(terminal.runtime.random() * 2 ** 32).toString(16)}`;
  const text = await tokenFor({
    keys,
    cluster,
    id,
    address,
    access: "read",
    lifetime: MAX_TOKEN_LIFETIME_MS,
    ...(runtime && { runtime }),
  });
  if (screen.isJson) screen.json({ token: text, address, withinMilliseconds: MAX_TOKEN_LIFETIME_MS });
  else screen.line(text);
};
