/**
 * `hearsay completions`: the completions of a shell.
 *
 * @module
 */

import { typesOf } from "../../operations/log_levels.ts";
import { completionsFor, SHELLS } from "../completions.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { programOf, type Run } from "../program.ts";

/** Prints the script. */
export const completions: Run = ({ terminal, screen }, [name]) => {
  const shell = SHELLS.find((each) => each === name);
  if (shell === undefined) {
    const text = `The shell must be one of ${SHELLS.join(", ")}; got ${JSON.stringify(name)}.`;
    return Promise.reject(new CommandFailure(EXIT.usage, text));
  }
  const types = ["all", ...typesOf("debug")];
  const script = completionsFor(shell, programOf(terminal, () => {}), { completions: SHELLS, events: types });
  if (screen.isJson) screen.json({ shell, script });
  else terminal.write(script);
  return Promise.resolve();
};
