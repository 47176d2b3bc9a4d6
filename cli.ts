/**
 * The command `hearsay`: it looks into a running cluster as an observer, and runs members. See `docs/operating.md`.
 *
 * ```sh
 * deno run --allow-net --allow-env --allow-read jsr:@hearsay/gossip/cli members --at ws://127.0.0.1:7000
 * ```
 *
 * `keygen --signing`, and an agent that makes its `signingKeyFile`, need `--allow-write=<folder>` too.
 *
 * @module
 */

import { main } from "./cli/program.ts";
import { processTerminal } from "./cli/terminal.ts";

if (import.meta.main) Deno.exit(await main(Deno.args, processTerminal()));
