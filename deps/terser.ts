/**
 * The second minifier of the page's module: it makes esbuild's output a thirtieth smaller. Loaded only by the task that
 * builds it.
 *
 * @module
 */

export { minify } from "npm:terser@5.51.4";
