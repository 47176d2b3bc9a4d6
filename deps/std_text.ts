/**
 * String distance of the standard library.
 *
 * @module
 */

// @ts-types="./std_text.d.ts"
export { levenshteinDistance } from "npm:deno-std@1.4.0/text/levenshtein_distance.js";
