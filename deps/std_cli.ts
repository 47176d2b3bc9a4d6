/**
 * The command-line parser of the standard library. On JSR: `jsr:@std/cli`.
 *
 * @module
 */

// @ts-types="./std_cli.d.ts"
export { parseArgs } from "npm:deno-std@1.4.0/cli/parse_args.js";
