/**
 * The edit distance between two strings.
 *
 * @module
 */

export { distance as editDistance } from "npm:fastest-levenshtein@1.0.16";
