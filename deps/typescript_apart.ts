/**
 * Keeps the TypeScript compiler from the environment: a parser needs no permission. Loaded before the compiler, which
 * reads its settings there when it takes the process for Node's.
 *
 * @module
 */

import process from "node:process";

Object.assign(process, { browser: true });
