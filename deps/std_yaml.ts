/**
 * The YAML parser of the standard library. On JSR: `jsr:@std/yaml`.
 *
 * @module
 */

// @ts-types="./std_yaml.d.ts"
export { parse } from "npm:deno-std@1.4.0/yaml/parse.js";
// @ts-types="./std_yaml_types.d.ts"
export { YamlSyntaxError } from "npm:deno-std@1.4.0/yaml/types.js";
