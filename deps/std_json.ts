/**
 * Canonical JSON of the standard library (RFC 8785): equal values have equal text.
 *
 * @module
 */

// @ts-types="./std_json.d.ts"
export { canonicalize } from "npm:deno-std@1.4.0/json/canonicalize.js";
