/**
 * Schemas of zod, for tests of typed keys. On JSR: `jsr:@zod/zod`.
 *
 * @module
 */

export * as z from "npm:zod@4.6.7";
