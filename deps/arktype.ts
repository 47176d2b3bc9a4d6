/**
 * Schemas of arktype, for tests of typed keys.
 *
 * @module
 */

export { type } from "npm:arktype@2.2.10";
