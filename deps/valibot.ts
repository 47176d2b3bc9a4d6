/**
 * Schemas of valibot, for tests of typed keys. On JSR: `jsr:@valibot/valibot`.
 *
 * @module
 */

export * as v from "npm:valibot@1.5.0";
