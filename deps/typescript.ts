/**
 * The TypeScript compiler, for tools: the syntax tree of a file, with exact positions.
 *
 * @module
 */

import "./typescript_apart.ts";

export { default as ts } from "npm:typescript@5.9.3";
