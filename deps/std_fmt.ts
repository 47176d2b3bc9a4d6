/**
 * Terminal colors of the standard library. On JSR: `jsr:@std/fmt`.
 *
 * @module
 */

// @ts-types="./std_fmt.d.ts"
export {
  blue,
  bold,
  cyan,
  dim,
  green,
  magenta,
  red,
  setColorEnabled,
  yellow,
} from "npm:deno-std@1.4.0/fmt/colors.js";
