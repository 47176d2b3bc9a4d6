/**
 * Schemas of valibot, for tests of typed keys.
 *
 * @module
 */

export * as v from "npm:valibot@1.5.0";
