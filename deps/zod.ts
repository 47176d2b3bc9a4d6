/**
 * Schemas of zod, for tests of typed keys.
 *
 * @module
 */

export * as z from "npm:zod@4.6.7";
