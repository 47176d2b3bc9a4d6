/**
 * One schema of each library, and broken ones.
 *
 * @module
 */

import { type } from "../../deps/arktype.ts";
import { v } from "../../deps/valibot.ts";
import { z } from "../../deps/zod.ts";
import type { StandardSchema } from "../../keys/mod.ts";

/** A load: the same schema in each library. */
export interface Load {
  readonly cpu: number;
  readonly zone?: string;
}

/** The schemas of a {@linkcode Load}. */
export const SCHEMAS = {
  zod: z.object({ cpu: z.number(), zone: z.string().exactOptional() }),
  valibot: v.object({ cpu: v.number(), zone: v.exactOptional(v.string()) }),
  arktype: type({ cpu: "number", "zone?": "string" }),
};

/** Those as one type. */
export const LOADS: Readonly<Record<string, StandardSchema<Load>>> = SCHEMAS;

/** A schema with this function. */
export function schemaOf<T>(validate: StandardSchema<T>["~standard"]["validate"]): StandardSchema<T> {
  return { "~standard": { version: 1, vendor: "test", validate } };
}
