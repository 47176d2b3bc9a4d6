/**
 * Standard Schema, version 1: the interface that zod, valibot, arktype and others share. Types alone, so that no schema
 * library is loaded.
 *
 * @module
 */

/** A schema. See https://standardschema.dev. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The properties of the interface. */
  readonly "~standard": StandardProperties<Input, Output>;
}

/** The properties of a {@linkcode StandardSchema}. */
export interface StandardProperties<Input = unknown, Output = Input> {
  /** The version of the interface. */
  readonly version: 1;
  /** The name of the library. */
  readonly vendor: string;
  /** Checks a value. */
  readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
  /** The types; never present at run time. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
}

/** The result of a check: a value, or issues. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One reason why a value does not fit. */
export interface StandardIssue {
  /** The reason, as a sentence. */
  readonly message: string;
  /** The path from the value to the part that does not fit. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The type of the values that a schema takes. */
export type InputOf<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["input"];
/** The type of the values that a schema returns. */
export type OutputOf<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["output"];
