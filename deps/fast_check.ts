/**
 * Properties over random values, for tests.
 *
 * @module
 */

export {
  array,
  assert,
  constantFrom,
  integer,
  jsonValue,
  oneof,
  property,
  record,
  string,
  tuple,
} from "npm:fast-check@4.10.2";
export type { Arbitrary } from "npm:fast-check@4.10.2";
