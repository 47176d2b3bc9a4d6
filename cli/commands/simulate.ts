/**
 * `hearsay simulate`: runs the simulator of this project, which is not in the package.
 *
 * @module
 */

import { CommandFailure, EXIT } from "../failure.ts";
import type { Run } from "../program.ts";

/** The simulator in a checkout of the repository. */
const SIMULATOR = new URL("../../tests/simulation/main.ts", import.meta.url);
const MEMORY = "--v8-flags=--max-semi-space-size=64,--max-old-space-size=4096";

/** Passes the arguments on. */
export const simulate: Run = async (_, args) => {
  if (!await isThere()) {
    const text =
      "The simulator is in the project's repository only, and not in the package; clone it, and run " +
      "`deno task hearsay simulate` there.";
    throw new CommandFailure(EXIT.fault, text);
  }
  const given = args.filter((each) => each !== undefined);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", MEMORY, "--allow-read", "--allow-write", SIMULATOR.href, ...given],
    stdin: "null",
  }).spawn();
  const { code } = await child.status;
  return code === 0 ? EXIT.ok : EXIT.fault;
};

async function isThere(): Promise<boolean> {
  if (SIMULATOR.protocol !== "file:") return false;
  try {
    return (await Deno.stat(SIMULATOR)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
