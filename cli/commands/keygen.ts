/**
 * `hearsay keygen`: a new cluster key, the fingerprints of existing keys, or a file with a key pair for signing.
 *
 * @module
 */

import { assertMayRead } from "../../common/permission.ts";
import { fingerprintsOf } from "../../security/fingerprint.ts";
import { newClusterKey } from "../../security/key_sources.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import type { CommonFlags, Run } from "../program.ts";
import { keysOf, reading, signingKeyIn } from "../target.ts";

/** The flags of the command. */
interface KeygenFlags extends CommonFlags {
  readonly signing?: string;
  readonly fingerprints?: boolean;
}

/** Makes a key. A cluster key goes to the standard output, so that no file with the key is left behind by accident. */
export const keygen: Run<KeygenFlags> = async ({ terminal, screen }, _, flags) => {
  const { signing: file } = flags;
  if (flags.fingerprints) {
    const keys = await keysOf(flags, terminal);
    if (!keys) {
      throw new CommandFailure(EXIT.usage, "--fingerprints needs keys: --keys-file <file>, or HEARSAY_KEYS.");
    }
    const fingerprints = fingerprintsOf(keys);
    return screen.isJson ? screen.json({ fingerprints }) : screen.lines(fingerprints);
  }
  if (file === undefined) {
    const key = await newClusterKey();
    return screen.isJson ? screen.json({ key }) : screen.line(key);
  }
  if (await reading(file, "--signing", () => exists(file))) {
    throw new CommandFailure(
      EXIT.usage,
      "--signing must name a new file; this one exists. Nothing was changed.",
    );
  }
  await signingKeyIn(file, "--signing");
  if (screen.isJson) screen.json({ file });
  else {screen.line(
      "The file has a new key pair, and only its owner may read it. Name it as `signingKeyFile`.",
    );}
};

async function exists(file: string): Promise<boolean> {
  assertMayRead(file);
  try {
    await Deno.stat(file);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
